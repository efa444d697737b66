//! The right factor as the kernels read it: panels of 128 bytes of columns, each row after row.
//!
//! A kernel works on one panel at a time and reads it from front to back, so every load is whole vectors of consecutive
//! words whatever the vector's width, and the last panel's missing columns are zeros instead of a special case.

use super::multiply::Multiply;
use crate::Word;
use zeroize::Zeroize;

/// How the elements of the right factor lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matrix {
    /// `[inner, columns]`, row by row.
    RowMajor,
    /// The transpose: `[columns, inner]`, row by row.
    Transposed,
}

/// A right factor laid out for the kernels. It may hold shares: its `Debug` prints the shape only, and `zeroize` wipes it.
pub struct PackedMatrix<W> {
    inner: usize,
    columns: usize,
    /// `columns.div_ceil(PANEL)` panels of `inner · PANEL` words.
    data: Vec<W>,
}

impl<W> std::fmt::Debug for PackedMatrix<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PackedMatrix[{}, {}]", self.inner, self.columns)
    }
}

impl<W: Zeroize> Zeroize for PackedMatrix<W> {
    /// Wipes the elements; what is left is the empty matrix.
    fn zeroize(&mut self) {
        self.data.zeroize();
        (self.inner, self.columns) = (0, 0);
    }
}

impl<W: Word> PackedMatrix<W> {
    /// Packs `[inner, columns]` (or its transpose).
    ///
    /// # Panics
    /// If there are not `inner · columns` elements.
    pub fn pack(data: &[W], inner: usize, columns: usize, layout: Matrix, _bits: u32) -> Self {
        assert_eq!(data.len(), inner * columns, "a factor of {inner} by {columns}");
        let panel = <W as Multiply>::PANEL;
        let mut packed = vec![W::ZERO; columns.div_ceil(panel) * panel * inner];
        // An empty factor has no panel, and `max` keeps the chunk's length above zero.
        for (index, words) in packed.chunks_exact_mut((inner * panel).max(1)).enumerate() {
            let first = index * panel;
            let width = panel.min(columns - first);
            match layout {
                Matrix::RowMajor => {
                    for (out, row) in words.chunks_exact_mut(panel).zip(data.chunks_exact(columns)) {
                        out[..width].copy_from_slice(&row[first..first + width]);
                    }
                }
                Matrix::Transposed => transpose(&data[first * inner..(first + width) * inner], inner, panel, words),
            }
        }
        Self { inner, columns, data: packed }
    }

    /// Rows of the factor.
    pub fn inner(&self) -> usize {
        self.inner
    }

    /// Columns of the factor.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The panels, and the words of each.
    pub(super) fn panels(&self) -> impl Iterator<Item = &[W]> {
        self.data.chunks_exact((self.inner * <W as Multiply>::PANEL).max(1))
    }
}

/// Writes `columns` of `inner` words each as a panel. Done in blocks, so that the lines written to stay in the cache.
fn transpose<W: Word>(columns: &[W], inner: usize, panel: usize, out: &mut [W]) {
    const BLOCK: usize = 16;
    for (block, out) in out.chunks_mut(BLOCK * panel).enumerate() {
        let start = block * BLOCK;
        for (index, column) in columns.chunks_exact(inner).enumerate() {
            for (row, &word) in out.chunks_exact_mut(panel).zip(&column[start..]) {
                row[index] = word;
            }
        }
    }
}
