//! Masked bits as integers.
//!
//! **Computes** d as an integer for bits opened as d̂ = d ⊕ ρ. **Shapes** one plane of n bits. **Cost** no opening;
//! material ⌈k·n/8⌉ bytes in a ring of k bits. **Security** shares only. Exact. **Source** d = d̂ + (1 − 2d̂)ρ, as in
//! daBits, Rotaru and Wood, INDOCRYPT'19. **Differs from the source** in nothing.

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
use blindroute_ring::Tensor;
use std::sync::Arc;

impl<I: Interpreter> Machine<'_, I> {
    /// Bits as the integers 0 and 1 in a ring of `ring` bits. No opening.
    ///
    /// # Errors
    /// If there is more than one plane.
    pub fn bits_to_share<W: RingWord>(&mut self, bits: &MaskedBits<I>, ring: u32) -> Result<Share<I, W>, Error> {
        if bits.planes != 1 {
            return Err(Error::Program(format!("expected one plane of bits, found {}", bits.planes)));
        }
        let form = Form::new(bits.shape, ring, 0);
        let operation = BitsToShare { out: form };
        let payload = self.apply::<kind::MaskedBits, kind::Share<W>>(&operation, bits.payload.clone())?;
        Ok(Share { form, payload })
    }
}

struct BitsToShare {
    out: Form,
}

impl<W: RingWord> Operation<kind::MaskedBits, kind::Share<W>> for BitsToShare {
    fn clear(&self, _weights: &[Tensor<f32>], bits: Planes<f32>) -> Result<Tensor<f32>, Error> {
        Ok((*bits[0]).clone())
    }

    fn fixed(&self, _ranges: &mut Ranges, bits: Planes<i128>) -> Result<Tensor<i128>, Error> {
        Ok((*bits[0]).clone())
    }

    fn cost(&self, meter: &mut CostMeter) {
        meter.material(words_len(self.out.shape.len(), self.out.bits));
    }

    fn offline<P: OfflineRole>(&self, role: &mut P, bits: Arc<BitTensor>) -> Result<(), Error> {
        let mask = || mask_words::<W>(&bits, 0, &self.out).into_inner();
        let rho = role.correlated(self.out.shape, self.out.bits, mask)?;
        role.hand(&rho)
    }

    fn online<S: Server>(&self, server: &mut S, bits: Arc<BitTensor>) -> Result<Secret<W>, Error> {
        let rho = server.pop::<W>(self.out.shape)?;
        let one = W::from_i64(i64::from(server.leads()));
        let rhos = rho.expose().data().iter().enumerate();
        let words = rhos.map(|(i, &rho)| choose(bits.get(0, i), one.minus(rho), rho)).collect();
        Ok(Secret::new(Tensor::new(self.out.shape, words)))
    }
}
