//! Piecewise polynomials of many elements, from the opened bits of the comparison with the knots.
//!
//! **Computes** y = P_0(x) + Σ_j d_j·(P_j − P_{j−1})(x) with d_j = [x ≥ knot j] and cubics P_j. **Shapes** x of n
//! elements masked mod 2^k, J planes of bits. **Cost** no opening; material (2 + 4·J)·⌈k·n/8⌉ bytes.
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
use crate::spline::{Cubic, DEGREE, Spline, taylor};
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
        let all = || std::array::from_fn::<_, { DEGREE + 1 }, _>(|q| Secret::new(power_of(x.expose(), q)));
        powers.get_or_init(all)[q].expose()
    };
    role.hand(x)?;
    for q in 2..=DEGREE {
        let shared = role.correlated(form.shape, form.bits, || power(q).clone())?;
        role.hand(&shared)?;
    }
    for knot in 0..spline.knots().len() {
        for q in 0..=DEGREE {
            let value = || power(q).zip(&mask_words::<W>(bits, knot, form), W::times);
            let product = role.correlated(form.shape, form.bits, value)?;
            role.hand(&product)?;
        }
    }
    Ok(())
}

/// Σ_q A_q(m)·(−1)^q·[λ^q d] with A_q the q-th Taylor coefficient at m, for each difference of pieces.
pub(crate) fn online<W: RingWord>(
    server: &mut impl Server,
    bits: &BitTensor,
    x: &Tensor<W>,
    form: &Form,
    spline: &Spline,
    fraction: u32,
) -> Result<Secret<W>, Error> {
    let (first, differences) = spline.ring_pieces::<W>(form.fraction, fraction);
    let mut pop = || server.pop::<W>(form.shape);
    let (power1, power2, power3) = (pop()?, pop()?, pop()?);
    let powers = [&power1, &power2, &power3].map(|power| power.expose().data());
    let one = W::from_i64(i64::from(server.leads()));
    let mut words = Tensor::zeros(form.shape);
    combine(
        words.data_mut(),
        [x.data(), powers[0], powers[1], powers[2]],
        [] as [&[W]; 0],
        |_, [m, x1, x2, x3], []| alternating(&taylor(&first, m), [one, x1, x2, x3]),
    );
    for (knot, difference) in differences.iter().enumerate() {
        let mut pop = || server.pop::<W>(form.shape);
        let (product0, product1, product2, product3) = (pop()?, pop()?, pop()?, pop()?);
        let products = [&product0, &product1, &product2, &product3].map(|product| product.expose().data());
        let [p0, p1, p2, p3] = products;
        let slices = [x.data(), powers[0], powers[1], powers[2], p0, p1, p2, p3];
        combine_bits(words.data_mut(), bits.plane(knot), slices, [] as [&[W]; 0], |sum, bit, slices, []| {
            let [m, x1, x2, x3, p0, p1, p2, p3] = slices;
            // [d λ^q] is [ρ λ^q], or [λ^q] less it, as the opened bit d ⊕ ρ says.
            let term = |power: W, product: W| product.plus(bit.bit_and(power.minus(product.raise(1))));
            sum.plus(alternating(&taylor(difference, m), [term(one, p0), term(x1, p1), term(x2, p2), term(x3, p3)]))
        });
    }
    Ok(Secret::new(words))
}

/// Σ_q (−1)^q · coefficient_q · value_q.
#[inline(always)]
pub(crate) fn alternating<W: RingWord>(coefficients: &Cubic<W>, values: Cubic<W>) -> W {
    let term = |q: usize| coefficients[q].times(values[q]);
    term(0).minus(term(1)).plus(term(2)).minus(term(3))
}

/// Material bytes.
pub(crate) fn cost(form: &Form, spline: &Spline) -> usize {
    (DEGREE - 1 + spline.knots().len() * (DEGREE + 1)) * words_len(form.shape.len(), form.bits)
}
