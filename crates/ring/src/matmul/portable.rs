//! The kernel without special instructions: one row at a time, plain loops that the compiler may vectorise.

use super::tile::Tile;
use crate::Word;

/// The rows that a tile may have; each is done alone, so this bounds nothing but how long the panel's part is kept warm.
pub(super) const ROWS: usize = 8;

/// Multiplies one tile of panels of `PANEL` columns.
pub(super) fn tile<W: Word, const PANEL: usize>(mut tile: Tile<'_, W>) {
    for row in 0..tile.rows {
        let mut sums = [W::ZERO; PANEL];
        let left = &tile.left[row * tile.left_stride..][..tile.depth];
        for (&x, weights) in left.iter().zip(tile.panel.as_chunks::<PANEL>().0) {
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                *sum = sum.plus(x.times(weight));
            }
        }
        tile.store(row, 0, &sums);
    }
}
