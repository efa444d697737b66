//! From words to limbs and back, 16 words at a time, every byte staying in its 32-bit lane.
#![allow(unsafe_code)]

use super::{Line, SIDE};
use crate::Word;

/// A word that has limbs.
pub(in super::super) trait LimbWord: Word {
    /// Limbs of the word.
    const LIMBS: usize = size_of::<Self>();

    /// Which of 16 words stands in lane `lane` of [`lanes`](Self::lanes).
    fn order(lane: usize) -> usize;

    /// The low halves of 16 words as 32-bit lanes, and the high halves where the word has any.
    fn lanes(words: &[Self; SIDE]) -> [Line; 2];

    /// Adds the 32-bit sums of limb weight `weight`, in lanes as [`lanes`](Self::lanes) has them.
    fn add_sums(words: &mut [Self; SIDE], sums: &Line, weight: usize);
}

impl LimbWord for u32 {
    #[inline(always)]
    fn order(lane: usize) -> usize {
        lane
    }

    #[inline(always)]
    fn lanes(words: &[Self; SIDE]) -> [Line; 2] {
        // SAFETY: both are 64 bytes of plain integers, for which every bit pattern is valid.
        [Line(unsafe { std::mem::transmute::<[u32; SIDE], [u64; 8]>(*words) }), Line::ZERO]
    }

    #[inline(always)]
    fn add_sums(words: &mut [Self; SIDE], sums: &Line, weight: usize) {
        // SAFETY: both are 64 bytes of plain integers, for which every bit pattern is valid.
        let sums = unsafe { std::mem::transmute::<[u64; 8], [u32; SIDE]>(sums.0) };
        for (word, sum) in words.iter_mut().zip(sums) {
            *word = word.wrapping_add(sum << (8 * weight));
        }
    }
}

impl LimbWord for u64 {
    #[inline(always)]
    fn order(lane: usize) -> usize {
        8 * (lane % 2) + lane / 2
    }

    #[inline(always)]
    fn lanes(words: &[Self; SIDE]) -> [Line; 2] {
        const LOW: u64 = 0xFFFF_FFFF;
        let [mut low, mut high] = [[0; 8]; 2];
        for i in 0..8 {
            low[i] = (words[i] & LOW) | (words[8 + i] << 32);
            high[i] = (words[i] >> 32) | (words[8 + i] & !LOW);
        }
        [Line(low), Line(high)]
    }

    #[inline(always)]
    fn add_sums(words: &mut [Self; SIDE], sums: &Line, weight: usize) {
        const LOW: u64 = 0xFFFF_FFFF;
        for i in 0..8 {
            words[i] = words[i].wrapping_add((sums.0[i] & LOW) << (8 * weight));
            words[8 + i] = words[8 + i].wrapping_add((sums.0[i] >> 32) << (8 * weight));
        }
    }
}

/// The limbs of a block of up to 64 words of the inner dimension, `lines` of the result's 32-bit lanes each: lane n has the
/// limb of four words ([`position`]). Missing words are zeros.
#[inline(always)]
pub(super) fn split<W: LimbWord>(words: &[W], lines: usize) -> [Line; 8] {
    let mut quarters = [[W::ZERO; SIDE]; 4];
    match words.first_chunk::<64>() {
        Some(words) if lines == SIDE => {
            for (quarter, words) in quarters.iter_mut().zip(words.as_chunks().0) {
                *quarter = *words;
            }
        }
        _ => {
            for (index, &word) in words.iter().enumerate() {
                let place = index % lines;
                quarters[index / lines][if lines == SIDE { place } else { W::order(place) }] = word;
            }
        }
    }
    limbs(&quarters)
}

/// Which word of a block of `lines` lines gives byte `byte` of line `line`: the inverse of what [`split`] does.
#[inline(always)]
pub(super) fn position<W: LimbWord>(line: usize, byte: usize, lines: usize) -> usize {
    lines * byte + if lines == SIDE { W::order(line) } else { line }
}

/// Limb l of four times 16 words: its lane n has limb l of word n of each of the four.
#[inline(always)]
pub(super) fn limbs<W: LimbWord>(words: &[[W; SIDE]; 4]) -> [Line; 8] {
    let lanes = words.each_ref().map(W::lanes);
    let low = exchange(lanes.map(|[low, _]| low));
    let high = if W::LIMBS > 4 { exchange(lanes.map(|[_, high]| high)) } else { [Line::ZERO; 4] };
    [low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3]]
}

/// Transposes the 4 by 4 bytes in each 32-bit lane of four lines: first pairs of bytes change places, then pairs of pairs.
#[inline(always)]
fn exchange(lines: [Line; 4]) -> [Line; 4] {
    const BYTES: u64 = 0x00FF_00FF_00FF_00FF;
    const PAIRS: u64 = 0x0000_FFFF_0000_FFFF;
    let mut out = [Line::ZERO; 4];
    for i in 0..8 {
        let [a, b, c, d] = [lines[0].0[i], lines[1].0[i], lines[2].0[i], lines[3].0[i]];
        let (even_ab, odd_ab) = ((a & BYTES) | ((b & BYTES) << 8), ((a >> 8) & BYTES) | (b & !BYTES));
        let (even_cd, odd_cd) = ((c & BYTES) | ((d & BYTES) << 8), ((c >> 8) & BYTES) | (d & !BYTES));
        out[0].0[i] = (even_ab & PAIRS) | ((even_cd & PAIRS) << 16);
        out[1].0[i] = (odd_ab & PAIRS) | ((odd_cd & PAIRS) << 16);
        out[2].0[i] = ((even_ab >> 16) & PAIRS) | (even_cd & !PAIRS);
        out[3].0[i] = ((odd_ab >> 16) & PAIRS) | (odd_cd & !PAIRS);
    }
    out
}
