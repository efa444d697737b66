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
use super::selection::{choose, mask_words};
use super::{Role, Server, words_len};
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use blindroute_ring::Tensor;
use blindroute_ring::lanes::combine;
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
    let masks = role.fresh_bits(PLANES, mask.shape().len());
    role.hand_bits(masks.clone())?;
    let Lifted { low, top } = extension::offline_lift::<W, V>(role, mask, lift, out.bits)?;
    let bit = super::point::top_bit(comparison);
    let tau = || mask.expose().map(|word| V::from_i64(word.bit(bit) as i64));
    let parts: [Option<&Arc<Secret<V>>>; 3] = [None, Some(&low), Some(&top)];
    for (part, bits) in parts.into_iter().zip(rings(lift, out)) {
        let times = |words: Tensor<V>| part.map_or_else(|| words.clone(), |part| words.zip(part.expose(), V::times));
        let with_top = role.correlated(out.shape, bits, || times(tau()))?;
        role.hand(&with_top)?;
        for planes in [&[1][..], &[2], &[0], &[2, 0]] {
            let product = role.correlated(out.shape, bits, || {
                let signs = tau().map(|tau| V::from_i64(1).minus(tau.raise(1)));
                let mask = |words: Tensor<V>, &plane: &usize| words.zip(&mask_words(&masks, plane, out), V::times);
                times(planes.iter().fold(signs, mask))
            })?;
            role.hand(&product)?;
        }
    }
    Ok(())
}

/// What leaves: the masked lookups. The rest stays for [`online_second`].
pub(crate) struct First {
    pub(crate) masked: BitTensor,
    tops: Vec<u64>,
}

pub(crate) fn online_first<W: RingWord>(
    server: &mut impl Server,
    public: &Tensor<W>,
    comparison: &Comparison,
) -> Result<First, Error> {
    let lookups = comparison::online_digits(server, public, comparison)?;
    let mut masked = lookups.masked;
    masked.xor_assign(&server.pop_bits(PLANES, public.shape().len())?)?;
    Ok(First { masked, tops: lookups.tops.into_iter().next().unwrap_or_default() })
}

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
    let one = V::from_i64(i64::from(server.leads()));
    let ones = Arc::new(Secret::new(Tensor::new(out.shape, vec![one; out.shape.len()])));
    let mut words = Secret::new(Tensor::zeros(out.shape));
    // The opened bits an element, and c_top: 0 or 1.
    let bits = |index: usize| {
        let bit = |plane: usize| opened.get(plane, index);
        (bit(0), bit(1), bit(2), first.tops[index / 64] >> (index % 64) & 1)
    };
    for (number, part) in [&ones, &lifted.low, &lifted.top].into_iter().enumerate() {
        let shares = (0..SHARES).map(|_| server.pop::<V>(out.shape)).collect::<Result<Vec<_>, _>>()?;
        let [tau, less1, equal, less0, both] = [0, 1, 2, 3, 4].map(|index| shares[index].expose().data());
        let part = part.expose().data();
        let chosen: Vec<V> = (0..part.len())
            .map(|i| {
                let (l0, l1, e1, flips) = bits(i);
                let sign = |bit: u64, share: V| choose(bit, V::ZERO.minus(share), share);
                let when = |bit: u64, share: V| choose(bit, share, V::ZERO);
                // d = (1 − 2·opened)·mask + opened, for each of the three; ℓ = l₁ + e₁·l₀.
                let signed = part[i].minus(tau[i].raise(1));
                let e = tau[i]
                    .plus(when(l1 ^ (e1 & l0), signed).plus(when(l1 & e1 & l0, signed.raise(1))))
                    .plus(sign(l1, less1[i]))
                    .plus(when(l0, sign(e1, equal[i])))
                    .plus(when(e1, sign(l0, less0[i])))
                    .plus(sign(e1 ^ l0, both[i]));
                choose(flips, e, part[i].minus(e))
            })
            .collect();
        let chosen = Secret::new(Tensor::new(out.shape, chosen));
        let words = words.expose_mut().data_mut();
        combine(words, [chosen.expose().data()], [public.data()], |sum: V, [chosen], [m]: [W; 1]| {
            let (value, wraps) = lift.public::<W, V>(m);
            match number {
                0 => value.times(chosen),
                1 => sum.minus(chosen),
                _ => sum.plus(wraps.times(chosen).shift_left(lift.width())),
            }
        });
    }
    Ok(words)
}

/// Bytes of the opening each way, and material bytes.
pub(crate) fn cost(comparison: &Comparison, lift: Lift, out: &Form) -> (usize, usize) {
    let len = out.shape.len();
    let shared: usize = rings(lift, out).iter().map(|&bits| SHARES * words_len(len, bits)).sum();
    let digits = comparison::cost_digits(len, comparison);
    (BitTensor::byte_len(PLANES, len), digits + extension::cost_lift(len, lift, out.bits) + shared)
}
