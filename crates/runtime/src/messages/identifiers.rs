//! Identifiers of sessions and epochs, digests, seeds.

use std::fmt;

use zeroize::Zeroize;

/// The system's source of randomness failed.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no randomness ({0}); nothing can be done safely without it")]
pub struct NoRandomness(#[from] getrandom::Error);

fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

macro_rules! public_identifier {
    ($(#[$meta:meta])* $name:ident, $length:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $length]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }
    };
}

public_identifier! {
    /// Names a session: 128 random bits, made by the client. Public, used once.
    SessionId, 16
}
public_identifier! {
    /// Names one setting-up of a model's masks between the dealer and the servers. Public.
    EpochId, 16
}
public_identifier! {
    /// A digest of something public: a model's public part, a program, a request.
    Digest, 32
}

impl SessionId {
    /// A fresh one from the operating system.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn generate() -> Result<SessionId, NoRandomness> {
        random().map(SessionId)
    }
}

impl EpochId {
    /// A fresh one from the operating system.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn generate() -> Result<EpochId, NoRandomness> {
        random().map(EpochId)
    }
}

/// A secret seed on its way from the dealer to one server. Wiped on drop, never printed, not cloneable. Its bytes have
/// one place on the heap: moving a seed leaves no copy behind.
pub struct Seed(Box<[u8; 32]>);

impl Drop for Seed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Seed {
    /// Wraps the bytes of a seed.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Seed {
        Seed(Box::new(bytes))
    }

    /// A fresh one from the operating system.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn generate() -> Result<Seed, NoRandomness> {
        let mut seed = Seed::new([0; 32]);
        getrandom::fill(&mut seed.0[..]).map_err(NoRandomness)?;
        Ok(seed)
    }

    /// The one way out: for keying a generator.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}
