//! A masked value as shares.
//!
//! **Computes** shares of x = m − δ. **Shapes** any. **Cost** no opening, no material: servers have shares of δ.
//! **Security** shares only. Exact. **Source** none: the definition of a masked value. **Differs from the source** in
//! nothing.

use crate::error::Error;
use crate::form::Form;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Masked, Share};
use crate::material::word::RingWord;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use blindroute_ring::Tensor;
use std::sync::Arc;

impl<I: Interpreter> Machine<'_, I> {
    /// A masked value as shares. No opening.
    ///
    /// # Errors
    /// From the interpreter.
    pub fn share_of<W: RingWord>(&mut self, x: &Masked<I, W>) -> Result<Share<I, W>, Error> {
        let operation = Unmasking { form: x.form };
        let payload = self.apply::<kind::Masked<W>, kind::Share<W>>(&operation, x.payload.clone())?;
        Ok(Share { form: x.form, payload })
    }
}

struct Unmasking {
    form: Form,
}

impl<W: RingWord> Operation<kind::Masked<W>, kind::Share<W>> for Unmasking {
    fn clear(&self, _weights: &[Tensor<f32>], x: Arc<Tensor<f32>>) -> Result<Tensor<f32>, Error> {
        Ok((*x).clone())
    }

    fn fixed(&self, _ranges: &mut Ranges, x: Arc<Tensor<i128>>) -> Result<Tensor<i128>, Error> {
        Ok((*x).clone())
    }

    fn cost(&self, _meter: &mut CostMeter) {}

    fn offline<P: OfflineRole>(&self, role: &mut P, mask: Arc<Secret<W>>) -> Result<(), Error> {
        role.hand(&mask)
    }

    fn online<S: Server>(&self, server: &mut S, public: Arc<Tensor<W>>) -> Result<Secret<W>, Error> {
        let mask = server.pop::<W>(self.form.shape)?;
        let leads = server.leads();
        Ok(Secret::new(public.zip(mask.expose(), |m, mask| (if leads { m } else { W::ZERO }).minus(mask))))
    }
}
