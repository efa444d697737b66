//! Piecewise polynomials of many elements, from the opened bits of the comparison with the knots.
//!
//! **Computes** y = P_0(x) + Σ_j d_j·(P_j − P_{j−1})(x) with d_j = [x ≥ knot j]. **Shapes** x of n elements masked mod
//! 2^k, J planes of bits. **Cost** no opening; material ((D − 1) + J·(D + 1))·⌈k·n/8⌉ bytes for degree D ≥ 1.
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
use crate::spline::{Spline, taylor};
use blindroute_ring::Tensor;
use std::sync::Arc;

/// λ, λ², … λ^degree, the first being the mask itself.
pub(crate) fn powers<W: RingWord>(
    role: &mut impl Role,
    mask: &Arc<Secret<W>>,
    bits: u32,
    degree: usize,
) -> Result<Vec<Arc<Secret<W>>>, Error> {
    let mut powers = vec![Arc::clone(mask)];
    for power in 2..=degree {
        let next = role.correlated(mask.shape(), bits, || power_of(mask.expose(), power))?;
        powers.push(next);
    }
    Ok(powers)
}

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
    for power in powers(role, x, form.bits, spline.degree())? {
        role.hand(&power)?;
    }
    for knot in 0..spline.knots().len() {
        for power in 0..=spline.degree() {
            let value = || power_of(x.expose(), power).zip(&mask_words::<W>(bits, knot, form), W::times);
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
    let degree = spline.degree();
    let (first, differences) = spline.ring_pieces::<W>(form.fraction, fraction);
    let powers = (1..=degree).map(|_| server.pop::<W>(form.shape)).collect::<Result<Vec<_>, _>>()?;
    let one = W::from_i64(i64::from(server.leads()));
    let power = |q: usize, i: usize| if q == 0 { one } else { powers[q - 1].expose().data()[i] };
    let mut words: Vec<W> =
        x.data().iter().enumerate().map(|(i, &m)| alternating(&taylor(&first, m), |q| power(q, i))).collect();
    for (knot, difference) in differences.iter().enumerate() {
        let products = (0..=degree).map(|_| server.pop::<W>(form.shape)).collect::<Result<Vec<_>, _>>()?;
        for (i, (&m, word)) in x.data().iter().zip(&mut words).enumerate() {
            let bit = bits.get(knot, i);
            let term = alternating(&taylor(difference, m), |q| {
                let product = products[q].expose().data()[i];
                super::selection::choose(bit, power(q, i).minus(product), product)
            });
            *word = word.plus(term);
        }
    }
    Ok(Secret::new(Tensor::new(form.shape, words)))
}

/// Σ_q (−1)^q · coefficient_q · value(q).
pub(crate) fn alternating<W: RingWord>(coefficients: &[W], value: impl Fn(usize) -> W) -> W {
    coefficients.iter().enumerate().fold(W::ZERO, |sum, (q, &coefficient)| {
        let term = coefficient.times(value(q));
        if q % 2 == 0 { sum.plus(term) } else { sum.minus(term) }
    })
}

/// Material bytes.
pub(crate) fn cost(form: &Form, spline: &Spline) -> usize {
    let tensors = spline.degree() - 1 + spline.knots().len() * (spline.degree() + 1);
    tensors * words_len(form.shape.len(), form.bits)
}
