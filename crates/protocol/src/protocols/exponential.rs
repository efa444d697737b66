//! Powers of two of negative numbers of a wide range: the numerators of a softmax.
//!
//! **Computes** 2^x for −16 ≤ x < 0, and 0 for x < −16, truncated to 1/256: x·256 = 4096·t + y with 0 ≤ y < 4096, so the value
//! is 2^(y/256 − 16) where t = −1, and 0 elsewhere. The public part of y is μ, its mask ν: y = μ − ν, or μ − ν + 4096
//! after a borrow, and 2^(μ/256) is public while 2^(−ν/256) is the dealer's. **Shapes** n elements masked mod 2^k with
//! f ≥ 8 fraction bits, k ≤ f + 10, to shares with [`FRACTION`] fraction bits in a ring of at least FRACTION + 2.
//! **Cost** two openings, the first of 7, the second of 2 planes of 8·⌈n/64⌉ bytes each way; material with e the bits of
//! t, b the ring: 8·(3·⌈16n/64⌉ + ⌈2^e·n/64⌉ + 25·⌈n/64⌉) + 3·⌈b·n/8⌉ bytes. **Security** a server sees bits under fresh
//! mask bits. **Error** the truncation (a factor of at most 2^(1/256), unbiased: below 0.3 %) and 2^−11 absolute. Needs
//! −2^(k − f) ≤ x ≤ −1/256, for the truncation may go up by one step. **Source** this project; the digits as in [`comparison`](super::comparison).

use super::comparison::{Comparison, look_up, one_hot_digits, set_one_hot};
use super::conjunction::Conjunctions;
use super::selection::{flip, mask_words};
use super::words_len;
use crate::bits::BitTensor;
use crate::elementary;
use crate::error::Error;
use crate::form::Form;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, Share};
use crate::material::word::RingWord;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use blindroute_ring::lanes::{combine, combine_bits};
use blindroute_ring::{Tensor, Word, floats, wipe};
use std::sync::{Arc, LazyLock};

impl<I: Interpreter> Machine<'_, I> {
    /// 2^x for x ≤ −1/256, as shares with [`FRACTION`] fraction bits in a ring of `bits`. Two openings.
    ///
    /// # Errors
    /// If the form does not admit it.
    pub fn exponential<W: RingWord, V: RingWord>(&mut self, x: &Masked<I, W>, bits: u32) -> Result<Share<I, V>, Error> {
        let layout = Layout::new(&x.form)?;
        if !(FRACTION + 2..=V::BITS).contains(&bits) {
            return Err(Error::Program(format!("a power of two in a ring of {bits} bits")));
        }
        let form = Form::new(x.form.shape, bits, FRACTION);
        let operation = Exponential { layout, form: x.form, out: form };
        let payload = self.apply::<kind::Masked<W>, kind::Share<V>>(&operation, x.payload.clone())?;
        Ok(Share { form, payload })
    }
}

/// Fraction bits of the public factor.
const PUBLIC_FRACTION: u32 = 14;
/// Fraction bits of the dealer's factor.
const MASK_FRACTION: u32 = 26;
/// Fraction bits of the result.
pub const FRACTION: u32 = PUBLIC_FRACTION + MASK_FRACTION;

/// Digits of y, of four bits each.
const DIGITS: u32 = 3;
/// Bits of y.
const STEPS: u32 = 4 * DIGITS;
/// Bits of y right of its binary point.
const STEP_FRACTION: u32 = 8;
/// Planes of the first opening: [μ_g < ν_g] for the three digits, [μ_g = ν_g] for the upper two, [t = −1] with and
/// without a borrow.
const PLANES: usize = 7;
const WITH_BORROW: usize = 5;
const WITHOUT: usize = 6;

/// 2^(μ/256) for 0 ≤ μ < 4096, and what it is when the borrow is missing: 2^(μ/256 − 16).
static POWERS: LazyLock<Vec<[u64; 2]>> = LazyLock::new(|| {
    let power = |steps: i32| (f64::from(steps) / f64::from(1 << STEP_FRACTION)).exp2();
    let raw = |value: f64| (value * f64::from(1 << PUBLIC_FRACTION)).round() as u64;
    (0..1 << STEPS).map(|steps| [raw(power(steps)), raw(power(steps - (1 << STEPS)))]).collect()
});

/// The value at an exponent of so many steps, with [`FRACTION`] fraction bits.
fn raw_at(steps: i128) -> i128 {
    let inside = (-(1i128 << STEPS)..0).contains(&steps);
    let power = (steps as f64 / f64::from(1 << STEP_FRACTION)).exp2() * 2f64.powi(FRACTION as i32);
    if inside { power.round() as i128 } else { 0 }
}

/// Where the bits of y and t lie in a masked word.
#[derive(Clone, Copy)]
struct Layout {
    low: u32,
    top: u32,
}

