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

use super::{Role, Server};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use blindroute_ring::{Tensor, Word};

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

    /// A comparison with two digits of `digit_bits` bits, for [`Machine::spline`](crate::Machine::spline).
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

    /// The window of a word: digits, lowest first, and the top bit.
    #[inline(always)]
    fn digit<W: Word>(&self, word: W, digit: u32) -> usize {
        word.shift_right(self.low + digit * self.digit_bits).low_bits(self.digit_bits).low_u64() as usize
    }

    #[inline(always)]
    fn top<W: Word>(&self, word: W) -> u64 {
        word.bit(self.low + self.window() - 1)
    }
}

/// The many-input AND: which products of mask bits are needed, in the order of the material.
///
/// Planes are numbered as the masks: `less(g) = g` for g in 0..G, `equal(g) = G + g − 1` for g in 1..G. A set of equals
/// is a bit mask whose bit g − 1 stands for digit g.
struct Products {
    digits: usize,
}

impl Products {
    /// Sets of at least two equals.
    fn equal_sets(&self) -> impl Iterator<Item = usize> + use<> {
        (1..1usize << (self.digits - 1)).filter(|set| set.count_ones() >= 2)
    }

    /// For each digit g: nonempty sets of equals above g, to go with less(g).
    fn less_sets(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let digits = self.digits;
        (0..digits).flat_map(move |g| (1..1usize << (digits - 1 - g)).map(move |set| (g, set << g)))
    }

    /// Number of product planes.
    fn count(&self) -> usize {
        self.equal_sets().count() + self.less_sets().count()
    }

