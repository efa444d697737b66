//! The key pair of a server to which files are sealed.

use std::fmt;
use std::path::Path;

use hpke::{Deserializable as _, Kem as _, Serializable as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Kem, SealingError};
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
        let bytes = from_hex(Zeroizing::new(text).trim()).ok_or(SealingError::Key("the file"))?;
        let key = Self(bytes);
        key.key().map(|_| key)
    }

    /// The text of its file.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * BYTES + 1));
        for byte in self.0.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
            }
        }
        text.push('\n');
        text
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
        let key = Self(*from_hex(text).ok_or(SealingError::Key("the manifest's text"))?);
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

/// 32 bytes from their hexadecimal digits, which may be secret.
fn from_hex(text: &str) -> Option<Zeroizing<[u8; BYTES]>> {
    let digits = text.as_bytes();
    if digits.len() != 2 * BYTES {
        return None;
    }
    let mut bytes = Zeroizing::new([0; BYTES]);
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
