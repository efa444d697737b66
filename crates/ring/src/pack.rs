//! Words of a narrow ring as bytes: `bits` bits each, little-endian, without gaps.
//!
//! This is the wire format of every opening, so its cost is paid per element and per message. Widths of whole bytes are
//! straight copies; for the others, word `i` starts `i · bits mod 8` bits into a byte and is read by one unaligned load.

use crate::Word;

/// Bytes that `count` words of `bits` bits take.
pub const fn packed_len(count: usize, bits: u32) -> usize {
    (count * bits as usize).div_ceil(8)
}

/// Calls `$copy::<W, N>` for a width of `N` whole bytes, and `$shift` for any other.
macro_rules! by_width {
    ($bits:ident, $copy:ident($($argument:expr),*), $shift:expr) => {
        match $bits {
            8 => $copy::<W, 1>($($argument),*),
            16 => $copy::<W, 2>($($argument),*),
            24 => $copy::<W, 3>($($argument),*),
            32 => $copy::<W, 4>($($argument),*),
            40 => $copy::<W, 5>($($argument),*),
            48 => $copy::<W, 6>($($argument),*),
            56 => $copy::<W, 7>($($argument),*),
            64 => $copy::<W, 8>($($argument),*),
            72 => $copy::<W, 9>($($argument),*),
            80 => $copy::<W, 10>($($argument),*),
            88 => $copy::<W, 11>($($argument),*),
            96 => $copy::<W, 12>($($argument),*),
            104 => $copy::<W, 13>($($argument),*),
            112 => $copy::<W, 14>($($argument),*),
            120 => $copy::<W, 15>($($argument),*),
            128 => $copy::<W, 16>($($argument),*),
            _ => $shift,
        }
    };
}

/// Appends the low `bits` bits of each word to `bytes`; `bits <= 128`.
pub fn pack<W: Word>(words: &[W], bits: u32, bytes: &mut Vec<u8>) {
    assert!(bits <= 128, "a word has no {bits} bits");
    let start = bytes.len();
    bytes.resize(start + packed_len(words.len(), bits), 0);
    let out = &mut bytes[start..];
    by_width!(bits, copy_out(words, out), shift_out(words, bits, out));
}

/// Reads `count` words of `bits` bits; bits above are zero.
///
/// # Panics
/// If `bytes` is not exactly [`packed_len`] long: check a message's length before.
pub fn unpack<W: Word>(bytes: &[u8], count: usize, bits: u32) -> Vec<W> {
    // Checked before the allocation, which must not follow an unchecked length.
    check_length(bytes, count, bits);
    let mut words = vec![W::ZERO; count];
    join(bytes, bits, &mut words, |_, read| read);
    words
}

/// Adds the packed words to `own` and keeps the low `bits` bits: an opening's `m = own + peer`, in one pass.
///
/// # Panics
/// If `bytes` is not exactly [`packed_len`] of `own` long: check a message's length before.
pub fn unpack_add<W: Word>(bytes: &[u8], bits: u32, own: &mut [W]) {
    check_length(bytes, own.len(), bits);
    let mask = W::MAX.low_bits(bits);
    join(bytes, bits, own, |own, read| own.plus(read).bit_and(mask));
}

fn check_length(bytes: &[u8], count: usize, bits: u32) {
    assert!(bits <= 128, "a word has no {bits} bits");
    assert_eq!(bytes.len(), packed_len(count, bits), "{count} words of {bits} bits");
}

/// Replaces each word by `f` of itself and the packed word.
#[inline(always)]
fn join<W: Word>(bytes: &[u8], bits: u32, words: &mut [W], f: impl Fn(W, W) -> W) {
    by_width!(bits, copy_in(bytes, words, f), shift_in(bytes, bits, words, f));
}

/// The low `N` bytes of each word.
fn copy_out<W: Word, const N: usize>(words: &[W], out: &mut [u8]) {
    for (word, out) in words.iter().zip(out.as_chunks_mut::<N>().0) {
        out.copy_from_slice(&word.widen().to_le_bytes()[..N]);
    }
}

