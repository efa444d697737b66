//! Weights, shares and masks of them as products read them.

use crate::secret::Secret;
use crate::weight_spec::{WeightKind, WeightSpec};
use blindroute_ring::{MatrixLayout, MatrixWord, PackedMatrix, Tensor};
use zeroize::Zeroize;

/// A weight, a share or a mask of it, as products read it. Wiped on drop. The variants are boxed: moving a smaller variant
/// would copy what the stack held before into the rest of its place, and leave it there when it is freed.
#[allow(missing_debug_implementations)]
pub enum Factor<W: MatrixWord> {
    /// The right factor of a matrix product.
    Matrix(Box<PackedMatrix<W>>),
    /// One factor or summand per column.
    Row(Box<Secret<W>>),
}

impl<W: MatrixWord> Factor<W> {
    fn new(spec: &WeightSpec, words: Tensor<W>) -> Self {
        let words = Secret::new(words);
        match spec.kind {
            WeightKind::Matrix { inner, columns } => Self::Matrix(Box::new(PackedMatrix::pack(
                words.expose().data(),
                inner,
                columns,
                MatrixLayout::RowMajor,
                spec.bits,
            ))),
            WeightKind::Scale(_) | WeightKind::Bias(_) => Self::Row(Box::new(words)),
        }
    }
}

impl<W: MatrixWord> Drop for Factor<W> {
    fn drop(&mut self) {
        if let Self::Matrix(matrix) = self {
            matrix.zeroize();
        }
    }
}

/// A [`Factor`] in the word of its ring.
#[allow(missing_debug_implementations)]
pub enum AnyFactor {
    /// Rings of at most 32 bits.
    U32(Factor<u32>),
    /// Wider ones.
    U64(Factor<u64>),
}

impl AnyFactor {
    pub(crate) fn new(spec: &WeightSpec, words: Tensor<u64>) -> Self {
        if spec.bits <= 32 {
            let words = Secret::new(words);
            Self::U32(Factor::new(spec, words.expose().map(|word| word as u32)))
        } else {
            Self::U64(Factor::new(spec, words))
        }
    }
}
