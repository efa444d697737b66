//! The key pair of a server to which files are sealed.

use std::fmt;
use std::path::Path;

use hpke::{Deserializable as _, Kem as _, Serializable as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Kem, SealingError};
use crate::hexadecimal;
use crate::messages::Digest;

const BYTES: usize = 32;

/// A server's private key. It is wiped on drop and never printed.
pub struct SealingKey(Zeroizing<[u8; BYTES]>);

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(redacted)")
    }
}

impl SealingKey {
    /// A fresh key from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        let (private, _) = Kem::gen_keypair();
        Self::of(&private)
    }

    fn of(private: &<Kem as hpke::Kem>::PrivateKey) -> Self {
        let mut bytes = Zeroizing::new([0; BYTES]);
        private.write_exact(&mut *bytes);
        Self(bytes)
    }

    /// Reads a key from its file.
    ///
    /// # Errors
    /// If the file cannot be read or holds no key.
    pub fn open(path: &Path) -> Result<Self, SealingError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| SealingError::Read { path: path.to_owned(), source })?;
        let bytes = hexadecimal::bytes(Zeroizing::new(text).trim()).ok_or(SealingError::Key("the file"))?;
        let key = Self(bytes);
        key.key().map(|_| key)
    }

    /// The text of its file.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        hexadecimal::line(&self.0)
    }

    /// The key to which others seal.
    #[must_use]
    pub fn public(&self) -> SealingPublicKey {
        let mut bytes = [0; BYTES];
        if let Ok(private) = self.key() {
            Kem::sk_to_pk(&private).write_exact(&mut bytes);
        }
        SealingPublicKey(bytes)
    }

    pub(super) fn key(&self) -> Result<<Kem as hpke::Kem>::PrivateKey, SealingError> {
        <Kem as hpke::Kem>::PrivateKey::from_bytes(&*self.0).map_err(|_| SealingError::Key("the file's content"))
    }
}

/// A server's public key, to which files are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealingPublicKey([u8; BYTES]);

impl SealingPublicKey {
    /// From 64 hexadecimal digits.
    ///
    /// # Errors
    /// If they are no key.
    pub fn parse(text: &str) -> Result<Self, SealingError> {
        let key = Self(*hexadecimal::bytes(text).ok_or(SealingError::Key("the manifest's text"))?);
        key.key().map(|_| key)
    }

    /// SHA-256 of the key.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.0).into())
    }

    pub(super) fn key(&self) -> Result<<Kem as hpke::Kem>::PublicKey, SealingError> {
        <Kem as hpke::Kem>::PublicKey::from_bytes(&self.0).map_err(|_| SealingError::Key("the manifest's content"))
    }
}

impl fmt::Display for SealingPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digest(self.0).fmt(f)
    }
}
