//! The positive part of a value by function secret sharing, without an opening.
//!
//! **Computes** d·(x ≫ s) in a ring of b bits with d = [x ≥ t], as shares; ReLU for t = 0. With the window's c_top and
//! ℓ = \[c < r\], d is e = τ + (1 − 2τ)ℓ or 1 − e, as c_top says, τ the mask's top bit; and x ≫ s is M − A + u·T (see
//! [`extension`](super::extension)). So shares of e, e·A, e·T are enough: the dealer shares τ·(1, A, T), and keys whose
//! payload is (1 − 2τ)·(1, A, T). **Shapes** n elements masked mod 2^k, to shares of n. **Cost** no opening. Material
//! with a = k − s, w window bits: keys of 16·(w − 2)·n + (w − 1)·⌈(2b + (b − a))·n/8⌉ bytes to each server (rounded up
//! by the word of the payload and 4096 keys), and to server 1 the extension's, and ⌈2b·n/8⌉ + ⌈(b − a)·n/8⌉.
//! **Security** shares only; keys are computational, see [`point`](super::point). **Error** that of the comparison, and
//! the rounding of the truncation. **Source** ReLU of Boyle et al., EUROCRYPT'21, figure 9; offset function of a mask as there.
//! **Differs from the source** in that truncation and change of ring are in the payload, and the comparison looks at a
//! window.

use super::comparison::Comparison;
use super::extension::{Extended, Extension};
use super::payload_keys::{self, Chunk};
use super::point::{chunks, mismatch, points, top_bit};
use super::rectifier_digits::{clear, fixed, rings};
use super::selection::choose;
use super::words_len;
use crate::error::Error;
use crate::form::Form;
use crate::material::word::RingWord;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use blindroute_ring::fss::{PayloadCases, PayloadShape};
use blindroute_ring::{Shape, Tensor};
use std::sync::Arc;

/// The rectifier by keys, for [`Machine::rectify`](crate::Machine::rectify).
pub(super) struct RectifyByKeys<'a> {
    /// Of one threshold.
    pub(super) comparison: &'a Comparison,
    pub(super) extension: Extension,
    pub(super) form: Form,
    pub(super) out: Form,
}

impl RectifyByKeys<'_> {
    fn payload_shape(&self) -> PayloadShape {
        let rings = rings(self.extension, &self.out).to_vec();
        PayloadShape { depth: self.comparison.window() - 1, rings }
    }

    fn threshold(&self) -> Result<i64, Error> {
        match self.comparison.thresholds.as_slice() {
            [threshold] => Ok(*threshold),
            other => Err(Error::Program(format!("a positive part above {} thresholds, expected one", other.len()))),
        }
    }
}

impl<W: RingWord, V: RingWord> Operation<kind::Masked<W>, kind::Share<V>> for RectifyByKeys<'_> {
    fn clear(&self, _weights: &[Tensor<f32>], x: Arc<Tensor<f32>>) -> Result<Tensor<f32>, Error> {
        Ok(clear(&x, self.comparison, &self.form))
    }

    fn fixed(&self, ranges: &mut Ranges, x: Arc<Tensor<i128>>) -> Result<Tensor<i128>, Error> {
        fixed(ranges, &x, self.comparison, (self.extension, &self.form))
    }

    fn cost(&self, meter: &mut CostMeter) {
        let (len, shape) = (self.out.shape.len(), self.payload_shape());
        let shared: usize = shape.rings.iter().map(|&bits| words_len(len, bits)).sum();
        meter.material(self.extension.cost(len, self.out.bits) + shared + payload_keys::cost(len, &shape));
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, mask: Arc<Secret<W>>) -> Result<(), Error> {
        let (comparison, out) = (self.comparison, &self.out);
        let Extended { low, top } = self.extension.offline::<W, V>(role, &mask, out.bits)?;
        let bit = top_bit(comparison);
        let tau = || Secret::new(mask.expose().map(|word| V::from_i64(word.bit(bit) as i64)));
        let parts: [Option<&Arc<Secret<V>>>; 3] = [None, Some(&low), Some(&top)];
        for (part, bits) in parts.into_iter().zip(rings(self.extension, out)) {
            let value = || match part {
                Some(part) => tau().expose().zip(part.expose(), V::times),
                None => tau().into_inner(),
            };
            let shared = role.correlated(out.shape, bits, value)?;
            role.hand(&shared)?;
        }
        payload_keys::offline(role, mask.expose().data(), comparison, &self.payload_shape(), |word, element| {
            parts[word].map_or(V::from_i64(1), |part| part.expose().data()[element])
        })
    }

    fn online<S: Server>(&self, server: &mut S, public: Arc<Tensor<W>>) -> Result<Secret<V>, Error> {
        let (comparison, extension, out) = (self.comparison, self.extension, &self.out);
        let extended = Extended::<V>::online(server, out.shape)?;
        let tau = server.pop_all::<V, 3>(out.shape)?;
        let (party, one) = (usize::from(!server.leads()), V::from_i64(i64::from(server.leads())));
        let (shape, bit, threshold) = (self.payload_shape(), top_bit(comparison), self.threshold()?);
        let shift = W::from_i64(threshold);
        let mut words = Secret::new(Tensor::zeros(out.shape));
        for (start, count) in chunks(public.data().len()) {
            let range = start..start + count;
            let Chunk { hash_key, roots, keys } = Chunk::<V>::online(server, count, &shape)?;
            let public = &public.data()[range.clone()];
            let points = [points(public, threshold, comparison)];
            let wanted = PayloadCases { words: [&[0, 1, 2]; 2], of: |_| 0 };
            let less = keys.evaluate(&hash_key, party, &roots, &points, &wanted);
            let less: [Secret<V>; 3] = <[Vec<V>; 3]>::try_from(less.into_iter().flatten().collect::<Vec<_>>())
                .map_err(|_| mismatch())?
                .map(|part| Secret::new(Tensor::new(Shape::row(count), part)));
            let shares = |part: &Arc<Secret<V>>, index: usize| part.expose().data()[start + index];
            for (index, (word, &m)) in words.expose_mut().data_mut()[range].iter_mut().zip(public).enumerate() {
                let (value, wraps) = extension.public::<W, V>(m);
                let flips = m.minus(shift).bit(bit);
                let chosen = |part: usize, whole: V| {
                    let e = shares(&tau[part], index).plus(less[part].expose().data()[index]);
                    choose(flips, e, whole.minus(e))
                };
                let low = chosen(1, shares(&extended.low, index));
                let top = chosen(2, shares(&extended.top, index));
                *word = value.times(chosen(0, one)).minus(low).plus(wraps.times(top).shift_left(extension.width()));
            }
        }
        Ok(words)
    }
}