impl Layout {
    /// The layout of a form.
    ///
    /// # Errors
    /// If x has too few fraction bits, or more than six bits are left for t.
    fn new(form: &Form) -> Result<Self, Error> {
        let low = form.fraction.checked_sub(STEP_FRACTION);
        let fits = low.and_then(|low| Some(Self { low, top: form.bits.checked_sub(low + STEPS)? }));
        fits.filter(|layout| (1..=6).contains(&layout.top)).ok_or_else(|| {
            Error::Program(format!("a power of {} bits with {} fraction bits", form.bits, form.fraction))
        })
    }

    /// The digits of y, as a comparison with zero looks them up.
    fn digits(self) -> Comparison {
        Comparison::of_many(vec![0], self.low, DIGITS)
    }

    fn hot(self) -> usize {
        1 << self.top
    }

    fn steps<W: Word>(self, word: W) -> usize {
        word.shift_right(self.low).low_bits(STEPS).low_u64() as usize
    }

    fn top<W: Word>(self, word: W) -> usize {
        word.shift_right(self.low + STEPS).low_bits(self.top).low_u64() as usize
    }
}

/// With a borrow: [μ < ν]·[t_μ − t_ν − 1 = −1]; without: (1 − [μ < ν])·[t_μ − t_ν = −1].
fn cases() -> Conjunctions {
    let less = [vec![2], vec![4, 1], vec![4, 3, 0]];
    let times = |plane: usize| less.iter().map(move |monomial| [monomial.as_slice(), &[plane]].concat()).collect();
    let with: Vec<Vec<usize>> = times(WITH_BORROW);
    let mut without: Vec<Vec<usize>> = times(WITHOUT);
    without.push(vec![WITHOUT]);
    Conjunctions::new(&[with, without])
}

/// The dealer's factor 2^(−ν/256), as a product over the bits of ν: no table that a secret would index.
fn factors<W: Word, V: Word>(mask: &Tensor<W>, layout: Layout) -> Tensor<V> {
    const GUARD: u32 = 4;
    let one = V::from_i64(1 << (MASK_FRACTION + GUARD));
    let bits: [(u32, V); STEPS as usize] = std::array::from_fn(|bit| {
        let power = (-f64::from(1 << bit) / f64::from(1 << STEP_FRACTION)).exp2();
        (layout.low + bit as u32, V::from_i64((power * f64::from(1 << (MASK_FRACTION + GUARD))).round() as i64))
    });
    let mut out = Tensor::zeros(mask.shape());
    combine(out.data_mut(), [], [mask.data()], |_: V, [], [word]: [W; 1]| {
        let product = bits.iter().fold(one, |product, &(bit, power)| {
            let set = word.shift_right(bit).cast::<V>().bit_and(V::from_i64(1));
            product.times(one.plus(set.times(power.minus(one)))).shift_right(MASK_FRACTION + GUARD)
        });
        product.plus(V::from_i64(1 << (GUARD - 1))).shift_right(GUARD)
    });
    out
}

struct Exponential {
    layout: Layout,
    form: Form,
    out: Form,
}

impl Exponential {
    /// The lookups of the first opening.
    fn look_up<W: Word>(&self, words: &[W], lookups: &BitTensor, tops: &BitTensor) -> BitTensor {
        let (layout, len) = (self.layout, words.len());
        let mut found = BitTensor::zeros(PLANES, len);
        let mut planes = vec![vec![0u64; BitTensor::stride(len)]; WITH_BORROW];
        let mut unused = vec![0u64; BitTensor::stride(len)];
        look_up(words, 0, lookups, &layout.digits(), &mut planes, &mut unused);
        for (index, plane) in planes.iter().enumerate() {
            found.plane_mut(index).copy_from_slice(plane);
        }
        // What was looked up is shares.
        planes.iter_mut().for_each(|plane| wipe(plane));
        // t = −1 where t_ν is t_μ after a borrow, and t_μ + 1 without.
        let is = |index: usize, offset: usize| {
            let t = (layout.top(words[index]) + offset) % layout.hot();
            tops.get(0, index * layout.hot() + t) == 1
        };
        for (plane, offset) in [(WITH_BORROW, 0), (WITHOUT, 1)] {
            found.plane_mut(plane).copy_from_slice(BitTensor::from_fn(len, |i| is(i, offset)).plane(0));
        }
        found
    }

    /// The value's shares, from the opened bits of the two cases and the shares of the dealer's factor, alone and times
    /// the mask bits.
    fn value<W: RingWord, V: RingWord>(
        &self,
        bits: &BitTensor,
        public: &Tensor<W>,
        factors: &[Arc<Secret<V>>; 3],
    ) -> Secret<V> {
        let mut powers = [Tensor::zeros(public.shape()), Tensor::zeros(public.shape())];
        for (case, powers) in powers.iter_mut().enumerate() {
            // The index is public.
            for (power, &m) in powers.data_mut().iter_mut().zip(public.data()) {
                *power = V::from_i64(POWERS[self.layout.steps(m)][case] as i64);
            }
        }
        let mut words = Secret::new(Tensor::zeros(public.shape()));
        for (case, powers) in powers.iter().enumerate() {
            let inputs = [powers.data(), factors[0].expose().data(), factors[case + 1].expose().data()];
            let out = words.expose_mut().data_mut();
            combine_bits(out, bits.plane(case), inputs, [], |sum, bit, [power, factor, masked], []: [V; 0]| {
                sum.plus(power.times(flip(bit, masked, factor)))
            });
        }
        words
    }
}

