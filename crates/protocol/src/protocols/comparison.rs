//! Comparison with public thresholds.
//!
//! **Computes** [x ≥ t] for each of J thresholds t, as bits opened under mask bits. **Shapes** n elements, masked mod
//! 2^k, to J planes of n bits. **Cost** two openings for any J. With w = digits·d + 1 window bits, G digits of d bits:
//! 8·⌈n/64⌉·J·(2G−1) + 8·⌈n/64⌉·J bytes each way; material 8·(G·⌈n·2^d/64⌉ + ⌈n/64⌉ + J·⌈n/64⌉·(2^G + 2^(G−1) − 2G − 1))
//! bytes. **Security** a server sees bits under fresh mask bits. **Error** the comparison is of x ≫ low, up to one unit
//! of it: exact but for |x − t| < 2^low. Needs |x − t| ≤ 2^(low + w − 1) − 2^low: rounding may add one unit, and at
//! the top of the window that unit would change the sign. **Source** the digit decomposition of
//! Damgård et al., TCC'06, and Rathee et al., CrypTFlow2, CCS'20, with one-time truth tables (Ishai et al., TCC'13) for
//! the digits. **Differs from the source** in that the shares of the one-hot digits of δ serve every threshold (a
//! comparison with a constant only shifts the public part), and all digits combine in one many-input AND.

use super::conjunction::Conjunctions;
use super::opening;
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::material::word::RingWord;
use crate::operation::world::{Plane, Planes};
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use blindroute_ring::{Tensor, Word, digits, wipe};
use std::hint::black_box;
use std::sync::Arc;

/// Thresholds, and the bits of the difference that are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The thresholds, as integers of the compared value's fraction bits.
    pub thresholds: Vec<i64>,
    /// Low bits left out: the resolution is 2^low.
    pub low: u32,
    /// Digits above them.
    pub digits: u32,
    /// Bits of a digit.
    pub digit_bits: u32,
}

impl Comparison {
    /// A comparison with digits of 4 bits: little material per element, for large tensors.
    pub fn of_many(thresholds: Vec<i64>, low: u32, digits: u32) -> Self {
        Self { thresholds, low, digits, digit_bits: 4 }
    }

    /// [x ≥ 0] by every bit of x, so that nothing is rounded: candidates are ordered by it, see
    /// [`argmax`](crate::gates::argmax). Needs |x| < 2^(digits · digit_bits).
    pub fn exact(digits: u32, digit_bits: u32) -> Self {
        Self { thresholds: vec![0], low: 0, digits, digit_bits }
    }

    /// A comparison with two digits of `digit_bits` bits: little to open, for few elements.
    pub fn of_few(thresholds: Vec<i64>, low: u32, digit_bits: u32) -> Self {
        Self { thresholds, low, digits: 2, digit_bits }
    }

    /// Window bits, the sign included.
    pub fn window(&self) -> u32 {
        self.digits * self.digit_bits + 1
    }

    pub(super) fn check(&self, form: &Form) -> Result<(), Error> {
        if self.low + self.window() > form.bits || self.digits == 0 || self.digits > 6 || self.digit_bits > 10 {
            return Err(Error::Program(format!(
                "a comparison of {} bits above bit {} in a ring of {} bits",
                self.window(),
                self.low,
                form.bits
            )));
        }
        Ok(())
    }

    /// Bits of one element's one-hot digit.
    fn hot(&self) -> usize {
        1 << self.digit_bits
    }

    /// Mask planes of one threshold: "less" for every digit, "equal" for all but the lowest.
    pub(super) fn mask_planes(&self) -> usize {
        2 * self.digits as usize - 1
    }

    /// [c < r] from the digits' bits, planes numbered as the masks: `less(g) = g` for g in 0..G, `equal(g) = G + g − 1`
    /// for g in 1..G.
    fn less_than(&self) -> Conjunctions {
        let digits = self.digits as usize;
        let monomial = |g: usize| std::iter::once(g).chain((g + 1..digits).map(|h| digits + h - 1)).collect();
        Conjunctions::new(&[(0..digits).map(monomial).collect()])
    }

