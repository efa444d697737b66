//! Extension: a masked value in a wider ring.
//!
//! A value masked mod 2^k as m = x + δ is *extended*, truncated by s on the way, with c = m + 2^(k−2) and r = δ mod 2^k:
//! x ≫ s = M − A + u·T, where M = (c ≫ s) − 2^(k−2−s) and u = 1 − c_top are public, A = r ≫ s, and T = r_top·2^(k−s)
//! undoes the wrap of r. Needs |x| < 2^(k−2).
//!
//! **Computes** shares of the extended x modulo 2^b. Operations that take an extended value without opening it again are
//! in [`product_extended`](super::product_extended), [`square_sum`](super::square_sum),
//! [`selection_extended`](super::selection_extended) and the rectifiers.
//!
//! **Shapes** any. **Cost** no opening; material with e = k − s, the width of a truncated value, for n elements:
//! ⌈b·n/8⌉ + ⌈(b−e)·n/8⌉ bytes, for a multiple of 2^e needs b − e bits only. **Security** shares only. **Error** floor, plus
//! one unit of the last place with the probability of the dropped part: stochastic rounding, unbiased, never more than one
//! unit; there is no rare large error. **Source** the wrap-bit correction as in Escudero et al., CRYPTO'20, and Dalskov et
//! al. **Differs from the source** in that an extended value is multiplied without being opened again.

use super::words_len;
use crate::error::Error;
use crate::form::Form;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, Share};
use crate::material::word::RingWord;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use blindroute_ring::lanes::combine;
use blindroute_ring::{Shape, Tensor, Word};
use std::sync::Arc;

impl<I: Interpreter> Machine<'_, I> {
    /// Drops `shift` fraction bits and extends to a ring of `bits` bits in word `V`, as shares. Needs
    /// |x| < 2^(bits of x − 2). No opening.
    ///
    /// # Errors
    /// If there are not that many fraction bits.
    pub fn extend<W: RingWord, V: RingWord>(
        &mut self,
        x: &Masked<I, W>,
        shift: u32,
        bits: u32,
    ) -> Result<Share<I, V>, Error> {
        let extension = Extension::checked::<V>(&x.form, shift, bits)?;
        let form = Form::new(x.form.shape, bits, x.form.fraction - shift);
        let operation = Extend { extension, form: x.form, out: form };
        let payload = self.apply::<kind::Masked<W>, kind::Share<V>>(&operation, x.payload.clone())?;
        Ok(Share { form, payload })
    }
}

/// How a masked value is extended.
#[derive(Clone, Copy)]
pub(crate) struct Extension {
    /// k, the ring that it is masked in.
    bits: u32,
    /// s, the low bits that are dropped.
    shift: u32,
}

impl Extension {
    /// The extension of a value that loses `shift` bits, to a ring of `ring` bits in word `V`.
    ///
    /// # Errors
    /// If there are not that many fraction bits, or the ring does not fit the word.
    pub(super) fn checked<V: RingWord>(form: &Form, shift: u32, ring: u32) -> Result<Self, Error> {
        if shift > form.fraction || shift + 2 >= form.bits || ring > V::BITS {
            return Err(Error::Program(format!("extending a ring of {} bits, less {shift}, to {ring}", form.bits)));
        }
        Ok(Self { bits: form.bits, shift })
    }

    /// s.
    pub(super) fn shift(self) -> u32 {
        self.shift
    }

    /// e = k − s: T is a multiple of 2^e.
    pub(crate) fn width(self) -> u32 {
        self.bits - self.shift
    }

    /// Bits of a share of T/2^e that matter in a ring of `ring` bits.
    pub(super) fn top_bits(self, ring: u32) -> u32 {
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
pub(crate) struct Extended<V: Word> {
    pub(crate) low: Arc<Secret<V>>,
    pub(crate) top: Arc<Secret<V>>,
}

impl Extension {
    /// Shares of A and of T/2^e, handed to the online phase.
    pub(super) fn offline<W: RingWord, V: RingWord>(
        self,
        role: &mut impl OfflineRole,
        mask: &Secret<W>,
        ring: u32,
    ) -> Result<Extended<V>, Error> {
        let shape = mask.shape();
        let low = role.correlated(shape, ring, || self.lows(mask.expose()))?;
        let top = role.correlated(shape, self.top_bits(ring), || self.tops(mask.expose()))?;
        role.hand(&low)?;
        role.hand(&top)?;
        Ok(Extended { low, top })
    }

    /// Material bytes of the extension of `len` elements to a ring of `ring` bits.
    pub(super) fn cost(self, len: usize, ring: u32) -> usize {
        words_len(len, ring) + words_len(len, self.top_bits(ring))
    }
}

impl<V: RingWord> Extended<V> {
    /// What [`Extension::offline`] handed over.
    pub(super) fn online(server: &mut impl Server, shape: Shape) -> Result<Self, Error> {
        Ok(Self { low: server.pop(shape)?, top: server.pop(shape)? })
    }
}

struct Extend {
    extension: Extension,
    form: Form,
    out: Form,
}

impl<W: RingWord, V: RingWord> Operation<kind::Masked<W>, kind::Share<V>> for Extend {
    fn clear(&self, _weights: &[Tensor<f32>], x: Arc<Tensor<f32>>) -> Result<Tensor<f32>, Error> {
        Ok(Arc::unwrap_or_clone(x))
    }

    fn fixed(&self, ranges: &mut Ranges, x: Arc<Tensor<i128>>) -> Result<Tensor<i128>, Error> {
        ranges.check_extension("extension", &x, &self.form)?;
        Ok(ranges.truncate(&x, self.extension.shift))
    }

    fn cost(&self, meter: &mut CostMeter) {
        meter.material(self.extension.cost(self.out.shape.len(), self.out.bits));
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, mask: Arc<Secret<W>>) -> Result<(), Error> {
        self.extension.offline::<W, V>(role, &mask, self.out.bits).map(|_| ())
    }

    fn online<S: Server>(&self, server: &mut S, public: Arc<Tensor<W>>) -> Result<Secret<V>, Error> {
        let extended = Extended::<V>::online(server, self.out.shape)?;
        let leads = V::from_i64(i64::from(server.leads()));
        let extension = self.extension;
        let mut words = Secret::new(Tensor::zeros(self.out.shape));
        let shares = [extended.low.expose().data(), extended.top.expose().data()];
        combine(words.expose_mut().data_mut(), shares, [public.data()], |_: V, [low, top], [m]: [W; 1]| {
            let (value, wraps) = extension.public::<W, V>(m);
            leads.times(value).minus(low).plus(wraps.times(top).shift_left(extension.width()))
        });
        Ok(words)
    }
}
