//! The right factor as limbs: panels of 16 columns, in each the limbs in descending order, in each a line for 4 positions.
use super::split::{limbs, position, split};
use super::{Inner, LimbWord, Line, SIDE, Vectors};
use crate::matmul::layout::MatrixLayout;

/// A right factor in limbs.
pub struct Limbs {
    /// Limbs of the ring.
    pub(super) count: usize,
    pub(super) inner: Inner,
    pub(super) columns: usize,
    /// Lines of a panel, the zeros behind its last limb included.
    pub(super) panel: usize,
    pub(super) lines: Vec<Line>,
}

impl Limbs {
    /// An empty factor for rings of `bits` bits.
    pub(in super::super) fn new(inner: usize, columns: usize, bits: u32) -> Self {
        let (count, inner) = (bits.div_ceil(8) as usize, Inner::new(inner));
        // Every chain ends with the panel's lowest limb; the longest overhang is what a tile can reach past it.
        let overhang = (1..=count).map(|limbs| SIDE * inner.steps(limbs) - limbs * inner.lines()).max();
        let panel = count * inner.lines() + overhang.unwrap_or(0);
        Self { count, inner, columns, panel, lines: vec![Line::ZERO; panel * columns.div_ceil(SIDE)] }
    }

    /// Fills in `[inner, columns]` (or its transpose).
    #[inline(always)]
    pub(in super::super) fn fill<W: LimbWord>(&mut self, vectors: &impl Vectors, data: &[W], layout: MatrixLayout) {
        let (inner, columns, count) = (self.inner, self.columns, self.count);
        // An empty factor has no panel, and `max` keeps the chunk's length above zero.
        for (index, panel) in self.lines.chunks_exact_mut(self.panel.max(1)).enumerate() {
            let first = index * SIDE;
            let width = SIDE.min(columns - first);
            for (start, lines) in inner.blocks() {
                let length = (inner.length - start).min(4 * lines);
                // Where the block's first line lies in limb `limb`.
                let at = |limb: usize| (count - 1 - limb) * inner.lines() + start / 4;
                match layout {
                    MatrixLayout::RowMajor => {
                        for line in 0..lines {
                            let mut rows = [[W::ZERO; SIDE]; 4];
                            for (byte, row) in rows.iter_mut().enumerate() {
                                let position = position::<W>(line, byte, lines);
                                if position < length {
                                    let from = &data[(start + position) * columns + first..][..width];
                                    match from.first_chunk() {
                                        Some(whole) => *row = *whole,
                                        None => row[..width].copy_from_slice(from),
                                    }
                                }
                            }
                            for (limb, bytes) in limbs(vectors, rows.each_ref()).into_iter().take(count).enumerate() {
                                panel[at(limb) + line] = bytes;
                            }
                        }
                    }
                    MatrixLayout::Transposed => {
                        let mut tiles = [[Line::ZERO; SIDE]; 8];
                        for lane in (0..SIDE).filter(|&lane| W::order(lane) < width) {
                            let column = &data[(first + W::order(lane)) * inner.length + start..][..length];
                            for (tile, bytes) in tiles.iter_mut().zip(split(vectors, column, lines)) {
                                tile[lane] = bytes;
                            }
                        }
                        for (limb, tile) in tiles.iter().take(count).enumerate() {
                            panel[at(limb)..][..lines].copy_from_slice(&vectors.transpose(tile)[..lines]);
                        }
                    }
                }
            }
        }
    }

    /// The lines of a panel from the start of the chain of weight `weight` on.
    pub(super) fn chain(&self, panel: usize, weight: usize) -> &[Line] {
        &self.lines[panel * self.panel..][..self.panel][(self.count - 1 - weight) * self.inner.lines()..]
    }

    /// Wipes the elements.
    pub(in super::super) fn zeroize(&mut self) {
        super::wipe(&mut self.lines);
        self.lines.clear();
        (self.columns, self.inner) = (0, Inner::new(0));
    }

    /// Bytes of memory.
    pub(in super::super) fn bytes(&self) -> usize {
        size_of_val(&self.lines[..])
    }
}
