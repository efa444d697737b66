//! Masks of openings: each covers one value, once.

use super::stream::{Purpose, Stream};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::secret::Secret;
use blindroute_ring::{Shape, Tensor, Word, marks, pack};
use std::sync::Arc;

/// A server's share of the mask δ of one opening, in words. It is made by drawing it, has no `Clone`, and is spent by
/// what it covers: so it serves one opening. The share of δ that products and selections go on with cannot cover
/// anything.
#[derive(Debug)]
pub struct Mask<W: Word>(Arc<Secret<W>>);

impl<W: Word> Mask<W> {
    /// Draws a mask: what covers, and the share of δ.
    pub(crate) fn draw(stream: &mut impl Stream, shape: Shape) -> (Self, Arc<Secret<W>>) {
        let words = Arc::new(Secret::new(Tensor::new(shape, stream.draw(Purpose::Mask).words(shape.len()))));
        (Self(Arc::clone(&words)), words)
    }

    pub(crate) fn shape(&self) -> Shape {
        self.0.shape()
    }

    /// Whether both are the same mask.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// The mask's words, for tests of the masks.
    #[cfg(test)]
    pub(crate) fn words(&self) -> &Tensor<W> {
        self.0.expose()
    }

    /// Appends share and mask to the message. The result is the same sum, and no secret: it is a summand under a mask
    /// that nothing else has.
    pub(crate) fn cover(self, mut share: Secret<W>, form: &Form, message: &mut Vec<u8>) -> Tensor<W> {
        let start = message.len();
        pack::pack_sum(share.expose_mut().data_mut(), self.0.expose().data(), form.bits, message);
        let covered = share.into_inner().reshaped(form.shape);
        marks::public(covered.data());
        marks::public(&message[start..]);
        covered
    }
}

/// As [`Mask`], in bits.
#[derive(Debug)]
pub struct MaskBits(BitTensor);

impl MaskBits {
    /// Draws a mask: what covers, and the share of δ.
    pub(crate) fn draw(stream: &mut impl Stream, planes: usize, len: usize) -> (Self, BitTensor) {
        let mut bits = BitTensor::zeros(planes, len);
        stream.draw(Purpose::Mask).fill_words(bits.words_mut());
        (Self(bits.clone()), bits)
    }

    pub(crate) fn planes(&self) -> usize {
        self.0.planes()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether both are the same mask.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// The mask's bits, for tests of the masks.
    #[cfg(test)]
    pub(crate) fn bits(&self) -> &BitTensor {
        &self.0
    }

    /// The bits under the mask, and the share of δ that is left.
    ///
    /// # Errors
    /// If the sizes differ.
    pub(crate) fn cover(self, mut bits: BitTensor) -> Result<(Covered, BitTensor), Error> {
        bits.xor_assign(&self.0)?;
        marks::public(bits.words());
        Ok((Covered(bits), self.0))
    }
}

/// Bits under a mask that nothing else has: what may leave for the other server.
#[derive(Debug)]
pub struct Covered(BitTensor);

impl Covered {
    /// The bits, which are no secret.
    pub(crate) fn into_inner(self) -> BitTensor {
        self.0
    }
}
