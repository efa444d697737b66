//! The kernels of 512-bit vectors: 32 lanes of 16 bits each.
#![allow(unsafe_code)]

use super::{BLOCK, LANES, digits, filled, walks};
use crate::Word;
use std::arch::x86_64::{
    __m512i, _mm_cvtsi64_si128, _mm512_movepi32_mask, _mm512_movepi64_mask, _mm512_set1_epi16, _mm512_set1_epi32,
    _mm512_set1_epi64, _mm512_sll_epi32, _mm512_sll_epi64, _mm512_sllv_epi16, _mm512_srli_epi16, _mm512_sub_epi32,
    _mm512_sub_epi64, _mm512_test_epi16_mask, _mm512_xor_si512,
};

walks!("avx512f,avx512bw,avx512dq,avx512vl");

/// Vectors of 64 lanes of 16 bits.
const VECTORS: usize = 2;

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn look_up_block(digits: &[u16; BLOCK], lanes: &[u64; LANES]) -> (u64, u64) {
    // SAFETY: both are 128 bytes of plain integers, for which every bit pattern is valid.
    let lanes = unsafe { std::mem::transmute::<[u64; LANES], [__m512i; VECTORS]>(*lanes) };
    let chosen = choose(digits);
    let (mut less, mut equal) = (0, 0);
    for vector in 0..VECTORS {
        let lane = lanes[vector];
        equal |= u64::from(_mm512_test_epi16_mask(lane, chosen[vector])) << (32 * vector);
        // Bit i is to be the parity of the bits above i.
        let mut above = _mm512_srli_epi16::<1>(lane);
        above = _mm512_xor_si512(above, _mm512_srli_epi16::<1>(above));
        above = _mm512_xor_si512(above, _mm512_srli_epi16::<2>(above));
        above = _mm512_xor_si512(above, _mm512_srli_epi16::<4>(above));
        above = _mm512_xor_si512(above, _mm512_srli_epi16::<8>(above));
        less |= u64::from(_mm512_test_epi16_mask(above, chosen[vector])) << (32 * vector);
    }
    (less, equal)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn one_hot_block(digits: &[u16; BLOCK]) -> [u64; LANES] {
    // SAFETY: both are 128 bytes of plain integers, for which every bit pattern is valid.
    unsafe { std::mem::transmute::<[__m512i; VECTORS], [u64; LANES]>(choose(digits)) }
}

/// Lanes with one bit set: that of the digit.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn choose(digits: &[u16; BLOCK]) -> [__m512i; VECTORS] {
    // SAFETY: both are 128 bytes of plain integers, for which every bit pattern is valid.
    let mut chosen = unsafe { std::mem::transmute::<[u16; BLOCK], [__m512i; VECTORS]>(*digits) };
    for digit in &mut chosen {
        *digit = _mm512_sllv_epi16(_mm512_set1_epi16(1), *digit);
    }
    chosen
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn signs_of_u32(words: &[u32; BLOCK], threshold: u32, shift: u32) -> u64 {
    // SAFETY: both are 256 bytes of plain integers, for which every bit pattern is valid.
    let vectors = unsafe { std::mem::transmute::<[u32; BLOCK], [__m512i; 4]>(*words) };
    let (threshold, shift) = (_mm512_set1_epi32(threshold as i32), _mm_cvtsi64_si128(i64::from(shift)));
    vectors.iter().rev().fold(0, |plane, &vector| {
        let raised = _mm512_sll_epi32(_mm512_sub_epi32(vector, threshold), shift);
        plane << 16 | u64::from(_mm512_movepi32_mask(raised))
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn signs_of_u64(words: &[u64; BLOCK], threshold: u64, shift: u32) -> u64 {
    // SAFETY: both are 512 bytes of plain integers, for which every bit pattern is valid.
    let vectors = unsafe { std::mem::transmute::<[u64; BLOCK], [__m512i; 8]>(*words) };
    let (threshold, shift) = (_mm512_set1_epi64(threshold as i64), _mm_cvtsi64_si128(i64::from(shift)));
    vectors.iter().rev().fold(0, |plane, &vector| {
        let raised = _mm512_sll_epi64(_mm512_sub_epi64(vector, threshold), shift);
        plane << 8 | u64::from(_mm512_movepi64_mask(raised))
    })
}
