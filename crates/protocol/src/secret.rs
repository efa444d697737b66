//! Tensors that are shares or masks: unprintable, not cloneable by accident, wiped on drop.

use blindroute_ring::{Shape, Tensor, Word, wipe};

/// A tensor of share or mask words. Its memory is wiped on drop; `Debug` prints the shape only; there is no `Clone`.
pub struct Secret<W: Word> {
    tensor: Tensor<W>,
}

impl<W: Word> Secret<W> {
    /// Takes the words in.
    pub fn new(tensor: Tensor<W>) -> Self {
        Self { tensor }
    }

    /// The words, for arithmetic inside the protocol.
    pub(crate) fn expose(&self) -> &Tensor<W> {
        &self.tensor
    }

    /// The words, mutable.
    pub(crate) fn expose_mut(&mut self) -> &mut Tensor<W> {
        &mut self.tensor
    }

    /// The words, which are no secret any more: masked, or about to be wiped elsewhere.
    pub(crate) fn into_inner(mut self) -> Tensor<W> {
        std::mem::replace(&mut self.tensor, Tensor::new(Shape::row(0), Vec::new()))
    }

    /// The shape.
    pub fn shape(&self) -> Shape {
        self.tensor.shape()
    }
}

impl<W: Word> Drop for Secret<W> {
    fn drop(&mut self) {
        wipe(self.tensor.data_mut());
    }
}

impl<W: Word> std::fmt::Debug for Secret<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret{}(redacted)", self.tensor.shape())
    }
}

/// Equality takes the same time wherever the words differ.
impl<W: Word> PartialEq for Secret<W> {
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape()
            && self.tensor.data().iter().zip(other.tensor.data()).fold(0u64, |differs, (&a, &b)| {
                let difference = a.bit_xor(b).widen();
                differs | difference as u64 | (difference >> 64) as u64
            }) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_31_a_secret_does_not_print() {
        let secret = Secret::new(Tensor::new(Shape::row(2), vec![123_456_u64, 7]));
        assert_eq!(format!("{secret:?}"), "Secret[1, 1, 2](redacted)");
    }

    #[test]
    fn equality_sees_every_word() {
        let word = |x: u128| Secret::new(Tensor::new(Shape::row(2), vec![5u128, x]));
        assert!(word(1 << 100) == word(1 << 100));
        assert!(word(1 << 100) != word(1 << 101));
    }
}
