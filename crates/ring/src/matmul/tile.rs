//! The walk over a product's tiles, shared by all kernels.

use super::PackedMatrix;
use super::multiply::Multiply;
use crate::Word;

/// Inner positions of one pass: 64 KiB of a panel, which stays in the second-level cache while all rows use it.
const DEPTH: usize = 512;

/// A few rows of the product by one panel of columns, over part of the inner dimension.
pub(super) struct Tile<'a, W> {
    /// Rows; at least 1, and at most what the kernel asked [`walk`] for.
    pub(super) rows: usize,
    /// The left factor from the tile's first element on; one row after `left_stride` words.
    pub(super) left: &'a [W],
    /// Words from one row of the left factor to the next.
    pub(super) left_stride: usize,
    /// Inner positions.
    pub(super) depth: usize,
    /// `depth` rows of `PANEL` words each.
    pub(super) panel: &'a [W],
    /// The product from the tile's first element on.
    pub(super) out: &'a mut [W],
    /// Words from one row of the product to the next.
    pub(super) out_stride: usize,
    /// Columns that the product has in this panel: at most `PANEL`.
    pub(super) width: usize,
    /// Whether the sums are the first of their elements, to be stored and not added.
    pub(super) first: bool,
}

impl<W: Word> Tile<'_, W> {
    /// The tile's part of each of its rows of the left factor.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn left_rows<const ROWS: usize>(&self) -> [&[W]; ROWS] {
        std::array::from_fn(|row| &self.left[row * self.left_stride..][..self.depth])
    }

    /// Takes in the sums of one row, from column `column` of the panel on.
    #[inline(always)]
    pub(super) fn store<const COLUMNS: usize>(&mut self, row: usize, column: usize, sums: &[W; COLUMNS]) {
        if column >= self.width {
            return;
        }
        let out = &mut self.out[row * self.out_stride + column..][..self.width - column];
        match out.first_chunk_mut::<COLUMNS>() {
            Some(out) if self.first => *out = *sums,
            Some(out) => out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = out.plus(sum)),
            None if self.first => out.copy_from_slice(&sums[..out.len()]),
            None => out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = out.plus(sum)),
        }
    }
}

/// Calls `kernel` for every tile of up to `rows` rows of `out = left · right`; the inner dimension is not empty.
pub(super) fn walk<W: Word>(
    left: &[W],
    right: &PackedMatrix<W>,
    out: &mut [W],
    rows: usize,
    kernel: impl Fn(Tile<'_, W>),
) {
    let (inner, columns, width) = (right.inner(), right.columns(), <W as Multiply>::PANEL);
    let all_rows = left.len() / inner;
    for start in (0..inner).step_by(DEPTH) {
        let depth = DEPTH.min(inner - start);
        for (index, panel) in right.panels().enumerate() {
            for row in (0..all_rows).step_by(rows) {
                kernel(Tile {
                    rows: rows.min(all_rows - row),
                    left: &left[row * inner + start..],
                    left_stride: inner,
                    depth,
                    panel: &panel[start * width..(start + depth) * width],
                    out: &mut out[row * columns + index * width..],
                    out_stride: columns,
                    width: width.min(columns - index * width),
                    first: start == 0,
                });
            }
        }
    }
}

/// Calls `$block::<ROWS>` with the tile's number of rows as a constant, so that the sums stay in registers.
#[cfg(target_arch = "x86_64")]
macro_rules! by_rows {
    ($tile:ident, $block:ident, $($rows:literal)*) => {
        match $tile.rows {
            $($rows => $block::<$rows>($tile),)*
            rows => unreachable!("a tile of {rows} rows"),
        }
    };
}
#[cfg(target_arch = "x86_64")]
pub(super) use by_rows;
