use super::*;
use crate::{Prg, Seed};
use proptest::prelude::*;

/// The format by definition: bit `b` of word `i` is bit `i · bits + b` of the stream.
fn bit_by_bit(words: &[u128], bits: u32) -> Vec<u8> {
    let mut bytes = vec![0; packed_len(words.len(), bits)];
    for (index, word) in words.iter().enumerate() {
        for bit in 0..bits {
            let position = index * bits as usize + bit as usize;
            bytes[position / 8] |= (word.bit(bit) as u8) << (position % 8);
        }
    }
    bytes
}

fn check<W: Word + std::fmt::Debug>(words: &[u128], bits: u32) {
    let expected = bit_by_bit(words, bits);
    let narrow: Vec<W> = words.iter().map(|&word| W::from_u128(word)).collect();
    let kept: Vec<W> = narrow.iter().map(|word| word.low_bits(bits)).collect();
    let own: Vec<W> = narrow.iter().rev().copied().collect();
    let added: Vec<W> = own.iter().zip(&kept).map(|(own, &peer)| own.plus(peer).low_bits(bits)).collect();
    for kernel in Kernel::available() {
        let name = format!("{} words, {bits} bits of {}, by {}", words.len(), W::BITS, kernel.name());
        let mut bytes = vec![0xAA];
        pack_with(kernel, &narrow, bits, &mut bytes);
        assert_eq!(bytes[0], 0xAA, "packing appends");
        assert_eq!(&bytes[1..], expected, "{name}");
        assert_eq!(unpack_with::<W>(kernel, &expected, words.len(), bits), kept, "{name}");
        let mut sums = own.clone();
        unpack_add_with(kernel, &expected, bits, &mut sums);
        assert_eq!(sums, added, "{name}");

        let (mut sums, mut packed) = (own.clone(), vec![0xAA]);
        pack_sum_with(kernel, &mut sums, &narrow, bits, &mut packed);
        assert_eq!(sums, added, "{name}");
        let added: Vec<u128> = added.iter().map(|sum| sum.widen()).collect();
        assert_eq!(&packed[1..], bit_by_bit(&added, bits), "{name}");
    }
}

#[test]
fn every_width_is_served_in_every_part_of_a_group() {
    let mut prg = Prg::new(&Seed::new([5; 16]));
    // One more than what is packed at a time, with one group that vectors cannot reach.
    let words = prg.words::<u128>(PART + 9);
    for len in (0..26).chain([63, 64, 65, PART - 1, PART, PART + 9]) {
        for bits in 0..=64 {
            check::<u64>(&words[..len], bits);
            check::<u32>(&words[..len], bits.min(32));
        }
    }
}

proptest! {
    #[test]
    fn every_width_keeps_the_format(words in prop::collection::vec(any::<u128>(), 0..100), bits in 0u32..=128) {
        check::<u128>(&words, bits);
        check::<u64>(&words, bits.min(64));
        check::<u32>(&words, bits.min(32));
    }
}

#[test]
fn frozen_vector() {
    let mut bytes = Vec::new();
    pack(&[0b101u64, 0b11111, 0b00001], 5, &mut bytes);
    assert_eq!(bytes, [0b1110_0101, 0b0000_0111]);
    let mut bytes = Vec::new();
    pack(&[0x1_2345_6789_ABCDu64, u64::MAX], 49, &mut bytes);
    assert_eq!(bytes, [0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x03]);
}

#[test]
fn a_width_above_the_word_reads_and_writes_zeros_there() {
    let mut bytes = Vec::new();
    pack(&[u32::MAX, 1], 61, &mut bytes);
    assert_eq!(unpack::<u64>(&bytes, 2, 61), [u64::from(u32::MAX), 1]);
    assert_eq!(unpack::<u32>(&bytes, 2, 61), [u32::MAX, 1]);
}

#[test]
#[should_panic(expected = "3 words of 5 bits")]
fn a_wrong_length_panics() {
    unpack::<u64>(&[0; 3], 3, 5);
}
