//! Truncate-reduce: dropping low bits of a share, and as many bits of its ring, before it is opened.
//!
//! **Computes** shares of x ≫ s modulo 2^(k−s) from shares of x modulo 2^k: party zero takes the floor of its share over
//! 2^s, party one the ceiling. **Shapes** any. **Cost** no opening, no material; what is opened afterwards is s bits per
//! element shorter. **Security** local. **Error** stochastic rounding: less than one unit of the last place, unbiased if
//! the shares are uniform, and none where x is a multiple of 2^s. **Source** the local truncation of SecureML, Mohassel and Zhang, S&P'17.
//! **Differs from the source** in that the ring shrinks with the value. SecureML's rare error of 2^(k−s) comes from the
//! wrap of the shares' sum at 2^k. Here that wrap is a multiple of the new modulus, so there is no such error.

use crate::form::Form;
use crate::secret::Secret;
use blindroute_ring::Word;
use blindroute_ring::lanes::combine;

/// One server's share of the truncated value.
pub(crate) fn online<W: Word>(leads: bool, mut share: Secret<W>, form: &Form, shift: u32) -> Secret<W> {
    let up = if leads { W::ZERO } else { W::from_i64(1).shift_left(shift).minus(W::from_i64(1)) };
    combine(share.expose_mut().data_mut(), [], [], |word: W, []: [W; 0], []: [W; 0]| {
        let whole = word.low_bits(form.bits).shift_right(shift);
        whole.plus(word.low_bits(shift).plus(up).shift_right(shift))
    });
    share
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_ring::{Shape, Tensor};

    /// All shares of all values of a small ring: the two results, and how often the upper one is taken.
    #[test]
    fn case_17_every_sharing_of_every_value_is_rounded_to_one_of_two_neighbours_without_bias() {
        const BITS: u32 = 7;
        let form = Form::new(Shape::row(1), BITS, BITS);
        for shift in [0, 1, 3, 6] {
            for x in 0..1u32 << BITS {
                let mut ups = 0;
                for first in 0..1u32 << BITS {
                    // Bits above the ring are arbitrary.
                    let shares = [first | 0xABCD_0000, x.wrapping_sub(first)];
                    let truncated = |leads: bool, share: u32| {
                        let share = Secret::new(Tensor::new(Shape::row(1), vec![share]));
                        online(leads, share, &form, shift).into_inner().data()[0]
                    };
                    let sum = truncated(true, shares[0]).wrapping_add(truncated(false, shares[1]));
                    let above = sum.wrapping_sub(x >> shift).low_bits(BITS - shift);
                    assert!(above <= 1, "{x} truncated by {shift}: {above} units above");
                    ups += above;
                }
                assert_eq!(ups, x.low_bits(shift) << (BITS - shift), "{x} truncated by {shift}");
            }
        }
    }
}