    /// The product planes from the mask planes: the dealer's values.
    fn values(&self, masks: &BitTensor, first: usize) -> BitTensor {
        let (digits, len) = (self.digits, masks.len());
        let mut out = BitTensor::zeros(self.count(), len);
        let product = |set: usize, less: Option<usize>| {
            let mut words = vec![u64::MAX; BitTensor::stride(len)];
            let equals = (0..digits - 1).filter(|bit| set >> bit & 1 == 1).map(|bit| digits + bit);
            for plane in equals.chain(less) {
                for (word, &mask) in words.iter_mut().zip(masks.plane(first + plane)) {
                    *word &= mask;
                }
            }
            words
        };
        let sets = self.equal_sets().map(|set| (set, None)).chain(self.less_sets().map(|(g, set)| (set, Some(g))));
        for (index, (set, less)) in sets.enumerate() {
            out.plane_mut(index).copy_from_slice(&product(set, less));
        }
        out
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
    let one_hot = role.correlated_bits(comparison.digits as usize, len * hot, || {
        let mut bits = BitTensor::zeros(comparison.digits as usize, len * hot);
        for digit in 0..comparison.digits {
            let plane = bits.plane_mut(digit as usize);
            for (index, &word) in words.iter().enumerate() {
                set_one_hot(plane, index * hot, hot, comparison.digit(word, digit));
            }
        }
        bits
    })?;
    let top = role.correlated_bits(1, len, || BitTensor::from_fn(len, |i| comparison.top(words[i]) == 1))?;
    role.hand_bits(one_hot)?;
    role.hand_bits(top)
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
    let products = Products { digits: comparison.digits as usize };
    let masks = role.fresh_bits(planes * comparison.thresholds.len(), len);
    for threshold in 0..comparison.thresholds.len() {
        let shares = role.correlated_bits(products.count(), len, || products.values(&masks, threshold * planes))?;
        role.hand_bits(shares)?;
    }
    role.hand_bits(masks)
}

/// The digits' lookups for one threshold: shares of [c_g < r_g] and [c_g = r_g], planes numbered as the masks; and
/// the public top bit of c. No communication.
fn look_up<W: Word>(
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
    top.fill(0);
    for (index, chunk) in public.chunks(64).enumerate() {
        let mut word = 0u64;
        for (offset, &m) in chunk.iter().enumerate() {
            word |= comparison.top(m.minus(shift)) << offset;
        }
        top[index] = word;
    }
    for digit in 0..digits {
        let table = one_hot.plane(digit);
        for (index, chunk) in public.chunks(64).enumerate() {
            let (mut less, mut equal) = (0u64, 0u64);
            for (offset, &m) in chunk.iter().enumerate() {
                let c = comparison.digit(m.minus(shift), digit as u32);
                let start = (index * 64 + offset) * hot;
                let (is_less, is_equal) = if hot <= 64 {
                    let lane = table[start / 64] >> (start % 64);
                    // Bits above c within the lane of `hot` bits.
                    let above = (lane & (u64::MAX >> (64 - hot))) >> c >> 1;
                    (u64::from(above.count_ones()) & 1, lane >> c & 1)
                } else {
                    wide_lane(&table[start / 64..(start + hot) / 64], c)
                };
                less |= is_less << offset;
                equal |= is_equal << offset;
            }
            planes[digit][index] = less;
            if digit > 0 {
                planes[digits + digit - 1][index] = equal;
            }
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

/// The digit lookups under their masks, ready to be opened, and per threshold the plane of c's top bit.
pub(crate) struct Lookups {
    pub(crate) masked: BitTensor,
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
    let mut masked = BitTensor::zeros(planes * comparison.thresholds.len(), len);
    let mut scratch = vec![vec![0u64; BitTensor::stride(len)]; planes];
    let mut tops = Vec::with_capacity(comparison.thresholds.len());
    for (index, &threshold) in comparison.thresholds.iter().enumerate() {
        let mut top = vec![0u64; BitTensor::stride(len)];
        look_up(words, threshold, &one_hot, comparison, &mut scratch, &mut top);
        for (plane, words) in scratch.iter().enumerate() {
            masked.plane_mut(index * planes + plane).copy_from_slice(words);
        }
        tops.push(top);
    }
    Ok(Lookups { masked, tops, mask_top })
}

/// First half: the lookups, to be opened under the masks. Returns them with the products' shares.
pub(crate) fn online_first<W: RingWord>(
    server: &mut impl Server,
    public: &Tensor<W>,
    comparison: &Comparison,
) -> Result<(Lookups, Vec<BitTensor>, BitTensor), Error> {
    let mut lookups = online_digits(server, public, comparison)?;
    let len = public.shape().len();
    let count = Products { digits: comparison.digits as usize }.count();
    let products =
        (0..comparison.thresholds.len()).map(|_| server.pop_bits(count, len)).collect::<Result<Vec<_>, _>>()?;
    let masks = server.pop_bits(comparison.mask_planes() * comparison.thresholds.len(), len)?;
    lookups.masked.xor_assign(&masks)?;
    Ok((lookups, products, masks))
}

/// Second half: from the opened lookups, shares of [x ≥ t], one plane a threshold.
pub(crate) fn online_second(
    leads: bool,
    comparison: &Comparison,
    opened: &BitTensor,
    lookups: &Lookups,
    products: &[BitTensor],
    masks: &BitTensor,
) -> BitTensor {
    let digits = comparison.digits as usize;
    let equals = digits - 1;
    let planes = comparison.mask_planes();
    let layout = Products { digits };
    let first_less = layout.equal_sets().count();
    let mut result = BitTensor::zeros(comparison.thresholds.len(), opened.len());
    let party = if leads { u64::MAX } else { 0 };
    let equal_sets: Vec<usize> = layout.equal_sets().collect();
    let less_sets: Vec<(usize, usize)> = layout.less_sets().collect();
    let mut public = vec![u64::MAX; 1 << equals];
    let mut shares = vec![party; 1 << equals];
    for threshold in 0..comparison.thresholds.len() {
        let at = |tensor: &BitTensor, plane: usize, word: usize| tensor.plane(threshold * planes + plane)[word];
        let products = &products[threshold];
        for word in 0..BitTensor::stride(opened.len()) {
            // Products of opened equals, and shares of products of their masks, for every set.
            for set in 1usize..1 << equals {
                let low = set.trailing_zeros() as usize;
                public[set] = public[set & (set - 1)] & at(opened, digits + low, word);
                if set.count_ones() == 1 {
                    shares[set] = at(masks, digits + low, word);
                }
            }
            for (index, &set) in equal_sets.iter().enumerate() {
                shares[set] = products.plane(index)[word];
            }
            let mut less_than = 0u64;
            for g in 0..digits {
                // (l̂ ⊕ a) · Π (ê ⊕ b) over the digits above g, expanded over which factors give their mask.
                let all = ((1 << equals) - 1) >> g << g;
                let opened_less = at(opened, g, word);
                less_than ^= public[all] & ((opened_less & party) ^ at(masks, g, word));
                let mut set = all;
                while set > 0 {
                    less_than ^= public[all & !set] & opened_less & shares[set];
                    set = (set - 1) & all;
                }
            }
            for (index, &(g, set)) in less_sets.iter().enumerate() {
                let all = ((1 << equals) - 1) >> g << g;
                less_than ^= public[all & !set] & products.plane(first_less + index)[word];
            }
            let negative = (lookups.tops[threshold][word] & party) ^ lookups.mask_top.plane(0)[word] ^ less_than;
            result.plane_mut(threshold)[word] = negative ^ party;
        }
    }
    result
}

/// Bytes of the first opening each way, and material bytes.
pub(crate) fn cost(len: usize, comparison: &Comparison) -> (usize, usize) {
    let thresholds = comparison.thresholds.len();
    let opening = BitTensor::byte_len(comparison.mask_planes() * thresholds, len);
    let products = Products { digits: comparison.digits as usize }.count();
    (opening, cost_digits(len, comparison) + thresholds * BitTensor::byte_len(products, len))
}

/// Material bytes of the one-hot digits and the top bit.
pub(crate) fn cost_digits(len: usize, comparison: &Comparison) -> usize {
    BitTensor::byte_len(comparison.digits as usize, len * comparison.hot()) + BitTensor::byte_len(1, len)
}
