//! Extension: a masked value in another ring, and products that change it on the way.
//!
//! A value masked mod 2^k as m = x + λ is *lifted*, cut by s, with c = m + 2^(k−2) and r = λ mod 2^k:
//! x ≫ s = M − A + u·T, where M = (c ≫ s) − 2^(k−2−s) and u = 1 − c_top are public, A = r ≫ s, and T = r_top·2^(k−s)
//! undoes the wrap of r. Needs |x| < 2^(k−2).
//!
//! **Computes**, modulo 2^b:
//! - `extend`: shares of the lifted x;
//! - `product`: shares of the product of two lifted values, few of the second against many of the first;
//! - `square_sum`: shares of each row's sum of squares of the lifted x.
//!
//! The lifted value of a selection is in [`selection`](super::selection).
//!
//! **Shapes** any; a product's second factor `[batch, rows, 1]`. **Cost** no opening. Material with e = k − s, the width
//! that a cut value has, for n elements (n′ of the second factor, e′ its width): extend
//! ⌈b·n/8⌉ + ⌈(b−e)·n/8⌉; product that of extending both, and ⌈b·n/8⌉ + ⌈(b−e)·n/8⌉ + ⌈(b−e′)·n/8⌉ + ⌈(b−e−e′)·n/8⌉;
//! square_sum that of extending, ⌈b·rows/8⌉ and ⌈(b−e−1)·n/8⌉ bytes: a multiple of 2^e needs b − e bits only.
//! **Security** shares only. **Error** floor, plus one unit of the last place with the probability of the cut-off part:
//! stochastic rounding, unbiased, never more than one unit; there is no rare large error. **Source** the wrap-bit
//! correction as in Escudero et al., CRYPTO'20, and Dalskov et al. **Differs from the source** in that a lifted value is
//! multiplied without being opened again.

use super::{Role, Server, words_len};
use crate::error::Error;
use crate::form::Form;
use crate::record::RingWord;
use crate::secret::Secret;
use blindroute_ring::lanes::combine;
use blindroute_ring::{Shape, Tensor, Word};
use std::sync::Arc;

/// How a masked value is lifted.
#[derive(Clone, Copy)]
pub(crate) struct Lift {
    /// k, the ring that it is masked in.
    bits: u32,
    /// s, the low bits that are cut.
    shift: u32,
}

impl Lift {
    pub(crate) fn new(form: &Form, shift: u32) -> Self {
        Self { bits: form.bits, shift }
    }

    /// e = k − s: T is a multiple of 2^e.
    pub(crate) fn width(self) -> u32 {
        self.bits - self.shift
    }

    /// Bits of a share of T/2^e that matter in a ring of `ring` bits.
    fn top_bits(self, ring: u32) -> u32 {
        ring.saturating_sub(self.width())
    }

    /// M and u.
    #[inline(always)]
    pub(crate) fn public<W: Word, V: Word>(self, m: W) -> (V, V) {
        let c = m.plus(W::from_i64(1).shift_left(self.bits - 2)).low_bits(self.bits);
        let value = c.shift_right(self.shift).cast::<V>().minus(V::from_i64(1).shift_left(self.bits - 2 - self.shift));
        (value, V::from_i64(1).minus(c.shift_right(self.bits - 1).cast()))
    }

    /// A = r ≫ s.
    #[inline(always)]
    pub(crate) fn low<W: Word, V: Word>(self, mask: W) -> V {
        mask.low_bits(self.bits).shift_right(self.shift).cast()
    }

    /// T/2^e = r_top.
    #[inline(always)]
    pub(crate) fn top<W: Word, V: Word>(self, mask: W) -> V {
        mask.low_bits(self.bits).shift_right(self.bits - 1).cast()
    }

    fn lows<W: Word, V: Word>(self, mask: &Tensor<W>) -> Tensor<V> {
        let mut out = Tensor::zeros(mask.shape());
        combine(out.data_mut(), [], [mask.data()], |_: V, [], [mask]: [W; 1]| self.low(mask));
        out
    }

    fn tops<W: Word, V: Word>(self, mask: &Tensor<W>) -> Tensor<V> {
        let mut out = Tensor::zeros(mask.shape());
        combine(out.data_mut(), [], [mask.data()], |_: V, [], [mask]: [W; 1]| self.top(mask));
        out
    }
}

/// Shares (the dealer: the values) of A and T/2^e.
pub(crate) struct Lifted<V: Word> {
    pub(crate) low: Arc<Secret<V>>,
    pub(crate) top: Arc<Secret<V>>,
}

