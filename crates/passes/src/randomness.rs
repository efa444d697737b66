//! The operating system's randomness, in the form that `voprf` asks for.

use crate::PassError;
use rand_core::{CryptoRng, RngCore};

/// The operating system as a generator, which has given randomness a moment ago.
pub(crate) struct OperatingSystem(());

impl OperatingSystem {
    /// Asks it once, so that a system without randomness is an error and no panic.
    pub(crate) fn new() -> Result<Self, PassError> {
        getrandom::fill(&mut [0; 32]).map_err(|_| PassError::Randomness)?;
        Ok(Self(()))
    }
}

impl RngCore for OperatingSystem {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    // The trait knows no failure here, and to go on without randomness would show keys and nonces. The system gave some above, and
    // does not cease to.
    #[allow(clippy::expect_used)]
    fn fill_bytes(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("the operating system gave randomness before");
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl CryptoRng for OperatingSystem {}