/// Words of `N` bytes each.
#[inline(always)]
fn copy_in<W: Word, const N: usize>(bytes: &[u8], words: &mut [W], f: impl Fn(W, W) -> W) {
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<N>().0) {
        let mut whole = [0; 16];
        whole[..N].copy_from_slice(bytes);
        *word = f(*word, W::from_u128(u128::from_le_bytes(whole)));
    }
}

/// Any width, through an accumulator of 64 bits that is written out whenever it is full.
fn shift_out<W: Word>(words: &[W], bits: u32, out: &mut [u8]) {
    let mut filled = 0; // Bytes written.
    let mut pending: u64 = 0;
    let mut held: u32 = 0; // Bits in `pending`, always below 64.
    // `value` has no bits above `width`, and 1 <= width <= 64.
    let mut push = |value: u64, width: u32| {
        pending |= value << held;
        held += width;
        if held >= 64 {
            out[filled..filled + 8].copy_from_slice(&pending.to_le_bytes());
            filled += 8;
            held -= 64;
            pending = value.checked_shr(width - held).unwrap_or(0);
        }
    };
    if bits == 0 {
        return;
    } else if bits < 64 {
        let mask = u64::MAX >> (64 - bits);
        words.iter().for_each(|word| push(word.low_u64() & mask, bits));
    } else {
        let mask = u64::MAX >> (128 - bits);
        for word in words {
            push(word.low_u64(), 64);
            push((word.widen() >> 64) as u64 & mask, bits - 64);
        }
    }
    let rest = &mut out[filled..];
    let length = rest.len();
    rest.copy_from_slice(&pending.to_le_bytes()[..length]);
}

/// Any width: one unaligned load of at least `bits` bits and the up to 7 bits in front of them.
#[inline(always)]
fn shift_in<W: Word>(bytes: &[u8], bits: u32, words: &mut [W], f: impl Fn(W, W) -> W) {
    let width = bits as usize;
    let positions = (0..words.len()).map(|index| index * width);
    if bits == 0 {
        words.iter_mut().for_each(|word| *word = f(*word, W::ZERO));
    } else if bits <= 57 {
        let mask = u64::MAX >> (64 - bits);
        for (word, position) in words.iter_mut().zip(positions) {
            let value = (u64::from_le_bytes(load(bytes, position / 8)) >> (position % 8)) & mask;
            *word = f(*word, W::from_u128(u128::from(value)));
        }
    } else {
        // At most 121 bits come from the first load, so the last 7 are fetched apart.
        let mask = u128::MAX >> (128 - bits);
        for (word, position) in words.iter_mut().zip(positions) {
            let mut value = u128::from_le_bytes(load(bytes, position / 8)) >> (position % 8);
            if bits > 121 && position % 8 != 0 {
                let [last] = load(bytes, position / 8 + 16);
                value |= u128::from(last) << (128 - position % 8);
            }
            *word = f(*word, W::from_u128(value & mask));
        }
    }
}

/// `N` bytes from `start`; those behind the end are zero.
#[inline(always)]
fn load<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    let rest = bytes.get(start..).unwrap_or_default();
    match rest.first_chunk() {
        Some(whole) => *whole,
        None => {
            let mut whole = [0; N];
            whole[..rest.len()].copy_from_slice(rest);
            whole
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let mut bytes = vec![0xAA];
        pack(&narrow, bits, &mut bytes);
        assert_eq!(bytes[0], 0xAA, "packing appends");
        assert_eq!(&bytes[1..], expected, "{bits} bits of {}", W::BITS);
        let kept: Vec<W> = narrow.iter().map(|word| word.low_bits(bits)).collect();
        assert_eq!(unpack::<W>(&expected, words.len(), bits), kept);
        let mut sums = narrow.clone();
        sums.reverse();
        let added: Vec<W> = sums.iter().zip(&kept).map(|(own, &peer)| own.plus(peer).low_bits(bits)).collect();
        unpack_add(&expected, bits, &mut sums);
        assert_eq!(sums, added);
    }

    proptest! {
        #[test]
        fn every_width_keeps_the_format(words in prop::collection::vec(any::<u128>(), 0..40), bits in 0u32..=128) {
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
}
