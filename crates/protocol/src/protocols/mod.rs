//! The primitive protocols: for each its offline side (dealer and preparing servers, one body of code), its online
//! side, its cost and its security.
//!
//! Notation: m = x + λ is the public part of a masked value; `[v]` are additive shares of a dealer-known v, where party
//! zero's share is drawn from its seed and party one's is a *correction* that the dealer sends; k is the ring width.
//! Security, the same for all: semi-honest, one corrupt server or the dealer alone. A server sees public parts, each
//! masked by fresh uniform λ, and its shares, each uniform on its own; the dealer sees nothing of the online phase.
//!
//! Comparisons have two implementations, between which a program's [`Tuning`](crate::Tuning) chooses: digits
//! ([`comparison`], [`rectifier_digits`]) and keys of function secret sharing ([`point`], [`spline_keys`],
//! [`rectifier`]).

pub mod comparison;
pub mod conjunction;
pub mod exponential;
pub mod extension;
pub mod linear;
pub mod opening;
pub mod piecewise;
pub mod point;
pub mod product;
pub mod rectifier;
pub mod rectifier_digits;
pub mod reveal;
pub mod selection;
pub mod spline_keys;
pub mod table;
pub mod truncate_reduce;

use crate::bits::BitTensor;
use crate::error::Error;
use crate::record::{Keys, RingWord};
use crate::secret::Secret;
use blindroute_ring::fss::HashKey;
use blindroute_ring::{Shape, Tensor};
use std::sync::Arc;

/// A dealer or a preparing server, as the offline side of a protocol sees it.
///
/// A mask is λ itself for the dealer and a share of λ for a server; both run the same steps.
pub(crate) trait Role {
    /// Fresh uniform words, the mask of one opening, which a server hands to its online phase. Costs no material.
    fn mask<W: RingWord>(&mut self, shape: Shape) -> Result<Arc<Secret<W>>, Error>;
    /// Fresh uniform bits, likewise.
    fn mask_bits(&mut self, planes: usize, len: usize) -> Result<BitTensor, Error>;
    /// Shares modulo 2^bits of words that only the dealer can compute (the dealer gets the words themselves).
    fn correlated<W: RingWord>(
        &mut self,
        shape: Shape,
        bits: u32,
        value: impl FnOnce() -> Tensor<W>,
    ) -> Result<Arc<Secret<W>>, Error>;
    /// Exclusive-or shares of bits that only the dealer can compute.
    fn correlated_bits(
        &mut self,
        planes: usize,
        len: usize,
        value: impl FnOnce() -> BitTensor,
    ) -> Result<BitTensor, Error>;
    /// Gives a server's online phase `len` keys: a root each from its seed (the dealer has both servers'), and `bytes`
    /// bytes of corrections that the dealer alone can make, with the session's hash, and sends to both.
    fn keys(
        &mut self,
        len: usize,
        bytes: usize,
        deal: impl FnOnce(&HashKey, [&[u128]; 2], &mut Vec<u8>),
    ) -> Result<(), Error>;
    /// Gives a server's online phase a piece of material.
    fn hand<W: RingWord>(&mut self, words: &Arc<Secret<W>>) -> Result<(), Error>;
    /// Gives a server's online phase a piece of material.
    fn hand_bits(&mut self, bits: BitTensor) -> Result<(), Error>;
}

/// A server online, as a protocol sees it.
pub(crate) trait Server {
    /// Whether this is party zero, which adds public constants.
    fn leads(&self) -> bool;
    /// The mask of the next opening.
    fn pop_mask<W: RingWord>(&mut self, shape: Shape) -> Result<opening::Mask<W>, Error>;
    /// The mask of the next opening, in bits.
    fn pop_mask_bits(&mut self, planes: usize, len: usize) -> Result<opening::MaskBits, Error>;
    /// The next piece of material.
    fn pop<W: RingWord>(&mut self, shape: Shape) -> Result<Arc<Secret<W>>, Error>;
    /// The next piece of material.
    fn pop_bits(&mut self, planes: usize, len: usize) -> Result<BitTensor, Error>;
    /// The next piece of material.
    fn pop_keys(&mut self, len: usize) -> Result<Keys, Error>;
}

/// Material bytes of `words` words of `bits` bits.
pub(crate) const fn words_len(words: usize, bits: u32) -> usize {
    blindroute_ring::pack::packed_len(words, bits)
}
