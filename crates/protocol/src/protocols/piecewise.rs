//! Piecewise polynomials of many elements, from the opened bits of the comparison with the knots.
//!
//! **Computes** y = P_0(x) + Σ_j d_j·(P_j − P_{j−1})(x) with d_j = [x ≥ knot j], P_j of degree D = 2 or 3. **Shapes** x
//! of n elements masked mod 2^k, J planes of bits. **Cost** no opening; material (D − 1 + J·(D + 1))·⌈k·n/8⌉ bytes.
//! **Security** shares only. **Error** that of the spline, stated where a function is defined; the arithmetic is exact
//! modulo 2^k, so pieces that cancel may overflow on the way. **Source** spline evaluation on masked values, Boyle et
//! al., EUROCRYPT'21, figure 15. **Differs from the source** in that comparison bits replace function secret sharing.

use super::selection::mask_words;
use super::{Role, Server, words_len};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use crate::spline::{Cubic, Spline, taylor};
use blindroute_ring::Tensor;
use blindroute_ring::lanes::{combine, combine_bits};
use std::cell::OnceCell;
use std::sync::Arc;

pub(crate) fn power_of<W: RingWord>(mask: &Tensor<W>, power: usize) -> Tensor<W> {
    mask.map(|x| (0..power).fold(W::from_i64(1), |product, _| product.times(x)))
}

pub(crate) fn offline<W: RingWord>(
    role: &mut impl Role,
    bits: &BitTensor,
    x: &Arc<Secret<W>>,
    form: &Form,
    spline: &Spline,
) -> Result<(), Error> {
    // λ^q. Servers never look at them: only the dealer's closures below do.
    let powers = OnceCell::new();
    let power = |q: usize| {
        let all = || (0..=spline.degree()).map(|q| Secret::new(power_of(x.expose(), q))).collect::<Vec<_>>();
        powers.get_or_init(all)[q].expose()
    };
    role.hand(x)?;
    for q in 2..=spline.degree() {
        let shared = role.correlated(form.shape, form.bits, || power(q).clone())?;
        role.hand(&shared)?;
    }
    for knot in 0..spline.knots().len() {
        for q in 0..=spline.degree() {
            let value = || power(q).zip(mask_words::<W>(bits, knot, form).expose(), W::times);
            let product = role.correlated(form.shape, form.bits, value)?;
            role.hand(&product)?;
        }
    }
    Ok(())
}

pub(crate) fn online<W: RingWord>(
    server: &mut impl Server,
    bits: &BitTensor,
    x: &Tensor<W>,
    form: &Form,
    spline: &Spline,
    fraction: u32,
) -> Result<Secret<W>, Error> {
    match spline.degree() {
        2 => online_of::<W, 3>(server, bits, x, form, spline, fraction),
        _ => online_of::<W, 4>(server, bits, x, form, spline, fraction),
    }
}

/// Σ_q A_q(m)·(−1)^q·[λ^q d] with A_q the q-th Taylor coefficient at m, for each difference of pieces; `N` coefficients.
fn online_of<W: RingWord, const N: usize>(
    server: &mut impl Server,
    bits: &BitTensor,
    x: &Tensor<W>,
    form: &Form,
    spline: &Spline,
    fraction: u32,
) -> Result<Secret<W>, Error> {
    let (first, differences) = spline.ring_pieces::<W>(form.fraction, fraction);
    let polynomial = |cubic: &Cubic<W>| std::array::from_fn::<W, N, _>(|q| cubic[q]);
    let one = W::from_i64(i64::from(server.leads()));
    let powers = (1..N).map(|_| server.pop::<W>(form.shape)).collect::<Result<Vec<_>, _>>()?;
    // m in the place of λ⁰, whose share is the same for all.
    let slices: [&[W]; N] = std::array::from_fn(|q| if q == 0 { x.data() } else { powers[q - 1].expose().data() });
    let power = |slices: &[W; N], q: usize| if q == 0 { one } else { slices[q] };
    let mut words = Tensor::zeros(form.shape);
    let first = polynomial(&first);
    combine(words.data_mut(), slices, [] as [&[W]; 0], |_, slices, []| {
        alternating(&taylor(&first, slices[0]), std::array::from_fn(|q| power(&slices, q)))
    });
    for (knot, difference) in differences.iter().enumerate() {
        let difference = polynomial(difference);
        let products = (0..N).map(|_| server.pop::<W>(form.shape)).collect::<Result<Vec<_>, _>>()?;
        let products: [&[W]; N] = std::array::from_fn(|q| products[q].expose().data());
        combine_bits(words.data_mut(), bits.plane(knot), slices, products, |sum, bit, slices, products| {
            // [d λ^q] is [ρ λ^q], or [λ^q] less it, as the opened bit d ⊕ ρ says.
            let terms = std::array::from_fn(|q| {
                let product = products[q];
                product.plus(bit.bit_and(power(&slices, q).minus(product.raise(1))))
            });
            sum.plus(alternating(&taylor(&difference, slices[0]), terms))
        });
    }
    Ok(Secret::new(words))
}

/// Σ_q (−1)^q · coefficient_q · value_q.
#[inline(always)]
pub(crate) fn alternating<W: RingWord, const N: usize>(coefficients: &[W; N], values: [W; N]) -> W {
    let mut sum = W::ZERO;
    for q in 0..N {
        let term = coefficients[q].times(values[q]);
        sum = if q % 2 == 0 { sum.plus(term) } else { sum.minus(term) };
    }
    sum
}

/// Material bytes.
pub(crate) fn cost(form: &Form, spline: &Spline) -> usize {
    let degree = spline.degree();
    (degree - 1 + spline.knots().len() * (degree + 1)) * words_len(form.shape.len(), form.bits)
}
