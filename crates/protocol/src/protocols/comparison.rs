//! Comparison with public thresholds.
//!
//! **Computes** [x ≥ t] for each of J thresholds t, as bits opened under mask bits. **Shapes** n elements, masked mod
//! 2^k, to J planes of n bits. **Cost** two openings for any J. With w = digits·d + 1 window bits, G digits of d bits:
//! 8·⌈n/64⌉·J·(2G−1) + 8·⌈n/64⌉·J bytes each way; material 8·(G·⌈n·2^d/64⌉ + ⌈n/64⌉ + J·⌈n/64⌉·(2^G + 2^(G−1) − 2G − 1))
//! bytes. **Security** a server sees bits under fresh mask bits. **Error** the comparison is of x ≫ low, up to one unit
//! of it: exact but for |x − t| < 2^low. Needs |x − t| ≤ 2^(low + w − 1) − 2^low: rounding may add one unit, and at
//! the top of the window it would turn the sign. **Source** the digit decomposition of
//! Damgård et al., TCC'06, and Rathee et al., CrypTFlow2, CCS'20, with one-time truth tables (Ishai et al., TCC'13) for
//! the digits. **Differs from the source** in that the shares of the one-hot digits of λ serve every threshold (a
//! comparison with a constant only shifts the public part), and all digits combine in one many-input AND.

use super::conjunction::Conjunctions;
use super::opening::Covered;
use super::{Role, Server};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use blindroute_ring::{Tensor, Word, digits, wipe};

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
    /// A comparison with digits of 4 bits: little material an element, for large tensors.
    pub fn of_many(thresholds: Vec<i64>, low: u32, digits: u32) -> Self {
        Self { thresholds, low, digits, digit_bits: 4 }
    }

    /// [x ≥ 0] by every bit of x, so that nothing is rounded: what orders candidates, see
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

    pub(crate) fn check(&self, form: &Form) -> Result<(), Error> {
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
    pub(crate) fn mask_planes(&self) -> usize {
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

/// Shares of the one-hot digits of the mask, one plane a digit, and of the mask's top bit.
pub(crate) fn offline_digits<W: RingWord>(
    role: &mut impl Role,
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

/// The one-hot digits of words, one plane a digit.
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
/// the position, which is secret.
pub(super) fn set_one_hot(words: &mut [u64], start: usize, hot: usize, position: usize) {
    if hot <= 64 {
        words[start / 64] |= 1 << (start % 64 + position);
        return;
    }
    for (index, word) in words[start / 64..(start + hot) / 64].iter_mut().enumerate() {
        *word |= u64::from(position / 64 == index) << (position % 64);
    }
}

/// Everything but the mask of the result.
pub(crate) fn offline<W: RingWord>(
    role: &mut impl Role,
    mask: &Secret<W>,
    comparison: &Comparison,
) -> Result<(), Error> {
    offline_digits(role, mask, comparison)?;
    let (len, planes) = (mask.shape().len(), comparison.mask_planes());
    let products = comparison.less_than();
    let masks = role.mask_bits(planes * comparison.thresholds.len(), len)?;
    for threshold in 0..comparison.thresholds.len() {
        let shares = role.correlated_bits(products.products(), len, || products.values(&masks, threshold * planes))?;
        role.hand_bits(shares)?;
    }
    Ok(())
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
pub(crate) struct Lookups {
    pub(crate) found: BitTensor,
    pub(crate) tops: Vec<Vec<u64>>,
    pub(crate) mask_top: BitTensor,
}

/// Looks up all digits for all thresholds: pops the digits' shares.
pub(crate) fn online_digits<W: RingWord>(
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

/// What the second half needs of the first.
pub(crate) struct First {
    tops: Vec<Vec<u64>>,
    mask_top: BitTensor,
    masks: BitTensor,
    products: Vec<BitTensor>,
}

/// First half: the lookups under their masks, which leave, and what stays.
pub(crate) fn online_first<W: RingWord>(
    server: &mut impl Server,
    public: &Tensor<W>,
    comparison: &Comparison,
) -> Result<(Covered, First), Error> {
    let Lookups { found, tops, mask_top } = online_digits(server, public, comparison)?;
    let len = public.shape().len();
    let masks = server.pop_mask_bits(comparison.mask_planes() * comparison.thresholds.len(), len)?;
    let (covered, masks) = masks.cover(found)?;
    let count = comparison.less_than().products();
    let products =
        (0..comparison.thresholds.len()).map(|_| server.pop_bits(count, len)).collect::<Result<Vec<_>, _>>()?;
    Ok((covered, First { tops, mask_top, masks, products }))
}

/// Second half: from the opened lookups, shares of [x ≥ t], one plane a threshold.
pub(crate) fn online_second(leads: bool, comparison: &Comparison, opened: &BitTensor, first: &First) -> BitTensor {
    let less_than = comparison.less_than();
    let planes = comparison.mask_planes();
    let mut result = BitTensor::zeros(comparison.thresholds.len(), opened.len());
    let party = if leads { u64::MAX } else { 0 };
    for (threshold, products) in first.products.iter().enumerate() {
        less_than.add_shares(party, (opened, &first.masks, threshold * planes), products, (&mut result, threshold));
        let tops = first.tops[threshold].iter().zip(first.mask_top.plane(0));
        for (word, (top, mask_top)) in result.plane_mut(threshold).iter_mut().zip(tops) {
            // [x ≥ t] is 1 less the sign.
            *word ^= (top & party) ^ mask_top ^ party;
        }
    }
    result
}

/// Bytes of the first opening each way, and material bytes.
pub(crate) fn cost(len: usize, comparison: &Comparison) -> (usize, usize) {
    let thresholds = comparison.thresholds.len();
    let opening = BitTensor::byte_len(comparison.mask_planes() * thresholds, len);
    let products = comparison.less_than().products();
    (opening, cost_digits(len, comparison) + thresholds * BitTensor::byte_len(products, len))
}

/// Material bytes of the one-hot digits and the top bit.
pub(crate) fn cost_digits(len: usize, comparison: &Comparison) -> usize {
    BitTensor::byte_len(comparison.digits as usize, len * comparison.hot()) + BitTensor::byte_len(1, len)
}
