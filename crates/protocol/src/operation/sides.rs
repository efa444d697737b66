//! The two sides of an operation: whoever prepares it, and a server that runs it.

use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::material::factor::{AnyFactor, Factor};
use crate::material::mask::{Covered, Mask, MaskBits};
use crate::material::record::Keys;
use crate::material::word::RingWord;
use crate::secret::Secret;
use crate::weight_spec::WeightId;
use blindroute_ring::fss::HashKey;
use blindroute_ring::{Shape, Tensor};
use std::ops::Range;
use std::sync::Arc;

/// A dealer or a preparing server, as the offline side of an operation sees it.
///
/// A mask is δ itself for the dealer and a share of δ for a server; both run the same steps.
pub trait OfflineRole {
    /// The product of a mask with a weight, in `words` of a shape modulo 2^bits. `times` multiplies the mask with a factor: with B
    /// at the dealer, which sends shares of δB; with F = W − B at a server, which hands `[δW] = [δB] + [δ]F` to its online
    /// phase. What a server holds of δB stays hidden from the other one also in an [audit](crate::Audit), since B is the same
    /// in all sessions.
    ///
    /// # Errors
    /// If the weight multiplies nothing or is in another word, the stream of material fails, or the online phase is gone.
    fn weighted<W: RingWord>(
        &mut self,
        weight: WeightId,
        words: (Shape, u32),
        times: impl FnOnce(&Factor<W>) -> Tensor<W>,
    ) -> Result<(), Error>;

    /// Fresh uniform words, the mask of one opening, which a server hands to its online phase. Costs no material.
    ///
    /// # Errors
    /// If the online phase is gone.
    fn mask<W: RingWord>(&mut self, shape: Shape) -> Result<Arc<Secret<W>>, Error>;

    /// Fresh uniform bits, likewise.
    ///
    /// # Errors
    /// If the online phase is gone.
    fn mask_bits(&mut self, planes: usize, len: usize) -> Result<BitTensor, Error>;

    /// Shares modulo 2^bits of words that only the dealer can compute (the dealer gets the words themselves).
    ///
    /// # Errors
    /// If the stream of material fails.
    fn correlated<W: RingWord>(
        &mut self,
        shape: Shape,
        bits: u32,
        value: impl FnOnce() -> Tensor<W>,
    ) -> Result<Arc<Secret<W>>, Error>;

    /// Exclusive-or shares of bits that only the dealer can compute.
    ///
    /// # Errors
    /// If the stream of material fails.
    fn correlated_bits(
        &mut self,
        planes: usize,
        len: usize,
        value: impl FnOnce() -> BitTensor,
    ) -> Result<BitTensor, Error>;

    /// Gives a server's online phase `len` keys: one root per key from its seed (the dealer has both servers'), and `bytes`
    /// bytes of corrections that the dealer alone can make, with the session's hash, and sends to both.
    ///
    /// # Errors
    /// If the stream of material fails, or the online phase is gone.
    fn keys(
        &mut self,
        len: usize,
        bytes: usize,
        deal: impl FnOnce(&HashKey, [&[u128]; 2], &mut Vec<u8>),
    ) -> Result<(), Error>;

    /// Gives a server's online phase a piece of material.
    ///
    /// # Errors
    /// If the online phase is gone.
    fn hand<W: RingWord>(&mut self, words: &Arc<Secret<W>>) -> Result<(), Error>;

    /// Gives a server's online phase a piece of material.
    ///
    /// # Errors
    /// If the online phase is gone.
    fn hand_bits(&mut self, bits: BitTensor) -> Result<(), Error>;
}

/// A share on its way: this server's summand, and where in the coming exchange the other's will be.
#[derive(Debug)]
pub struct Outgoing<T> {
    pub(crate) own: T,
    pub(crate) exchange: usize,
    pub(crate) range: Range<usize>,
}

