//! The right factor as kernels of vectors read it: panels of 128 bytes of columns, each row after row.
//!
//! A kernel works on one panel at a time and reads it from front to back, so every load is whole vectors of consecutive
//! words whatever the vector's width, and the last panel's missing columns are zeros instead of a special case.

use super::layout::MatrixLayout;
use crate::{Word, wipe_vec};
use zeroize::DefaultIsZeroes;

/// Columns of a panel of words of this type.
pub(super) const fn width<W>() -> usize {
    128 / size_of::<W>()
}

/// A right factor in panels.
pub struct Panels<W> {
    inner: usize,
    columns: usize,
    /// `columns.div_ceil(width())` panels of `inner · width()` words.
    words: Vec<W>,
}

impl<W: Word> Panels<W> {
    /// Packs `[inner, columns]`, or its transpose.
    pub(super) fn new(data: &[W], inner: usize, columns: usize, layout: MatrixLayout) -> Self {
        let panel = width::<W>();
        let mut packed = vec![W::ZERO; columns.div_ceil(panel) * panel * inner];
        // An empty factor has no panel, and `max` keeps the chunk's length above zero.
        for (index, words) in packed.chunks_exact_mut((inner * panel).max(1)).enumerate() {
            fill_panel(data, (inner, columns), layout, index * panel, (panel, words));
        }
        Self { inner, columns, words: packed }
    }

    /// Rows of the factor.
    pub(super) fn inner(&self) -> usize {
        self.inner
    }

    /// Columns of the factor.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The words of each panel.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[W]> {
        self.words.chunks_exact((self.inner * width::<W>()).max(1))
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.words[..])
    }
}

impl<W: DefaultIsZeroes> Panels<W> {
    /// Wipes the elements.
    pub(super) fn zeroize(&mut self) {
        wipe_vec(&mut self.words);
        (self.inner, self.columns) = (0, 0);
    }
}

/// Writes the columns from `first` on as a panel of so many columns. Columns that `data` does not have stay as they are.
pub(crate) fn fill_panel<W: Copy>(
    data: &[W],
    (inner, columns): (usize, usize),
    layout: MatrixLayout,
    first: usize,
    (panel, words): (usize, &mut [W]),
) {
    let width = panel.min(columns - first);
    match layout {
        MatrixLayout::RowMajor => {
            for (out, row) in words.chunks_exact_mut(panel).zip(data.chunks_exact(columns)) {
                out[..width].copy_from_slice(&row[first..first + width]);
            }
        }
        MatrixLayout::Transposed => transpose(&data[first * inner..(first + width) * inner], inner, panel, words),
    }
}

/// Writes `columns` of `inner` words each as a panel. Done in blocks, so that the lines written to stay in the cache.
fn transpose<W: Copy>(columns: &[W], inner: usize, panel: usize, out: &mut [W]) {
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
