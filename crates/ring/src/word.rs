//! The ring word: one trait over `u32`, `u64` and `u128`.

use crate::tensor::Scalar;
use zeroize::DefaultIsZeroes;

/// An element of Z_2^n, n = [`Word::BITS`], with wrapping arithmetic.
pub trait Word: Scalar + Eq + Ord + std::hash::Hash + Default + DefaultIsZeroes {
    /// Bits of the word, n.
    const BITS: u32;
    /// All bits set.
    const MAX: Self;

    /// `self << shift`, and zero when `shift >= BITS`.
    fn shift_left(self, shift: u32) -> Self;
    /// Logical `self >> shift`, and zero when `shift >= BITS`.
    fn shift_right(self, shift: u32) -> Self;
    /// The low `bits` bits.
    fn low_bits(self, bits: u32) -> Self {
        if bits >= Self::BITS { self } else { self.bit_and(Self::MAX.shift_right(Self::BITS - bits)) }
    }
    /// Bit `index`, as 0 or 1.
    fn bit(self, index: u32) -> u64 {
        self.shift_right(index).low_u64() & 1
    }
    /// Bitwise and.
    fn bit_and(self, other: Self) -> Self;
    /// Bitwise exclusive or.
    fn bit_xor(self, other: Self) -> Self;
    /// The low 64 bits.
    fn low_u64(self) -> u64;
    /// Widened without sign.
    fn widen(self) -> u128;
    /// The same word in another width, extended without sign or shortened.
    #[inline(always)]
    fn cast<V: Word>(self) -> V {
        V::from_u128(self.widen())
    }
    /// Truncated from 128 bits.
    fn from_u128(value: u128) -> Self;
    /// Reads a little-endian word of `BITS / 8` bytes; missing bytes are zero.
    fn read_le(bytes: &[u8]) -> Self;
    /// The value as a signed number of `bits` bits (two's complement); `1 <= bits <= 128`.
    fn signed(self, bits: u32) -> i128 {
        let unused = 128 - bits;
        ((self.widen() << unused) as i128) >> unused
    }
}

macro_rules! word {
    ($type:ty) => {
        impl Word for $type {
            const BITS: u32 = <$type>::BITS;
            const MAX: Self = <$type>::MAX;
            #[inline(always)]
            fn shift_left(self, shift: u32) -> Self {
                self.checked_shl(shift).unwrap_or(0)
            }
            #[inline(always)]
            fn shift_right(self, shift: u32) -> Self {
                self.checked_shr(shift).unwrap_or(0)
            }
            #[inline(always)]
            fn bit_and(self, other: Self) -> Self {
                self & other
            }
            #[inline(always)]
            fn bit_xor(self, other: Self) -> Self {
                self ^ other
            }
            #[inline(always)]
            fn low_u64(self) -> u64 {
                self as u64
            }
            #[inline(always)]
            fn read_le(bytes: &[u8]) -> Self {
                const WIDTH: usize = <$type>::BITS as usize / 8;
                let mut word = [0u8; WIDTH];
                match bytes.first_chunk() {
                    Some(whole) => word = *whole,
                    None => word[..bytes.len()].copy_from_slice(bytes),
                }
                <$type>::from_le_bytes(word)
            }
            #[inline(always)]
            fn widen(self) -> u128 {
                self as u128
            }
            #[inline(always)]
            fn from_u128(value: u128) -> Self {
                value as $type
            }
        }

        impl Scalar for $type {
            const ZERO: Self = 0;
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn from_i64(value: i64) -> Self {
                value as i128 as $type
            }
            #[inline(always)]
            fn raise(self, shift: u32) -> Self {
                Word::shift_left(self, shift)
            }
        }
    };
}

word!(u32);
word!(u64);
word!(u128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_rings_keep_sign() {
        assert_eq!(0b1000_u64.signed(4), -8);
        assert_eq!(0b0111_u64.signed(4), 7);
        assert_eq!(u64::from_i64(-3).signed(64), -3);
        assert_eq!(u128::from_i64(-3).signed(128), -3);
        assert_eq!((u64::from_i64(-3)).low_bits(8), 253);
    }

    #[test]
    fn shifts_past_the_word_are_zero() {
        assert_eq!(Word::shift_right(1u64, 64), 0);
        assert_eq!(Word::shift_left(1u32, 32), 0);
        assert_eq!(u128::MAX.low_bits(128), u128::MAX);
        assert_eq!(u64::MAX.low_bits(0), 0);
    }

    #[test]
    fn short_little_endian_input_is_zero_extended() {
        assert_eq!(u64::read_le(&[1, 2]), 0x201);
        assert_eq!(u32::read_le(&[1, 2, 3, 4]), 0x0403_0201);
    }
}
