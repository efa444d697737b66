//! The clear interpreter: f32, exact functions, nothing hidden. The reference, and the `local` placement.

use crate::error::Error;
use crate::form::Form;
use crate::machine::Machine;
use crate::machine::interpreter::{Interpreter, MaskedBitsOf, MaskedOf, opens_alone};
use crate::material::word::RingWord;
use crate::operation::world::{self, Planes};
use crate::operation::{Kind, Operation, Returned};
use crate::program::{Output, Program};
use crate::weight_spec::check_weights;
use blindroute_ring::{Shape, Tensor};
use std::sync::Arc;

/// Runs programs on plain f32.
#[derive(Debug)]
pub struct Clear<'a> {
    weights: &'a [Tensor<f32>],
    inputs: Vec<Tensor<f32>>,
    output: Output,
    kept: Vec<Tensor<f32>>,
}

impl<'a> Clear<'a> {
    /// Runs a program on its inputs.
    ///
    /// # Errors
    /// If weights or inputs do not fit the program.
    pub fn run<P: Program>(program: &P, weights: &'a [Tensor<f32>], inputs: Vec<Tensor<f32>>) -> Result<Output, Error> {
        Self::run_keeping(program, weights, inputs).map(|(output, _)| output)
    }

    /// The same with what the servers would [keep](Machine::keep): inputs for a program that continues this one.
    ///
    /// # Errors
    /// If weights or inputs do not fit the program.
    pub fn run_keeping<P: Program>(
        program: &P,
        weights: &'a [Tensor<f32>],
        inputs: Vec<Tensor<f32>>,
    ) -> Result<(Output, Vec<Tensor<f32>>), Error> {
        let (specs, forms) = (program.weights(), program.inputs());
        check_weights(&specs, weights)?;
        for (form, input) in forms.iter().zip(&inputs) {
            if form.shape != input.shape() {
                return Err(Error::Shape { what: "input", expected: form.shape, found: input.shape() });
            }
        }
        let clear = Self { weights, inputs, output: Output::default(), kept: Vec::new() };
        let mut machine = Machine::new(clear, &specs, &forms);
        program.run(&mut machine)?;
        let Self { output, kept, .. } = machine.into_interpreter();
        Ok((output, kept))
    }
}

impl Interpreter for Clear<'_> {
    type World = world::Clear;
    opens_alone!();

    fn input<W: RingWord>(&mut self, index: usize, _form: &Form) -> Result<Tensor<f32>, Error> {
        let missing = || Error::Program(format!("there is no input {index}"));
        self.inputs.get(index).cloned().ok_or_else(missing)
    }
    fn reveal<W: RingWord>(&mut self, share: Tensor<f32>, _form: &Form, _reason: &'static str) -> Result<(), Error> {
        self.output.values.push(share.data().iter().map(|&x| f64::from(x)).collect());
        Ok(())
    }
    fn reveal_bits(&mut self, bits: Tensor<f32>, _shape: Shape, _reason: &'static str) -> Result<(), Error> {
        self.output.bits.push(bits.data().iter().map(|&x| x != 0.0).collect());
        Ok(())
    }
    fn keep<W: RingWord>(&mut self, share: Tensor<f32>, _form: &Form) -> Result<(), Error> {
        self.kept.push(share);
        Ok(())
    }
    fn add_constant<W: RingWord>(&mut self, share: &mut Tensor<f32>, _form: &Form, value: &[f64]) {
        for (x, &value) in share.data_mut().iter_mut().zip(value.iter().cycle()) {
            *x += value as f32;
        }
    }
    fn constants<W: RingWord>(&mut self, values: &[f64], form: &Form) -> Arc<Tensor<f32>> {
        Arc::new(Tensor::new(form.shape, values.iter().map(|&value| value as f32).collect()))
    }
    fn truncate_reduce<W: RingWord>(
        &mut self,
        x: Tensor<f32>,
        _form: &Form,
        _shift: u32,
    ) -> Result<Tensor<f32>, Error> {
        Ok(x)
    }
    fn defer<W: RingWord>(&mut self, share: Tensor<f32>, _form: &Form) -> Result<Arc<Tensor<f32>>, Error> {
        Ok(Arc::new(share))
    }
    fn defer_bits(&mut self, bits: Tensor<f32>, _len: usize) -> Result<Planes<f32>, Error> {
        Ok(Arc::new(vec![bits.into()]))
    }
    fn apply<A: Kind, R: Kind>(
        &mut self,
        operation: &impl Operation<A, R>,
        operands: A::In<world::Clear>,
    ) -> Returned<R, world::Clear> {
        operation.clear(self.weights, operands)
    }
}
