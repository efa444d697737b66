//! The kernels of 256-bit vectors: 6 rows by part of a panel, 12 vectors of sums in 16 registers.
#![allow(unsafe_code)]

use super::tile::{Tile, by_rows};
use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_add_epi64, _mm256_mul_epu32, _mm256_mullo_epi32, _mm256_set1_epi32,
    _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_shuffle_epi32, _mm256_slli_epi64,
};

/// Products of `u32`: half a panel at a time.
pub(super) mod words32 {
    use super::*;

    /// The rows that a tile may have, and the parts of a panel.
    pub(in super::super) const TILES: (usize, usize) = (6, 2);
    /// Columns of a panel.
    const PANEL: usize = 32;

    /// Multiplies one tile.
    #[target_feature(enable = "avx2")]
    pub(in super::super) fn tile(tile: Tile<'_, u32>) {
        by_rows!(tile, block, 1 2 3 4 5 6);
    }

    #[target_feature(enable = "avx2")]
    fn block<const ROWS: usize>(mut tile: Tile<'_, u32>) {
        let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
        let half = tile.part % 2;
        for (left, weights) in tile.left.as_chunks::<ROWS>().0.iter().zip(tile.panel.as_chunks::<PANEL>().0) {
            let weights = vectors(&weights.as_chunks::<16>().0[half]);
            for row in 0..ROWS {
                let x = _mm256_set1_epi32(left[row] as i32);
                for vector in 0..2 {
                    sums[row][vector] = _mm256_add_epi32(sums[row][vector], _mm256_mullo_epi32(x, weights[vector]));
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            tile.store(row, 16 * half, &words(sums));
        }
    }

    /// Two vectors of words.
    #[target_feature(enable = "avx2")]
    fn vectors(words: &[u32; 16]) -> [__m256i; 2] {
        // SAFETY: both are 64 bytes of plain integers, for which every bit pattern is valid.
        unsafe { std::mem::transmute(*words) }
    }

    /// The words of two vectors.
    #[target_feature(enable = "avx2")]
    fn words(vectors: &[__m256i; 2]) -> [u32; 16] {
        // SAFETY: both are 64 bytes of plain integers, for which every bit pattern is valid.
        unsafe { std::mem::transmute(*vectors) }
    }
}

/// Products of `u64`: a quarter of a panel at a time.
///
/// There is no 64-bit multiplication. With x = x₀ + 2³²x₁, the product is x₀w₀ + 2³²(x₀w₁ + x₁w₀), and the two sums are
/// kept apart until the end. The second needs 32 bits only, so one `vpmulld` of x by w with its halves exchanged gives
/// both of its terms.
pub(super) mod words64 {
    use super::*;

    /// The rows that a tile may have, and the parts of a panel.
    pub(in super::super) const TILES: (usize, usize) = (6, 4);
    /// Columns of a panel.
    const PANEL: usize = 16;

    /// Multiplies one tile.
    #[target_feature(enable = "avx2")]
    pub(in super::super) fn tile(tile: Tile<'_, u64>) {
        by_rows!(tile, block, 1 2 3 4 5 6);
    }

    #[target_feature(enable = "avx2")]
    fn block<const ROWS: usize>(mut tile: Tile<'_, u64>) {
        let mut low = [_mm256_setzero_si256(); ROWS];
        let mut cross = [_mm256_setzero_si256(); ROWS];
        let quarter = tile.part % 4;
        for (left, weights) in tile.left.as_chunks::<ROWS>().0.iter().zip(tile.panel.as_chunks::<PANEL>().0) {
            let weights = vector(&weights.as_chunks::<4>().0[quarter]);
            let exchanged = exchange(weights);
            for row in 0..ROWS {
                let x = _mm256_set1_epi64x(left[row] as i64);
                low[row] = _mm256_add_epi64(low[row], _mm256_mul_epu32(x, weights));
                cross[row] = _mm256_add_epi32(cross[row], _mm256_mullo_epi32(x, exchanged));
            }
        }
        for row in 0..ROWS {
            let both = _mm256_add_epi32(cross[row], exchange(cross[row]));
            let sums = _mm256_add_epi64(low[row], _mm256_slli_epi64::<32>(both));
            tile.store(row, 4 * quarter, &words(sums));
        }
    }

    /// Each word with its halves exchanged.
    #[target_feature(enable = "avx2")]
    fn exchange(words: __m256i) -> __m256i {
        _mm256_shuffle_epi32::<0b10_11_00_01>(words)
    }

    /// A vector of words.
    #[target_feature(enable = "avx2")]
    fn vector(words: &[u64; 4]) -> __m256i {
        // SAFETY: both are 32 bytes of plain integers, for which every bit pattern is valid.
        unsafe { std::mem::transmute(*words) }
    }

    /// The words of a vector.
    #[target_feature(enable = "avx2")]
    fn words(vector: __m256i) -> [u64; 4] {
        // SAFETY: both are 32 bytes of plain integers, for which every bit pattern is valid.
        unsafe { std::mem::transmute(vector) }
    }
}
