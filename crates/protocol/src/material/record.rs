//! The pieces of prepared material.

use super::mask::{Mask, MaskBits};
use crate::bits::BitTensor;
use crate::secret::Secret;
use blindroute_ring::fss::HashKey;
use std::sync::Arc;
use zeroize::Zeroizing;

/// One piece of prepared material. Used once: the online phase takes it out by value.
#[derive(Debug)]
pub enum Record {
    /// Words of Z_2^32.
    U32(Arc<Secret<u32>>),
    /// Words of Z_2^64.
    U64(Arc<Secret<u64>>),
    /// Words of Z_2^128.
    U128(Arc<Secret<u128>>),
    /// Bits.
    Bits(BitTensor),
    /// Keys of function secret sharing.
    Keys(Keys),
    /// The mask of an opening.
    Mask(AnyMask),
}

/// The mask of one opening, in whichever word.
#[derive(Debug)]
pub enum AnyMask {
    /// Words of Z_2^32.
    U32(Mask<u32>),
    /// Words of Z_2^64.
    U64(Mask<u64>),
    /// Words of Z_2^128.
    U128(Mask<u128>),
    /// Bits.
    Bits(MaskBits),
}

impl AnyMask {
    fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::U32(one), Self::U32(other)) => one.agrees(other),
            (Self::U64(one), Self::U64(other)) => one.agrees(other),
            (Self::U128(one), Self::U128(other)) => one.agrees(other),
            (Self::Bits(one), Self::Bits(other)) => one.agrees(other),
            _ => false,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::U32(mask) => mask.shape().len() * 4,
            Self::U64(mask) => mask.shape().len() * 8,
            Self::U128(mask) => mask.shape().len() * 16,
            Self::Bits(mask) => BitTensor::byte_len(mask.planes(), mask.len()),
        }
    }
}

/// A server's keys of function secret sharing: its roots, and the corrections that both servers have, as they came.
/// Wiped on drop; prints its size only.
pub struct Keys {
    /// The session's hash, which is public.
    pub(crate) hash_key: Arc<HashKey>,
    /// One root per key.
    pub(crate) roots: Zeroizing<Vec<u128>>,
    /// What the protocol that uses them reads.
    pub(crate) corrections: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({} of {} bytes, redacted)", self.roots.len(), self.corrections.len())
    }
}

impl Keys {
    /// Whether both are the same keys. The hash is the session's, which whoever compares has used for both.
    fn agrees(&self, other: &Self) -> bool {
        *self.roots == *other.roots && *self.corrections == *other.corrections
    }
}

impl Record {
    /// Whether two records hold the same. Only an audit compares records, and it reveals them.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::U32(one), Self::U32(other)) => one == other,
            (Self::U64(one), Self::U64(other)) => one == other,
            (Self::U128(one), Self::U128(other)) => one == other,
            (Self::Bits(one), Self::Bits(other)) => one == other,
            (Self::Keys(one), Self::Keys(other)) => one.agrees(other),
            (Self::Mask(one), Self::Mask(other)) => one.agrees(other),
            _ => false,
        }
    }

    /// Bytes that it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::U32(words) => words.shape().len() * 4,
            Self::U64(words) => words.shape().len() * 8,
            Self::U128(words) => words.shape().len() * 16,
            Self::Bits(bits) => bits.words().len() * 8,
            Self::Keys(keys) => keys.roots.len() * 16 + keys.corrections.len(),
            Self::Mask(mask) => mask.bytes(),
        }
    }
}
