//! Fixed point: real numbers as ring words, `fraction` bits behind the binary point.
//!
//! Only the edge of a computation (inputs, weights, results) passes through floating point; everything between is exact
//! arithmetic in the ring. So only these two functions round and limit the range.

use crate::Word;

/// `value · 2^fraction`, rounded to nearest (ties to even), in two's complement; wraps when it does not fit the word.
///
/// NaN becomes 0, and a value beyond 128 bits saturates before it wraps: check ranges where values enter.
pub fn encode<W: Word>(value: f64, fraction: u32) -> W {
    let scaled = (value * power_of_two(fraction)).round_ties_even();
    // Conversion to 64 bits is one instruction, to 128 a library call.
    const FITS: f64 = (1u64 << 63) as f64;
    if scaled.abs() < FITS { W::from_i64(scaled as i64) } else { W::from_u128(scaled as i128 as u128) }
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
        assert_eq!(encode::<u64>(f64::NAN, 16), 0);
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
        fn decode_inverts_encode(value in -1e4f64..1e4, fraction in 0u32..=16) {
            let error = 0.5 / f64::from(1u32 << fraction);
            prop_assert!((decode(encode::<u32>(value, fraction), 32, fraction) - value).abs() <= error);
            prop_assert!((decode(encode::<u64>(value, fraction), 40, fraction) - value).abs() <= error);
            prop_assert!((decode(encode::<u128>(value, fraction), 128, fraction) - value).abs() <= error);
        }
    }
}