    /// The window of a word: digits, lowest first, and the top bit.
    #[inline(always)]
    fn digit<W: Word>(&self, word: W, digit: u32) -> usize {
        word.shift_right(self.low + digit * self.digit_bits).low_bits(self.digit_bits).low_u64() as usize
    }
}

/// Shares of the one-hot digits of the mask, one plane per digit, and of the mask's top bit.
pub(super) fn offline_digits<W: RingWord>(
    role: &mut impl OfflineRole,
    mask: &Secret<W>,
    comparison: &Comparison,
) -> Result<(), Error> {
    let words = mask.expose().data();
    let (len, hot) = (words.len(), comparison.hot());
    let one_hot = role.correlated_bits(comparison.digits as usize, len * hot, || one_hot_digits(words, comparison))?;
    let top = role.correlated_bits(1, len, || {
        let mut top = BitTensor::zeros(1, len);
        digits::top_bits(words, W::ZERO, comparison.low + comparison.window() - 1, top.plane_mut(0));
        top
    })?;
    role.hand_bits(one_hot)?;
    role.hand_bits(top)
}

/// The one-hot digits of words, one plane per digit.
pub(super) fn one_hot_digits<W: Word>(words: &[W], comparison: &Comparison) -> BitTensor {
    let hot = comparison.hot();
    let mut bits = BitTensor::zeros(comparison.digits as usize, words.len() * hot);
    for digit in 0..comparison.digits {
        let plane = bits.plane_mut(digit as usize);
        if comparison.digit_bits == 4 {
            digits::one_hot(words, comparison.low + 4 * digit, plane);
            continue;
        }
        for (index, &word) in words.iter().enumerate() {
            set_one_hot(plane, index * hot, hot, comparison.digit(word, digit));
        }
    }
    bits
}

/// Sets bit `position` of the lane of `hot` bits that starts at bit `start`. Which words are touched does not depend on
/// the position, which is secret; nor do branches, so shifts go without the checks of a test build.
pub(super) fn set_one_hot(words: &mut [u64], start: usize, hot: usize, position: usize) {
    if hot <= 64 {
        words[start / 64] |= 1_u64.wrapping_shl((start as u32 % 64).wrapping_add(position as u32));
        return;
    }
    for (index, word) in words[start / 64..(start + hot) / 64].iter_mut().enumerate() {
        // The top bit of what is one less than the distance: 1 at the position's word. The compiler would make a branch of it.
        let at = black_box((((position / 64) ^ index) as u64).wrapping_sub(1) >> 63);
        *word |= at.wrapping_shl(position as u32);
    }
}

/// The digits' lookups for one threshold: shares of [c_g < r_g] and [c_g = r_g], planes numbered as the masks; and
/// the public top bit of c. No communication.
pub(super) fn look_up<W: Word>(
    public: &[W],
    threshold: i64,
    one_hot: &BitTensor,
    comparison: &Comparison,
    planes: &mut [Vec<u64>],
    top: &mut [u64],
) {
    let digits = comparison.digits as usize;
    let hot = comparison.hot();
    let shift = W::from_i64(threshold);
    digits::top_bits(public, shift, comparison.low + comparison.window() - 1, top);
    let (less, equal) = planes.split_at_mut(digits);
    for (digit, less) in less.iter_mut().enumerate() {
        let table = one_hot.plane(digit);
        let low = comparison.low + digit as u32 * comparison.digit_bits;
        let equal = digit.checked_sub(1).and_then(|digit| equal.get_mut(digit)).map(Vec::as_mut_slice);
        if comparison.digit_bits == 4 {
            digits::look_up(public, shift, low, table, less, equal);
        } else {
            look_up_wide(public, |m| comparison.digit(m.minus(shift), digit as u32), hot, table, less, equal);
        }
    }
}

