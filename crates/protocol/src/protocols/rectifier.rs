//! The positive part of a value by function secret sharing, without an opening.
//!
//! **Computes** d·(x ≫ s) in a ring of b bits with d = [x ≥ t], as shares; ReLU for t = 0. With the window's c_top and
//! ℓ = \[c < r\], d is e = τ + (1 − 2τ)ℓ or 1 − e, as c_top says, τ the mask's top bit; and x ≫ s is M − A + u·T (see
//! [`extension`]). So shares of e, e·A, e·T are enough: the dealer shares τ·(1, A, T), and keys whose
//! payload is (1 − 2τ)·(1, A, T). **Shapes** n elements masked mod 2^k, to shares of n. **Cost** no opening. Material
//! with a = k − s, w window bits: keys of 16·(w − 2)·n + (w − 1)·⌈(2b + (b − a))·n/8⌉ bytes to each server (rounded up
//! by the word of the payload and 4096 keys), and to server 1 the lift's, and ⌈2b·n/8⌉ + ⌈(b − a)·n/8⌉.
//! **Security** shares only; keys are computational, see [`point`](super::point). **Error** that of the comparison, and
//! the rounding of the cut. **Source** ReLU of Boyle et al., EUROCRYPT'21, figure 9; offset function of a mask as there.
//! **Differs from the source** in that the cut and the change of ring are in the payload, and the comparison looks at a
//! window.

use super::comparison::Comparison;
use super::extension::{self, Lift, Lifted};
use super::point::{chunks, mismatch, points, top_bit};
use super::{Role, Server, words_len};
use crate::error::Error;
use crate::form::Form;
use crate::record::{Keys, RingWord};
use crate::secret::Secret;
use blindroute_ring::Tensor;
use blindroute_ring::fss::{PayloadCases, PayloadKeys, PayloadShape};
use std::sync::Arc;

/// Rings of 1, A and T/2^a.
fn rings(lift: Lift, out: &Form) -> [u32; 3] {
    [out.bits, out.bits, out.bits.saturating_sub(lift.width())]
}

fn shape(comparison: &Comparison, lift: Lift, out: &Form) -> PayloadShape {
    PayloadShape { depth: comparison.window() - 1, rings: rings(lift, out).to_vec() }
}

pub(crate) fn offline<W: RingWord, V: RingWord>(
    role: &mut impl Role,
    mask: &Secret<W>,
    comparison: &Comparison,
    lift: Lift,
    out: &Form,
) -> Result<(), Error> {
    let Lifted { low, top } = extension::offline_lift::<W, V>(role, mask, lift, out.bits)?;
    let words = mask.expose().data();
    let bit = top_bit(comparison);
    let tau = || Secret::new(mask.expose().map(|word| V::from_i64(word.bit(bit) as i64)));
    let parts: [Option<&Arc<Secret<V>>>; 3] = [None, Some(&low), Some(&top)];
    for (part, bits) in parts.into_iter().zip(rings(lift, out)) {
        let value = || match part {
            Some(part) => tau().expose().zip(part.expose(), V::times),
            None => tau().into_inner(),
        };
        let shared = role.correlated(out.shape, bits, value)?;
        role.hand(&shared)?;
    }
    let shape = shape(comparison, lift, out);
    for (start, count) in chunks(words.len()) {
        let range = start..start + count;
        role.keys(count, shape.byte_len(count), |hash_key, roots, bytes| {
            let words = &words[range.clone()];
            let secret = zeroize::Zeroizing::new(points(words, 0, comparison));
            // (1 − 2τ) times the part.
            let signed = |part: Option<&Arc<Secret<V>>>| {
                let of = |index: usize| part.map_or(V::from_i64(1), |part| part.expose().data()[start + index]);
                let signs = words.iter().map(|word| V::from_i64(1 - 2 * word.bit(bit) as i64)).enumerate();
                zeroize::Zeroizing::new(signs.map(|(index, sign)| sign.times(of(index))).collect::<Vec<V>>())
            };
            let payload = parts.map(signed);
            let payload: Vec<&[V]> = payload.iter().map(|part| part.as_slice()).collect();
            PayloadKeys::deal(hash_key, shape.clone(), roots, &secret, &payload).to_bytes(bytes);
        })?;
    }
    Ok(())
}

pub(crate) fn online<W: RingWord, V: RingWord>(
    server: &mut impl Server,
    public: &Tensor<W>,
    comparison: &Comparison,
    lift: Lift,
    out: &Form,
) -> Result<Secret<V>, Error> {
    let lifted = extension::online_lift::<V>(server, out.shape)?;
    let tau = [server.pop::<V>(out.shape)?, server.pop::<V>(out.shape)?, server.pop::<V>(out.shape)?];
    let (party, one) = (usize::from(!server.leads()), V::from_i64(i64::from(server.leads())));
    let (shape, bit, threshold) = (shape(comparison, lift, out), top_bit(comparison), threshold(comparison)?);
    let shift = W::from_i64(threshold);
    let mut words = Secret::new(Tensor::zeros(out.shape));
    for (start, count) in chunks(public.data().len()) {
        let range = start..start + count;
        let Keys { hash_key, roots, corrections } = server.pop_keys(count)?;
        let keys = PayloadKeys::<V>::from_bytes(&corrections, count, shape.clone()).ok_or_else(mismatch)?;
        let public = &public.data()[range.clone()];
        let points = [points(public, threshold, comparison)];
        let wanted = PayloadCases { words: [&[0, 1, 2]; 2], of: |_| 0 };
        let less = keys.evaluate(&hash_key, party, &roots, &points, &wanted);
        let less: [Secret<V>; 3] = <[Vec<V>; 3]>::try_from(less.into_iter().flatten().collect::<Vec<_>>())
            .map_err(|_| mismatch())?
            .map(|part| Secret::new(Tensor::new(blindroute_ring::Shape::row(count), part)));
        let shares = |part: &Arc<Secret<V>>, index: usize| part.expose().data()[start + index];
        for (index, (word, &m)) in words.expose_mut().data_mut()[range].iter_mut().zip(public).enumerate() {
            let (value, wraps) = lift.public::<W, V>(m);
            let flips = m.minus(shift).bit(bit);
            let chosen = |part: usize, whole: V| {
                let e = shares(&tau[part], index).plus(less[part].expose().data()[index]);
                super::selection::choose(flips, e, whole.minus(e))
            };
            let low = chosen(1, shares(&lifted.low, index));
            let top = chosen(2, shares(&lifted.top, index));
            *word = value.times(chosen(0, one)).minus(low).plus(wraps.times(top).shift_left(lift.width()));
        }
    }
    Ok(words)
}

fn threshold(comparison: &Comparison) -> Result<i64, Error> {
    match comparison.thresholds.as_slice() {
        [threshold] => Ok(*threshold),
        other => Err(Error::Program(format!("a positive part above {} thresholds", other.len()))),
    }
}

/// Material bytes, both servers' together.
pub(crate) fn cost(comparison: &Comparison, lift: Lift, out: &Form) -> usize {
    let len = out.shape.len();
    let shape = shape(comparison, lift, out);
    let shared: usize = rings(lift, out).iter().map(|&bits| words_len(len, bits)).sum();
    let keys: usize = chunks(len).map(|(_, count)| shape.byte_len(count)).sum();
    extension::cost_lift(len, lift, out.bits) + shared + 2 * keys
}