/// Shares of A and of T/2^e, handed to the online phase.
pub(crate) fn offline_lift<W: RingWord, V: RingWord>(
    role: &mut impl Role,
    mask: &Secret<W>,
    lift: Lift,
    ring: u32,
) -> Result<Lifted<V>, Error> {
    let shape = mask.shape();
    let low = role.correlated(shape, ring, || lift.lows(mask.expose()))?;
    let top = role.correlated(shape, lift.top_bits(ring), || lift.tops(mask.expose()))?;
    role.hand(&low)?;
    role.hand(&top)?;
    Ok(Lifted { low, top })
}

pub(crate) fn online_lift<V: RingWord>(server: &mut impl Server, shape: Shape) -> Result<Lifted<V>, Error> {
    Ok(Lifted { low: server.pop(shape)?, top: server.pop(shape)? })
}

pub(crate) fn offline_extend<W: RingWord, V: RingWord>(
    role: &mut impl Role,
    mask: &Arc<Secret<W>>,
    form: &Form,
    shift: u32,
    out: &Form,
) -> Result<(), Error> {
    offline_lift::<W, V>(role, mask, Lift::new(form, shift), out.bits).map(|_| ())
}

pub(crate) fn online_extend<W: RingWord, V: RingWord>(
    server: &mut impl Server,
    public: &Tensor<W>,
    form: &Form,
    shift: u32,
    out: &Form,
) -> Result<Secret<V>, Error> {
    let lift = Lift::new(form, shift);
    let lifted = online_lift::<V>(server, out.shape)?;
    let leads = V::from_i64(i64::from(server.leads()));
    let mut words = Secret::new(Tensor::zeros(out.shape));
    let (low, top) = (lifted.low.expose().data(), lifted.top.expose().data());
    combine(words.expose_mut().data_mut(), [low, top], [public.data()], |_: V, [low, top], [m]: [W; 1]| {
        let (value, wraps) = lift.public::<W, V>(m);
        leads.times(value).minus(low).plus(wraps.times(top).shift_left(lift.width()))
    });
    Ok(words)
}

/// A product's two factors and the fraction bits that each loses.
pub(crate) type Lifts = (Lift, Lift);

/// a·b of dealer words, b one a row of a.
fn by_rows<V: Word>(a: &Tensor<V>, b: &Tensor<V>) -> Tensor<V> {
    let mut out = Tensor::zeros(a.shape());
    let columns = a.shape().columns.max(1);
    let rows = out.data_mut().chunks_exact_mut(columns).zip(a.data().chunks_exact(columns));
    for ((out, a), &b) in rows.zip(b.data()) {
        combine(out, [a], [], |_: V, [a], []: [V; 0]| a.times(b));
    }
    out
}

pub(crate) fn offline_product<A: RingWord, B: RingWord, V: RingWord>(
    role: &mut impl Role,
    a: &Arc<Secret<A>>,
    b: &Arc<Secret<B>>,
    (lift_a, lift_b): Lifts,
    out: &Form,
) -> Result<(), Error> {
    let ring = out.bits;
    let many = offline_lift::<A, V>(role, a, lift_a, ring)?;
    let few = offline_lift::<B, V>(role, b, lift_b, ring)?;
    let both = lift_a.width() + lift_b.width();
    let terms = [
        (&many.low, &few.low, ring),
        (&many.low, &few.top, lift_b.top_bits(ring)),
        (&many.top, &few.low, lift_a.top_bits(ring)),
        (&many.top, &few.top, ring.saturating_sub(both)),
    ];
    for (many, few, bits) in terms {
        let product = role.correlated(out.shape, bits, || by_rows(many.expose(), few.expose()))?;
        role.hand(&product)?;
    }
    Ok(())
}

