//! The cost meter: shapes only. Openings, bytes and material of a program, without running it.

use crate::error::Error;
use crate::form::Form;
use crate::machine::Machine;
use crate::machine::interpreter::Interpreter;
use crate::material::word::RingWord;
use crate::operation::{Cost, CostMeter, Kind, Operation, Returned, world};
use crate::program::{OutputSize, OutputSpec, Program};
use crate::protocols::opening;
use blindroute_ring::Shape;

/// Runs programs on shapes.
#[derive(Debug, Default)]
pub struct Meter {
    meter: CostMeter,
    outputs: Vec<OutputSpec>,
    keeps: bool,
}

impl Meter {
    /// The cost of a program.
    ///
    /// # Errors
    /// If the program is wrong.
    pub fn cost<P: Program>(program: &P) -> Result<Cost, Error> {
        Ok(Self::run(program)?.meter.cost())
    }

    /// The sizes of what a program reveals to the client, and why it may.
    ///
    /// # Errors
    /// If the program is wrong.
    pub fn outputs<P: Program>(program: &P) -> Result<Vec<OutputSpec>, Error> {
        Ok(Self::run(program)?.outputs)
    }

    /// The same, and whether the program [keeps](Machine::keep) something for one that continues it.
    ///
    /// # Errors
    /// If the program is wrong.
    pub fn outputs_and_keeps<P: Program>(program: &P) -> Result<(Vec<OutputSpec>, bool), Error> {
        let Self { outputs, keeps, .. } = Self::run(program)?;
        Ok((outputs, keeps))
    }

    fn run<P: Program>(program: &P) -> Result<Self, Error> {
        let (weights, inputs) = (program.weights(), program.inputs());
        let mut machine = Machine::new(Self::default(), &weights, &inputs);
        program.run(&mut machine)?;
        Ok(machine.into_interpreter())
    }
}

impl Interpreter for Meter {
    type World = world::Forms;
    type Pending<W: RingWord> = ();
    type PendingBits = ();

    fn input<W: RingWord>(&mut self, _index: usize, _form: &Form) -> Result<(), Error> {
        Ok(())
    }
    fn reveal<W: RingWord>(&mut self, (): (), form: &Form, reason: &'static str) -> Result<(), Error> {
        self.outputs.push(OutputSpec { size: OutputSize::Words(*form), reason });
        Ok(())
    }
    fn reveal_bits(&mut self, (): (), shape: Shape, reason: &'static str) -> Result<(), Error> {
        self.outputs.push(OutputSpec { size: OutputSize::Bits(shape.len()), reason });
        Ok(())
    }
    fn keep<W: RingWord>(&mut self, (): (), _form: &Form) -> Result<(), Error> {
        self.keeps = true;
        Ok(())
    }
    fn add_constant<W: RingWord>(&mut self, (): &mut (), _form: &Form, _value: &[f64]) {}
    fn constants<W: RingWord>(&mut self, _values: &[f64], _form: &Form) {}
    fn truncate_reduce<W: RingWord>(&mut self, (): (), _form: &Form, _shift: u32) -> Result<(), Error> {
        Ok(())
    }
    fn defer<W: RingWord>(&mut self, (): (), form: &Form) -> Result<(), Error> {
        self.meter.message(opening::cost(form));
        Ok(())
    }
    fn defer_bits(&mut self, (): (), len: usize) -> Result<(), Error> {
        self.meter.message_of_bits(1, len);
        Ok(())
    }
    fn exchange(&mut self) -> Result<(), Error> {
        self.meter.exchange();
        Ok(())
    }
    fn take<W: RingWord>(&mut self, (): (), _form: &Form) -> Result<(), Error> {
        Ok(())
    }
    fn take_bits(&mut self, (): ()) -> Result<(), Error> {
        Ok(())
    }
    fn apply<A: Kind, R: Kind>(
        &mut self,
        operation: &impl Operation<A, R>,
        _operands: A::In<world::Forms>,
    ) -> Returned<R, world::Forms> {
        operation.cost(&mut self.meter);
        Ok(R::uncounted())
    }
}
