//! The positive part of a value by digits, in one opening: the comparison's own bit is never opened.
//!
//! **Computes** d·(x ≫ s) in a ring of b bits with d = [x ≥ t], as shares; ReLU for t = 0. The window below its top bit
//! is two digits; of the opened lookups l₁, e₁, l₀ of the comparison, ℓ = l₁ + e₁·l₀ is expanded over shares of the
//! products of their masks with (1 − 2τ)·(1, A, T), and d·(x ≫ s) put together as in
//! [`rectifier`](super::rectifier). **Shapes** n elements masked mod 2^k, to shares of n. **Cost** one opening of three
//! planes of 8·⌈n/64⌉ bytes each way. Material with a = k − s and digits of g bits: 8·(2·⌈2^g·n/64⌉ + ⌈n/64⌉), the
//! extension's, and 5·(⌈b·n/8⌉·2 + ⌈(b − a)·n/8⌉) bytes. **Security** a server sees bits under fresh mask bits. **Error** that
//! of the comparison, and the rounding of the truncation. **Source** this project; as for [`comparison`].

use super::comparison::{self, Comparison, Lookups};
use super::extension::{Extended, Extension};
use super::point::top_bit;
use super::selection::mask_words;
use super::words_len;
use crate::error::Error;
use crate::form::Form;
use crate::material::word::RingWord;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use blindroute_ring::lanes::{combine, combine_bits};
use blindroute_ring::{Scalar, Shape, Tensor};
use std::sync::Arc;

/// Planes of the opening: less(0), less(1), equal(1).
const PLANES: usize = 3;
/// Shares per part: τ, and the masks of less(1), equal(1), less(0), equal(1)·less(0) with the sign.
const SHARES: usize = 5;

/// The same window in two digits, if it divides.
pub(super) fn halves(comparison: &Comparison) -> Option<Comparison> {
    let bits = comparison.window() - 1;
    let fits = bits.is_multiple_of(2) && (1..=10).contains(&(bits / 2)) && comparison.thresholds.len() == 1;
    fits.then(|| Comparison { digits: 2, digit_bits: bits / 2, ..comparison.clone() })
}

/// Rings of the parts 1, A and T/2^a.
pub(super) fn rings(extension: Extension, out: &Form) -> [u32; 3] {
    [out.bits, out.bits, extension.top_bits(out.bits)]
}

/// The positive part of real numbers.
pub(super) fn clear(x: &Tensor<f32>, comparison: &Comparison, form: &Form) -> Tensor<f32> {
    let threshold = comparison::clear_threshold(comparison.thresholds[0], form);
    x.map(|x| if x >= threshold { x } else { 0.0 })
}

/// The positive part of integers, truncated.
///
/// # Errors
/// If one leaves the window or its ring.
pub(super) fn fixed(
    ranges: &mut Ranges,
    x: &Tensor<i128>,
    comparison: &Comparison,
    (extension, form): (Extension, &Form),
) -> Result<Tensor<i128>, Error> {
    let bits = comparison::fixed(ranges, x, comparison)?;
    ranges.check_extension("extended selection", x, form)?;
    Ok(ranges.truncate(x, extension.shift()).zip(&bits[0], i128::times))
}

/// The rectifier by digits, for [`Machine::rectify`](crate::Machine::rectify).
pub(super) struct RectifyByDigits<'a> {
    /// Of one threshold, in two digits: see [`halves`].
    pub(super) comparison: &'a Comparison,
    pub(super) extension: Extension,
    pub(super) form: Form,
    pub(super) out: Form,
}