impl<W: RingWord, V: RingWord> Operation<kind::Masked<W>, kind::Share<V>> for Exponential {
    fn clear(&self, _weights: &[Tensor<f32>], x: Arc<Tensor<f32>>) -> Result<Tensor<f32>, Error> {
        let mut values = Arc::unwrap_or_clone(x);
        floats::map(values.data_mut(), elementary::exp2);
        Ok(values)
    }

    fn fixed(&self, ranges: &mut Ranges, x: Arc<Tensor<i128>>) -> Result<Tensor<i128>, Error> {
        let form = &self.form;
        // Only negative values have a power, and the truncation may go up by one step: it must not reach zero. As all
        // are negative they may take the whole ring, without a bit for the sign.
        let step = 1i128 << (form.fraction - STEP_FRACTION);
        ranges.check("negative exponent", x.data().iter().map(|&x| (x + step).max(0)), 1)?;
        ranges.check("exponent", x.data().iter().copied(), form.bits + 1)?;
        let steps = ranges.truncate(&x, form.fraction - STEP_FRACTION);
        Ok(steps.map(|steps| raw_at(steps) << (self.out.fraction - FRACTION)))
    }

    fn cost(&self, meter: &mut CostMeter) {
        let len = self.form.shape.len();
        meter.material(BitTensor::byte_len(DIGITS as usize, len * 16));
        meter.material(BitTensor::byte_len(1, len * self.layout.hot()));
        meter.material(BitTensor::byte_len(cases().products(), len));
        meter.material(3 * words_len(len, self.out.bits));
        for planes in [PLANES, 2] {
            meter.message_of_bits(planes, len);
            meter.exchange();
        }
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, mask: Arc<Secret<W>>) -> Result<(), Error> {
        let (layout, out) = (self.layout, &self.out);
        let words = mask.expose().data();
        let len = words.len();
        let digits = layout.digits();
        let lookups = role.correlated_bits(DIGITS as usize, len * 16, || one_hot_digits(words, &digits))?;
        let tops = role.correlated_bits(1, len * layout.hot(), || {
            let mut bits = BitTensor::zeros(1, len * layout.hot());
            for (index, &word) in words.iter().enumerate() {
                set_one_hot(bits.words_mut(), index * layout.hot(), layout.hot(), layout.top(word));
            }
            bits
        })?;
        role.hand_bits(lookups)?;
        role.hand_bits(tops)?;
        let cases = cases();
        let masks = role.mask_bits(PLANES, len)?;
        let products = role.correlated_bits(cases.products(), len, || cases.values(&masks, 0))?;
        role.hand_bits(products)?;
        // The bits of the second opening.
        let bits = role.mask_bits(2, len)?;
        let factor = role.correlated::<V>(out.shape, out.bits, || factors(mask.expose(), layout))?;
        role.hand(&factor)?;
        for plane in 0..2 {
            let product = role.correlated(out.shape, out.bits, || {
                factor.expose().zip(mask_words::<V>(&bits, plane, out).expose(), V::times)
            })?;
            role.hand(&product)?;
        }
        Ok(())
    }

    fn online<S: Server>(&self, server: &mut S, public: Arc<Tensor<W>>) -> Result<Secret<V>, Error> {
        let (len, cases) = (public.shape().len(), cases());
        let lookups = server.pop_bits(DIGITS as usize, len * 16)?;
        let tops = server.pop_bits(1, len * self.layout.hot())?;
        let masks = server.pop_mask_bits(PLANES, len)?;
        let products = server.pop_bits(cases.products(), len)?;
        let (covered, masks) = masks.cover(self.look_up(public.data(), &lookups, &tops))?;
        let opened = server.open_covered(covered)?;
        // Shares of the two cases' bits, one plane each.
        let mut bits = BitTensor::zeros(2, len);
        let party = if server.leads() { u64::MAX } else { 0 };
        cases.add_shares(party, (&opened, &masks, 0), &products, (&mut bits, 0));
        let bits = server.open_bits(bits)?;
        let factors = server.pop_all::<V, 3>(self.out.shape)?;
        Ok(self.value(&bits, &public, &factors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dealers_factor_is_a_power_of_two() {
        let layout = Layout::new(&Form::new(blindroute_ring::Shape::row(1), 28, 18)).unwrap();
        let words: Vec<u64> = (0..4096).map(|steps| steps << layout.low | 3).collect();
        let factors: Tensor<u64> = factors(&Tensor::new(blindroute_ring::Shape::row(4096), words), layout);
        for (steps, &factor) in factors.data().iter().enumerate() {
            let exact = (-(steps as f64) / 256.0).exp2() * f64::from(1 << MASK_FRACTION);
            assert!((factor as f64 - exact).abs() <= 1.0, "{steps}: {factor}, expected {exact}");
        }
    }
}
