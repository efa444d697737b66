//! Digits of words and one-hot tables of them: the kernels of comparison with public thresholds.
//!
//! A table has a lane of 2^d bits per element, and the lanes lie without gaps in words of 64 bits. A plane has one bit per
//! element. Digits of 4 bits, which large tensors use, have lanes of 16 bits and kernels of vectors; other widths of up
//! to 6 bits are served by portable code.
//!
//! No branch and no memory index depends on words, digits or tables.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(test)]
mod tests;

use crate::lanes::Lanes;
use crate::{Kernel, Word, matmul};

/// Elements of a word of a plane.
const BLOCK: usize = 64;
/// Words of their lanes of 16 bits.
const LANES: usize = BLOCK / 4;
/// The digit for which there are vectors.
const DIGIT_BITS: u32 = 4;

/// For each element, with c the 4 bits from `low` of `public - threshold`: the parity of the bits above bit c of its
/// lane of 16 bits, and that bit, as planes. Of a share of the one-hot table of r these are shares of c < r and c = r.
///
/// ```
/// use blindroute_ring::digits::{look_up, one_hot};
/// let mut table = [0; 1];
/// one_hot(&[0x30u32, 0x50, 0xB0], 4, &mut table);
/// let (mut less, mut equal) = ([0], [0]);
/// look_up(&[0x54u32, 0x5F, 0x58], 4, 4, &table, &mut less, Some(&mut equal));
/// assert_eq!((less, equal), ([0b100], [0b010]));
/// ```
///
/// # Panics
/// If the table or a plane is not as long as the elements need.
pub fn look_up<W: Word>(
    public: &[W],
    threshold: W,
    low: u32,
    table: &[u64],
    less: &mut [u64],
    equal: Option<&mut [u64]>,
) {
    look_up_with(matmul::kernel(), public, threshold, (low, DIGIT_BITS), table, (less, equal));
}

/// The one-hot lanes of the 4 bits from `low` of each word: what is in `table` is overwritten, and lanes behind the last
/// element are zero.
///
/// # Panics
/// If the table is not as long as the elements need.
pub fn one_hot<W: Word>(words: &[W], low: u32, table: &mut [u64]) {
    one_hot_with(matmul::kernel(), words, (low, DIGIT_BITS), table);
}

/// Bit `bit` of each element's `word - threshold`, as a plane; bits behind the last element are zero.
///
/// ```
/// let mut plane = [0];
/// blindroute_ring::digits::top_bits(&[5u64, 6, 7, 8], 7, 63, &mut plane);
/// assert_eq!(plane, [0b0011]);
/// ```
///
/// # Panics
/// If the plane is not as long as the elements need.
pub fn top_bits<W: Word>(words: &[W], threshold: W, bit: u32, plane: &mut [u64]) {
    top_bits_with(matmul::kernel(), words, threshold, bit, plane);
}

/// [`look_up`] for a digit `(low, bits)` of `bits` bits from `low`, 1 <= bits <= 6, in lanes of 2^bits bits; by a
/// kernel, or by the portable one where the machine has not that kernel.
///
/// # Panics
/// As [`look_up`], and if there are no lanes of that width.
pub fn look_up_with<W: Word>(
    kernel: Kernel,
    public: &[W],
    threshold: W,
    digit: (u32, u32),
    table: &[u64],
    (less, equal): (&mut [u64], Option<&mut [u64]>),
) {
    check_table(public.len(), digit.1, table);
    check_plane(public.len(), less);
    if let Some(equal) = &equal {
        check_plane(public.len(), equal);
    }
    match Lanes::of(kernel) {
        #[cfg(target_arch = "x86_64")]
        Lanes::Avx512 if digit.1 == DIGIT_BITS => {
            // SAFETY: `Lanes::of` has seen the processor's AVX-512 F, BW, DQ and VL.
            unsafe { avx512::look_up(public, threshold, digit.0, table, less, equal) }
        }
        #[cfg(target_arch = "x86_64")]
        Lanes::Avx2 if digit.1 == DIGIT_BITS => {
            // SAFETY: `Lanes::of` has seen the processor's AVX2.
            unsafe { avx2::look_up(public, threshold, digit.0, table, less, equal) }
        }
        _ => portable_look_up(public, threshold, digit, table, less, equal),
    }
}

