//! Masked bits times extended values.
//!
//! **Computes** d·(x ≫ s) modulo 2^b for bits opened as d̂ = d ⊕ ρ, x extended on the way (see
//! [`extension`](super::extension)). **Shapes** one plane of bits, x of the same shape. **Cost** no opening; material
//! 3·⌈b·n/8⌉ + 2·⌈(b−e)·n/8⌉ bytes, e the width of the truncated x. **Security** shares only. **Error** that of the
//! extension. **Source** as for [`selection`](super::selection). **Differs from the source** as there, and in that the
//! ring changes on the way.

use super::extension::{Extended, Extension};
use super::selection::{check_selected, flip, mask_words};
use super::words_len;
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, MaskedBits, Share};
use crate::material::word::RingWord;
use crate::operation::world::Planes;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use blindroute_ring::lanes::combine_bits;
use blindroute_ring::{Scalar, Tensor};
use std::sync::Arc;

impl<I: Interpreter> Machine<'_, I> {
    /// `x ≫ shift` in a ring of `ring` bits where the bit is 1, else 0. Needs |x| < 2^(bits of x − 2). No opening.
    ///
    /// # Errors
    /// If the shapes differ, there is more than one plane, or not that many fraction bits.
    pub fn select_extended<W: RingWord, V: RingWord>(
        &mut self,
        bits: &MaskedBits<I>,
        x: &Masked<I, W>,
        shift: u32,
        ring: u32,
    ) -> Result<Share<I, V>, Error> {
        check_selected(bits, &x.form)?;
        let extension = Extension::checked::<V>(&x.form, shift, ring)?;
        let form = Form::new(x.form.shape, ring, x.form.fraction - shift);
        let operation = SelectExtended { extension, form: x.form, out: form };
        let operands = (bits.payload.clone(), x.payload.clone());
        let payload = self.apply::<(kind::MaskedBits, kind::Masked<W>), kind::Share<V>>(&operation, operands)?;
        Ok(Share { form, payload })
    }
}

struct SelectExtended {
    extension: Extension,
    form: Form,
    out: Form,
}

impl<W: RingWord, V: RingWord> Operation<(kind::MaskedBits, kind::Masked<W>), kind::Share<V>> for SelectExtended {
    fn clear(
        &self,
        _weights: &[Tensor<f32>],
        (bits, x): (Planes<f32>, Arc<Tensor<f32>>),
    ) -> Result<Tensor<f32>, Error> {
        Ok(x.zip(&bits[0], |x, bit| if bit != 0.0 { x } else { 0.0 }))
    }

    fn fixed(&self, ranges: &mut Ranges, (bits, x): (Planes<i128>, Arc<Tensor<i128>>)) -> Result<Tensor<i128>, Error> {
        ranges.check_extension("extended selection", &x, &self.form)?;
        Ok(ranges.truncate(&x, self.extension.shift()).zip(&bits[0], i128::times))
    }

    fn cost(&self, meter: &mut CostMeter) {
        let len = self.out.shape.len();
        meter.material(2 * self.extension.cost(len, self.out.bits) + words_len(len, self.out.bits));
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, (bits, x): (Arc<BitTensor>, Arc<Secret<W>>)) -> Result<(), Error> {
        let Form { shape, bits: ring, .. } = self.out;
        let extended = self.extension.offline::<W, V>(role, &x, ring)?;
        let rho = role.correlated::<V>(shape, ring, || mask_words(&bits, 0, &self.out).into_inner())?;
        role.hand(&rho)?;
        for (part, bits) in [(&extended.low, ring), (&extended.top, self.extension.top_bits(ring))] {
            let product = role.correlated(shape, bits, || part.expose().zip(rho.expose(), V::times))?;
            role.hand(&product)?;
        }
        Ok(())
    }

    /// d·(M − A + uT), the extended x: for d̂ = 0 it is M[ρ] − [ρA] + u[ρT].
    fn online<S: Server>(
        &self,
        server: &mut S,
        (bits, x): (Arc<BitTensor>, Arc<Tensor<W>>),
    ) -> Result<Secret<V>, Error> {
        let extended = Extended::<V>::online(server, self.out.shape)?;
        let [rho, with_low, with_top] = server.pop_all::<V, 3>(self.out.shape)?;
        let leads = V::from_i64(i64::from(server.leads()));
        let extension = self.extension;
        let mut words = Secret::new(Tensor::zeros(self.out.shape));
        let shares = [&extended.low, &extended.top, &rho, &with_low, &with_top].map(|share| share.expose().data());
        combine_bits(
            words.expose_mut().data_mut(),
            bits.plane(0),
            shares,
            [x.data()],
            |_, bit, [low, top, rho, with_low, with_top], [m]: [W; 1]| {
                let (value, wraps) = extension.public::<W, V>(m);
                let wrapped = |top: V| wraps.times(top).shift_left(extension.width());
                let masked = value.times(rho).minus(with_low).plus(wrapped(with_top));
                let whole = leads.times(value).minus(low).plus(wrapped(top));
                flip(bit, masked, whole)
            },
        );
        Ok(words)
    }
}