/// M_a·M_b + M_a·b̃ + M_b·ã + ãb̃ with ã = −A_a + u_a·T_a and b̃ alike.
pub(crate) fn online_product<A: RingWord, B: RingWord, V: RingWord>(
    server: &mut impl Server,
    a: &Tensor<A>,
    b: &Tensor<B>,
    (lift_a, lift_b): Lifts,
    out: &Form,
) -> Result<Secret<V>, Error> {
    let many = online_lift::<V>(server, a.shape())?;
    let few = online_lift::<V>(server, b.shape())?;
    let terms = (0..4).map(|_| server.pop::<V>(out.shape)).collect::<Result<Vec<_>, _>>()?;
    let leads = V::from_i64(i64::from(server.leads()));
    let (width_a, width_b) = (lift_a.width(), lift_b.width());
    let columns = a.shape().columns.max(1);
    let mut words = Secret::new(Tensor::zeros(out.shape));
    for (row, out) in words.expose_mut().data_mut().chunks_exact_mut(columns).enumerate() {
        let (value_b, wraps_b) = lift_b.public::<B, V>(b.data()[row]);
        let top = wraps_b.times(few.top.expose().data()[row]).shift_left(width_b);
        let share_b = top.minus(few.low.expose().data()[row]);
        let whole_b = share_b.plus(leads.times(value_b));
        let parts = [&many.low, &many.top, &terms[0], &terms[1], &terms[2], &terms[3]];
        let shares = parts.map(|words| &words.expose().data()[row * columns..(row + 1) * columns]);
        let public = &a.data()[row * columns..(row + 1) * columns];
        combine(out, shares, [public], |_: V, [low, top, both, with_top, top_with, tops], [m]: [A; 1]| {
            let (value, wraps) = lift_a.public::<A, V>(m);
            let share_a = wraps.times(top).shift_left(width_a).minus(low);
            let wrapped = top_with.minus(wraps_b.times(tops).shift_left(width_b));
            let products =
                both.minus(wraps_b.times(with_top).shift_left(width_b)).minus(wraps.times(wrapped).shift_left(width_a));
            value.times(whole_b).plus(value_b.times(share_a)).plus(products)
        });
    }
    Ok(words)
}

pub(crate) fn offline_square_sum<W: RingWord, V: RingWord>(
    role: &mut impl Role,
    mask: &Arc<Secret<W>>,
    lift: Lift,
    out: &Form,
) -> Result<(), Error> {
    let lifted = offline_lift::<W, V>(role, mask, lift, out.bits)?;
    let (low, top) = (&lifted.low, &lifted.top);
    let squares = role.correlated(out.shape, out.bits, || {
        Secret::new(low.expose().zip(low.expose(), V::times)).expose().sum_columns()
    })?;
    let crossed = role.correlated(mask.shape(), out.bits.saturating_sub(lift.width() + 1), || {
        low.expose().zip(top.expose(), V::times)
    })?;
    role.hand(&squares)?;
    role.hand(&crossed)
}

/// Σ(M − A + uT)² = Σ(M² − 2M(A − uT) − 2uAT + uT²) + ΣA².
pub(crate) fn online_square_sum<W: RingWord, V: RingWord>(
    server: &mut impl Server,
    public: &Tensor<W>,
    lift: Lift,
    out: &Form,
) -> Result<Secret<V>, Error> {
    let shape = public.shape();
    let lifted = online_lift::<V>(server, shape)?;
    let squares = server.pop::<V>(out.shape)?;
    let crossed = server.pop::<V>(shape)?;
    let leads = V::from_i64(i64::from(server.leads()));
    let width = lift.width();
    let mut terms = Secret::new(Tensor::zeros(shape));
    let shares = [lifted.low.expose().data(), lifted.top.expose().data(), crossed.expose().data()];
    combine(terms.expose_mut().data_mut(), shares, [public.data()], |_: V, [low, top, crossed], [m]: [W; 1]| {
        let (value, wraps) = lift.public::<W, V>(m);
        let top = wraps.times(top).shift_left(width);
        let linear = value.times(low.minus(top)).plus(wraps.times(crossed).shift_left(width)).shift_left(1);
        leads.times(value).times(value).minus(linear).plus(top.shift_left(width))
    });
    let sums = Secret::new(terms.expose().sum_columns());
    Ok(Secret::new(sums.expose().zip(squares.expose(), V::plus)))
}

/// Material bytes of the lift of `len` elements to a ring of `ring` bits: those of `extend`.
pub(crate) fn cost_lift(len: usize, lift: Lift, ring: u32) -> usize {
    words_len(len, ring) + words_len(len, lift.top_bits(ring))
}

/// Material bytes of `product`.
pub(crate) fn cost_product(few: usize, (lift_a, lift_b): Lifts, out: &Form) -> usize {
    let (many, ring) = (out.shape.len(), out.bits);
    let both = ring.saturating_sub(lift_a.width() + lift_b.width());
    cost_lift(many, lift_a, ring)
        + cost_lift(few, lift_b, ring)
        + words_len(many, ring)
        + words_len(many, lift_a.top_bits(ring))
        + words_len(many, lift_b.top_bits(ring))
        + words_len(many, both)
}

/// Material bytes of `square_sum`.
pub(crate) fn cost_square_sum(len: usize, lift: Lift, out: &Form) -> usize {
    let crossed = out.bits.saturating_sub(lift.width() + 1);
    cost_lift(len, lift, out.bits) + words_len(out.shape.len(), out.bits) + words_len(len, crossed)
}
