//! A pass, and what it is for.

use crate::PassError;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The type of these tokens in RFC 9578.
const TYPE: u16 = 1;
/// Bytes of what the issuer computes for a nonce.
const AUTHENTICATOR: usize = 48;

/// What passes are for: the digest of a TokenChallenge (RFC 9577, section 2.1). A pass for one challenge is refused for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge([u8; 32]);

impl Challenge {
    /// That of an issuer that accepts its own passes, in any context. The name is one of ours, so it is short.
    #[must_use]
    pub fn of(issuer: &str) -> Self {
        let name = issuer.as_bytes();
        let length = u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes();
        // Type, name of the issuer, no context, name of the origin.
        Self::digest(&[&TYPE.to_be_bytes(), &length, name, &[0], &length, name].concat())
    }

    /// That of an encoded TokenChallenge.
    pub(crate) fn digest(encoded: &[u8]) -> Self {
        Self(Sha256::digest(encoded).into())
    }
}

/// The name of a key: SHA-256 of its public part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; 32]);

impl KeyId {
    /// That of a public key.
    #[must_use]
    pub fn of(public: &[u8]) -> Self {
        Self(Sha256::digest(public).into())
    }
}

/// A right to ask once. Whoever has it can use it: it is wiped on drop, never printed and not cloneable.
pub struct Pass {
    nonce: [u8; 32],
    authenticator: Box<Zeroizing<[u8; AUTHENTICATOR]>>,
}

impl Pass {
    /// Bytes of a pass as it is sent.
    pub const BYTES: usize = 32 + AUTHENTICATOR;

    pub(crate) fn new(nonce: [u8; 32], authenticator: &[u8]) -> Result<Self, PassError> {
        let authenticator = authenticator.try_into().map_err(|_| PassError::Point)?;
        Ok(Self { nonce, authenticator: Box::new(Zeroizing::new(authenticator)) })
    }

    /// As it is sent.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; Self::BYTES]> {
        let mut out = Zeroizing::new([0; Self::BYTES]);
        out[..32].copy_from_slice(&self.nonce);
        out[32..].copy_from_slice(&self.authenticator[..]);
        out
    }

    /// From what was sent. Whether it is accepted is not known yet.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let (mut nonce, mut authenticator) = ([0; 32], Box::new(Zeroizing::new([0; AUTHENTICATOR])));
        nonce.copy_from_slice(&bytes[..32]);
        authenticator.copy_from_slice(&bytes[32..]);
        Self { nonce, authenticator }
    }

    /// What stands for a pass that was used: a digest of its number. It is no secret once the pass was used.
    #[must_use]
    pub fn name(&self) -> [u8; 16] {
        let digest: [u8; 32] = Sha256::digest(self.nonce).into();
        let mut name = [0; 16];
        name.copy_from_slice(&digest[..16]);
        name
    }

    pub(crate) fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }

    pub(crate) fn authenticator(&self) -> &[u8; AUTHENTICATOR] {
        &self.authenticator
    }
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pass(..)")
    }
}

/// What is evaluated for a nonce: RFC 9578, section 5.1.
pub(crate) fn token_input(nonce: &[u8; 32], challenge: &Challenge, key: &KeyId) -> Vec<u8> {
    [&TYPE.to_be_bytes()[..], nonce, &challenge.0, &key.0].concat()
}
