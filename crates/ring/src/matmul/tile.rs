//! The walk over a product's tiles, shared by all kernels.

use super::panels::{self, Panels};
use crate::{Word, wipe_vec};
use std::ops::Range;

/// Inner positions of one pass: 64 KiB of a panel, which stays in the second-level cache while all rows use it.
const DEPTH: usize = 512;

/// A few rows of the product by one panel of columns, over part of the inner dimension.
pub(super) struct Tile<'a, W> {
    /// Rows; at least 1, and at most what the kernel asked [`walk`] for.
    pub(super) rows: usize,
    /// The tile's rows of the left factor: `rows` words for each inner position.
    pub(super) left: &'a [W],
    /// As many rows of `PANEL` words each as there are inner positions.
    pub(super) panel: &'a [W],
    /// Which part of the panel's columns this tile is, of as many as the kernel asked [`walk`] for.
    pub(super) part: usize,
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

/// Calls `kernel` for every tile of `out = left · right`: up to `rows` rows by one of `parts` parts of a panel. The inner
/// dimension is not empty.
///
/// The part of a panel stays in the first-level cache while all rows use it.
pub(super) fn walk<W: Word>(
    left: &[W],
    right: &Panels<W>,
    out: &mut [W],
    (rows, parts): (usize, usize),
    kernel: impl Fn(Tile<'_, W>),
) {
    let (inner, columns, width) = (right.inner(), right.columns(), panels::width::<W>());
    let all_rows = left.len() / inner;
    let mut packed = Vec::new();
    for start in (0..inner).step_by(DEPTH) {
        let depth = DEPTH.min(inner - start);
        let columns_of_left = start..start + depth;
        pack_left(left, inner, columns_of_left, rows, &mut packed);
        for (index, panel) in right.iter().enumerate() {
            let panel = &panel[start * width..(start + depth) * width];
            for part in (0..parts).take_while(|part| index * width + part * (width / parts) < columns) {
                for row in (0..all_rows).step_by(rows) {
                    let rows = rows.min(all_rows - row);
                    kernel(Tile {
                        rows,
                        left: &packed[row * depth..(row + rows) * depth],
                        panel,
                        part,
                        out: &mut out[row * columns + index * width..],
                        out_stride: columns,
                        width: width.min(columns - index * width),
                        first: start == 0,
                    });
                }
            }
        }
    }
    // The left factor may be a share.
    wipe_vec(&mut packed);
}

/// Lays the columns of the left factor out as tiles read them: `rows` rows after one another, of each the words of one
/// inner position beside each other.
fn pack_left<W: Word>(left: &[W], inner: usize, columns: Range<usize>, rows: usize, packed: &mut Vec<W>) {
    let depth = columns.len();
    packed.resize(left.len() / inner * depth, W::ZERO);
    for (tile, out) in left.chunks(rows * inner).zip(packed.chunks_mut(rows * depth)) {
        let height = tile.len() / inner;
        for (position, out) in columns.clone().zip(out.chunks_exact_mut(height)) {
            for (out, row) in out.iter_mut().zip(tile.chunks_exact(inner)) {
                *out = row[position];
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
