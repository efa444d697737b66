//! Products of masked bits as integers.
//!
//! **Computes** d·e as an integer for bits opened as d̂ = d ⊕ ρ and ê. **Shapes** two planes of n bits. **Cost** no
//! opening; material 3·⌈k·n/8⌉ bytes in a ring of k bits. **Security** shares only. Exact. **Source** as for
//! [`bits_to_share`](super::bits_to_share). **Differs from the source** in that the product needs no further opening.

use super::selection::{choose, mask_words};
use super::words_len;
use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, MaskedBits, Share};
use crate::material::word::RingWord;
use crate::operation::world::Planes;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use blindroute_ring::{Scalar, Tensor};
use std::sync::Arc;

impl<I: Interpreter> Machine<'_, I> {
    /// `a · b` of bits, as the integers 0 and 1 in a ring of `ring` bits. No opening.
    ///
    /// # Errors
    /// If the shapes differ or there is more than one plane.
    pub fn bits_product<W: RingWord>(
        &mut self,
        a: &MaskedBits<I>,
        b: &MaskedBits<I>,
        ring: u32,
    ) -> Result<Share<I, W>, Error> {
        if a.shape != b.shape || a.planes != 1 || b.planes != 1 {
            return Err(Error::Shape { what: "product of bits", expected: a.shape, found: b.shape });
        }
        let form = Form::new(a.shape, ring, 0);
        let operands = (a.payload.clone(), b.payload.clone());
        let operation = BitsProduct { out: form };
        let payload = self.apply::<(kind::MaskedBits, kind::MaskedBits), kind::Share<W>>(&operation, operands)?;
        Ok(Share { form, payload })
    }
}

struct BitsProduct {
    out: Form,
}

impl<W: RingWord> Operation<(kind::MaskedBits, kind::MaskedBits), kind::Share<W>> for BitsProduct {
    fn clear(&self, _weights: &[Tensor<f32>], (a, b): (Planes<f32>, Planes<f32>)) -> Result<Tensor<f32>, Error> {
        Ok(a[0].zip(&b[0], |a, b| a * b))
    }

    fn fixed(&self, _ranges: &mut Ranges, (a, b): (Planes<i128>, Planes<i128>)) -> Result<Tensor<i128>, Error> {
        Ok(a[0].zip(&b[0], i128::times))
    }

    fn cost(&self, meter: &mut CostMeter) {
        meter.material(3 * words_len(self.out.shape.len(), self.out.bits));
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, (a, b): (Arc<BitTensor>, Arc<BitTensor>)) -> Result<(), Error> {
        let Form { shape, bits: ring, .. } = self.out;
        let mask = |bits: &BitTensor| mask_words::<W>(bits, 0, &self.out);
        let rho_a = role.correlated(shape, ring, || mask(&a).into_inner())?;
        let rho_b = role.correlated(shape, ring, || mask(&b).into_inner())?;
        let both = role.correlated(shape, ring, || mask(&a).expose().zip(mask(&b).expose(), W::times))?;
        for words in [&rho_a, &rho_b, &both] {
            role.hand(words)?;
        }
        Ok(())
    }

    /// (â + (1 − 2â)ρ_a)(b̂ + (1 − 2b̂)ρ_b).
    fn online<S: Server>(&self, server: &mut S, (a, b): (Arc<BitTensor>, Arc<BitTensor>)) -> Result<Secret<W>, Error> {
        let [rho_a, rho_b, both] = server.pop_all::<W, 3>(self.out.shape)?;
        let one = W::from_i64(i64::from(server.leads()));
        let words = (0..self.out.shape.len())
            .map(|i| {
                let [rho_a, rho_b, both] = [&rho_a, &rho_b, &both].map(|words| words.expose().data()[i]);
                // For b̂ = 0: a·ρ_b; for b̂ = 1: a less that.
                let with_mask = choose(a.get(0, i), rho_b.minus(both), both);
                let whole = choose(a.get(0, i), one.minus(rho_a), rho_a);
                choose(b.get(0, i), whole.minus(with_mask), with_mask)
            })
            .collect();
        Ok(Secret::new(Tensor::new(self.out.shape, words)))
    }
}
