//! The kernel without special instructions: one row at a time, plain loops that the compiler may vectorise.

use super::tile::Tile;
use crate::Word;

/// One row, and the whole panel.
pub(super) const TILES: (usize, usize) = (1, 1);

/// Multiplies one tile of panels of `PANEL` columns.
pub(super) fn tile<W: Word, const PANEL: usize>(mut tile: Tile<'_, W>) {
    let mut sums = [W::ZERO; PANEL];
    for (&x, weights) in tile.left.iter().zip(tile.panel.as_chunks::<PANEL>().0) {
        for (sum, &weight) in sums.iter_mut().zip(weights) {
            *sum = sum.plus(x.times(weight));
        }
    }
    tile.store(0, 0, &sums);
}
