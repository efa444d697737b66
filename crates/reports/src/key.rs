//! The key with which two servers check one report.

use crate::{ReportError, ReportName};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroize;

const KEY: &[u8] = b"blindroute choices: key of a report\0";
const COMMITMENT: &[u8] = b"blindroute choices: commitment to a half\0";

/// A server's half of a report's key. It is wiped on drop and never printed.
pub struct KeyHalf(Box<[u8; 32]>);

impl KeyHalf {
    /// A fresh one.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn generate() -> Result<Self, ReportError> {
        let mut half = Self(Box::new([0; 32]));
        getrandom::fill(&mut half.0[..]).map_err(|_| ReportError::NoRandomness)?;
        Ok(half)
    }

    /// That of the other server.
    #[must_use]
    pub fn received(bytes: [u8; 32]) -> Self {
        Self(Box::new(bytes))
    }

    /// As it is sent to the other server.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// What server 1 sends before it knows the other half. 256 random bits cannot be guessed from it, nor exchanged after it.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        Sha256::new().chain_update(COMMITMENT).chain_update(self.expose()).finalize().into()
    }
}

impl Drop for KeyHalf {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for KeyHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHalf(..)")
    }
}

/// The key of one report, of which each server gave a half. A client that knew it could make a report that passes and is none.
pub struct VerifyKey(Box<[u8; 32]>);

impl VerifyKey {
    /// From the halves of server 0 and of server 1.
    #[must_use]
    pub fn of(report: &ReportName, [zero, one]: [&KeyHalf; 2]) -> Self {
        let hash = Sha256::new().chain_update(KEY).chain_update(report);
        Self(Box::new(hash.chain_update(zero.expose()).chain_update(one.expose()).finalize().into()))
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Drop for VerifyKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyKey(..)")
    }
}
