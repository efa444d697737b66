//! Truncation and extension: moving the binary point without large errors, and back to a wide ring.
//!
//! **Computes** with c = m + 2^(k−2) and r = λ mod 2^k:
//! - `truncate`: the masked value ((m ≫ s), (r ≫ s)) mod 2^(k−s): x ≫ s in a smaller ring;
//! - `extend`: shares in any ring of (c ≫ s) − (r ≫ s) + (1 − c_top)·r_top·2^(k−s) − 2^(k−2−s), for |x| < 2^(k−2);
//! - `product_extended`: a · extend(b), for few b against many a.
//!
//! **Shapes** any. **Cost** no opening. Material for n elements and an output ring of b bits: truncate ⌈(k−s)·n/8⌉;
//! extend 2·⌈b·n/8⌉; product_extended 2·⌈b·n_b/8⌉ + 2·⌈b·n_a/8⌉ bytes. **Security** shares only. **Error** floor, plus
//! one unit of the last place with the probability of the cut-off part: stochastic rounding, unbiased, never more than
//! one unit; there is no rare large error. **Source** the wrap-bit correction as in Escudero et al., CRYPTO'20, and
//! Dalskov et al. **Differs from the source** in that the masked form stays dealer-known after `truncate`.

use super::{Role, Server, broadcast_index, words_len};
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use blindroute_ring::{Tensor, Word};
use std::sync::Arc;

fn cut<W: Word>(x: &Tensor<W>, bits: u32, shift: u32) -> Tensor<W> {
    x.map(|word| word.low_bits(bits).shift_right(shift))
}

pub(crate) fn offline_truncate<W: RingWord>(
    role: &mut impl Role,
    mask: &Arc<Secret<W>>,
    form: &Form,
    shift: u32,
) -> Result<Arc<Secret<W>>, Error> {
    role.correlated(form.shape, form.bits - shift, || cut(mask.expose(), form.bits, shift))
}

pub(crate) fn online_truncate<W: Word>(public: &Tensor<W>, form: &Form, shift: u32) -> Tensor<W> {
    cut(public, form.bits, shift)
}

/// r ≫ s and r_top·2^(k−s), in the word and ring of the result.
fn mask_parts<W: Word, V: Word>(mask: &Tensor<W>, form: &Form, shift: u32) -> (Tensor<V>, Tensor<V>) {
    let low = mask.map(|word| V::from_u128(word.low_bits(form.bits).shift_right(shift).widen()));
    let top = mask.map(|word| V::from_u128(u128::from(word.bit(form.bits - 1))).shift_left(form.bits - shift));
    (low, top)
}

/// The public summand (c ≫ s) − 2^(k−2−s), and whether the wrap term counts (1 − c_top).
#[inline(always)]
fn public_part<W: Word, V: Word>(m: W, form: &Form, shift: u32) -> (V, bool) {
    let offset = W::from_i64(1).shift_left(form.bits - 2);
    let c = m.plus(offset).low_bits(form.bits);
    let value = V::from_u128(c.shift_right(shift).widen());
    (value.minus(V::from_i64(1).shift_left(form.bits - 2 - shift)), c.bit(form.bits - 1) == 0)
}

pub(crate) fn offline_extend<W: RingWord, V: RingWord>(
    role: &mut impl Role,
    mask: &Arc<Secret<W>>,
    form: &Form,
    shift: u32,
    out: &Form,
) -> Result<(), Error> {
    let low = role.correlated(out.shape, out.bits, || mask_parts::<W, V>(mask.expose(), form, shift).0)?;
    let top = role.correlated(out.shape, out.bits, || mask_parts::<W, V>(mask.expose(), form, shift).1)?;
    role.hand(&low)?;
    role.hand(&top)
}

