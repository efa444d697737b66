//! From words to limbs and back, 16 words at a time, every byte staying in its 32-bit lane.
#![allow(unsafe_code)]

use super::{Line, SIDE, Vectors};
use crate::Word;

/// A word that has limbs.
pub(in super::super) trait LimbWord: Word {
    /// Limbs of the word.
    const LIMBS: usize = size_of::<Self>();

    /// Which of 16 words stands in lane `lane` of [`lanes`](Self::lanes).
    fn order(lane: usize) -> usize;

    /// The low halves of 16 words as 32-bit lanes, and the high halves where the word has any.
    fn lanes(vectors: &impl Vectors, words: &[Self; SIDE]) -> [Line; 2];

    /// Σ 2^8w · lineᵥ over the lines of the weights w from `lowest` on, with lanes as [`lanes`](Self::lanes) has them.
    fn sum(vectors: &impl Vectors, lines: &[&Line], lowest: usize) -> [Self; SIDE];
}

impl LimbWord for u32 {
    #[inline(always)]
    fn order(lane: usize) -> usize {
        lane
    }

    #[inline(always)]
    fn lanes(_: &impl Vectors, words: &[Self; SIDE]) -> [Line; 2] {
        // SAFETY: both are 64 bytes of plain integers, for which every bit pattern is valid.
        [unsafe { std::mem::transmute::<[u32; SIDE], Line>(*words) }, Line::ZERO]
    }

    #[inline(always)]
    fn sum(vectors: &impl Vectors, lines: &[&Line], lowest: usize) -> [Self; SIDE] {
        // SAFETY: both are 64 bytes of plain integers, for which every bit pattern is valid.
        unsafe { std::mem::transmute::<Line, [u32; SIDE]>(vectors.sum32(lines, lowest)) }
    }
}

impl LimbWord for u64 {
    #[inline(always)]
    fn order(lane: usize) -> usize {
        8 * (lane % 2) + lane / 2
    }

    #[inline(always)]
    fn lanes(vectors: &impl Vectors, words: &[Self; SIDE]) -> [Line; 2] {
        // SAFETY: both are 128 bytes of plain integers, for which every bit pattern is valid.
        vectors.halves(unsafe { std::mem::transmute::<[u64; SIDE], [Line; 2]>(*words) })
    }

    #[inline(always)]
    fn sum(vectors: &impl Vectors, lines: &[&Line], lowest: usize) -> [Self; SIDE] {
        // SAFETY: both are 128 bytes of plain integers, for which every bit pattern is valid.
        unsafe { std::mem::transmute::<[Line; 2], [u64; SIDE]>(vectors.sum64(lines, lowest)) }
    }
}

/// The limbs of a block of up to 64 words of the inner dimension, `lines` of the result's 32-bit lanes each: lane n has the
/// limb of four words ([`position`]). Missing words are zeros.
#[inline(always)]
pub(super) fn split<W: LimbWord>(vectors: &impl Vectors, words: &[W], lines: usize) -> [Line; 8] {
    if lines == SIDE
        && let Some(words) = words.first_chunk::<64>()
        && let [a, b, c, d] = words.as_chunks().0
    {
        return limbs(vectors, [a, b, c, d]);
    }
    let mut quarters = [[W::ZERO; SIDE]; 4];
    for (quarter, words) in quarters.iter_mut().zip(words.chunks(lines)) {
        for (place, &word) in words.iter().enumerate() {
            quarter[if lines == SIDE { place } else { W::order(place) }] = word;
        }
    }
    limbs(vectors, quarters.each_ref())
}

/// Which word of a block of `lines` lines gives byte `byte` of line `line`: the inverse of what [`split`] does.
#[inline(always)]
pub(super) fn position<W: LimbWord>(line: usize, byte: usize, lines: usize) -> usize {
    lines * byte + if lines == SIDE { W::order(line) } else { line }
}

/// Limb l of four times 16 words: its lane n has limb l of word n of each of the four.
#[inline(always)]
pub(super) fn limbs<W: LimbWord>(vectors: &impl Vectors, [a, b, c, d]: [&[W; SIDE]; 4]) -> [Line; 8] {
    let [a, b] = [W::lanes(vectors, a), W::lanes(vectors, b)];
    let [c, d] = [W::lanes(vectors, c), W::lanes(vectors, d)];
    let low = vectors.exchange([a[0], b[0], c[0], d[0]]);
    let high = if W::LIMBS > 4 { vectors.exchange([a[1], b[1], c[1], d[1]]) } else { [Line::ZERO; 4] };
    [low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3]]
}
