//! The layout and the sums of limbs, with a model of the tiles, on every machine.

use super::{BLOCK, LONGEST, LimbWord, Limbs, Run, SIDE, Tiles, Vectors, product};
use crate::matmul::{Kernel, MatrixLayout, MatrixWord, PackedMatrix, matmul};
use crate::{Prg, Seed};
use proptest::prelude::*;

/// What the processor's tiles do, by the definition of `tdpbuud`.
struct Model;

impl Vectors for Model {}

impl Tiles for Model {
    fn multiply(&mut self, run: Run<'_>) {
        assert_eq!((run.left.len(), run.right.map(<[_]>::len)), (run.steps * BLOCK, [run.steps * SIDE; 2]));
        let lane = |lane: u64, half: usize| (lane >> (32 * half)) as u32;
        for row in 0..run.rows {
            for panel in 0..=usize::from(run.two_panels) {
                let mut sums = [[0u32; 2]; 8];
                for step in 0..run.steps {
                    for line in 0..SIDE {
                        let left = lane(run.left[step * BLOCK + row].0[line / 2], line % 2).to_le_bytes();
                        for (right, sums) in run.right[panel][step * SIDE + line].0.iter().zip(&mut sums) {
                            for (half, sum) in sums.iter_mut().enumerate() {
                                for (x, y) in left.into_iter().zip(lane(*right, half).to_le_bytes()) {
                                    *sum = sum.wrapping_add(u32::from(x) * u32::from(y));
                                }
                            }
                        }
                    }
                }
                let out = &mut run.sums[(row / SIDE * 2 + panel) * SIDE + row % SIDE];
                out.0 = sums.map(|[low, high]| u64::from(low) | u64::from(high) << 32);
            }
        }
    }
}

/// Multiplies by the model, and by the processor's tiles where there are any.
fn check<W: LimbWord + MatrixWord + std::fmt::Debug>(left: &[W], right: &[W], shape: [usize; 3], bits: u32) {
    let [rows, inner, columns] = shape;
    let mut expected = vec![W::ZERO; rows * columns];
    matmul(
        left,
        &PackedMatrix::pack_with(Kernel::Portable, right, inner, columns, MatrixLayout::RowMajor, bits),
        &mut expected,
    );
    let low = |words: &[W]| words.iter().map(|word| word.low_bits(bits)).collect::<Vec<_>>();
    let transposed: Vec<W> = (0..columns * inner).map(|i| right[i % inner * columns + i / inner]).collect();
    for (data, layout) in [(right, MatrixLayout::RowMajor), (&transposed, MatrixLayout::Transposed)] {
        let mut limbs = Limbs::new(inner, columns, bits);
        limbs.fill(&Model, data, layout);
        let mut out = vec![W::MAX; rows * columns];
        product(&mut Model, left, &limbs, &mut out);
        assert_eq!(low(&out), low(&expected), "model {layout:?} {shape:?} {bits} of {} bits", W::BITS);
        if Kernel::Amx.is_available() {
            let packed = PackedMatrix::pack_with(Kernel::Amx, data, inner, columns, layout, bits);
            let mut out = vec![W::MAX; rows * columns];
            matmul(left, &packed, &mut out);
            assert_eq!(low(&out), low(&expected), "tiles {layout:?} {shape:?} {bits} of {} bits", W::BITS);
        }
    }
}

fn check_random<W: LimbWord + MatrixWord + std::fmt::Debug>(seed: u8, [rows, inner, columns]: [usize; 3], bits: u32) {
    let mut prg = Prg::new(&Seed::new([seed; 16]));
    let (left, right) = (prg.words(rows * inner), prg.words(inner * columns));
    check::<W>(&left, &right, [rows, inner, columns], bits);
}

proptest! {
    #[test]
    fn ragged_shapes(
        seed: u8, rows in 1usize..=70, inner in 1usize..=140, columns in 1usize..=70, bits in 1u32..=64,
    ) {
        check_random::<u64>(seed, [rows, inner, columns], bits);
        check_random::<u32>(seed, [rows, inner, columns], bits.div_ceil(2));
    }
}

#[test]
fn every_width_of_the_ring() {
    for bits in 1..=64 {
        check_random::<u64>(1, [33, 72, 17], bits);
    }
    for bits in 1..=32 {
        check_random::<u32>(1, [33, 72, 17], bits);
    }
}

#[test]
fn sums_at_their_largest() {
    // The longest run whose sums fit 32 bits, and one position more: for each weight the chain has weight + 1 limbs.
    let longest = 64 * LONGEST;
    assert!(longest as u64 * 255 * 255 <= u64::from(u32::MAX));
    for limbs in 1..=4 {
        for inner in [longest / limbs, longest / limbs + 1] {
            check(&vec![u64::MAX; inner], &vec![u64::MAX; inner], [1, inner, 1], 64);
        }
    }
    let inner = 2 * longest + 70;
    check(&vec![u64::MAX; inner], &vec![u64::MAX; inner], [1, inner, 1], 64);
    check(&vec![u32::MAX; inner], &vec![u32::MAX; inner], [1, inner, 1], 32);
    check_random::<u64>(2, [3, longest / 5 + 9, 19], 40);
}

#[test]
fn more_rows_than_are_split_at_once() {
    // A mebibyte is 32 rows of 4096 elements of 8 bytes.
    check_random::<u64>(3, [70, 4096 + 8, 2], 64);
    check_random::<u32>(3, [70, 2 * 4096 + 8, 2], 32);
}

#[test]
fn a_ring_of_40_bits_takes_5_bytes_an_element() {
    assert_eq!(Limbs::new(384, 1536, 40).bytes(), 5 * 384 * 1536);
    assert_eq!(Limbs::new(384, 1152, 27).bytes(), 4 * 384 * 1152);
}

#[test]
fn several_threads_multiply_at_once() {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for rows in [32, 7, 16, 33] {
                    check_random::<u64>(thread, [rows, 64, 48], 40);
                }
            });
        }
    });
}
