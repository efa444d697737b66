//! Masked bits times values.
//!
//! **Computes** x·d for bits opened as d̂ = d ⊕ ρ. **Shapes** one plane of bits, x of the same shape. **Cost** no opening;
//! material for n elements and a ring of k bits 2·⌈k·n/8⌉ bytes. **Security** shares only. Exact modulo 2^k; ReLU is this
//! selection with [x ≥ 0]. **Source** d = d̂ + (1 − 2d̂)ρ, as in daBits, Rotaru and Wood, INDOCRYPT'19. **Differs from the
//! source** in that the product with x needs no further opening: `[ρ]` and `[ρδ]` are enough.

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
use blindroute_ring::{Scalar, Tensor, Word};
use std::sync::Arc;

impl<I: Interpreter> Machine<'_, I> {
    /// `x` where the bit is 1, else 0. No opening.
    ///
    /// # Errors
    /// If the shapes differ or there is more than one plane.
    pub fn select<W: RingWord>(&mut self, bits: &MaskedBits<I>, x: &Masked<I, W>) -> Result<Share<I, W>, Error> {
        check_selected(bits, &x.form)?;
        let operands = (bits.payload.clone(), x.payload.clone());
        let operation = Select { form: x.form };
        let payload = self.apply::<(kind::MaskedBits, kind::Masked<W>), kind::Share<W>>(&operation, operands)?;
        Ok(Share { form: x.form, payload })
    }
}

/// Checks that one plane of bits selects a value.
///
/// # Errors
/// If the shapes differ or there is more than one plane.
pub(super) fn check_selected<I: Interpreter>(bits: &MaskedBits<I>, form: &Form) -> Result<(), Error> {
    if bits.shape != form.shape || bits.planes != 1 {
        return Err(Error::Shape { what: "selected value", expected: bits.shape, found: form.shape });
    }
    Ok(())
}

/// Plane `plane` of mask bits as words 0 and 1.
pub(super) fn mask_words<W: RingWord>(mask: &BitTensor, plane: usize, form: &Form) -> Secret<W> {
    let mut words = Secret::new(Tensor::zeros(form.shape));
    let one = W::from_i64(1);
    combine_bits(words.expose_mut().data_mut(), mask.plane(plane), [], [], |_: W, bit: W, [], []: [W; 0]| {
        bit.bit_and(one)
    });
    words
}

/// `yes` where the bit is 1, else `no`, without a branch.
#[inline(always)]
pub(super) fn choose<W: RingWord>(bit: u64, yes: W, no: W) -> W {
    no.plus(W::from_i64(bit as i64).times(yes.minus(no)))
}

/// `masked` where the opened bit is 0, `whole − masked` where it is 1; `bit` is all zeros or all ones.
#[inline(always)]
pub(super) fn flip<W: Word>(bit: W, masked: W, whole: W) -> W {
    masked.bit_xor(bit).minus(bit).plus(whole.bit_and(bit))
}

struct Select {
    form: Form,
}

impl<W: RingWord> Operation<(kind::MaskedBits, kind::Masked<W>), kind::Share<W>> for Select {
    fn clear(
        &self,
        _weights: &[Tensor<f32>],
        (bits, x): (Planes<f32>, Arc<Tensor<f32>>),
    ) -> Result<Tensor<f32>, Error> {
        Ok(x.zip(&bits[0], |x, bit| if bit != 0.0 { x } else { 0.0 }))
    }

    fn fixed(&self, _ranges: &mut Ranges, (bits, x): (Planes<i128>, Arc<Tensor<i128>>)) -> Result<Tensor<i128>, Error> {
        Ok(x.zip(&bits[0], i128::times))
    }

    fn cost(&self, meter: &mut CostMeter) {
        // The third tensor is the mask itself, which costs nothing.
        meter.material(2 * words_len(self.form.shape.len(), self.form.bits));
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, (bits, x): (Arc<BitTensor>, Arc<Secret<W>>)) -> Result<(), Error> {
        let Form { shape, bits: ring, .. } = self.form;
        let mask = || mask_words(&bits, 0, &self.form);
        let rho = role.correlated::<W>(shape, ring, || mask().into_inner())?;
        let product = role.correlated(shape, ring, || x.expose().zip(mask().expose(), W::times))?;
        role.hand(&rho)?;
        role.hand(&product)?;
        role.hand(&x)
    }

    /// d·(m − δ): for d̂ = 0 it is m[ρ] − [ρδ], for d̂ = 1 it is m − [δ] less that.
    fn online<S: Server>(
        &self,
        server: &mut S,
        (bits, x): (Arc<BitTensor>, Arc<Tensor<W>>),
    ) -> Result<Secret<W>, Error> {
        let [rho, product, mask] = server.pop_all::<W, 3>(self.form.shape)?;
        let leads = W::from_i64(i64::from(server.leads()));
        let mut words = Secret::new(Tensor::zeros(self.form.shape));
        let inputs = [x.data(), rho.expose().data(), product.expose().data(), mask.expose().data()];
        let out = words.expose_mut().data_mut();
        combine_bits(out, bits.plane(0), inputs, [], |_, bit, [m, rho, product, mask], []: [W; 0]| {
            let masked = m.times(rho).minus(product);
            flip(bit, masked, leads.times(m).minus(mask))
        });
        Ok(words)
    }
}
