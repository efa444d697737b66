//! The offline phase: the dealer, who knows the masks, and a server preparing its material, who knows shares of them.
//! One body of code for both, so they cannot disagree on what comes next.

use crate::bits::BitTensor;
use crate::error::Error;
use crate::form::Form;
use crate::machine::Machine;
use crate::machine::interpreter::{Interpreter, MaskedBitsOf, MaskedOf, opens_alone};
use crate::material::word::RingWord;
use crate::operation::{Kind, OfflineRole, Operation, Returned, world};
use crate::program::Program;
use crate::protocols::opening;
use crate::secret::Secret;
use blindroute_ring::{Shape, Tensor};
use std::sync::Arc;

/// A program's offline phase in one role.
pub(super) struct Offline<R> {
    role: R,
}

impl<R: OfflineRole> Offline<R> {
    /// Runs a program, and gives the role back.
    pub(super) fn run<P: Program>(program: &P, role: R) -> Result<R, Error> {
        let (weights, inputs) = (program.weights(), program.inputs());
        let mut machine = Machine::new(Self { role }, &weights, &inputs);
        program.run(&mut machine)?;
        Ok(machine.into_interpreter().role)
    }
}

impl<R: OfflineRole> Interpreter for Offline<R> {
    type World = world::Offline;
    opens_alone!();

    fn input<W: RingWord>(&mut self, _index: usize, _form: &Form) -> Result<(), Error> {
        Ok(())
    }
    fn reveal<W: RingWord>(&mut self, (): (), _form: &Form, _reason: &'static str) -> Result<(), Error> {
        Ok(())
    }
    fn reveal_bits(&mut self, (): (), _shape: Shape, _reason: &'static str) -> Result<(), Error> {
        Ok(())
    }
    fn keep<W: RingWord>(&mut self, (): (), _form: &Form) -> Result<(), Error> {
        Ok(())
    }
    fn add_constant<W: RingWord>(&mut self, (): &mut (), _form: &Form, _value: &[f64]) {}
    fn constants<W: RingWord>(&mut self, _values: &[f64], form: &Form) -> Arc<Secret<W>> {
        Arc::new(Secret::new(Tensor::zeros(form.shape)))
    }
    fn truncate_reduce<W: RingWord>(&mut self, (): (), _form: &Form, _shift: u32) -> Result<(), Error> {
        Ok(())
    }
    fn defer<W: RingWord>(&mut self, (): (), form: &Form) -> Result<Arc<Secret<W>>, Error> {
        opening::offline(&mut self.role, form)
    }
    fn defer_bits(&mut self, (): (), len: usize) -> Result<Arc<BitTensor>, Error> {
        opening::offline_bits(&mut self.role, 1, len)
    }
    fn apply<A: Kind, Z: Kind>(
        &mut self,
        operation: &impl Operation<A, Z>,
        operands: A::In<world::Offline>,
    ) -> Returned<Z, world::Offline> {
        operation.offline(&mut self.role, operands)
    }
}

/// Fresh random bits of a stream.
pub(super) fn random_bits(stream: &mut blindroute_ring::Prg, planes: usize, len: usize) -> BitTensor {
    let mut bits = BitTensor::zeros(planes, len);
    stream.fill_words(bits.words_mut());
    bits
}
