//! The kernels of 256-bit vectors: 16 lanes of 16 bits each.
//!
//! Bit c of a lane is chosen by the lane with only bit c set, which one `vpshufb` gives: AVX2 has no shift of lanes of 16
//! bits by different amounts.
#![allow(unsafe_code)]

use super::{BLOCK, LANES, digits, filled, walks};
use crate::Word;
use std::arch::x86_64::{
    __m256i, _mm_cvtsi64_si128, _mm256_and_si256, _mm256_castsi256_pd, _mm256_castsi256_ps, _mm256_cmpeq_epi16,
    _mm256_movemask_epi8, _mm256_movemask_pd, _mm256_movemask_ps, _mm256_mullo_epi16, _mm256_packs_epi16,
    _mm256_permute4x64_epi64, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setr_epi8,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_sll_epi32, _mm256_sll_epi64, _mm256_srli_epi16, _mm256_sub_epi32,
    _mm256_sub_epi64, _mm256_xor_si256,
};

walks!("avx2");

/// Vectors of 64 lanes of 16 bits.
const VECTORS: usize = 4;

#[target_feature(enable = "avx2")]
fn look_up_block(digits: &[u16; BLOCK], lanes: &[u64; LANES]) -> (u64, u64) {
    // SAFETY: both are 128 bytes of plain integers, for which every bit pattern is valid.
    let lanes = unsafe { std::mem::transmute::<[u64; LANES], [__m256i; VECTORS]>(*lanes) };
    let chosen = choose(digits);
    let (mut less, mut equal) = ([_mm256_setzero_si256(); VECTORS], [_mm256_setzero_si256(); VECTORS]);
    for vector in 0..VECTORS {
        let lane = lanes[vector];
        equal[vector] = _mm256_and_si256(lane, chosen[vector]);
        // Bit i is to be the parity of the bits above i.
        let mut above = _mm256_srli_epi16::<1>(lane);
        above = _mm256_xor_si256(above, _mm256_srli_epi16::<1>(above));
        above = _mm256_xor_si256(above, _mm256_srli_epi16::<2>(above));
        above = _mm256_xor_si256(above, _mm256_srli_epi16::<4>(above));
        above = _mm256_xor_si256(above, _mm256_srli_epi16::<8>(above));
        less[vector] = _mm256_and_si256(above, chosen[vector]);
    }
    (not_zero(&less), not_zero(&equal))
}

#[target_feature(enable = "avx2")]
fn one_hot_block(digits: &[u16; BLOCK]) -> [u64; LANES] {
    // SAFETY: both are 128 bytes of plain integers, for which every bit pattern is valid.
    unsafe { std::mem::transmute::<[__m256i; VECTORS], [u64; LANES]>(choose(digits)) }
}

/// Lanes with one bit set: that of the digit.
#[target_feature(enable = "avx2")]
fn choose(digits: &[u16; BLOCK]) -> [__m256i; VECTORS] {
    // SAFETY: both are 128 bytes of plain integers, for which every bit pattern is valid.
    let mut chosen = unsafe { std::mem::transmute::<[u16; BLOCK], [__m256i; VECTORS]>(*digits) };
    // The low byte looks up the digit, the high byte the digit with its bit 3 turned.
    let bits = _mm256_setr_epi8(
        1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0,
    );
    for digit in &mut chosen {
        let both = _mm256_mullo_epi16(*digit, _mm256_set1_epi16(0x0101));
        *digit = _mm256_shuffle_epi8(bits, _mm256_xor_si256(both, _mm256_set1_epi16(0x0800)));
    }
    chosen
}

/// Which lanes of 16 bits are not zero.
#[target_feature(enable = "avx2")]
fn not_zero(lanes: &[__m256i; VECTORS]) -> u64 {
    let zero = _mm256_setzero_si256();
    let half = |first: __m256i, second: __m256i| {
        let zeros = _mm256_packs_epi16(_mm256_cmpeq_epi16(first, zero), _mm256_cmpeq_epi16(second, zero));
        // Packing keeps to halves of the vectors.
        !_mm256_movemask_epi8(_mm256_permute4x64_epi64::<0b11_01_10_00>(zeros)) as u32
    };
    u64::from(half(lanes[0], lanes[1])) | u64::from(half(lanes[2], lanes[3])) << 32
}

#[target_feature(enable = "avx2")]
fn signs_of_u32(words: &[u32; BLOCK], threshold: u32, shift: u32) -> u64 {
    // SAFETY: both are 256 bytes of plain integers, for which every bit pattern is valid.
    let vectors = unsafe { std::mem::transmute::<[u32; BLOCK], [__m256i; 8]>(*words) };
    let (threshold, shift) = (_mm256_set1_epi32(threshold as i32), _mm_cvtsi64_si128(i64::from(shift)));
    vectors.iter().rev().fold(0, |plane, &vector| {
        let raised = _mm256_sll_epi32(_mm256_sub_epi32(vector, threshold), shift);
        plane << 8 | _mm256_movemask_ps(_mm256_castsi256_ps(raised)) as u64
    })
}

#[target_feature(enable = "avx2")]
fn signs_of_u64(words: &[u64; BLOCK], threshold: u64, shift: u32) -> u64 {
    // SAFETY: both are 512 bytes of plain integers, for which every bit pattern is valid.
    let vectors = unsafe { std::mem::transmute::<[u64; BLOCK], [__m256i; 16]>(*words) };
    let (threshold, shift) = (_mm256_set1_epi64x(threshold as i64), _mm_cvtsi64_si128(i64::from(shift)));
    vectors.iter().rev().fold(0, |plane, &vector| {
        let raised = _mm256_sll_epi64(_mm256_sub_epi64(vector, threshold), shift);
        plane << 4 | _mm256_movemask_pd(_mm256_castsi256_pd(raised)) as u64
    })
}
