//! The positive part of a value by digits, in one opening: the comparison's own bit is never opened.
//!
//! **Computes** d·(x ≫ s) in a ring of b bits with d = [x ≥ t], as shares; ReLU for t = 0. The window below its top bit
//! is two digits; of the opened lookups l₁, e₁, l₀ of the comparison, ℓ = l₁ + e₁·l₀ is expanded over shares of the
//! products of their masks with (1 − 2τ)·(1, A, T), and d·(x ≫ s) put together as in
//! [`rectifier`](super::rectifier). **Shapes** n elements masked mod 2^k, to shares of n. **Cost** one opening of three
//! planes of 8·⌈n/64⌉ bytes each way. Material with a = k − s and digits of g bits: 8·(2·⌈2^g·n/64⌉ + ⌈n/64⌉), the
//! lift's, and 5·(⌈b·n/8⌉·2 + ⌈(b − a)·n/8⌉) bytes. **Security** a server sees bits under fresh mask bits. **Error** that
//! of the comparison, and the rounding of the cut. **Source** this project; as for [`comparison`].

use super::comparison::{self, Comparison};
use super::extension::{self, Lift, Lifted};
use super::opening::Covered;
use super::selection::mask_words;
use super::{Role, Server, words_len};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use blindroute_ring::lanes::{combine, combine_bits};
use blindroute_ring::{Shape, Tensor};
use std::sync::Arc;

/// Planes of the opening: less(0), less(1), equal(1).
const PLANES: usize = 3;
/// Shares a part: τ, and the masks of less(1), equal(1), less(0), equal(1)·less(0) with the sign.
const SHARES: usize = 5;

/// The same window in two digits, if it divides.
pub(crate) fn halves(comparison: &Comparison) -> Option<Comparison> {
    let bits = comparison.window() - 1;
    let fits = bits.is_multiple_of(2) && (1..=10).contains(&(bits / 2)) && comparison.thresholds.len() == 1;
    fits.then(|| Comparison { digits: 2, digit_bits: bits / 2, ..comparison.clone() })
}

/// Rings of the parts 1, A and T/2^a.
fn rings(lift: Lift, out: &Form) -> [u32; 3] {
    [out.bits, out.bits, out.bits.saturating_sub(lift.width())]
}

pub(crate) fn offline<W: RingWord, V: RingWord>(
    role: &mut impl Role,
    mask: &Secret<W>,
    comparison: &Comparison,
    lift: Lift,
    out: &Form,
) -> Result<(), Error> {
    comparison::offline_digits(role, mask, comparison)?;
    let masks = role.mask_bits(PLANES, mask.shape().len())?;
    let Lifted { low, top } = extension::offline_lift::<W, V>(role, mask, lift, out.bits)?;
    let bit = super::point::top_bit(comparison);
    let tau = || Secret::new(mask.expose().map(|word| V::from_i64(word.bit(bit) as i64)));
    let parts: [Option<&Arc<Secret<V>>>; 3] = [None, Some(&low), Some(&top)];
    for (part, bits) in parts.into_iter().zip(rings(lift, out)) {
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

/// What stays of the first half for [`online_second`].
pub(crate) struct First {
    tops: Vec<u64>,
}

pub(crate) fn online_first<W: RingWord>(
    server: &mut impl Server,
    public: &Tensor<W>,
    comparison: &Comparison,
) -> Result<(Covered, First), Error> {
    let lookups = comparison::online_digits(server, public, comparison)?;
    let (covered, _) = server.pop_mask_bits(PLANES, public.shape().len())?.cover(lookups.found)?;
    Ok((covered, First { tops: lookups.tops.into_iter().next().unwrap_or_default() }))
}

/// Elements whose bits are spread to masks at a time: a multiple of 64 that stays in the first-level cache.
const BLOCK: usize = 512;

/// The value's shares, from the opened lookups.
pub(crate) fn online_second<W: RingWord, V: RingWord>(
    server: &mut impl Server,
    opened: &BitTensor,
    first: &First,
    public: &Tensor<W>,
    lift: Lift,
    out: &Form,
) -> Result<Secret<V>, Error> {
    let lifted = extension::online_lift::<V>(server, out.shape)?;
    let mut pop = || (0..SHARES).map(|_| server.pop::<V>(out.shape)).collect::<Result<Vec<_>, _>>();
    let shares = [pop()?, pop()?, pop()?];
    let ones = [V::from_i64(i64::from(server.leads())); BLOCK];
    let mut words = Secret::new(Tensor::zeros(out.shape));
    let mut chosen = Secret::new(Tensor::zeros(Shape::row(BLOCK)));
    for (block, words) in words.expose_mut().data_mut().chunks_mut(BLOCK).enumerate() {
        let (start, count) = (block * BLOCK, words.len());
        let range = start..start + count;
        let spread = |plane: &[u64]| {
            let mut masks = [V::ZERO; BLOCK];
            let plane = &plane[start / 64..][..count.div_ceil(64)];
            combine_bits(&mut masks[..count], plane, [], [], |_: V, bit, [], []: [V; 0]| bit);
            masks
        };
        let bits = [opened.plane(0), opened.plane(1), opened.plane(2), &first.tops].map(spread);
        let [l0, l1, e1, flips] = bits.each_ref().map(|bits| &bits[..count]);
        let parts =
            [&ones[..count], &lifted.low.expose().data()[range.clone()], &lifted.top.expose().data()[range.clone()]];
        for (number, (part, shares)) in parts.into_iter().zip(&shares).enumerate() {
            let [tau, less1, equal, less0, both] =
                [0, 1, 2, 3, 4].map(|index| &shares[index].expose().data()[range.clone()]);
            let inputs = [part, tau, less1, equal, less0, both, l0, l1, e1, flips];
            let chosen = &mut chosen.expose_mut().data_mut()[..count];
            combine(chosen, inputs, [], expand::<V>);
            combine(words, [chosen], [&public.data()[range.clone()]], |sum: V, [chosen], [m]: [W; 1]| {
                let (value, wraps) = lift.public::<W, V>(m);
                match number {
                    0 => value.times(chosen),
                    1 => sum.minus(chosen),
                    _ => sum.plus(wraps.times(chosen).shift_left(lift.width())),
                }
            });
        }
    }
    Ok(words)
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

/// Bytes of the opening each way, and material bytes.
pub(crate) fn cost(comparison: &Comparison, lift: Lift, out: &Form) -> (usize, usize) {
    let len = out.shape.len();
    let shared: usize = rings(lift, out).iter().map(|&bits| SHARES * words_len(len, bits)).sum();
    let digits = comparison::cost_digits(len, comparison);
    (BitTensor::byte_len(PLANES, len), digits + extension::cost_lift(len, lift, out.bits) + shared)
}
