//! The few operations on whole lines that the work around the tiles consists of: plain, and in 512-bit vectors.
#![allow(unsafe_code)]

use super::{Line, SIDE};

/// Halves of a 64-bit lane.
const LOW: u64 = 0xFFFF_FFFF;
/// Every second byte.
const BYTES: u64 = 0x00FF_00FF_00FF_00FF;
/// Every second pair of bytes.
const PAIRS: u64 = 0x0000_FFFF_0000_FFFF;

/// Operations on lines; what is written here is their definition, and how the tests' model does them.
pub(in super::super) trait Vectors {
    /// The low and the high halves of 16 words of 64 bits, in the order 0, 8, 1, 9, …
    fn halves(&self, [a, b]: [Line; 2]) -> [Line; 2] {
        let join = |f: fn(u64, u64) -> u64| Line(std::array::from_fn(|i| f(a.0[i], b.0[i])));
        [join(|a, b| (a & LOW) | (b << 32)), join(|a, b| (a >> 32) | (b & !LOW))]
    }

    /// Transposes the 4 by 4 bytes in each 32-bit lane of four lines: first pairs of bytes change places, then pairs of
    /// pairs.
    fn exchange(&self, lines: [Line; 4]) -> [Line; 4] {
        let mut out = [Line::ZERO; 4];
        for i in 0..8 {
            let [a, b, c, d] = lines.map(|line| line.0[i]);
            let (even_ab, odd_ab) = ((a & BYTES) | ((b & BYTES) << 8), ((a >> 8) & BYTES) | (b & !BYTES));
            let (even_cd, odd_cd) = ((c & BYTES) | ((d & BYTES) << 8), ((c >> 8) & BYTES) | (d & !BYTES));
            out[0].0[i] = (even_ab & PAIRS) | ((even_cd & PAIRS) << 16);
            out[1].0[i] = (odd_ab & PAIRS) | ((odd_cd & PAIRS) << 16);
            out[2].0[i] = ((even_ab >> 16) & PAIRS) | (even_cd & !PAIRS);
            out[3].0[i] = ((odd_ab >> 16) & PAIRS) | (odd_cd & !PAIRS);
        }
        out
    }

    /// Transposes 16 by 16 lanes of 32 bits.
    fn transpose(&self, tile: &[Line; SIDE]) -> [Line; SIDE] {
        let lane = |row: usize, column: usize| tile[row].0[column / 2] >> (32 * (column % 2)) & LOW;
        std::array::from_fn(|row| Line(std::array::from_fn(|i| lane(2 * i, row) | lane(2 * i + 1, row) << 32)))
    }

    /// Σ 2^8w · lineᵥ over the lines of the weights w from `lowest` on, in lanes of 32 bits.
    fn sum32(&self, lines: &[&Line], lowest: usize) -> Line {
        let mut sum = [[0u32; 2]; 8];
        for (weight, line) in lines.iter().enumerate().skip(lowest) {
            for ([low, high], lane) in sum.iter_mut().zip(line.0) {
                *low = low.wrapping_add((lane as u32) << (8 * weight));
                *high = high.wrapping_add(((lane >> 32) as u32) << (8 * weight));
            }
        }
        Line(sum.map(|[low, high]| u64::from(low) | u64::from(high) << 32))
    }

    /// The same in 64 bits, of the even and of the odd lanes.
    fn sum64(&self, lines: &[&Line], lowest: usize) -> [Line; 2] {
        let mut sums = [Line::ZERO; 2];
        for (weight, line) in lines.iter().enumerate().skip(lowest) {
            for (i, lane) in line.0.into_iter().enumerate() {
                sums[0].0[i] = sums[0].0[i].wrapping_add((lane & LOW) << (8 * weight));
                sums[1].0[i] = sums[1].0[i].wrapping_add((lane >> 32) << (8 * weight));
            }
        }
        sums
    }
}

/// The same in 512-bit vectors; an implementation of [`Vectors`] calls them where it has seen AVX-512 F.
pub(in super::super) mod wide {
    use super::{BYTES, LOW, Line, PAIRS, SIDE};
    use std::arch::x86_64::{
        __m512i, _mm_cvtsi64_si128, _mm512_add_epi32, _mm512_add_epi64, _mm512_and_si512, _mm512_andnot_si512,
        _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_sll_epi32,
        _mm512_sll_epi64, _mm512_slli_epi64, _mm512_srli_epi64, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
        _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    };

