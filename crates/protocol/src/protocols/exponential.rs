//! Powers of two of negative numbers of a wide range: the numerators of a softmax.
//!
//! **Computes** 2^x for −16 ≤ x < 0, and 0 for x < −16, cut to 1/256: x·256 = 4096·t + y with 0 ≤ y < 4096, so the value
//! is 2^(y/256 − 16) where t = −1, and 0 elsewhere. The public part of y is μ, its mask ν: y = μ − ν, or μ − ν + 4096
//! after a borrow, and 2^(μ/256) is public while 2^(−ν/256) is the dealer's. **Shapes** n elements masked mod 2^k with
//! f ≥ 8 fraction bits, k ≤ f + 10, to shares with [`FRACTION`] fraction bits in a ring of at least FRACTION + 2.
//! **Cost** two openings, the first of 7, the second of 2 planes of 8·⌈n/64⌉ bytes each way; material with e the bits of
//! t, b the ring: 8·(3·⌈16n/64⌉ + ⌈2^e·n/64⌉ + 25·⌈n/64⌉) + 3·⌈b·n/8⌉ bytes. **Security** a server sees bits under fresh
//! mask bits. **Error** the cut (a factor of at most 2^(1/256), unbiased: below 0.3 %) and 2^−11 absolute. Needs
//! −2^(k − f) ≤ x ≤ −1/256, for the cut may go up by one step. **Source** this project; the digits as in [`comparison`](super::comparison).

use super::comparison::{Comparison, look_up, one_hot_digits, set_one_hot};
use super::conjunction::Conjunctions;
use super::opening::Covered;
use super::selection::{flip, mask_words};
use super::{Role, Server, words_len};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use blindroute_ring::lanes::{combine, combine_bits};
use blindroute_ring::{Tensor, Word, wipe};
use std::sync::{Arc, LazyLock};

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
pub(crate) const STEP_FRACTION: u32 = 8;
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
pub(crate) fn raw_at(steps: i128) -> i128 {
    let inside = (-(1i128 << STEPS)..0).contains(&steps);
    let power = (steps as f64 / f64::from(1 << STEP_FRACTION)).exp2() * 2f64.powi(FRACTION as i32);
    if inside { power.round() as i128 } else { 0 }
}

/// Where the bits of y and t lie in a masked word.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    low: u32,
    top: u32,
}

impl Layout {
    /// The layout of a form.
    ///
    /// # Errors
    /// If x has too few fraction bits, or more than six bits are left for t.
    pub(crate) fn new(form: &Form) -> Result<Self, Error> {
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

pub(crate) fn offline<W: RingWord, V: RingWord>(
    role: &mut impl Role,
    mask: &Secret<W>,
    layout: Layout,
    out: &Form,
) -> Result<(), Error> {
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

/// What the second opening needs of the first.
pub(crate) struct First {
    masks: BitTensor,
    products: BitTensor,
}

/// First half: the lookups under their masks, which leave, and what stays.
pub(crate) fn online_first<W: RingWord>(
    server: &mut impl Server,
    public: &Tensor<W>,
    layout: Layout,
) -> Result<(Covered, First), Error> {
    let words = public.data();
    let len = words.len();
    let lookups = server.pop_bits(DIGITS as usize, len * 16)?;
    let tops = server.pop_bits(1, len * layout.hot())?;
    let masks = server.pop_mask_bits(PLANES, len)?;
    let products = server.pop_bits(cases().products(), len)?;
    let mut found = BitTensor::zeros(PLANES, len);
    let mut planes = vec![vec![0u64; BitTensor::stride(len)]; WITH_BORROW];
    let mut unused = vec![0u64; BitTensor::stride(len)];
    look_up(words, 0, &lookups, &layout.digits(), &mut planes, &mut unused);
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
    let (covered, masks) = masks.cover(found)?;
    Ok((covered, First { masks, products }))
}

/// Second half: shares of the two cases' bits, one plane each, to be opened.
pub(crate) fn online_second(leads: bool, opened: &BitTensor, first: &First) -> BitTensor {
    let party = if leads { u64::MAX } else { 0 };
    let mut bits = BitTensor::zeros(2, opened.len());
    cases().add_shares(party, (opened, &first.masks, 0), &first.products, (&mut bits, 0));
    bits
}

/// What the last step takes from the material, in its order: it lies after the mask of the second opening.
pub(crate) fn online_factors<V: RingWord>(server: &mut impl Server, out: &Form) -> Result<[Arc<Secret<V>>; 3], Error> {
    Ok([server.pop(out.shape)?, server.pop(out.shape)?, server.pop(out.shape)?])
}

/// The value's shares, from the opened bits.
pub(crate) fn online_third<W: RingWord, V: RingWord>(
    bits: &BitTensor,
    public: &Tensor<W>,
    layout: Layout,
    factors: &[Arc<Secret<V>>; 3],
) -> Secret<V> {
    let mut powers = [Tensor::zeros(public.shape()), Tensor::zeros(public.shape())];
    for (case, powers) in powers.iter_mut().enumerate() {
        // The index is public.
        for (power, &m) in powers.data_mut().iter_mut().zip(public.data()) {
            *power = V::from_i64(POWERS[layout.steps(m)][case] as i64);
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

/// Bytes of the two openings each way, and material bytes.
pub(crate) fn cost(form: &Form, layout: Layout, out: &Form) -> ([usize; 2], usize) {
    let len = form.shape.len();
    let material = BitTensor::byte_len(DIGITS as usize, len * 16)
        + BitTensor::byte_len(1, len * layout.hot())
        + BitTensor::byte_len(cases().products(), len)
        + 3 * words_len(len, out.bits);
    ([BitTensor::byte_len(PLANES, len), BitTensor::byte_len(2, len)], material)
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