pub(crate) fn online_extend<W: RingWord, V: RingWord>(
    server: &mut impl Server,
    public: &Tensor<W>,
    form: &Form,
    shift: u32,
    out: &Form,
) -> Result<Secret<V>, Error> {
    let low = server.pop::<V>(out.shape)?;
    let top = server.pop::<V>(out.shape)?;
    let leads = server.leads();
    let masks = low.expose().data().iter().zip(top.expose().data());
    let words = public
        .data()
        .iter()
        .zip(masks)
        .map(|(&m, (&low, &top))| {
            let (value, wraps) = public_part::<W, V>(m, form, shift);
            let top = if wraps { top } else { V::ZERO };
            (if leads { value } else { V::ZERO }).minus(low).plus(top)
        })
        .collect();
    Ok(Secret::new(Tensor::new(out.shape, words)))
}

pub(crate) fn offline_product<W: RingWord>(
    role: &mut impl Role,
    a: &Arc<Secret<W>>,
    b: (&Arc<Secret<W>>, &Form),
    shift: u32,
    out: &Form,
) -> Result<(), Error> {
    let (mask_b, form_b) = b;
    let low = role.correlated(form_b.shape, out.bits, || mask_parts::<W, W>(mask_b.expose(), form_b, shift).0)?;
    let top = role.correlated(form_b.shape, out.bits, || mask_parts::<W, W>(mask_b.expose(), form_b, shift).1)?;
    let with_low = role.correlated(out.shape, out.bits, || a.expose().zip(low.expose(), W::times))?;
    let with_top = role.correlated(out.shape, out.bits, || a.expose().zip(top.expose(), W::times))?;
    for words in [a, &low, &top, &with_low, &with_top] {
        role.hand(words)?;
    }
    Ok(())
}

/// (m_a − λ_a)(M − A + uT) with M public, A = r ≫ s, T = r_top·2^(k−s), u = 1 − c_top public.
pub(crate) fn online_product<W: RingWord>(
    server: &mut impl Server,
    a: &Tensor<W>,
    b: (&Tensor<W>, &Form),
    shift: u32,
    out: &Form,
) -> Result<Secret<W>, Error> {
    let (public_b, form_b) = b;
    let mask_a = server.pop::<W>(a.shape())?;
    let low = server.pop::<W>(form_b.shape)?;
    let top = server.pop::<W>(form_b.shape)?;
    let with_low = server.pop::<W>(out.shape)?;
    let with_top = server.pop::<W>(out.shape)?;
    let leads = server.leads();
    // Per element of b: M, whether u is 1, and this server's share of extend(b) without M.
    let factors: Vec<(W, bool, W)> = public_b
        .data()
        .iter()
        .zip(low.expose().data().iter().zip(top.expose().data()))
        .map(|(&m, (&low, &top))| {
            let (value, wraps) = public_part::<W, W>(m, form_b, shift);
            (value, wraps, (if wraps { top } else { W::ZERO }).minus(low))
        })
        .collect();
    let index = broadcast_index(out.shape, form_b.shape);
    let mut words = Vec::with_capacity(out.shape.len());
    for (i, &m) in a.data().iter().enumerate() {
        let (value, wraps, share_b) = factors[index(i)];
        let mut word = m.times(share_b).minus(mask_a.expose().data()[i].times(value)).plus(with_low.expose().data()[i]);
        if wraps {
            word = word.minus(with_top.expose().data()[i]);
        }
        if leads {
            word = word.plus(m.times(value));
        }
        words.push(word);
    }
    Ok(Secret::new(Tensor::new(out.shape, words)))
}

/// Material bytes of `truncate`.
pub(crate) fn cost_truncate(form: &Form, shift: u32) -> usize {
    words_len(form.shape.len(), form.bits - shift)
}

/// Material bytes of `extend`.
pub(crate) fn cost_extend(out: &Form) -> usize {
    2 * words_len(out.shape.len(), out.bits)
}

/// Material bytes of `product_extended`.
pub(crate) fn cost_product(b: &Form, out: &Form) -> usize {
    2 * words_len(b.shape.len(), out.bits) + 2 * words_len(out.shape.len(), out.bits)
}
