//! Every kernel against the definition, and against the portable one.

use super::{Kernel, MatrixLayout, MatrixWord, PackedMatrix, matmul};
use crate::{Prg, Seed, Word};
use proptest::prelude::*;

fn by_definition<W: Word>(left: &[W], right: &[W], rows: usize, inner: usize, columns: usize) -> Vec<W> {
    let element = |row: usize, column: usize| {
        (0..inner).fold(W::ZERO, |sum, k| sum.plus(left[row * inner + k].times(right[k * columns + column])))
    };
    (0..rows * columns).map(|index| element(index / columns, index % columns)).collect()
}

fn check<W: MatrixWord + std::fmt::Debug>(seed: u8, rows: usize, inner: usize, columns: usize) {
    let mut prg = Prg::new(&Seed::new([seed; 16]));
    let left = prg.words::<W>(rows * inner);
    let right = prg.words::<W>(inner * columns);
    let transposed: Vec<W> = (0..columns * inner).map(|i| right[i % inner * columns + i / inner]).collect();
    let expected = by_definition(&left, &right, rows, inner, columns);
    for (data, layout) in [(&right, MatrixLayout::RowMajor), (&transposed, MatrixLayout::Transposed)] {
        // In the whole ring of the word, and in narrower ones: of 64-bit words the widest that IFMA serves, and a common one.
        for (kernel, narrower) in Kernel::available().into_iter().flat_map(|kernel| [0, 12, 20].map(|n| (kernel, n))) {
            let bits = W::BITS - narrower;
            let packed = PackedMatrix::pack_with(kernel, data, inner, columns, layout, bits);
            // What is there before must not matter.
            let mut product = prg.words::<W>(rows * columns);
            matmul(&left, &packed, &mut product);
            let right = product.iter().zip(&expected).all(|(x, e)| x.low_bits(bits) == e.low_bits(bits));
            assert!(right, "{} {layout:?} {rows}x{inner}x{columns} u{}, ring {bits}", kernel.name(), W::BITS);
        }
        let mut product = vec![W::MAX; rows * columns];
        matmul(&left, &PackedMatrix::pack(data, inner, columns, layout, W::BITS), &mut product);
        assert_eq!(product, expected);
    }
}

fn check_words(seed: u8, rows: usize, inner: usize, columns: usize) {
    check::<u32>(seed, rows, inner, columns);
    check::<u64>(seed, rows, inner, columns);
    check::<u128>(seed, rows, inner, columns);
}

proptest! {
    #[test]
    fn kernels_agree_at_odd_shapes(seed: u8, rows in 1usize..=9, inner in 1usize..=70, columns in 1usize..=70) {
        check_words(seed, rows, inner, columns);
    }
}

#[test]
fn kernels_agree_past_one_pass_of_the_inner_dimension() {
    for inner in [511, 512, 513, 1030] {
        check_words(1, 17, inner, 35);
    }
}

#[test]
fn kernels_agree_at_the_ends_of_the_ring() {
    for kernel in Kernel::available() {
        let packed = PackedMatrix::pack_with(kernel, &[u64::MAX; 3 * 17], 3, 17, MatrixLayout::RowMajor, 64);
        let mut product = [0; 17];
        matmul(&[u64::MAX, 1 << 63, u64::from(u32::MAX)], &packed, &mut product);
        assert_eq!(product, [1u64.wrapping_sub(1 << 63).wrapping_sub(u64::from(u32::MAX)); 17]);
    }
}

#[test]
fn empty_factors_give_empty_or_zero_products() {
    for kernel in Kernel::available() {
        for layout in [MatrixLayout::RowMajor, MatrixLayout::Transposed] {
            let pack = |data: &[u64], inner, columns| PackedMatrix::pack_with(kernel, data, inner, columns, layout, 64);
            let mut product = [1u64; 6];
            matmul(&[], &pack(&[], 0, 3), &mut product);
            assert_eq!(product, [0; 6]);
            matmul(&[1u64; 6], &pack(&[], 3, 0), &mut []);
            matmul(&[], &pack(&[], 0, 0), &mut [0u64; 0]);
            matmul(&[], &pack(&[1; 6], 2, 3), &mut []);
        }
    }
}

#[test]
#[should_panic(expected = "the product has 2 rows of 3")]
fn a_product_of_another_shape_panics() {
    matmul(&[1u64; 4], &PackedMatrix::pack(&[1; 6], 2, 3, MatrixLayout::RowMajor, 64), &mut [0; 5]);
}

#[test]
fn a_packed_factor_does_not_print_and_can_be_wiped() {
    let mut packed = PackedMatrix::pack(&[7u32; 6], 2, 3, MatrixLayout::RowMajor, 32);
    assert_eq!(format!("{packed:?}"), "PackedMatrix[2, 3]");
    zeroize::Zeroize::zeroize(&mut packed);
    assert_eq!((packed.inner(), packed.columns()), (0, 0));
}
