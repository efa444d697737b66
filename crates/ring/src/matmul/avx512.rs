//! The kernels of 512-bit vectors: 8 rows by one panel, 16 vectors of sums in registers.
//!
//! Both multiply low halves directly (`vpmulld`, `vpmullq`). Assembling 64-bit products from `vpmuludq` instead takes six
//! operations where `vpmullq` and its addition take four on Intel's cores and two on AMD's. For rings of up to 52 bits,
//! AVX-512 IFMA multiplies the low 52 bits of two words and adds the low 52 bits of the product, in one operation.
#![allow(unsafe_code)]

use super::tile::{Tile, by_rows};
use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_add_epi64, _mm512_madd52lo_epu64, _mm512_mullo_epi32, _mm512_mullo_epi64,
    _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setzero_si512,
};

macro_rules! kernel {
    (
        $(#[$doc:meta])* $module:ident, $features:literal, $word:ty, $signed:ty, $lanes:literal, $set:ident,
        |$sum:ident, $x:ident, $weights:ident| $accumulated:expr
    ) => {
        $(#[$doc])*
        pub(super) mod $module {
            use super::*;

            /// The rows that a tile may have, and the parts of a panel.
            pub(in super::super) const TILES: (usize, usize) = (8, 1);
            /// Columns of a panel: two vectors.
            const PANEL: usize = 2 * $lanes;

            /// Multiplies one tile.
            #[target_feature(enable = $features)]
            pub(in super::super) fn tile(tile: Tile<'_, $word>) {
                by_rows!(tile, block, 1 2 3 4 5 6 7 8);
            }

            #[target_feature(enable = $features)]
            fn block<const ROWS: usize>(mut tile: Tile<'_, $word>) {
                let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
                for (left, weights) in tile.left.as_chunks::<ROWS>().0.iter().zip(tile.panel.as_chunks::<PANEL>().0) {
                    let weights = vectors(weights);
                    for row in 0..ROWS {
                        let $x = $set(left[row] as $signed);
                        for half in 0..2 {
                            let ($sum, $weights) = (sums[row][half], weights[half]);
                            sums[row][half] = $accumulated;
                        }
                    }
                }
                for (row, sums) in sums.iter().enumerate() {
                    tile.store(row, 0, &words(sums));
                }
            }

            /// Two vectors of words.
            #[target_feature(enable = "avx512f")]
            fn vectors(words: &[$word; PANEL]) -> [__m512i; 2] {
                // SAFETY: both are 128 bytes of plain integers, for which every bit pattern is valid.
                unsafe { std::mem::transmute(*words) }
            }

            /// The words of two vectors.
            #[target_feature(enable = "avx512f")]
            fn words(vectors: &[__m512i; 2]) -> [$word; PANEL] {
                // SAFETY: both are 128 bytes of plain integers, for which every bit pattern is valid.
                unsafe { std::mem::transmute(*vectors) }
            }
        }
    };
}

kernel!(
    /// Products of `u32`.
    words32, "avx512f,avx512dq", u32, i32, 16, _mm512_set1_epi32,
    |sum, x, weights| _mm512_add_epi32(sum, _mm512_mullo_epi32(x, weights))
);
kernel!(
    /// Products of `u64`.
    words64, "avx512f,avx512dq", u64, i64, 8, _mm512_set1_epi64,
    |sum, x, weights| _mm512_add_epi64(sum, _mm512_mullo_epi64(x, weights))
);
kernel!(
    /// Products of `u64` in rings of up to 52 bits.
    words52, "avx512f,avx512dq,avx512ifma", u64, i64, 8, _mm512_set1_epi64,
    |sum, x, weights| _mm512_madd52lo_epu64(sum, x, weights)
);
