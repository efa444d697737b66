//! Masked bits times values.
//!
//! **Computes** x·d (`select`), d as an integer (`bits_to_share`), d·e as an integer (`bits_product`), for bits opened
//! as d̂ = d ⊕ ρ. **Shapes** one plane of bits, x of the same shape. **Cost** no opening; material for n elements and a
//! ring of k bits: 2·⌈k·n/8⌉, ⌈k·n/8⌉ and 3·⌈k·n/8⌉ bytes. **Security** shares only. Exact modulo 2^k; ReLU is
//! `select` with [x ≥ 0]. **Source** d = d̂ + (1 − 2d̂)ρ, as in daBits, Rotaru and Wood, INDOCRYPT'19.
//! **Differs from the source** in that the product with x needs no further opening: `[ρ]` and `[ρλ]` are enough.

use super::{Role, Server, words_len};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use blindroute_ring::Tensor;
use std::sync::Arc;

/// Plane `plane` of mask bits as words 0 and 1.
pub(crate) fn mask_words<W: RingWord>(mask: &BitTensor, plane: usize, form: &Form) -> Tensor<W> {
    Tensor::new(form.shape, (0..mask.len()).map(|i| W::from_i64(mask.get(plane, i) as i64)).collect())
}

/// `yes` where the bit is 1, else `no`, without a branch.
#[inline(always)]
pub(crate) fn choose<W: RingWord>(bit: u64, yes: W, no: W) -> W {
    no.plus(W::from_i64(bit as i64).times(yes.minus(no)))
}

pub(crate) fn offline_select<W: RingWord>(
    role: &mut impl Role,
    bits: &BitTensor,
    x: &Arc<Secret<W>>,
    form: &Form,
) -> Result<(), Error> {
    let rho = role.correlated::<W>(form.shape, form.bits, || mask_words(bits, 0, form))?;
    let product = role.correlated(form.shape, form.bits, || x.expose().zip(&mask_words(bits, 0, form), W::times))?;
    role.hand(&rho)?;
    role.hand(&product)?;
    role.hand(x)
}

/// d·(m − λ): for d̂ = 0 it is m[ρ] − [ρλ], for d̂ = 1 it is m − [λ] less that.
pub(crate) fn online_select<W: RingWord>(
    server: &mut impl Server,
    bits: &BitTensor,
    x: &Tensor<W>,
    form: &Form,
) -> Result<Secret<W>, Error> {
    let rho = server.pop::<W>(form.shape)?;
    let product = server.pop::<W>(form.shape)?;
    let mask = server.pop::<W>(form.shape)?;
    let leads = server.leads();
    let (rho, product, mask) = (rho.expose().data(), product.expose().data(), mask.expose().data());
    let words = x
        .data()
        .iter()
        .enumerate()
        .map(|(i, &m)| {
            let masked = m.times(rho[i]).minus(product[i]);
            let whole = (if leads { m } else { W::ZERO }).minus(mask[i]);
            choose(bits.get(0, i), whole.minus(masked), masked)
        })
        .collect();
    Ok(Secret::new(Tensor::new(form.shape, words)))
}

pub(crate) fn offline_bits<W: RingWord>(role: &mut impl Role, bits: &BitTensor, out: &Form) -> Result<(), Error> {
    let rho = role.correlated::<W>(out.shape, out.bits, || mask_words(bits, 0, out))?;
    role.hand(&rho)
}

pub(crate) fn online_bits<W: RingWord>(
    server: &mut impl Server,
    bits: &BitTensor,
    out: &Form,
) -> Result<Secret<W>, Error> {
    let rho = server.pop::<W>(out.shape)?;
    let one = W::from_i64(i64::from(server.leads()));
    let words =
        rho.expose().data().iter().enumerate().map(|(i, &rho)| choose(bits.get(0, i), one.minus(rho), rho)).collect();
    Ok(Secret::new(Tensor::new(out.shape, words)))
}

pub(crate) fn offline_product<W: RingWord>(
    role: &mut impl Role,
    a: &BitTensor,
    b: &BitTensor,
    out: &Form,
) -> Result<(), Error> {
    let rho_a = role.correlated::<W>(out.shape, out.bits, || mask_words(a, 0, out))?;
    let rho_b = role.correlated::<W>(out.shape, out.bits, || mask_words(b, 0, out))?;
    let both =
        role.correlated::<W>(out.shape, out.bits, || mask_words::<W>(a, 0, out).zip(&mask_words(b, 0, out), W::times))?;
    for words in [&rho_a, &rho_b, &both] {
        role.hand(words)?;
    }
    Ok(())
}

/// (â + (1 − 2â)ρ_a)(b̂ + (1 − 2b̂)ρ_b).
pub(crate) fn online_product<W: RingWord>(
    server: &mut impl Server,
    a: &BitTensor,
    b: &BitTensor,
    out: &Form,
) -> Result<Secret<W>, Error> {
    let rho_a = server.pop::<W>(out.shape)?;
    let rho_b = server.pop::<W>(out.shape)?;
    let both = server.pop::<W>(out.shape)?;
    let one = W::from_i64(i64::from(server.leads()));
    let words = (0..out.shape.len())
        .map(|i| {
            let (rho_a, rho_b, both) = (rho_a.expose().data()[i], rho_b.expose().data()[i], both.expose().data()[i]);
            // For b̂ = 0: a·ρ_b; for b̂ = 1: a less that.
            let with_mask = choose(a.get(0, i), rho_b.minus(both), both);
            let whole = choose(a.get(0, i), one.minus(rho_a), rho_a);
            choose(b.get(0, i), whole.minus(with_mask), with_mask)
        })
        .collect();
    Ok(Secret::new(Tensor::new(out.shape, words)))
}

/// Material bytes of `select`.
pub(crate) fn cost_select(out: &Form) -> usize {
    2 * words_len(out.shape.len(), out.bits)
}

/// Material bytes of `bits_product`.
pub(crate) fn cost_product(out: &Form) -> usize {
    3 * words_len(out.shape.len(), out.bits)
}

/// Material bytes of `bits_to_share`.
pub(crate) fn cost_bits(out: &Form) -> usize {
    words_len(out.shape.len(), out.bits)
}