/// [`one_hot`] for a digit `(low, bits)`, as [`look_up_with`].
///
/// # Panics
/// As [`one_hot`], and if there are no lanes of that width.
pub fn one_hot_with<W: Word>(kernel: Kernel, words: &[W], digit: (u32, u32), table: &mut [u64]) {
    check_table(words.len(), digit.1, table);
    match Lanes::of(kernel) {
        #[cfg(target_arch = "x86_64")]
        Lanes::Avx512 if digit.1 == DIGIT_BITS => {
            // SAFETY: `Lanes::of` has seen the processor's AVX-512 F, BW, DQ and VL.
            unsafe { avx512::one_hot(words, digit.0, table) }
        }
        #[cfg(target_arch = "x86_64")]
        Lanes::Avx2 if digit.1 == DIGIT_BITS => {
            // SAFETY: `Lanes::of` has seen the processor's AVX2.
            unsafe { avx2::one_hot(words, digit.0, table) }
        }
        _ => portable_one_hot(words, digit, table),
    }
}

/// [`top_bits`] by a kernel, or by the portable one where the machine has not that kernel.
///
/// # Panics
/// As [`top_bits`].
pub fn top_bits_with<W: Word>(kernel: Kernel, words: &[W], threshold: W, bit: u32, plane: &mut [u64]) {
    check_plane(words.len(), plane);
    match Lanes::of(kernel) {
        // SAFETY: `Lanes::of` has seen the processor's AVX-512 F, BW, DQ and VL.
        #[cfg(target_arch = "x86_64")]
        Lanes::Avx512 => unsafe { avx512::top_bits(words, threshold, bit, plane) },
        // SAFETY: `Lanes::of` has seen the processor's AVX2.
        #[cfg(target_arch = "x86_64")]
        Lanes::Avx2 => unsafe { avx2::top_bits(words, threshold, bit, plane) },
        _ => portable_top_bits(words, threshold, bit, plane),
    }
}

fn check_table(len: usize, digit_bits: u32, table: &[u64]) {
    assert!((1..=6).contains(&digit_bits), "no lanes for digits of {digit_bits} bits");
    assert_eq!(table.len(), (len << digit_bits).div_ceil(64), "words of a table of {len} digits of {digit_bits} bits");
}

fn check_plane(len: usize, plane: &[u64]) {
    assert_eq!(plane.len(), len.div_ceil(BLOCK), "words of a plane of {len} bits");
}

fn portable_look_up<W: Word>(
    public: &[W],
    threshold: W,
    (low, bits): (u32, u32),
    table: &[u64],
    less: &mut [u64],
    mut equal: Option<&mut [u64]>,
) {
    let hot = 1 << bits;
    for (index, chunk) in public.chunks(BLOCK).enumerate() {
        let (mut is_less, mut is_equal) = (0, 0);
        for (offset, &m) in chunk.iter().enumerate() {
            let c = m.minus(threshold).shift_right(low).low_bits(bits).low_u64();
            let start = (index * BLOCK + offset) * hot;
            let lane = table[start / 64] >> (start % 64) & (u64::MAX >> (64 - hot));
            is_less |= u64::from((lane >> c >> 1).count_ones() & 1) << offset;
            is_equal |= (lane >> c & 1) << offset;
        }
        less[index] = is_less;
        if let Some(equal) = &mut equal {
            equal[index] = is_equal;
        }
    }
}

fn portable_one_hot<W: Word>(words: &[W], (low, bits): (u32, u32), table: &mut [u64]) {
    let hot = 1 << bits;
    for (chunk, lanes) in words.chunks(64 >> bits).zip(table) {
        let lane = |(offset, &word): (usize, &W)| {
            let digit = word.shift_right(low).low_bits(bits).low_u64();
            // The checks of a test build would branch on the digit, which is secret.
            1_u64.wrapping_shl(digit as u32) << (offset * hot)
        };
        *lanes = chunk.iter().enumerate().map(lane).fold(0, |lanes, lane: u64| lanes | lane);
    }
}

fn portable_top_bits<W: Word>(words: &[W], threshold: W, bit: u32, plane: &mut [u64]) {
    for (chunk, plane) in words.chunks(BLOCK).zip(plane) {
        *plane = chunk.iter().enumerate().fold(0, |bits, (lane, word)| bits | word.minus(threshold).bit(bit) << lane);
    }
}

