//! Identifiers of sessions and epochs, digests, and seeds as they are sent.

use std::fmt;

use zeroize::Zeroize;

use super::local_name::{LocalName, SESSION};

/// The system's source of randomness failed.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no randomness ({0}); a session needs it: check the system's random device")]
pub struct NoRandomness(#[from] getrandom::Error);

/// A random number below `count`, for choices that no key depends on: the bias is `count` / 2^64.
///
/// # Errors
/// If the system gives no randomness.
pub(crate) fn random_below(count: usize) -> Result<usize, NoRandomness> {
    let number = u64::from_le_bytes(random()?);
    Ok(usize::try_from(number % count.max(1) as u64).unwrap_or(0))
}

fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

macro_rules! public_identifier {
    ($(#[$meta:meta])* $name:ident, $length:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $length]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:x}", base16ct::HexDisplay(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:x}", base16ct::HexDisplay(&self.0))
            }
        }
    };
}

/// An identifier that several parties know. It is written by a name that no other process gives it.
macro_rules! shared_identifier {
    ($(#[$meta:meta])* $name:ident, $kind:expr) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&LocalName::of($kind, &self.0), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&LocalName::of($kind, &self.0), f)
            }
        }
    };
}

shared_identifier! {
    /// Names a session: 128 random bits drawn by the client. Public, and used only once. Written as a name that only this process
    /// gives, because the logs of both servers have lines of one session.
    SessionId, SESSION
}
shared_identifier! {
    /// Names one set of masks of the weights, which the dealer draws when it starts. Public. Written as a session is.
    EpochId, "epoch"
}
shared_identifier! {
    /// Names a report of a choice: 128 random bits drawn by the client. Public to the servers. Written as a session is.
    ReportId, "report"
}
shared_identifier! {
    /// Names a batch of reports, drawn by server 1. Written as a session is.
    BatchId, "batch"
}
public_identifier! {
    /// A digest of something public: a deployment, a request.
    Digest, 32
}

public_identifier! {
    /// Names a ledger, from its creation on. Public.
    LedgerId, 16
}
public_identifier! {
    /// Tells two openings of a ledger with the same term apart. Public.
    TermNonce, 16
}

macro_rules! drawn {
    ($($name:ident)*) => {
        $(impl $name {
            /// A fresh one from the operating system's randomness.
            ///
            /// # Errors
            /// If the system gives no randomness.
            pub fn generate() -> Result<$name, NoRandomness> {
                random().map($name)
            }
        })*
    };
}

drawn! { SessionId EpochId LedgerId TermNonce ReportId BatchId }

/// A secret seed as it is sent on a link, for instance from the dealer to a server. It is wiped on drop, never printed
/// and not cloneable. Its bytes stay in one place on the heap, so moving a seed leaves no copy behind.
pub struct WireSeed(Box<[u8; 32]>);

impl Drop for WireSeed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl WireSeed {
    /// Wraps the bytes of a seed.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> WireSeed {
        WireSeed(Box::new(bytes))
    }

    /// A fresh one from the operating system's randomness.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn generate() -> Result<WireSeed, NoRandomness> {
        let mut seed = WireSeed::new([0; 32]);
        getrandom::fill(&mut seed.0[..]).map_err(NoRandomness)?;
        Ok(seed)
    }

    /// The bytes, to be used as the key of a generator. There is no other way to read them.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for WireSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WireSeed(..)")
    }
}

/// 256 secret bits that are sent, of which the receiver keeps and compares a digest.
macro_rules! secret_bits {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        pub struct $name($crate::messages::WireSeed);

        impl $name {
            /// The one of these bytes.
            #[must_use]
            pub fn new(bytes: [u8; 32]) -> Self {
                Self($crate::messages::WireSeed::new(bytes))
            }

            pub(crate) fn expose(&self) -> &[u8; 32] {
                self.0.expose()
            }

            /// What is kept and compared in place of it.
            #[must_use]
            pub fn digest(&self) -> $crate::messages::Digest {
                use sha2::{Digest as _, Sha256};
                $crate::messages::Digest(Sha256::digest(self.expose()).into())
            }
        }

        impl Clone for $name {
            fn clone(&self) -> Self {
                Self::new(*self.expose())
            }
        }

        /// By digests, so that the time says nothing about it.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.digest() == other.digest()
            }
        }

        impl Eq for $name {}

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}
pub(crate) use secret_bits;