/// The lookups of one digit of any width.
fn look_up_wide<W: Word>(
    public: &[W],
    digit: impl Fn(W) -> usize,
    hot: usize,
    table: &[u64],
    less: &mut [u64],
    mut equal: Option<&mut [u64]>,
) {
    for (index, chunk) in public.chunks(64).enumerate() {
        let (mut is_less, mut is_equal) = (0u64, 0u64);
        for (offset, &m) in chunk.iter().enumerate() {
            let c = digit(m);
            let start = (index * 64 + offset) * hot;
            let (below, at) = if hot <= 64 {
                let lane = table[start / 64] >> (start % 64);
                // Bits above c within the lane of `hot` bits.
                let above = (lane & (u64::MAX >> (64 - hot))) >> c >> 1;
                (u64::from(above.count_ones()) & 1, lane >> c & 1)
            } else {
                wide_lane(&table[start / 64..(start + hot) / 64], c)
            };
            is_less |= below << offset;
            is_equal |= at << offset;
        }
        less[index] = is_less;
        if let Some(equal) = &mut equal {
            equal[index] = is_equal;
        }
    }
}

/// Parity of the bits above `c`, and bit `c`, of a lane of several words. Touches every word.
fn wide_lane(lane: &[u64], c: usize) -> (u64, u64) {
    let (word, bit) = (c / 64, c % 64);
    let mut above = lane[word] >> bit >> 1;
    for &later in &lane[word + 1..] {
        above ^= later;
    }
    (u64::from(above.count_ones()) & 1, lane[word] >> bit & 1)
}

/// The digit lookups, to be opened under their masks, and per threshold the plane of c's top bit.
pub(super) struct Lookups {
    pub(super) found: BitTensor,
    pub(super) tops: Vec<Vec<u64>>,
    pub(super) mask_top: BitTensor,
}

/// Looks up all digits for all thresholds: pops the digits' shares.
pub(super) fn online_digits<W: RingWord>(
    server: &mut impl Server,
    public: &Tensor<W>,
    comparison: &Comparison,
) -> Result<Lookups, Error> {
    let words = public.data();
    let (len, planes) = (words.len(), comparison.mask_planes());
    let one_hot = server.pop_bits(comparison.digits as usize, len * comparison.hot())?;
    let mask_top = server.pop_bits(1, len)?;
    let mut found = BitTensor::zeros(planes * comparison.thresholds.len(), len);
    let mut scratch = vec![vec![0u64; BitTensor::stride(len)]; planes];
    let mut tops = Vec::with_capacity(comparison.thresholds.len());
    for (index, &threshold) in comparison.thresholds.iter().enumerate() {
        let mut top = vec![0u64; BitTensor::stride(len)];
        look_up(words, threshold, &one_hot, comparison, &mut scratch, &mut top);
        for (plane, words) in scratch.iter().enumerate() {
            found.plane_mut(index * planes + plane).copy_from_slice(words);
        }
        tops.push(top);
    }
    // What was looked up is shares.
    scratch.iter_mut().for_each(|plane| wipe(plane));
    Ok(Lookups { found, tops, mask_top })
}

/// Material bytes of the one-hot digits and the top bit.
pub(super) fn cost_digits(len: usize, comparison: &Comparison) -> usize {
    BitTensor::byte_len(comparison.digits as usize, len * comparison.hot()) + BitTensor::byte_len(1, len)
}

/// [x ≥ t] on real numbers, one plane per threshold.
pub(super) fn clear(x: &Arc<Tensor<f32>>, comparison: &Comparison, form: &Form) -> Planes<f32> {
    let plane = |&threshold: &i64| {
        let (x, threshold) = (Arc::clone(x), clear_threshold(threshold, form));
        Plane::later(move || x.map(|value| if value >= threshold { 1.0 } else { 0.0 }))
    };
    Arc::new(comparison.thresholds.iter().map(plane).collect())
}

/// The number that the integer of a threshold stands for.
pub(super) fn clear_threshold(threshold: i64, form: &Form) -> f32 {
    (threshold as f64 / 2f64.powi(form.fraction as i32)) as f32
}

