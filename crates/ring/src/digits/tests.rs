use super::*;
use crate::{Prg, Scalar, Seed};
use proptest::prelude::*;

/// By the definition, bit by bit.
fn expected<W: Word>(public: &[W], threshold: W, (low, bits): (u32, u32), table: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let mut planes = (vec![0; public.len().div_ceil(64)], vec![0; public.len().div_ceil(64)]);
    for (i, m) in public.iter().enumerate() {
        let c = (m.minus(threshold).shift_right(low).widen() % (1 << bits)) as usize;
        let bit = |position: usize| table[((i << bits) + position) / 64] >> (((i << bits) + position) % 64) & 1;
        planes.0[i / 64] |= (c + 1..1 << bits).fold(0, |parity, position| parity ^ bit(position)) << (i % 64);
        planes.1[i / 64] |= bit(c) << (i % 64);
    }
    planes
}

fn check<W: Word>(seed: u8, len: usize, low: u32, bits: u32) {
    let mut prg = Prg::new(&Seed::new([seed; 16]));
    let words = prg.words::<W>(len);
    let threshold = prg.words::<W>(1)[0];
    let noise = prg.words::<u64>((len << bits).div_ceil(64));
    let (less, equal) = expected(&words, threshold, (low, bits), &noise);
    let hot: Vec<usize> = words.iter().map(|word| (word.shift_right(low).widen() % (1 << bits)) as usize).collect();
    let planes = len.div_ceil(64);
    for kernel in Kernel::available() {
        let name = format!("{len} words of {} bits, {bits} bits from {low}, by {}", W::BITS, kernel.name());
        let (mut some_less, mut some_equal, mut only_less) = (vec![7; planes], vec![7; planes], vec![7; planes]);
        look_up_with(kernel, &words, threshold, (low, bits), &noise, (&mut some_less, Some(&mut some_equal)));
        look_up_with(kernel, &words, threshold, (low, bits), &noise, (&mut only_less, None));
        assert_eq!((&some_less, &some_equal, &only_less), (&less, &equal, &less), "{name}");

        let mut table = noise.clone();
        one_hot_with(kernel, &words, (low, bits), &mut table);
        for position in 0..table.len() * 64 {
            let set = hot.get(position >> bits).is_some_and(|hot| *hot == position % (1 << bits));
            assert_eq!(table[position / 64] >> (position % 64) & 1 == 1, set, "{name}: bit {position} of the table");
        }

        let mut plane = vec![7; planes];
        top_bits_with(kernel, &words, threshold, low, &mut plane);
        for position in 0..planes * 64 {
            let set = words.get(position).is_some_and(|word| word.minus(threshold).bit(low) == 1);
            assert_eq!(plane[position / 64] >> (position % 64) & 1 == 1, set, "{name}: bit {position} of the plane");
        }
    }
}

proptest! {
    #[test]
    fn every_kernel_follows_the_definition(seed: u8, len in 0usize..300, low in 0u32..130, bits in 1u32..=6, four: bool) {
        let bits = if four { 4 } else { bits };
        check::<u32>(seed, len, low.min(40), bits);
        check::<u64>(seed, len, low.min(70), bits);
        check::<u128>(seed, len, low, bits);
    }
}

#[test]
fn shares_of_a_table_give_shares_of_the_comparison() {
    let mut prg = Prg::new(&Seed::new([9; 16]));
    let (secret, public) = (prg.words::<u32>(1000), prg.words::<u32>(1000));
    let mut table = vec![0; 250];
    one_hot(&secret, 7, &mut table);
    let share = prg.words::<u64>(250);
    let other: Vec<u64> = table.iter().zip(&share).map(|(table, share)| table ^ share).collect();
    let [mut less, mut equal, mut other_less, mut other_equal] = [(); 4].map(|()| vec![0; 16]);
    look_up(&public, 12345, 7, &share, &mut less, Some(&mut equal));
    look_up(&public, 12345, 7, &other, &mut other_less, Some(&mut other_equal));
    for i in 0..1000 {
        let (c, r) = (public[i].minus(12345) >> 7 & 15, secret[i] >> 7 & 15);
        let bit = |a: &[u64], b: &[u64]| (a[i / 64] ^ b[i / 64]) >> (i % 64) & 1 == 1;
        assert_eq!((bit(&less, &other_less), bit(&equal, &other_equal)), (c < r, c == r), "element {i}");
    }
}

#[test]
#[should_panic(expected = "words of a table of 65 digits of 4 bits")]
fn tables_of_other_lengths_are_refused() {
    look_up(&[0u32; 65], 0, 0, &[0; 16], &mut [0; 2], None);
}

#[test]
#[should_panic(expected = "words of a plane of 65 bits")]
fn planes_of_other_lengths_are_refused() {
    look_up(&[0u32; 65], 0, 0, &[0; 17], &mut [0; 2], Some(&mut [0]));
}
