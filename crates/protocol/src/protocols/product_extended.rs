//! Products of two extended values.
//!
//! **Computes** (a ≫ s)·(b ≫ t) modulo 2^b, both extended on the way (see [`extension`](super::extension)), one b per row
//! of a. **Shapes** a `[B, M, N]`, b `[B, M, 1]`, masked, to `[B, M, N]` in shares. **Cost** no opening; material that of
//! extending both, and with the widths e of the truncated a and e′ of b ⌈b·n/8⌉ + ⌈(b−e)·n/8⌉ + ⌈(b−e′)·n/8⌉ +
//! ⌈(b−e−e′)·n/8⌉ bytes. **Security** shares only. **Error** that of both extensions. **Source** as for
//! [`extension`](super::extension). **Differs from the source** in that the factors are not opened again.

use super::extension::{Extended, Extension};
use super::words_len;
use crate::error::Error;
use crate::form::Form;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, Share};
use crate::material::word::RingWord;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use blindroute_ring::lanes::combine;
use blindroute_ring::{Shape, Tensor};
use std::sync::Arc;

impl<I: Interpreter> Machine<'_, I> {
    /// `(a ≫ s) · (b ≫ t)` in a ring of `bits` bits, both extended on the way; `b` is one element per row of `a`. Needs
    /// |a| < 2^(bits of a − 2), and b alike. No opening.
    ///
    /// # Errors
    /// If the shapes do not fit or there are not that many fraction bits.
    pub fn product_extended<A: RingWord, B: RingWord, V: RingWord>(
        &mut self,
        (a, shift_a): (&Masked<I, A>, u32),
        (b, shift_b): (&Masked<I, B>, u32),
        bits: u32,
    ) -> Result<Share<I, V>, Error> {
        if (Shape { columns: 1, ..a.form.shape }) != b.form.shape {
            return Err(Error::Program(format!("the product of {} and {} by rows", a.form.shape, b.form.shape)));
        }
        let extensions =
            [Extension::checked::<V>(&a.form, shift_a, bits)?, Extension::checked::<V>(&b.form, shift_b, bits)?];
        let form = Form::new(a.form.shape, bits, a.form.fraction - shift_a + b.form.fraction - shift_b);
        let operation = ProductExtended { extensions, factors: [a.form, b.form], out: form };
        let operands = (a.payload.clone(), b.payload.clone());
        let payload = self.apply::<(kind::Masked<A>, kind::Masked<B>), kind::Share<V>>(&operation, operands)?;
        Ok(Share { form, payload })
    }
}

struct ProductExtended {
    extensions: [Extension; 2],
    factors: [Form; 2],
    out: Form,
}

impl ProductExtended {
    /// The rings of the four products of A and T of a with A and T of b: AA, AT, TA, TT.
    fn rings(&self) -> [u32; 4] {
        let ([a, b], ring) = (self.extensions, self.out.bits);
        [ring, b.top_bits(ring), a.top_bits(ring), ring.saturating_sub(a.width() + b.width())]
    }
}

/// a·b of dealer words, one b per row of a.
fn by_rows<V: RingWord>(a: &Tensor<V>, b: &Tensor<V>) -> Tensor<V> {
    let mut out = Tensor::zeros(a.shape());
    let columns = a.shape().columns.max(1);
    let rows = out.data_mut().chunks_exact_mut(columns).zip(a.data().chunks_exact(columns));
    for ((out, a), &b) in rows.zip(b.data()) {
        combine(out, [a], [], |_: V, [a], []: [V; 0]| a.times(b));
    }
    out
}