/// [x ≥ t] of integers, one plane per threshold.
///
/// # Errors
/// If a difference leaves the window.
pub(super) fn fixed(ranges: &mut Ranges, x: &Tensor<i128>, comparison: &Comparison) -> Result<Planes<i128>, Error> {
    let differences: Vec<Tensor<i128>> =
        comparison.thresholds.iter().map(|&t| x.map(|x| (x - i128::from(t)) >> comparison.low)).collect();
    // The servers' difference may be one unit more where low bits are left out.
    let most = |&t: &i64| x.data().iter().map(move |x| -((i128::from(t) - x) >> comparison.low));
    let extremes = differences.iter().flat_map(|plane| plane.data()).copied();
    ranges.check("comparison", extremes.chain(comparison.thresholds.iter().flat_map(most)), comparison.window())?;
    Ok(Arc::new(differences.iter().map(|plane| plane.map(|d| i128::from(d >= 0)).into()).collect()))
}

/// The comparison by digits, for [`Machine::compare`](crate::Machine::compare).
pub(super) struct CompareByDigits<'a> {
    pub(super) comparison: &'a Comparison,
    pub(super) form: Form,
}

impl<W: RingWord> Operation<kind::Masked<W>, kind::MaskedBits> for CompareByDigits<'_> {
    fn clear(&self, _weights: &[Tensor<f32>], x: Arc<Tensor<f32>>) -> Result<Planes<f32>, Error> {
        Ok(clear(&x, self.comparison, &self.form))
    }

    fn fixed(&self, ranges: &mut Ranges, x: Arc<Tensor<i128>>) -> Result<Planes<i128>, Error> {
        fixed(ranges, &x, self.comparison)
    }

    fn cost(&self, meter: &mut CostMeter) {
        let (len, thresholds) = (self.form.shape.len(), self.comparison.thresholds.len());
        let products = self.comparison.less_than().products();
        meter.material(cost_digits(len, self.comparison) + thresholds * BitTensor::byte_len(products, len));
        meter.message_of_bits(self.comparison.mask_planes() * thresholds, len);
        meter.exchange();
        meter.message_of_bits(thresholds, len);
        meter.exchange();
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, mask: Arc<Secret<W>>) -> Result<Arc<BitTensor>, Error> {
        let comparison = self.comparison;
        offline_digits(role, &mask, comparison)?;
        let (len, planes) = (mask.shape().len(), comparison.mask_planes());
        let (thresholds, products) = (comparison.thresholds.len(), comparison.less_than());
        let masks = role.mask_bits(planes * thresholds, len)?;
        for threshold in 0..thresholds {
            let values = || products.values(&masks, threshold * planes);
            let shares = role.correlated_bits(products.products(), len, values)?;
            role.hand_bits(shares)?;
        }
        opening::offline_bits(role, thresholds, len)
    }

    /// First the lookups are opened; then, from them, shares of [x ≥ t], one plane per threshold.
    fn online<S: Server>(&self, server: &mut S, public: Arc<Tensor<W>>) -> Result<Arc<BitTensor>, Error> {
        let comparison = self.comparison;
        let (len, planes) = (public.shape().len(), comparison.mask_planes());
        let (thresholds, less_than) = (comparison.thresholds.len(), comparison.less_than());
        let Lookups { found, tops, mask_top } = online_digits(server, &public, comparison)?;
        let (covered, masks) = server.pop_mask_bits(planes * thresholds, len)?.cover(found)?;
        let products = (0..thresholds).map(|_| server.pop_bits(less_than.products(), len));
        let products = products.collect::<Result<Vec<_>, _>>()?;
        let opened = server.open_covered(covered)?;
        let party = if server.leads() { u64::MAX } else { 0 };
        let mut result = BitTensor::zeros(thresholds, len);
        for (threshold, products) in products.iter().enumerate() {
            less_than.add_shares(party, (&opened, &masks, threshold * planes), products, (&mut result, threshold));
            let tops = tops[threshold].iter().zip(mask_top.plane(0));
            for (word, (top, mask_top)) in result.plane_mut(threshold).iter_mut().zip(tops) {
                // [x ≥ t] is 1 less the sign.
                *word ^= (top & party) ^ mask_top ^ party;
            }
        }
        server.open_bits(result)
    }
}
