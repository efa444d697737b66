//! Digests as values.

use std::fmt;

/// A SHA-256. Two files or models with one digest are the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Digest({self})")
    }
}

/// What a model is: the digest of its program (configuration, routers' kinds and shapes, tokenizer, model pool) and of its
/// weights. Servers and dealer compare it before the first online byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BundleDigest(Digest);

impl BundleDigest {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl From<Digest> for BundleDigest {
    fn from(digest: Digest) -> Self {
        Self(digest)
    }
}

impl From<[u8; 32]> for BundleDigest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(Digest(bytes))
    }
}

impl fmt::Display for BundleDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}