impl<A: RingWord, B: RingWord, V: RingWord> Operation<(kind::Masked<A>, kind::Masked<B>), kind::Share<V>>
    for ProductExtended
{
    fn clear(
        &self,
        _weights: &[Tensor<f32>],
        (a, b): (Arc<Tensor<f32>>, Arc<Tensor<f32>>),
    ) -> Result<Tensor<f32>, Error> {
        Ok(a.zip(&b, |a, b| a * b))
    }

    fn fixed(
        &self,
        ranges: &mut Ranges,
        (a, b): (Arc<Tensor<i128>>, Arc<Tensor<i128>>),
    ) -> Result<Tensor<i128>, Error> {
        ranges.check_extension("extended factor of elements", &a, &self.factors[0])?;
        ranges.check_extension("extended factor of rows", &b, &self.factors[1])?;
        let [shift_a, shift_b] = self.extensions.map(Extension::shift);
        let (a, b) = (ranges.truncate(&a, shift_a), ranges.truncate(&b, shift_b));
        ranges.elements(&a, &b)
    }

    fn cost(&self, meter: &mut CostMeter) {
        for (extension, form) in self.extensions.iter().zip(&self.factors) {
            meter.material(extension.cost(form.shape.len(), self.out.bits));
        }
        for bits in self.rings() {
            meter.material(words_len(self.out.shape.len(), bits));
        }
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, (a, b): (Arc<Secret<A>>, Arc<Secret<B>>)) -> Result<(), Error> {
        let [extension_a, extension_b] = self.extensions;
        let many = extension_a.offline::<A, V>(role, &a, self.out.bits)?;
        let few = extension_b.offline::<B, V>(role, &b, self.out.bits)?;
        let factors = [(&many.low, &few.low), (&many.low, &few.top), (&many.top, &few.low), (&many.top, &few.top)];
        for ((many, few), bits) in factors.into_iter().zip(self.rings()) {
            let product = role.correlated(self.out.shape, bits, || by_rows(many.expose(), few.expose()))?;
            role.hand(&product)?;
        }
        Ok(())
    }

    /// M_a·M_b + M_a·b̃ + M_b·ã + ãb̃ with ã = −A_a + u_a·T_a and b̃ alike.
    fn online<S: Server>(&self, server: &mut S, (a, b): (Arc<Tensor<A>>, Arc<Tensor<B>>)) -> Result<Secret<V>, Error> {
        let many = Extended::<V>::online(server, a.shape())?;
        let few = Extended::<V>::online(server, b.shape())?;
        let terms = server.pop_all::<V, 4>(self.out.shape)?;
        let leads = V::from_i64(i64::from(server.leads()));
        let [extension_a, extension_b] = self.extensions;
        let (width_a, width_b) = (extension_a.width(), extension_b.width());
        let columns = a.shape().columns.max(1);
        let mut words = Secret::new(Tensor::zeros(self.out.shape));
        for (row, out) in words.expose_mut().data_mut().chunks_exact_mut(columns).enumerate() {
            let (value_b, wraps_b) = extension_b.public::<B, V>(b.data()[row]);
            let top = wraps_b.times(few.top.expose().data()[row]).shift_left(width_b);
            let share_b = top.minus(few.low.expose().data()[row]);
            let whole_b = share_b.plus(leads.times(value_b));
            let parts = [&many.low, &many.top, &terms[0], &terms[1], &terms[2], &terms[3]];
            let shares = parts.map(|words| &words.expose().data()[row * columns..(row + 1) * columns]);
            let public = &a.data()[row * columns..(row + 1) * columns];
            combine(out, shares, [public], |_: V, [low, top, both, with_top, top_with, tops], [m]: [A; 1]| {
                let (value, wraps) = extension_a.public::<A, V>(m);
                let share_a = wraps.times(top).shift_left(width_a).minus(low);
                let wrapped = top_with.minus(wraps_b.times(tops).shift_left(width_b));
                let products = both
                    .minus(wraps_b.times(with_top).shift_left(width_b))
                    .minus(wraps.times(wrapped).shift_left(width_a));
                value.times(whole_b).plus(value_b.times(share_a)).plus(products)
            });
        }
        Ok(words)
    }
}
