//! Matrix product in the ring.

use crate::Word;

/// How the elements of the right factor lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matrix {
    /// `[inner, columns]`, row by row.
    RowMajor,
    /// The transpose: `[columns, inner]`, row by row.
    Transposed,
}

/// A right factor laid out for the kernels.
pub struct PackedMatrix<W> {
    inner: usize,
    columns: usize,
    data: Vec<W>,
}

impl<W: Word> PackedMatrix<W> {
    /// Packs `[inner, columns]` (or its transpose).
    ///
    /// # Panics
    /// If there are not `inner · columns` elements.
    pub fn pack(data: &[W], inner: usize, columns: usize, layout: Matrix) -> Self {
        assert_eq!(data.len(), inner * columns);
        let data = match layout {
            Matrix::RowMajor => data.to_vec(),
            Matrix::Transposed => (0..inner * columns).map(|i| data[(i % columns) * inner + i / columns]).collect(),
        };
        Self { inner, columns, data }
    }

    /// Rows of the factor.
    pub fn inner(&self) -> usize {
        self.inner
    }

    /// Columns of the factor.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

/// `out = left · right`, with `left` `[rows, inner]` and `out` `[rows, columns]`, both row by row.
///
/// # Panics
/// If the lengths do not fit.
pub fn matmul<W: Word>(left: &[W], right: &PackedMatrix<W>, out: &mut [W]) {
    let rows = left.len() / right.inner;
    assert_eq!(left.len(), rows * right.inner);
    assert_eq!(out.len(), rows * right.columns);
    out.fill(W::ZERO);
    for (left, out) in left.chunks_exact(right.inner).zip(out.chunks_exact_mut(right.columns)) {
        for (&x, weights) in left.iter().zip(right.data.chunks_exact(right.columns)) {
            for (sum, &weight) in out.iter_mut().zip(weights) {
                *sum = sum.plus(x.times(weight));
            }
        }
    }
}
