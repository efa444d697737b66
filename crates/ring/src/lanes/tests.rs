use super::*;
use crate::{Prg, Seed};

/// Around the vectors, the blocks of bits and their ends.
const LENGTHS: [usize; 14] = [0, 1, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 200, 1000];

fn every_kernel_agrees<V: Word + std::fmt::Debug, W: Word>() {
    for len in LENGTHS {
        let mut prg = Prg::new(&Seed::new([len as u8; 16]));
        let start = prg.words::<V>(len);
        let (a, b, c) = (prg.words::<V>(len), prg.words::<V>(len), prg.words::<W>(len));
        let bits = prg.words::<u64>(len.div_ceil(64));
        let shift = 5;
        let f = |out: V, [a, b]: [V; 2], [c]: [W; 1]| {
            out.plus(a.times(b)).minus(V::from_u128(c.shift_right(shift).widen())).bit_xor(a.shift_left(shift))
        };
        let g = |out: V, bit: V, [a, b]: [V; 2], [c]: [W; 1]| b.plus(bit.bit_and(f(out, [a, b], [c])));
        for kernel in Kernel::available() {
            let mut out = start.clone();
            combine_with(kernel, &mut out, [&a, &b], [&c], f);
            let expected: Vec<V> = (0..len).map(|i| f(start[i], [a[i], b[i]], [c[i]])).collect();
            assert_eq!(out, expected, "{len} elements by {}", kernel.name());

            let mut out = start.clone();
            combine_bits_with(kernel, &mut out, &bits, [&a, &b], [&c], g);
            let bit = |i: usize| if bits[i / 64] >> (i % 64) & 1 == 1 { V::MAX } else { V::ZERO };
            let expected: Vec<V> = (0..len).map(|i| g(start[i], bit(i), [a[i], b[i]], [c[i]])).collect();
            assert_eq!(out, expected, "{len} elements with bits by {}", kernel.name());
        }
    }
}

#[test]
fn every_kernel_agrees_for_every_pair_of_words() {
    every_kernel_agrees::<u32, u32>();
    every_kernel_agrees::<u32, u64>();
    every_kernel_agrees::<u32, u128>();
    every_kernel_agrees::<u64, u32>();
    every_kernel_agrees::<u64, u64>();
    every_kernel_agrees::<u64, u128>();
    every_kernel_agrees::<u128, u32>();
    every_kernel_agrees::<u128, u64>();
    every_kernel_agrees::<u128, u128>();
}

#[test]
#[should_panic(expected = "elements of operand 1")]
fn operands_of_other_lengths_are_refused() {
    combine(&mut [0u32; 3], [&[0; 3]], [&[0u64; 4]], |out, _, _| out);
}

#[test]
#[should_panic(expected = "words of a plane of 65 bits")]
fn planes_of_other_lengths_are_refused() {
    combine_bits(&mut [0u32; 65], &[0], [], [] as [&[u32]; 0], |out, _, [], []| out);
}
