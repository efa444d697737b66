//! Piecewise polynomials of few elements over a wide range by function secret sharing, without an opening.
//!
//! **Computes** y = P_0(x′) + Σ_j [x ≥ knot j]·(P_j − P_{j−1})(x′) mod 2^b for x′ = x ≫ s, extended to that ring without
//! being opened again: x′ = M − Δ_u with Δ_u = A − u·T, u public (see [`extension`](super::extension)). A polynomial at
//! M − Δ_u is a public combination of the powers of Δ_u, so shares of Δ_u^q and of d_j·Δ_u^q are enough, for both u:
//! d_j is e_j = τ + (1 − 2τ)·\[c_j < r\] or 1 − e_j, as the public top bit says; the dealer shares Δ_u^q and τ·Δ_u^q, and
//! keys whose payload is (1 − 2τ)·Δ_u^q. **One** key serves every knot, and every function that has the same knots. **Shapes** n
//! elements masked mod 2^k, to shares, those of several functions beside each other.
//! **Cost** no opening. Material for degree D and w window bits: keys of 16·(w − 2)·n + (w − 1)·(2D + 1)·⌈b·n/8⌉ bytes to
//! each server, and (4D + 1)·⌈b·n/8⌉ to server 1. **Security** shares only; keys are computational, see
//! [`point`](super::point). **Error** the comparison's resolution, one unit of the truncation, and the spline's. **Source** spline
//! evaluation of Boyle et al., EUROCRYPT'21, figure 15. **Differs from the source** in that the payload is the mask's
//! powers, not the coefficients of all pieces (so it does not grow with the knots), and that it undoes the wrap of a
//! narrow mask.

use super::comparison::{self, Comparison};
use super::extension::Extension;
use super::payload_keys::{self, Chunk};
use super::piecewise::{alternating, power_of};
use super::point::{chunks, points, top_bit};
use super::selection::choose;
use super::words_len;
use crate::error::Error;
use crate::form::Form;
use crate::material::word::RingWord;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use crate::spline::{DEGREE, Function, taylor};
use blindroute_ring::Tensor;
use blindroute_ring::fss::{PayloadCases, PayloadShape};
use std::cell::OnceCell;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Splines with the same knots by keys, for [`Machine::splines_of`](crate::Machine::splines_of).
pub(super) struct SplineByKeys<'a> {
    /// With the knots.
    pub(super) comparison: &'a Comparison,
    pub(super) extension: Extension,
    pub(super) functions: &'a [&'a Function],
    pub(super) form: Form,
    /// One column per column of the argument and function.
    pub(super) out: Form,
}

impl SplineByKeys<'_> {
    fn payload_shape(&self) -> PayloadShape {
        PayloadShape { depth: self.comparison.window() - 1, rings: vec![self.out.bits; 2 * DEGREE + 1] }
    }

    /// 1, Δ_0, …, Δ_0^D, Δ_1, …, Δ_1^D.
    fn powers<W: RingWord, V: RingWord>(&self, mask: &Tensor<W>) -> Vec<Secret<V>> {
        let extension = self.extension;
        let low = Secret::new(mask.map(|word| extension.low::<W, V>(word)));
        let wrap = |word: W| extension.top::<W, V>(word).shift_left(extension.width());
        let wrapped = Secret::new(mask.map(|word| extension.low::<W, V>(word).minus(wrap(word))));
        let of = |base: &Secret<V>, power| Secret::new(power_of(base.expose(), power));
        let mut powers = vec![of(&low, 0)];
        powers.extend((1..=DEGREE).map(|power| of(&low, power)));
        powers.extend((1..=DEGREE).map(|power| of(&wrapped, power)));
        powers
    }
}

