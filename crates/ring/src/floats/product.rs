//! Matrix products of f32.
//!
//! The right factor is read a panel of 32 columns at a time, which is copied so that each row of the panel is whole vectors, and
//! stays in the second-level cache while all rows of the left factor use it. A kernel keeps a tile of sums, a few rows by
//! one panel, in registers while it walks down the inner dimension. Every element is summed up in the order of the inner
//! dimension, so it does not depend on the other rows.
#![allow(unsafe_code)]

use super::Vectors;
use crate::matmul::{self, fill_panel};
use crate::{Kernel, MatrixLayout};

/// Columns of a panel.
const PANEL: usize = 32;

/// `out = left · right`, with `left` `[rows, inner]` and `out` `[rows, columns]`, both row by row, and `right` as the layout says.
///
/// ```
/// use blindroute_ring::{MatrixLayout, floats};
/// let mut out = [0.0; 2];
/// floats::product(&[1.0, 2.0], &[3.0, 4.0, 5.0, 6.0], (2, 2), MatrixLayout::RowMajor, &mut out);
/// assert_eq!(out, [13.0, 16.0]);
/// ```
///
/// # Panics
/// If the lengths do not fit.
pub fn product(left: &[f32], right: &[f32], shape: (usize, usize), layout: MatrixLayout, out: &mut [f32]) {
    product_with(matmul::kernel(), left, (right, layout), shape, out);
}

/// [`product`] by a kernel; by the portable one where the machine has not that kernel. For tests and benches.
///
/// # Panics
/// As [`product`].
pub fn product_with(
    kernel: Kernel,
    left: &[f32],
    right: (&[f32], MatrixLayout),
    (inner, columns): (usize, usize),
    out: &mut [f32],
) {
    let rows = left.len().checked_div(inner).or(out.len().checked_div(columns)).unwrap_or(0);
    assert_eq!(left.len(), rows * inner, "the left factor has rows of {inner}");
    assert_eq!(right.0.len(), inner * columns, "a factor of {inner} by {columns}");
    assert_eq!(out.len(), rows * columns, "the product has {rows} rows of {columns}");
    if inner == 0 {
        return out.fill(0.0);
    }
    match Vectors::of(kernel) {
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 => walk(left, right, (inner, columns), out, avx512::ROWS, |rows, tile| {
            // SAFETY: `Vectors::of` has seen the processor's AVX-512 F.
            unsafe { avx512::tile(rows, tile) }
        }),
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx2 => walk(left, right, (inner, columns), out, avx2::ROWS, |rows, tile| {
            // SAFETY: `Vectors::of` has seen the processor's AVX2 and FMA.
            unsafe { avx2::tile(rows, tile) }
        }),
        Vectors::Portable => walk(left, right, (inner, columns), out, 1, |_, tile| portable(tile)),
    }
}

/// A few rows of the product by one panel of columns.
struct Tile<'a> {
    /// The left factor from the tile's first row on.
    left: &'a [f32],
    /// One row of [`PANEL`] numbers for each inner position.
    panel: &'a [[f32; PANEL]],
    /// The product from the tile's first element on.
    out: &'a mut [f32],
    /// Numbers from one row of the product to the next.
    columns: usize,
    /// Columns that the product has in this panel: at most [`PANEL`].
    width: usize,
}

impl Tile<'_> {
    /// A row of the left factor.
    #[inline(always)]
    fn row(&self, index: usize) -> &[f32] {
        let inner = self.panel.len();
        &self.left[index * inner..][..inner]
    }

    /// Stores the sums of one row, from column `column` of the panel on.
    #[inline(always)]
    fn store<const COLUMNS: usize>(&mut self, row: usize, column: usize, sums: &[f32; COLUMNS]) {
        if column < self.width {
            let out = &mut self.out[row * self.columns + column..][..COLUMNS.min(self.width - column)];
            match out.first_chunk_mut::<COLUMNS>() {
                Some(out) => *out = *sums,
                None => out.copy_from_slice(&sums[..out.len()]),
            }
        }
    }
}

