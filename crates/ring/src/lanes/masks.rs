//! Planes of bits as words of zeros or ones, one word a bit.
//!
//! A loop that tests bit `i` of a word for constant `i` is unrolled by the compiler before it could be made of vectors;
//! so bits become words here, by hand, and the loops that use them have no bits left.

use crate::Word;

/// Elements expanded at a time: few enough that they stay in the first-level cache.
pub(super) const BLOCK: usize = 512;

/// The bits of up to eight words as words of 0 or all ones.
#[inline(always)]
pub(super) fn portable<V: Word>(bits: &[u64], masks: &mut [V; BLOCK]) {
    for (&word, masks) in bits.iter().zip(masks.as_chunks_mut::<64>().0) {
        for (lane, mask) in masks.iter_mut().enumerate() {
            *mask = if word >> lane & 1 == 0 { V::ZERO } else { V::MAX };
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{avx2, avx512};

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{BLOCK, portable};
    use crate::Word;
    use std::any::Any;
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_and_si256, _mm256_cmpeq_epi32, _mm256_cmpeq_epi64, _mm256_set1_epi32,
        _mm256_set1_epi64x, _mm256_setr_epi32, _mm256_setr_epi64x, _mm256_slli_epi32, _mm256_slli_epi64,
        _mm512_movm_epi32, _mm512_movm_epi64, _mm512_setzero_si512,
    };

    /// [`portable`] for every word by one function for each width that vectors have.
    macro_rules! expand {
        ($features:literal, $name:ident, $narrow:ident, $wide:ident) => {
            #[target_feature(enable = $features)]
            pub(in super::super) fn $name<V: Word>(bits: &[u64], masks: &mut [V; BLOCK]) {
                // Known when compiled: what is left is one of the three.
                if let Some(masks) = (masks as &mut dyn Any).downcast_mut::<[u32; BLOCK]>() {
                    for (&word, masks) in bits.iter().zip(masks.as_chunks_mut().0) {
                        *masks = $narrow(word);
                    }
                } else if let Some(masks) = (masks as &mut dyn Any).downcast_mut::<[u64; BLOCK]>() {
                    for (&word, masks) in bits.iter().zip(masks.as_chunks_mut().0) {
                        *masks = $wide(word);
                    }
                } else {
                    portable(bits, masks);
                }
            }
        };
    }

    expand!("avx2", avx2, avx2_narrow, avx2_wide);
    expand!("avx512f,avx512dq", avx512, avx512_narrow, avx512_wide);

    #[target_feature(enable = "avx2")]
    fn avx2_narrow(word: u64) -> [u32; 64] {
        let halves = [_mm256_set1_epi32(word as i32), _mm256_set1_epi32((word >> 32) as i32)];
        let mut lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        let mut masks = [halves[0]; 8];
        for vector in 0..4 {
            for half in 0..2 {
                masks[4 * half + vector] = _mm256_cmpeq_epi32(_mm256_and_si256(halves[half], lane), lane);
            }
            lane = _mm256_slli_epi32::<8>(lane);
        }
        // SAFETY: both are 256 bytes of plain integers, for which every bit pattern is valid.
        unsafe { std::mem::transmute::<[__m256i; 8], [u32; 64]>(masks) }
    }

    #[target_feature(enable = "avx2")]
    fn avx2_wide(word: u64) -> [u64; 64] {
        let word = _mm256_set1_epi64x(word as i64);
        let mut lane = _mm256_setr_epi64x(1, 2, 4, 8);
        let mut masks = [word; 16];
        for mask in &mut masks {
            *mask = _mm256_cmpeq_epi64(_mm256_and_si256(word, lane), lane);
            lane = _mm256_slli_epi64::<4>(lane);
        }
        // SAFETY: both are 512 bytes of plain integers, for which every bit pattern is valid.
        unsafe { std::mem::transmute::<[__m256i; 16], [u64; 64]>(masks) }
    }

    #[target_feature(enable = "avx512f,avx512dq")]
    fn avx512_narrow(word: u64) -> [u32; 64] {
        let mut masks = [_mm512_setzero_si512(); 4];
        for (part, mask) in masks.iter_mut().enumerate() {
            *mask = _mm512_movm_epi32((word >> (16 * part)) as u16);
        }
        // SAFETY: both are 256 bytes of plain integers, for which every bit pattern is valid.
        unsafe { std::mem::transmute::<[__m512i; 4], [u32; 64]>(masks) }
    }

    #[target_feature(enable = "avx512f,avx512dq")]
    fn avx512_wide(word: u64) -> [u64; 64] {
        let mut masks = [_mm512_setzero_si512(); 8];
        for (part, mask) in masks.iter_mut().enumerate() {
            *mask = _mm512_movm_epi64((word >> (8 * part)) as u8);
        }
        // SAFETY: both are 512 bytes of plain integers, for which every bit pattern is valid.
        unsafe { std::mem::transmute::<[__m512i; 8], [u64; 64]>(masks) }
    }
}