impl<W: RingWord, V: RingWord> Operation<kind::Masked<W>, kind::Share<V>> for SplineByKeys<'_> {
    fn clear(&self, _weights: &[Tensor<f32>], x: Arc<Tensor<f32>>) -> Result<Tensor<f32>, Error> {
        let values = x.data().iter().flat_map(|x| self.functions.iter().map(|of| of.exact(f64::from(*x)) as f32));
        Ok(Tensor::new(self.out.shape, values.collect()))
    }

    fn fixed(&self, ranges: &mut Ranges, x: Arc<Tensor<i128>>) -> Result<Tensor<i128>, Error> {
        comparison::fixed(ranges, &x, self.comparison)?;
        ranges.check_extension("extended argument", &x, &self.form)?;
        // The argument is not opened, so it need not fit the ring: polynomials are exact modulo it.
        let truncated = ranges.truncate(&x, self.extension.shift());
        let fraction = self.form.fraction - self.extension.shift();
        let at = |x: i128| self.functions.iter().map(move |of| of.spline().raw_at(x, fraction, self.out.fraction));
        Ok(Tensor::new(self.out.shape, truncated.data().iter().flat_map(|x| at(*x)).collect()))
    }

    fn cost(&self, meter: &mut CostMeter) {
        let len = self.form.shape.len();
        let keys = payload_keys::cost(len, &self.payload_shape());
        meter.material((4 * DEGREE + 1) * words_len(len, self.out.bits) + keys);
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, mask: Arc<Secret<W>>) -> Result<(), Error> {
        let (comparison, shape, ring) = (self.comparison, self.form.shape, self.out.bits);
        let bit = top_bit(comparison);
        // Servers never look at them: only the dealer's closures below do.
        let powers = OnceCell::new();
        let power = |index: usize| powers.get_or_init(|| self.powers::<W, V>(mask.expose()))[index].expose();
        let tau = || Secret::new(mask.expose().map(|word| V::from_i64(word.bit(bit) as i64)));
        for index in 1..=2 * DEGREE {
            let shared = role.correlated(shape, ring, || power(index).clone())?;
            role.hand(&shared)?;
        }
        for index in 0..=2 * DEGREE {
            let shared = role.correlated(shape, ring, || tau().expose().zip(power(index), V::times))?;
            role.hand(&shared)?;
        }
        let part = |word: usize, element: usize| power(word).data()[element];
        payload_keys::offline(role, mask.expose().data(), comparison, &self.payload_shape(), part)
    }

    fn online<S: Server>(&self, server: &mut S, public: Arc<Tensor<W>>) -> Result<Secret<V>, Error> {
        let (comparison, extension) = (self.comparison, self.extension);
        let fraction = self.form.fraction - extension.shift();
        let mut pop =
            |count: usize| (0..count).map(|_| server.pop::<V>(self.form.shape)).collect::<Result<Vec<_>, _>>();
        let (powers, with_top) = (pop(2 * DEGREE)?, pop(2 * DEGREE + 1)?);
        let (party, one) = (usize::from(!server.leads()), V::from_i64(i64::from(server.leads())));
        let pieces: Vec<_> =
            self.functions.iter().map(|of| of.spline().ring_pieces::<V>(fraction, self.out.fraction)).collect();
        let (shape, bit) = (self.payload_shape(), top_bit(comparison));
        // Which words of the payload are Δ_u^0, …, Δ_u^D.
        let cases: [Vec<usize>; 2] = [(0..=DEGREE).collect(), [0].into_iter().chain(DEGREE + 1..=2 * DEGREE).collect()];
        let share = |parts: &[Arc<Secret<V>>], part: usize, index: usize| parts[part].expose().data()[index];
        let mut words = Secret::new(Tensor::zeros(self.out.shape));
        let width = self.functions.len();
        for (start, count) in chunks(public.data().len()) {
            let Chunk { hash_key, roots, keys } = Chunk::<V>::online(server, count, &shape)?;
            let public = &public.data()[start..start + count];
            let extended: Vec<(V, usize)> = public
                .iter()
                .map(|&m| extension.public::<W, V>(m))
                .map(|(value, wraps)| (value, wraps.low_u64() as usize))
                .collect();
            let power = |index: usize, q: usize| match cases[extended[index].1][q] {
                0 => one,
                word => share(&powers, word - 1, start + index),
            };
            let words = &mut words.expose_mut().data_mut()[start * width..(start + count) * width];
            for (index, (words, &(value, _))) in words.chunks_exact_mut(width).zip(&extended).enumerate() {
                for (word, (base, _)) in words.iter_mut().zip(&pieces) {
                    *word = alternating(&taylor(base, value), std::array::from_fn(|q| power(index, q)));
                }
            }
            let lists: Vec<_> = comparison.thresholds.iter().map(|&t| points(public, t, comparison)).collect();
            let wanted = PayloadCases { words: [&cases[0], &cases[1]], of: |index: usize| extended[index].1 };
            let less = keys.evaluate(&hash_key, party, &roots, &lists, &wanted);
            let less = Zeroizing::new(less);
            for (knot, (&threshold, less)) in comparison.thresholds.iter().zip(less.iter()).enumerate() {
                let shift = W::from_i64(threshold);
                for (index, words) in words.chunks_exact_mut(width).enumerate() {
                    let (value, case) = extended[index];
                    let flips = public[index].minus(shift).bit(bit);
                    let below = |q: usize| {
                        let e = share(&with_top, cases[case][q], start + index).plus(less[q][index]);
                        choose(flips, e, power(index, q).minus(e))
                    };
                    let terms: [V; DEGREE + 1] = std::array::from_fn(below);
                    for (word, (_, differences)) in words.iter_mut().zip(&pieces) {
                        *word = word.plus(alternating(&taylor(&differences[knot], value), terms));
                    }
                }
            }
        }
        Ok(words)
    }
}
