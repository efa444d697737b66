//! The walk over a product's blocks, and the sum of their weights.

use super::split::split;
use super::{BLOCK, Inner, LONGEST, LimbWord, Limbs, Line, Run, SIDE, Tiles, Vectors, wipe};
use std::cell::Cell;

/// Bytes of the left factor's limbs that are kept at once: they are read again for every two panels, and should stay in
/// the second-level cache (2 MiB on the first processors with tiles) beside those panels.
const LEFT: usize = 1 << 20;
/// The most limbs, and weights, that a word has.
const WEIGHTS: usize = 8;

thread_local! {
    /// Room for the left factor's limbs and for the sums. Kept, because fresh memory costs more than it saves (a page
    /// fault for every 4 KiB); wiped after each product, because limbs of shares are shares.
    static SCRATCH: Cell<Scratch> = const { Cell::new(Scratch { left: Vec::new(), sums: Vec::new() }) };
}

#[derive(Default)]
struct Scratch {
    /// For each block of rows, for each step of the longest chain, a line for each row.
    left: Vec<Line>,
    /// For each weight, four tiles.
    sums: Vec<[[Line; 4 * SIDE]; WEIGHTS]>,
}

impl Drop for Scratch {
    /// Wipes what a product that panicked has left.
    fn drop(&mut self) {
        wipe(&mut self.left);
        wipe(self.sums.as_flattened_mut().as_flattened_mut());
    }
}

/// `out = left · right`; the inner dimension is not empty.
#[inline(always)]
pub(in super::super) fn product<W: LimbWord, T: Tiles>(tiles: &mut T, left: &[W], right: &Limbs, out: &mut [W]) {
    let (inner, columns) = (right.inner, right.columns);
    let steps = inner.steps(right.count);
    let block = steps * BLOCK;
    let group = (LEFT / (block * size_of::<Line>())).max(1) * BLOCK;
    // Taken out, not borrowed: in a closure the code would not be compiled for the caller's instruction set.
    let mut scratch = SCRATCH.take();
    let blocks = (left.len() / inner.length).min(group).div_ceil(BLOCK);
    if scratch.left.len() < blocks * block {
        scratch.left.resize(blocks * block, Line::ZERO);
    }
    scratch.sums.resize(1, [[Line::ZERO; 4 * SIDE]; WEIGHTS]);
    let (limbs, sums) = (&mut scratch.left[..blocks * block], &mut scratch.sums[0]);
    for (left, out) in left.chunks(group * inner.length).zip(out.chunks_mut((group * columns).max(1))) {
        for (left, limbs) in left.chunks(BLOCK * inner.length).zip(limbs.chunks_exact_mut(block)) {
            for (row, words) in left.chunks_exact(inner.length).enumerate() {
                split_row(tiles, words, inner, right.count, &mut limbs[row..]);
            }
        }
        for first in (0..columns).step_by(2 * SIDE) {
            for (limbs, out) in limbs.chunks_exact(block).zip(out.chunks_mut(BLOCK * columns)) {
                multiply_block(tiles, limbs, right, first, sums, out);
            }
        }
    }
    wipe(limbs);
    wipe(sums[..right.count].as_flattened_mut());
    SCRATCH.set(scratch);
}

/// Writes the limbs of a row of the left factor; `out` begins with the row's first line.
#[inline(always)]
fn split_row<W: LimbWord>(vectors: &impl Vectors, words: &[W], inner: Inner, count: usize, out: &mut [Line]) {
    for (start, lines) in inner.blocks() {
        let words = &words[start..];
        let limbs = split(vectors, &words[..words.len().min(4 * lines)], lines);
        for (limb, bytes) in limbs.iter().take(count).enumerate() {
            let position = limb * inner.bytes + start;
            if lines == SIDE && position.is_multiple_of(64) {
                out[position / 64 * BLOCK] = *bytes;
            } else {
                for (lane, &bytes) in bytes.0.iter().take(lines / 2).enumerate() {
                    let position = position / 8 + lane;
                    out[position / 8 * BLOCK].0[position % 8] = bytes;
                }
            }
        }
    }
}

/// A block of rows by the panels of the columns `first` to `first + 32`.
#[inline(always)]
fn multiply_block<W: LimbWord, T: Tiles>(
    tiles: &mut T,
    left: &[Line],
    right: &Limbs,
    first: usize,
    sums: &mut [[Line; 4 * SIDE]; WEIGHTS],
    out: &mut [W],
) {
    let (inner, columns) = (right.inner, right.columns);
    let rows = out.len() / columns;
    let two_panels = first + SIDE < columns;
    let panels = [first / SIDE, first / SIDE + usize::from(two_panels)];
    for start in (0..inner.steps(right.count)).step_by(LONGEST) {
        // The chains grow with the weight: these are the weights whose chains reach so far.
        let lowest = (0..right.count).find(|&weight| start < inner.steps(weight + 1)).unwrap_or(0);
        for (weight, sums) in sums.iter_mut().enumerate().take(right.count).skip(lowest) {
            let steps = LONGEST.min(inner.steps(weight + 1) - start);
            let part = |panel: usize| &right.chain(panel, weight)[start * SIDE..][..steps * SIDE];
            tiles.multiply(Run {
                rows,
                steps,
                left: &left[start * BLOCK..][..steps * BLOCK],
                right: [part(panels[0]), part(panels[1])],
                two_panels,
                sums,
            });
        }
        for (row, out) in out.chunks_exact_mut(columns).enumerate() {
            for panel in 0..=usize::from(two_panels) {
                let line = (row / SIDE * 2 + panel) * SIDE + row % SIDE;
                let lines: [&Line; WEIGHTS] = std::array::from_fn(|weight| &sums[weight][line]);
                let words = W::sum(tiles, &lines[..right.count], lowest);
                let out = &mut out[first + panel * SIDE..];
                match out.first_chunk_mut::<SIDE>() {
                    Some(out) if start == 0 => *out = words,
                    _ if start == 0 => {
                        let width = out.len();
                        out.copy_from_slice(&words[..width]);
                    }
                    _ => out.iter_mut().zip(&words).for_each(|(out, &word)| *out = out.plus(word)),
                }
            }
        }
    }
}
