//! Words of a narrow ring as bytes: `bits` bits each, little-endian, without gaps.

use crate::Word;

/// Bytes that `count` words of `bits` bits take.
pub const fn packed_len(count: usize, bits: u32) -> usize {
    (count * bits as usize).div_ceil(8)
}

/// Appends the low `bits` bits of each word to `bytes`.
pub fn pack<W: Word>(words: &[W], bits: u32, bytes: &mut Vec<u8>) {
    let mut pending: u128 = 0;
    let mut held: u32 = 0;
    bytes.reserve(packed_len(words.len(), bits));
    for &word in words {
        let mut value = word.low_bits(bits).widen();
        let mut left = bits;
        while left > 0 {
            let now = left.min(64);
            pending |= (value & (u128::MAX >> (128 - now))) << held;
            held += now;
            value = value.checked_shr(now).unwrap_or(0);
            left -= now;
            while held >= 8 {
                bytes.push(pending as u8);
                pending >>= 8;
                held -= 8;
            }
        }
    }
    if held > 0 {
        bytes.push(pending as u8);
    }
}

/// Reads `count` words of `bits` bits; bits above are zero.
///
/// # Panics
/// If `bytes` is not exactly [`packed_len`] long: check a message's length before.
pub fn unpack<W: Word>(bytes: &[u8], count: usize, bits: u32) -> Vec<W> {
    assert_eq!(bytes.len(), packed_len(count, bits), "{count} words of {bits} bits");
    let mut words = Vec::with_capacity(count);
    for index in 0..count {
        let start = index * bits as usize;
        let mut value: u128 = 0;
        let mut have = 0;
        let mut position = start;
        while have < bits {
            let offset = (position % 8) as u32;
            let now = (8 - offset).min(bits - have);
            let chunk = u128::from(bytes[position / 8] >> offset) & ((1 << now) - 1);
            value |= chunk << have;
            have += now;
            position += now as usize;
        }
        words.push(W::from_u128(value));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unpack_inverts_pack(words in prop::collection::vec(any::<u128>(), 0..40), bits in 1u32..=128) {
            let mut bytes = Vec::new();
            pack(&words, bits, &mut bytes);
            prop_assert_eq!(bytes.len(), packed_len(words.len(), bits));
            let expected: Vec<u128> = words.iter().map(|word| word.low_bits(bits)).collect();
            prop_assert_eq!(unpack::<u128>(&bytes, words.len(), bits), expected);
        }
    }
}
