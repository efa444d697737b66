//! Masked bits times values.
//!
//! **Computes** x·d (`select`), d·(x ≫ s) in another ring (`select_extended`), d as an integer (`bits_to_share`), d·e as
//! an integer (`bits_product`), for bits opened as d̂ = d ⊕ ρ. **Shapes** one plane of bits, x of the same shape.
//! **Cost** no opening; material for n elements and a ring of k bits: 2·⌈k·n/8⌉, 3·⌈k·n/8⌉ + 2·⌈(k−e)·n/8⌉ with e the
//! width of the cut x, ⌈k·n/8⌉ and 3·⌈k·n/8⌉ bytes. **Security** shares only. Exact modulo 2^k, but for the rounding of
//! the cut (see [`extension`]); ReLU is either selection with [x ≥ 0]. **Source** d = d̂ + (1 − 2d̂)ρ, as in daBits,
//! Rotaru and Wood, INDOCRYPT'19. **Differs from the source** in that the product with x needs no further opening:
//! `[ρ]` and `[ρλ]` are enough.

use super::extension::{self, Lift};
use super::{Role, Server, words_len};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use blindroute_ring::lanes::combine_bits;
use blindroute_ring::{Tensor, Word};
use std::sync::Arc;

/// Plane `plane` of mask bits as words 0 and 1.
pub(crate) fn mask_words<W: RingWord>(mask: &BitTensor, plane: usize, form: &Form) -> Secret<W> {
    let mut words = Secret::new(Tensor::zeros(form.shape));
    let one = W::from_i64(1);
    combine_bits(words.expose_mut().data_mut(), mask.plane(plane), [], [], |_: W, bit: W, [], []: [W; 0]| {
        bit.bit_and(one)
    });
    words
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
    let rho = role.correlated::<W>(form.shape, form.bits, || mask_words(bits, 0, form).into_inner())?;
    let product =
        role.correlated(form.shape, form.bits, || x.expose().zip(mask_words(bits, 0, form).expose(), W::times))?;
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
    let leads = W::from_i64(i64::from(server.leads()));
    let mut words = Secret::new(Tensor::zeros(form.shape));
    let inputs = [x.data(), rho.expose().data(), product.expose().data(), mask.expose().data()];
    let out = words.expose_mut().data_mut();
    combine_bits(out, bits.plane(0), inputs, [], |_, bit, [m, rho, product, mask], []: [W; 0]| {
        let masked = m.times(rho).minus(product);
        flip(bit, masked, leads.times(m).minus(mask))
    });
    Ok(words)
}

/// `masked` where the opened bit is 0, `whole − masked` where it is 1; `bit` is all zeros or all ones.
#[inline(always)]
pub(super) fn flip<W: Word>(bit: W, masked: W, whole: W) -> W {
    masked.bit_xor(bit).minus(bit).plus(whole.bit_and(bit))
}

pub(crate) fn offline_select_extended<W: RingWord, V: RingWord>(
    role: &mut impl Role,
    bits: &BitTensor,
    x: &Arc<Secret<W>>,
    lift: Lift,
    out: &Form,
) -> Result<(), Error> {
    let lifted = extension::offline_lift::<W, V>(role, x, lift, out.bits)?;
    let rho = role.correlated::<V>(out.shape, out.bits, || mask_words(bits, 0, out).into_inner())?;
    role.hand(&rho)?;
    let ring = [out.bits, out.bits.saturating_sub(lift.width())];
    for (part, bits) in [&lifted.low, &lifted.top].into_iter().zip(ring) {
        let product = role.correlated(out.shape, bits, || part.expose().zip(rho.expose(), V::times))?;
        role.hand(&product)?;
    }
    Ok(())
}

/// d·(M − A + uT), the lifted x: for d̂ = 0 it is M[ρ] − [ρA] + u[ρT].
pub(crate) fn online_select_extended<W: RingWord, V: RingWord>(
    server: &mut impl Server,
    bits: &BitTensor,
    x: &Tensor<W>,
    lift: Lift,
    out: &Form,
) -> Result<Secret<V>, Error> {
    let lifted = extension::online_lift::<V>(server, out.shape)?;
    let parts = (0..3).map(|_| server.pop::<V>(out.shape)).collect::<Result<Vec<_>, _>>()?;
    let leads = V::from_i64(i64::from(server.leads()));
    let mut words = Secret::new(Tensor::zeros(out.shape));
    let part = |index: usize| parts[index].expose().data();
    let shares = [lifted.low.expose().data(), lifted.top.expose().data(), part(0), part(1), part(2)];
    combine_bits(
        words.expose_mut().data_mut(),
        bits.plane(0),
        shares,
        [x.data()],
        |_, bit, [low, top, rho, with_low, with_top], [m]: [W; 1]| {
            let (value, wraps) = lift.public::<W, V>(m);
            let masked = value.times(rho).minus(with_low).plus(wraps.times(with_top).shift_left(lift.width()));
            let whole = leads.times(value).minus(low).plus(wraps.times(top).shift_left(lift.width()));
            flip(bit, masked, whole)
        },
    );
    Ok(words)
}

pub(crate) fn offline_bits<W: RingWord>(role: &mut impl Role, bits: &BitTensor, out: &Form) -> Result<(), Error> {
    let rho = role.correlated::<W>(out.shape, out.bits, || mask_words(bits, 0, out).into_inner())?;
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
    let rho_a = role.correlated::<W>(out.shape, out.bits, || mask_words(a, 0, out).into_inner())?;
    let rho_b = role.correlated::<W>(out.shape, out.bits, || mask_words(b, 0, out).into_inner())?;
    let both = role.correlated::<W>(out.shape, out.bits, || {
        mask_words::<W>(a, 0, out).expose().zip(mask_words(b, 0, out).expose(), W::times)
    })?;
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

/// Material bytes of `select_extended`.
pub(crate) fn cost_select_extended(lift: Lift, out: &Form) -> usize {
    let len = out.shape.len();
    2 * extension::cost_lift(len, lift, out.bits) + words_len(len, out.bits)
}

/// Material bytes of `bits_product`.
pub(crate) fn cost_product(out: &Form) -> usize {
    3 * words_len(out.shape.len(), out.bits)
}

/// Material bytes of `bits_to_share`.
pub(crate) fn cost_bits(out: &Form) -> usize {
    words_len(out.shape.len(), out.bits)
}
