//! Secret summands.
//!
//! **Computes** shares of a bias row of the bundle. **Shapes** `[1, 1, N]`. **Cost** no opening, no material: each server
//! has its share of the weight. **Security** shares only. Exact. **Source** none. **Differs from the source** in nothing.

use super::linear::weight_in;
use crate::error::Error;
use crate::form::Form;
use crate::machine::interpreter::Interpreter;
use crate::machine::{Machine, Share};
use crate::material::factor::Factor;
use crate::material::word::RingWord;
use crate::operation::{CostMeter, OfflineRole, Operation, Ranges, Server, kind};
use crate::secret::Secret;
use crate::weight_spec::{WeightId, WeightKind};
use blindroute_ring::Tensor;

impl<I: Interpreter> Machine<'_, I> {
    /// A secret bias row of `fraction` bits. No opening.
    ///
    /// # Errors
    /// If the weight is no bias of that fraction in words `W`.
    pub fn bias<W: RingWord>(&mut self, id: WeightId, fraction: u32) -> Result<Share<I, W>, Error> {
        let spec = weight_in::<W>(self.weight(id)?)?;
        if !matches!(spec.kind, WeightKind::Bias(_)) || spec.fraction != fraction {
            return Err(Error::Program(format!("{} is no bias of {fraction} fraction bits", spec.name)));
        }
        let form = Form::new(spec.shape(), spec.bits, fraction);
        Ok(Share { form, payload: self.apply::<(), kind::Share<W>>(&Bias { weight: id }, ())? })
    }
}

struct Bias {
    weight: WeightId,
}

impl<W: RingWord> Operation<(), kind::Share<W>> for Bias {
    fn clear(&self, weights: &[Tensor<f32>], (): ()) -> Result<Tensor<f32>, Error> {
        Ok(weights[self.weight.0].clone())
    }

    fn fixed(&self, ranges: &mut Ranges, (): ()) -> Result<Tensor<i128>, Error> {
        Ok(ranges.weights()[self.weight.0].clone())
    }

    fn cost(&self, _meter: &mut CostMeter) {}

    fn offline<P: OfflineRole>(&self, _role: &mut P, (): ()) -> Result<(), Error> {
        Ok(())
    }

    fn online<S: Server>(&self, server: &mut S, (): ()) -> Result<Secret<W>, Error> {
        match server.weight(self.weight)?.in_word::<W>()? {
            Factor::Row(row) => Ok(Secret::new(row.expose().clone())),
            Factor::Matrix(_) => Err(Error::Program("a matrix is no bias".into())),
        }
    }
}