impl<W: RingWord, V: RingWord> Operation<kind::Masked<W>, kind::Share<V>> for RectifyByDigits<'_> {
    fn clear(&self, _weights: &[Tensor<f32>], x: Arc<Tensor<f32>>) -> Result<Tensor<f32>, Error> {
        Ok(clear(&x, self.comparison, &self.form))
    }

    fn fixed(&self, ranges: &mut Ranges, x: Arc<Tensor<i128>>) -> Result<Tensor<i128>, Error> {
        fixed(ranges, &x, self.comparison, (self.extension, &self.form))
    }

    fn cost(&self, meter: &mut CostMeter) {
        let (len, ring) = (self.out.shape.len(), self.out.bits);
        let shared = rings(self.extension, &self.out).iter().map(|&bits| SHARES * words_len(len, bits)).sum::<usize>();
        meter.material(comparison::cost_digits(len, self.comparison) + self.extension.cost(len, ring) + shared);
        meter.message_of_bits(PLANES, len);
        meter.exchange();
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, mask: Arc<Secret<W>>) -> Result<(), Error> {
        let out = &self.out;
        comparison::offline_digits(role, &mask, self.comparison)?;
        let masks = role.mask_bits(PLANES, mask.shape().len())?;
        let Extended { low, top } = self.extension.offline::<W, V>(role, &mask, out.bits)?;
        let bit = top_bit(self.comparison);
        let tau = || Secret::new(mask.expose().map(|word| V::from_i64(word.bit(bit) as i64)));
        let parts: [Option<&Arc<Secret<V>>>; 3] = [None, Some(&low), Some(&top)];
        for (part, bits) in parts.into_iter().zip(rings(self.extension, out)) {
            let times = |words: Secret<V>| match part {
                Some(part) => words.expose().zip(part.expose(), V::times),
                None => words.into_inner(),
            };
            let with_top = role.correlated(out.shape, bits, || times(tau()))?;
            role.hand(&with_top)?;
            for planes in [&[1][..], &[2], &[0], &[2, 0]] {
                let product = role.correlated(out.shape, bits, || {
                    let signs = Secret::new(tau().expose().map(|tau| V::from_i64(1).minus(tau.raise(1))));
                    let mask = |words: Secret<V>, &plane: &usize| {
                        Secret::new(words.expose().zip(mask_words(&masks, plane, out).expose(), V::times))
                    };
                    times(planes.iter().fold(signs, mask))
                })?;
                role.hand(&product)?;
            }
        }
        Ok(())
    }

    fn online<S: Server>(&self, server: &mut S, public: Arc<Tensor<W>>) -> Result<Secret<V>, Error> {
        let Lookups { found, tops, .. } = comparison::online_digits(server, &public, self.comparison)?;
        let (covered, _) = server.pop_mask_bits(PLANES, public.shape().len())?.cover(found)?;
        let opened = server.open_covered(covered)?;
        let shape = self.out.shape;
        let extended = Extended::<V>::online(server, shape)?;
        let shares: [[Arc<Secret<V>>; SHARES]; 3] =
            [server.pop_all(shape)?, server.pop_all(shape)?, server.pop_all(shape)?];
        let ones = [V::from_i64(i64::from(server.leads())); BLOCK];
        let extension = self.extension;
        let flips = tops.first().map(Vec::as_slice).unwrap_or_default();
        let planes = [opened.plane(0), opened.plane(1), opened.plane(2), flips];
        let mut words = Secret::new(Tensor::zeros(shape));
        let mut chosen = Secret::new(Tensor::zeros(Shape::row(BLOCK)));
        for (block, words) in words.expose_mut().data_mut().chunks_mut(BLOCK).enumerate() {
            let (start, count) = (block * BLOCK, words.len());
            let range = start..start + count;
            let bits = planes.map(|plane| spread::<V>(&plane[start / 64..][..count.div_ceil(64)], count));
            let [l0, l1, e1, flips] = bits.each_ref().map(|bits| &bits[..count]);
            let parts = [
                &ones[..count],
                &extended.low.expose().data()[range.clone()],
                &extended.top.expose().data()[range.clone()],
            ];
            for (number, (part, shares)) in parts.into_iter().zip(&shares).enumerate() {
                let [tau, less1, equal, less0, both] =
                    shares.each_ref().map(|share| &share.expose().data()[range.clone()]);
                let inputs = [part, tau, less1, equal, less0, both, l0, l1, e1, flips];
                let chosen = &mut chosen.expose_mut().data_mut()[..count];
                combine(chosen, inputs, [], expand::<V>);
                combine(words, [chosen], [&public.data()[range.clone()]], |sum: V, [chosen], [m]: [W; 1]| {
                    let (value, wraps) = extension.public::<W, V>(m);
                    match number {
                        0 => value.times(chosen),
                        1 => sum.minus(chosen),
                        _ => sum.plus(wraps.times(chosen).shift_left(extension.width())),
                    }
                });
            }
        }
        Ok(words)
    }
}

/// Elements whose bits are spread to masks at a time: a multiple of 64 that stays in the first-level cache.
const BLOCK: usize = 512;

/// Each of `count` bits as a word of all zeros or all ones.
fn spread<V: RingWord>(plane: &[u64], count: usize) -> [V; BLOCK] {
    let mut masks = [V::ZERO; BLOCK];
    combine_bits(&mut masks[..count], plane, [], [], |_: V, bit, [], []: [V; 0]| bit);
    masks
}

/// d·part from the shares of its products with the lookups' masks, and the opened lookups and c_top as masks of all bits.
///
/// d = (1 − 2·opened)·mask + opened for each lookup; ℓ = l₁ + e₁·l₀.
#[inline(always)]
fn expand<V: RingWord>(_: V, inputs: [V; 10], _: [V; 0]) -> V {
    let [part, tau, less1, equal, less0, both, l0, l1, e1, flips] = inputs;
    let sign = |bit: V, share: V| share.bit_xor(bit).minus(bit);
    let signed = part.minus(tau.plus(tau));
    let either = l1.bit_xor(e1.bit_and(l0));
    let twice = signed.plus(signed).bit_and(l1.bit_and(e1).bit_and(l0));
    let e = tau
        .plus(signed.bit_and(either))
        .plus(twice)
        .plus(sign(l1, less1))
        .plus(sign(e1, equal).bit_and(l0))
        .plus(sign(l0, less0).bit_and(e1))
        .plus(sign(e1.bit_xor(l0), both));
    sign(flips.bit_xor(V::MAX), e).plus(part.bit_and(flips.bit_xor(V::MAX)))
}