/// The functions of an instruction set that go through all blocks in one call, made from its functions for one block:
/// `look_up_block(&[u16; 64], &[u64; 16]) -> (u64, u64)`, `one_hot_block(&[u16; 64]) -> [u64; 16]` and the signs of 64
/// words of 32 and 64 bits.
#[cfg(target_arch = "x86_64")]
macro_rules! walks {
    ($features:literal) => {
        /// [`look_up`](super::look_up) of checked lengths.
        #[target_feature(enable = $features)]
        pub(super) fn look_up<W: Word>(
            public: &[W],
            threshold: W,
            low: u32,
            table: &[u64],
            less: &mut [u64],
            mut equal: Option<&mut [u64]>,
        ) {
            let (blocks, rest) = public.as_chunks::<BLOCK>();
            // The lanes of a last block that lacks up to 3 elements fill a block.
            let (lanes, rest_lanes) = table.split_at(blocks.len() * LANES);
            for (index, (block, lanes)) in blocks.iter().zip(lanes.as_chunks().0).enumerate() {
                let planes = look_up_block(&digits(block, threshold, low), lanes);
                less[index] = planes.0;
                if let Some(equal) = &mut equal {
                    equal[index] = planes.1;
                }
            }
            if !rest.is_empty() {
                let mut lanes = [0; LANES];
                lanes[..rest_lanes.len()].copy_from_slice(rest_lanes);
                let planes = look_up_block(&digits(&filled(rest), threshold, low), &lanes);
                let kept = u64::MAX >> (BLOCK - rest.len());
                less[blocks.len()] = planes.0 & kept;
                if let Some(equal) = equal {
                    equal[blocks.len()] = planes.1 & kept;
                }
            }
        }

        /// [`one_hot`](super::one_hot) of checked lengths.
        #[target_feature(enable = $features)]
        pub(super) fn one_hot<W: Word>(words: &[W], low: u32, table: &mut [u64]) {
            let (blocks, rest) = words.as_chunks::<BLOCK>();
            let (lanes, rest_lanes) = table.split_at_mut(blocks.len() * LANES);
            for (block, lanes) in blocks.iter().zip(lanes.as_chunks_mut().0) {
                *lanes = one_hot_block(&digits(block, W::ZERO, low));
            }
            if !rest.is_empty() {
                let lanes = one_hot_block(&digits(&filled(rest), W::ZERO, low));
                rest_lanes.copy_from_slice(&lanes[..rest_lanes.len()]);
                // The lanes behind the last element have the digit 0 of no element.
                let last = rest.len() % 4;
                if let (Some(word), 1..) = (rest_lanes.last_mut(), last) {
                    *word &= u64::MAX >> (64 - 16 * last);
                }
            }
        }

        /// [`top_bits`](super::top_bits) of checked lengths.
        #[target_feature(enable = $features)]
        pub(super) fn top_bits<W: Word>(words: &[W], threshold: W, bit: u32, plane: &mut [u64]) {
            let (blocks, rest) = words.as_chunks::<BLOCK>();
            for (block, plane) in blocks.iter().zip(plane.iter_mut()) {
                *plane = signs(block, threshold, bit);
            }
            if !rest.is_empty() {
                let bits = signs(&filled(rest), threshold, bit);
                plane[blocks.len()] = bits & (u64::MAX >> (BLOCK - rest.len()));
            }
        }

        /// Bit `bit` of `word - threshold`, 0 if the words have not so many.
        #[target_feature(enable = $features)]
        fn signs<W: Word>(words: &[W; BLOCK], threshold: W, bit: u32) -> u64 {
            // Known when compiled: what is left is one of the three.
            let any: &dyn std::any::Any = words;
            // The shift that brings the bit to the top; more than the word has where it has no such bit.
            let shift = (W::BITS - 1).wrapping_sub(bit);
            if let Some(words) = any.downcast_ref() {
                signs_of_u32(words, threshold.low_u64() as u32, shift)
            } else if let Some(words) = any.downcast_ref() {
                signs_of_u64(words, threshold.low_u64(), shift)
            } else {
                words.iter().rev().fold(0, |plane, word| plane << 1 | word.minus(threshold).bit(bit))
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
use walks;

/// The digits of 4 bits from `low` of `public - threshold`.
#[inline(always)]
fn digits<W: Word>(public: &[W; BLOCK], threshold: W, low: u32) -> [u16; BLOCK] {
    let mut digits = [0; BLOCK];
    for (digit, &m) in digits.iter_mut().zip(public) {
        *digit = m.minus(threshold).shift_right(low).low_bits(DIGIT_BITS).low_u64() as u16;
    }
    digits
}

/// A last block, filled with zeros.
#[inline(always)]
fn filled<W: Word>(rest: &[W]) -> [W; BLOCK] {
    let mut block = [W::ZERO; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block
}
