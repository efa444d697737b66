//! Fixed point: real numbers as ring words, `fraction` bits behind the binary point.
//!
//! Only the edge of a computation (inputs, weights, results) passes through floating point; everything between is exact
//! arithmetic in the ring. So only these two functions round and limit the range.

use crate::Word;
use std::hint::black_box;

/// `value · 2^fraction`, rounded to nearest (ties to even), in two's complement; wraps when it does not fit the word.
///
/// NaN, infinities and what is beyond 128 bits become some word: check ranges where values enter.
///
/// It takes the same steps for every value: the client shares its input by this function. So the number is taken apart
/// here, because conversions and roundings of the standard library branch on it.
pub fn encode<W: Word>(value: f64, fraction: u32) -> W {
    /// Bits below the mantissa's 53, which make room for half of its last one.
    const SPARE: i32 = 10;
    // Choices are made by words of ones or zeros that the compiler cannot look through: it makes branches of anything else. The
    // checks of a test build are branches too, so all arithmetic is said to wrap; nothing does but the last shift.
    let ones_if_negative = |x: i32| black_box(x >> 31);
    let at_most_127 = |x: i32| {
        let over = ones_if_negative(127_i32.wrapping_sub(x));
        (x & !over | 127 & over) as u32
    };
    let bits = value.to_bits();
    let exponent = (bits >> 52 & 0x7FF) as i32;
    // All numbers but those next to zero have a 1 before the mantissa's 52 bits.
    let tiny = ones_if_negative(exponent.wrapping_sub(1));
    let mantissa = u128::from(bits & ((1 << 52) - 1) | u64::from(!tiny as u32 & 1) << 52) << SPARE;
    let shift = exponent.wrapping_add(tiny & 1).wrapping_add(fraction as i32).wrapping_sub(1075 + SPARE);
    // To the right, if the shift is negative. It drops at least the spare bits of a mantissa that has any.
    let negative = ones_if_negative(shift);
    let (left, right) = (at_most_127(shift & !negative), at_most_127(shift.wrapping_neg() & negative));
    let drops = u128::from(negative as u32 & 1);
    let odd = mantissa.wrapping_shr(right) & drops;
    let half = 1_u128.wrapping_shl(right) >> 1;
    let rounded =
        mantissa.wrapping_add(half.wrapping_sub(drops)).wrapping_add(odd).wrapping_shr(right).wrapping_shl(left);
    let sign = u128::from(bits >> 63).wrapping_neg();
    W::from_u128((rounded ^ sign).wrapping_sub(sign))
}

/// The real number that the low `bits` bits of `word` (two's complement) stand for; `1 <= bits <= W::BITS`.
pub fn decode<W: Word>(word: W, bits: u32, fraction: u32) -> f64 {
    debug_assert!((1..=W::BITS).contains(&bits), "{bits} bits of a word of {}", W::BITS);
    word.signed(bits) as f64 / power_of_two(fraction)
}

/// 2^exponent, exact: built from its bits, since `powi` promises no precision.
fn power_of_two(exponent: u32) -> f64 {
    debug_assert!(exponent <= 1023, "2^{exponent} is not a number of 64 bits");
    f64::from_bits((1023 + u64::from(exponent.min(1023))) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scalar;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        assert_eq!(encode::<u64>(1.5, 12), 3 << 11);
        assert_eq!(encode::<u32>(-1.0, 16), 0xFFFF_0000);
        assert_eq!(encode::<u128>(-1.0, 16), u128::MAX << 16);
        assert_eq!(encode::<u32>(65536.0, 16), 0, "wraps");
        assert_eq!(encode::<u64>(5e-324, 60), 0);
        assert_eq!(encode::<u128>(1e30, 0), 1e30 as u128);
        assert_eq!(decode(0xFFFF_0000_u32, 32, 16), -1.0);
        assert_eq!(decode(0xAB_u64 << 56 | 0b1000, 4, 2), -2.0, "bits above the ring are ignored");
    }

    #[test]
    fn rounds_to_nearest() {
        for (value, expected) in [(0.49, 0), (0.51, 1), (0.5, 0), (1.5, 2), (-0.51, -1), (-0.49, 0)] {
            assert_eq!(encode::<u64>(value, 0), u64::from_i64(expected), "{value}");
        }
    }

    proptest! {
        #[test]
        fn encoding_is_that_of_the_standard_library(value in prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL,
            near in -1e9f64..1e9, half in -100_000i32..100_000, fraction in 0u32..=40) {
            for value in [value, near, f64::from(half) / 2.0, f64::from(half) / 2f64.powi(fraction as i32 + 1)] {
                let scaled = (value * power_of_two(fraction)).round_ties_even();
                if scaled.abs() < 2f64.powi(126) {
                    prop_assert_eq!(encode::<u128>(value, fraction), scaled as i128 as u128, "{}", value);
                    prop_assert_eq!(encode::<u32>(value, fraction), scaled as i128 as u32, "{}", value);
                }
            }
        }

        #[test]
        fn decode_inverts_encode(value in -1e4f64..1e4, fraction in 0u32..=16) {
            let error = 0.5 / f64::from(1u32 << fraction);
            prop_assert!((decode(encode::<u32>(value, fraction), 32, fraction) - value).abs() <= error);
            prop_assert!((decode(encode::<u64>(value, fraction), 40, fraction) - value).abs() <= error);
            prop_assert!((decode(encode::<u128>(value, fraction), 128, fraction) - value).abs() <= error);
        }
    }
}
