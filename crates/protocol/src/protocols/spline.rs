//! Piecewise polynomials of few elements over a wide range, in one opening.
//!
//! **Computes** y = P_0(x) + Σ_j [x ≥ knot j]·(P_j − P_{j−1})(x), comparing x (window of two digits) and evaluating on a
//! wide copy of x. **Shapes** x of n elements masked mod 2^k; the copy masked mod 2^K, K up to 128. **Cost** one
//! opening, which the wide copy shares: 8·⌈n/64⌉·3J bytes each way; material the digits (see
//! [`comparison`]) plus (2D + 4J(D + 1))·⌈K·n/8⌉ for degree D. **Security** a
//! server sees bits under fresh mask bits. **Error** the comparison's resolution 2^low, and the spline's, stated where a
//! function is defined. **Source** as for [`piecewise`](super::piecewise). **Differs from the source** in that the digit
//! products are expanded over arithmetic shares, τ the mask's top bit: d = 1 − (c_top ⊕ τ ⊕ ℓ) with ℓ = l₁ + e₁·l₀, so
//! the bit of the comparison itself is never opened.

use super::comparison::{self, Comparison};
use super::piecewise::{alternating, power_of, powers};
use super::{Role, Server, words_len};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use crate::spline::{Spline, taylor};
use blindroute_ring::Tensor;
use std::sync::Arc;

/// Mask planes of one knot: less(0), less(1), equal(1).
const PLANES: usize = 3;

pub(crate) fn offline<W: RingWord, V: RingWord>(
    role: &mut impl Role,
    x: &Secret<W>,
    comparison: &Comparison,
    wide: (&Arc<Secret<V>>, &Form),
    spline: &Spline,
) -> Result<(), Error> {
    comparison::offline_digits(role, x, comparison)?;
    let (lambda, form) = wide;
    let len = form.shape.len();
    let masks = role.fresh_bits(PLANES * comparison.thresholds.len(), len);
    role.hand_bits(masks.clone())?;
    for power in powers(role, lambda, form.bits, spline.degree())? {
        role.hand(&power)?;
    }
    let top_bit = comparison.low + comparison.window() - 1;
    let top = || x.expose().map(|word| V::from_i64(word.bit(top_bit) as i64));
    for power in 0..=spline.degree() {
        let value = || top().zip(&power_of(lambda.expose(), power), V::times);
        let product = role.correlated(form.shape, form.bits, value)?;
        role.hand(&product)?;
    }
    for knot in 0..comparison.thresholds.len() {
        let bit = |plane: usize, i: usize| masks.get(knot * PLANES + plane, i);
        for power in 0..=spline.degree() {
            // (1 − 2τ)λ^q times: less(1), equal(1), less(0), equal(1)·less(0).
            let signed = || {
                let sign = top().map(|top| V::from_i64(1).minus(top.raise(1)));
                sign.zip(&power_of(lambda.expose(), power), V::times)
            };
            let with = |bits: &dyn Fn(usize) -> u64| {
                let words = signed();
                let data = words.data().iter().enumerate().map(|(i, &word)| word.times(V::from_i64(bits(i) as i64)));
                Tensor::new(form.shape, data.collect())
            };
            let factors: [&dyn Fn(usize) -> u64; 4] =
                [&|i| bit(1, i), &|i| bit(2, i), &|i| bit(0, i), &|i| bit(2, i) & bit(0, i)];
            for factor in factors {
                let product = role.correlated(form.shape, form.bits, || with(factor))?;
                role.hand(&product)?;
            }
        }
    }
    Ok(())
}

/// What leaves: the masked lookups. The rest stays for [`online_second`].
pub(crate) struct First {
    pub(crate) masked: BitTensor,
    tops: Vec<Vec<u64>>,
}

pub(crate) fn online_first<W: RingWord>(
    server: &mut impl Server,
    public: &Tensor<W>,
    comparison: &Comparison,
) -> Result<First, Error> {
    let lookups = comparison::online_digits(server, public, comparison)?;
    let mut masked = lookups.masked;
    let masks = server.pop_bits(PLANES * comparison.thresholds.len(), public.shape().len())?;
    masked.xor_assign(&masks)?;
    Ok(First { masked, tops: lookups.tops })
}

/// The value's shares, from the opened lookups and the opened wide copy.
pub(crate) fn online_second<V: RingWord>(
    server: &mut impl Server,
    opened: &BitTensor,
    first: &First,
    wide: (&Tensor<V>, &Form),
    spline: &Spline,
    fraction: u32,
) -> Result<Secret<V>, Error> {
    let (public, form) = wide;
    let degree = spline.degree();
    let (base, differences) = spline.ring_pieces::<V>(form.fraction, fraction);
    let powers = (1..=degree).map(|_| server.pop::<V>(form.shape)).collect::<Result<Vec<_>, _>>()?;
    let with_top = (0..=degree).map(|_| server.pop::<V>(form.shape)).collect::<Result<Vec<_>, _>>()?;
    let one = V::from_i64(i64::from(server.leads()));
    let power = |q: usize, i: usize| if q == 0 { one } else { powers[q - 1].expose().data()[i] };
    let mut words: Vec<V> =
        public.data().iter().enumerate().map(|(i, &m)| alternating(&taylor(&base, m), |q| power(q, i))).collect();
    for (knot, difference) in differences.iter().enumerate() {
        let products = (0..4 * (degree + 1)).map(|_| server.pop::<V>(form.shape)).collect::<Result<Vec<_>, _>>()?;
        for (i, (&m, word)) in public.data().iter().zip(&mut words).enumerate() {
            let bit = |plane: usize| V::from_i64(opened.get(knot * PLANES + plane, i) as i64);
            let sign = |bit: V| V::from_i64(1).minus(bit.raise(1));
            let (less0, less1, equal) = (bit(0), bit(1), bit(2));
            let c_top = first.tops[knot][i / 64] >> (i % 64) & 1;
            let term = alternating(&taylor(difference, m), |q| {
                let share = |index: usize| products[4 * q + index].expose().data()[i];
                let top = with_top[q].expose().data()[i];
                let signed = power(q, i).minus(top.raise(1));
                let opened_only = signed.times(less1.plus(equal.times(less0)));
                let exclusive = top
                    .plus(opened_only)
                    .plus(sign(less1).times(share(0)))
                    .plus(sign(equal).times(less0).times(share(1)))
                    .plus(equal.times(sign(less0)).times(share(2)))
                    .plus(sign(equal).times(sign(less0)).times(share(3)));
                // [x ≥ t] is 1 − (c_top ⊕ exclusive).
                super::selection::choose(c_top, exclusive, power(q, i).minus(exclusive))
            });
            *word = word.plus(term);
        }
    }
    Ok(Secret::new(Tensor::new(form.shape, words)))
}

/// Bytes of the opening each way (without the wide copy), and material bytes.
pub(crate) fn cost(comparison: &Comparison, wide: &Form, spline: &Spline) -> (usize, usize) {
    let len = wide.shape.len();
    let opening = BitTensor::byte_len(PLANES * comparison.thresholds.len(), len);
    let (degree, knots) = (spline.degree(), comparison.thresholds.len());
    let tensors = (degree - 1) + (degree + 1) + knots * 4 * (degree + 1);
    (opening, comparison::cost_digits(len, comparison) + tensors * words_len(len, wide.bits))
}