/// A server online, as an operation sees it.
pub trait Server {
    /// Whether this is party zero, which adds public constants.
    fn leads(&self) -> bool;

    /// This server's share of a weight.
    ///
    /// # Errors
    /// If there is no such weight.
    fn weight(&self, weight: WeightId) -> Result<Arc<AnyFactor>, Error>;

    /// The mask of the next opening.
    ///
    /// # Errors
    /// If the material ended or does not fit.
    fn pop_mask<W: RingWord>(&mut self, shape: Shape) -> Result<Mask<W>, Error>;

    /// The mask of the next opening, in bits.
    ///
    /// # Errors
    /// If the material ended or does not fit.
    fn pop_mask_bits(&mut self, planes: usize, len: usize) -> Result<MaskBits, Error>;

    /// The next piece of material.
    ///
    /// # Errors
    /// If the material ended or does not fit.
    fn pop<W: RingWord>(&mut self, shape: Shape) -> Result<Arc<Secret<W>>, Error>;

    /// The next piece of material.
    ///
    /// # Errors
    /// If the material ended or does not fit.
    fn pop_bits(&mut self, planes: usize, len: usize) -> Result<BitTensor, Error>;

    /// The next piece of material.
    ///
    /// # Errors
    /// If the material ended or does not fit.
    fn pop_keys(&mut self, len: usize) -> Result<Keys, Error>;

    /// Lets a share leave with the next exchange under the next mask.
    ///
    /// # Errors
    /// If the material ended or does not fit.
    fn defer<W: RingWord>(&mut self, share: Secret<W>, form: &Form) -> Result<Outgoing<Tensor<W>>, Error>;

    /// Lets covered bits leave with the next exchange.
    fn defer_covered(&mut self, bits: Covered) -> Outgoing<BitTensor>;

    /// Sends everything deferred, and receives as much.
    ///
    /// # Errors
    /// If the other server fails.
    fn exchange(&mut self) -> Result<(), Error>;

    /// The masked value of a deferred share after its exchange.
    ///
    /// # Errors
    /// If there was no exchange since.
    fn take<W: RingWord>(&mut self, pending: Outgoing<Tensor<W>>, form: &Form) -> Result<Arc<Tensor<W>>, Error>;

    /// The masked bits after their exchange.
    ///
    /// # Errors
    /// If there was no exchange since.
    fn take_bits(&mut self, pending: Outgoing<BitTensor>) -> Result<BitTensor, Error>;

    /// Several pieces of material of one shape.
    ///
    /// # Errors
    /// If the material ended or does not fit.
    fn pop_all<W: RingWord, const N: usize>(&mut self, shape: Shape) -> Result<[Arc<Secret<W>>; N], Error> {
        let mut words = Vec::with_capacity(N);
        for _ in 0..N {
            words.push(self.pop(shape)?);
        }
        words.try_into().map_err(|_| Error::MaterialMismatch { expected: "words" })
    }

    /// Lets bits leave with the next exchange under the next mask.
    ///
    /// # Errors
    /// If the material ended or does not fit.
    fn defer_bits(&mut self, bits: BitTensor) -> Result<Outgoing<BitTensor>, Error> {
        let (covered, _) = self.pop_mask_bits(bits.planes(), bits.len())?.cover(bits)?;
        Ok(self.defer_covered(covered))
    }

    /// Exchanges covered bits: one opening.
    ///
    /// # Errors
    /// If the other server fails.
    fn open_covered(&mut self, bits: Covered) -> Result<BitTensor, Error> {
        let pending = self.defer_covered(bits);
        self.exchange()?;
        self.take_bits(pending)
    }

    /// Opens bits under the next mask: one opening.
    ///
    /// # Errors
    /// If the material or the other server fails.
    fn open_bits(&mut self, bits: BitTensor) -> Result<Arc<BitTensor>, Error> {
        let pending = self.defer_bits(bits)?;
        self.exchange()?;
        self.take_bits(pending).map(Arc::new)
    }
}