    /// A line as a vector.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn vector(line: &Line) -> __m512i {
        // SAFETY: both are 64 bytes of plain integers, for which every bit pattern is valid.
        unsafe { std::mem::transmute(*line) }
    }

    /// A vector as a line.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn line(vector: __m512i) -> Line {
        // SAFETY: both are 64 bytes of plain integers, for which every bit pattern is valid.
        unsafe { std::mem::transmute(vector) }
    }

    /// `low` where the mask is set, `high` elsewhere.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn choose(mask: u64, low: __m512i, high: __m512i) -> __m512i {
        let mask = _mm512_set1_epi64(mask as i64);
        _mm512_or_si512(_mm512_and_si512(mask, low), _mm512_andnot_si512(mask, high))
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(in super::super::super) fn halves([a, b]: [Line; 2]) -> [Line; 2] {
        let (a, b) = (vector(&a), vector(&b));
        [line(choose(LOW, a, _mm512_slli_epi64::<32>(b))), line(choose(LOW, _mm512_srli_epi64::<32>(a), b))]
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(in super::super::super) fn exchange([a, b, c, d]: [Line; 4]) -> [Line; 4] {
        let (a, b, c, d) = (vector(&a), vector(&b), vector(&c), vector(&d));
        let even_ab = choose(BYTES, a, _mm512_slli_epi64::<8>(b));
        let odd_ab = choose(BYTES, _mm512_srli_epi64::<8>(a), b);
        let even_cd = choose(BYTES, c, _mm512_slli_epi64::<8>(d));
        let odd_cd = choose(BYTES, _mm512_srli_epi64::<8>(c), d);
        [
            line(choose(PAIRS, even_ab, _mm512_slli_epi64::<16>(even_cd))),
            line(choose(PAIRS, odd_ab, _mm512_slli_epi64::<16>(odd_cd))),
            line(choose(PAIRS, _mm512_srli_epi64::<16>(even_ab), even_cd)),
            line(choose(PAIRS, _mm512_srli_epi64::<16>(odd_ab), odd_cd)),
        ]
    }

    /// Lanes of 32 bits are joined to pairs, pairs to fours, and the fours change places.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(in super::super::super) fn transpose(tile: &[Line; SIDE]) -> [Line; SIDE] {
        let mut out = [Line::ZERO; SIDE];
        let mut fours = [[_mm512_setzero_si512(); 4]; 4];
        for (four, rows) in fours.iter_mut().zip(tile.as_chunks::<4>().0) {
            let [a, b, c, d] = [vector(&rows[0]), vector(&rows[1]), vector(&rows[2]), vector(&rows[3])];
            let (low_ab, high_ab) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
            let (low_cd, high_cd) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
            *four = [
                _mm512_unpacklo_epi64(low_ab, low_cd),
                _mm512_unpackhi_epi64(low_ab, low_cd),
                _mm512_unpacklo_epi64(high_ab, high_cd),
                _mm512_unpackhi_epi64(high_ab, high_cd),
            ];
        }
        for column in 0..4 {
            let [a, b, c, d] = [fours[0][column], fours[1][column], fours[2][column], fours[3][column]];
            let (even_ab, odd_ab) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xDD>(a, b));
            let (even_cd, odd_cd) = (_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xDD>(c, d));
            out[column] = line(_mm512_shuffle_i32x4::<0x88>(even_ab, even_cd));
            out[4 + column] = line(_mm512_shuffle_i32x4::<0x88>(odd_ab, odd_cd));
            out[8 + column] = line(_mm512_shuffle_i32x4::<0xDD>(even_ab, even_cd));
            out[12 + column] = line(_mm512_shuffle_i32x4::<0xDD>(odd_ab, odd_cd));
        }
        out
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(in super::super::super) fn sum32(lines: &[&Line], lowest: usize) -> Line {
        let mut sum = _mm512_setzero_si512();
        for (weight, line) in lines.iter().enumerate().skip(lowest) {
            let shift = _mm_cvtsi64_si128(8 * weight as i64);
            sum = _mm512_add_epi32(sum, _mm512_sll_epi32(vector(line), shift));
        }
        line(sum)
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(in super::super::super) fn sum64(lines: &[&Line], lowest: usize) -> [Line; 2] {
        let mut sums = [_mm512_setzero_si512(); 2];
        let low = _mm512_set1_epi64(LOW as i64);
        for (weight, line) in lines.iter().enumerate().skip(lowest) {
            let (lanes, shift) = (vector(line), _mm_cvtsi64_si128(8 * weight as i64));
            let parts = [_mm512_and_si512(lanes, low), _mm512_srli_epi64::<32>(lanes)];
            sums[0] = _mm512_add_epi64(sums[0], _mm512_sll_epi64(parts[0], shift));
            sums[1] = _mm512_add_epi64(sums[1], _mm512_sll_epi64(parts[1], shift));
        }
        [line(sums[0]), line(sums[1])]
    }
}