/// Calls `kernel` for every tile, of `rows` rows or, at the end, of one.
fn walk(
    left: &[f32],
    (right, layout): (&[f32], MatrixLayout),
    (inner, columns): (usize, usize),
    out: &mut [f32],
    rows: usize,
    kernel: impl Fn(usize, Tile<'_>),
) {
    let all_rows = left.len() / inner;
    let mut panel = vec![[0.0; PANEL]; inner];
    for first in (0..columns).step_by(PANEL) {
        fill_panel(right, (inner, columns), layout, first, (PANEL, panel.as_flattened_mut()));
        let mut row = 0;
        while row < all_rows {
            let rows = if row + rows <= all_rows { rows } else { 1 };
            let (left, out) = (&left[row * inner..], &mut out[row * columns + first..]);
            kernel(rows, Tile { left, panel: &panel, out, columns, width: PANEL.min(columns - first) });
            row += rows;
        }
    }
}

fn portable(mut tile: Tile<'_>) {
    let mut sums = [0.0; PANEL];
    for (&x, weights) in tile.row(0).iter().zip(tile.panel) {
        for (sum, &weight) in sums.iter_mut().zip(weights) {
            *sum += x * weight;
        }
    }
    tile.store(0, 0, &sums);
}

#[cfg(target_arch = "x86_64")]
macro_rules! kernel {
    ($(#[$doc:meta])* $module:ident, $features:literal, $vector:ident, $lanes:literal, $rows:literal, $zero:ident, $set:ident, $multiply_add:ident) => {
        $(#[$doc])*
        mod $module {
            use super::{PANEL, Tile};
            use std::arch::x86_64::{$vector, $multiply_add, $set, $zero};

            /// Rows of a tile.
            pub(super) const ROWS: usize = $rows;
            /// Columns whose sums are in registers at a time: two vectors.
            const PART: usize = 2 * $lanes;

            /// Multiplies a tile of [`ROWS`] rows, or of one.
            #[target_feature(enable = $features)]
            pub(super) fn tile(rows: usize, mut tile: Tile<'_>) {
                for start in (0..tile.width).step_by(PART) {
                    if rows == ROWS {
                        part::<ROWS>(&mut tile, start);
                    } else {
                        part::<1>(&mut tile, start);
                    }
                }
            }

            #[target_feature(enable = $features)]
            fn part<const ROWS: usize>(tile: &mut Tile<'_>, start: usize) {
                let rows: [&[f32]; ROWS] = std::array::from_fn(|row| tile.row(row));
                let mut sums = [[$zero(); 2]; ROWS];
                for (position, weights) in tile.panel.iter().enumerate() {
                    let weights = vectors(weights, start);
                    for row in 0..ROWS {
                        let x = $set(rows[row][position]);
                        for half in 0..2 {
                            sums[row][half] = $multiply_add(x, weights[half], sums[row][half]);
                        }
                    }
                }
                for (row, sums) in sums.iter().enumerate() {
                    tile.store(row, start, &numbers(sums));
                }
            }

            /// Two vectors from column `start` on.
            #[target_feature(enable = $features)]
            fn vectors(row: &[f32; PANEL], start: usize) -> [$vector; 2] {
                let part = &row.as_chunks::<PART>().0[start / PART];
                // SAFETY: both are as many plain numbers, for which every bit pattern is valid.
                unsafe { std::mem::transmute(*part) }
            }

            /// The numbers of two vectors.
            #[target_feature(enable = $features)]
            fn numbers(vectors: &[$vector; 2]) -> [f32; PART] {
                // SAFETY: both are as many plain numbers, for which every bit pattern is valid.
                unsafe { std::mem::transmute(*vectors) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernel!(
    /// Vectors of 512 bits: 16 of sums, of 32 registers.
    avx512, "avx512f", __m512, 16, 8, _mm512_setzero_ps, _mm512_set1_ps, _mm512_fmadd_ps
);
#[cfg(target_arch = "x86_64")]
kernel!(
    /// Vectors of 256 bits: 8 of sums, of 16 registers.
    avx2, "avx2,fma", __m256, 8, 4, _mm256_setzero_ps, _mm256_set1_ps, _mm256_fmadd_ps
);

#[cfg(test)]
mod tests {
    use super::*;

    /// Small integers, whose sums are exact in f32.
    fn numbers(count: usize, salt: usize) -> Vec<f32> {
        (0..count).map(|index| ((index * 31 + salt * 17) % 19) as f32 - 9.0).collect()
    }

    fn expected(left: &[f32], right: &[f32], (inner, columns): (usize, usize), layout: MatrixLayout) -> Vec<f32> {
        let at = |position: usize, column: usize| match layout {
            MatrixLayout::RowMajor => right[position * columns + column],
            MatrixLayout::Transposed => right[column * inner + position],
        };
        let element = |row: &[f32], column| (0..inner).map(|position| row[position] * at(position, column)).sum();
        left.chunks_exact(inner).flat_map(|row| (0..columns).map(move |column| element(row, column))).collect()
    }

    #[test]
    fn every_kernel_multiplies_matrices_of_every_shape() {
        for kernel in Kernel::available() {
            for (rows, inner, columns) in [(1, 1, 1), (3, 5, 7), (8, 33, 32), (9, 40, 33), (20, 16, 95), (4, 70, 16)] {
                for layout in [MatrixLayout::RowMajor, MatrixLayout::Transposed] {
                    let (left, right) = (numbers(rows * inner, 1), numbers(inner * columns, 2));
                    let mut out = vec![f32::NAN; rows * columns];
                    product_with(kernel, &left, (&right, layout), (inner, columns), &mut out);
                    let expected = expected(&left, &right, (inner, columns), layout);
                    assert_eq!(out, expected, "{kernel:?} {rows} {inner} {columns} {layout:?}");
                }
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_the_others() {
        let (inner, columns) = (97, 45);
        let left: Vec<f32> = (0..19 * inner).map(|index| (index as f32 * 0.37).sin()).collect();
        let right: Vec<f32> = (0..inner * columns).map(|index| (index as f32 * 0.11).cos()).collect();
        for kernel in Kernel::available() {
            let of = |left: &[f32]| {
                let mut out = vec![0.0; left.len() / inner * columns];
                product_with(kernel, left, (&right, MatrixLayout::RowMajor), (inner, columns), &mut out);
                out
            };
            let singly: Vec<f32> = left.chunks_exact(inner).flat_map(of).collect();
            assert_eq!(of(&left), singly, "{kernel:?}");
        }
    }

    #[test]
    fn empty_factors_give_zeros() {
        let mut out = [1.0; 6];
        product(&[], &[], (0, 3), MatrixLayout::RowMajor, &mut out);
        assert_eq!(out, [0.0; 6]);
        product(&[], &[1.0, 2.0], (2, 1), MatrixLayout::RowMajor, &mut []);
    }
}
