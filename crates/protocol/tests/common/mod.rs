//! Programs of one step, and inputs of any width, for the tests of this crate.

#![allow(dead_code, unreachable_pub)]

use blindroute_protocol::{
    Error, Form, Interpreter, Machine, Meter, Program, RingWord, Shape, Share, Tensor, WeightSpec,
};
use blindroute_testkit::{Run, TestWorld};

/// What a test program does. Closures cannot be generic over interpreters, so each is a type; see [`body!`].
pub trait Body: Send + Sync {
    fn run<I: Interpreter>(&self, machine: &mut Machine<I>) -> Result<(), Error>;
}

/// A program of a body.
pub struct Gate<B> {
    pub weights: Vec<WeightSpec>,
    pub inputs: Vec<Form>,
    pub body: B,
}

impl<B: Body> Program for Gate<B> {
    fn weights(&self) -> Vec<WeightSpec> {
        self.weights.clone()
    }
    fn inputs(&self) -> Vec<Form> {
        self.inputs.clone()
    }
    fn run<I: Interpreter>(&self, machine: &mut Machine<I>) -> Result<(), Error> {
        self.body.run(machine)
    }
}

/// `body!(Name { field: Type }, |this, machine| { .. })`
macro_rules! body {
    ($name:ident { $($field:ident: $type:ty),* $(,)? }, |$this:ident, $machine:ident| $block:block) => {
        #[derive(Clone, Debug)]
        struct $name { $($field: $type),* }
        impl $crate::common::Body for $name {
            fn run<I: blindroute_protocol::Interpreter>(
                &self,
                $machine: &mut blindroute_protocol::Machine<I>,
            ) -> Result<(), blindroute_protocol::Error> {
                let $this = self;
                let _ = $this;
                $block
            }
        }
    };
}
pub(crate) use body;

/// A program without weights.
pub fn gate<B: Body>(body: B, inputs: Vec<Form>) -> Gate<B> {
    Gate { weights: Vec::new(), inputs, body }
}

/// Integers of any width as three inputs that [`big_input`] puts together: f32 holds 24 bits only.
pub fn big(values: &[i128], form: Form) -> (Vec<Form>, Vec<Tensor<f32>>) {
    let unit = 2f64.powi(form.fraction as i32);
    let limb = |part: &dyn Fn(i128) -> i128| {
        Tensor::new(form.shape, values.iter().map(|&x| (part(x) as f64 / unit) as f32).collect())
    };
    let mask = (1 << 22) - 1;
    (vec![form; 3], vec![limb(&|x| x >> 44), limb(&|x| x >> 22 & mask), limb(&|x| x & mask)])
}

/// The integers of [`big`], the first of whose inputs is `index`.
pub fn big_input<I: Interpreter, W: RingWord>(machine: &mut Machine<I>, index: usize) -> Result<Share<I, W>, Error> {
    let high = machine.input::<W>(index)?.scale(1 << 44);
    let middle = machine.input::<W>(index + 1)?.scale(1 << 22);
    high.add(&middle)?.add(&machine.input(index + 2)?)
}

/// Runs the parties and checks the ledger against the forecast.
pub fn run<B: Body>(seed: u64, program: &Gate<B>, weights: &[Tensor<f32>], inputs: &[Tensor<f32>]) -> Run {
    let run = TestWorld::seeded(seed).run(program, weights, inputs).unwrap();
    for server in run.servers {
        assert_eq!(server.openings, run.forecast.openings, "openings");
        assert_eq!(server.opening_bytes, run.forecast.opening_bytes, "bytes each way");
    }
    assert_eq!(run.material_bytes, run.forecast.material_bytes, "material");
    run
}

/// As [`run`], with the revealed words as exact integers.
pub fn integers<B: Body>(
    seed: u64,
    program: &Gate<B>,
    weights: &[Tensor<f32>],
    inputs: &[Tensor<f32>],
) -> Vec<Vec<i128>> {
    let run = run(seed, program, weights, inputs);
    run.transcript.integers(&Meter::outputs(program).unwrap())
}

/// Small integers as a row.
pub fn row(values: &[i64]) -> Tensor<f32> {
    Tensor::new(Shape::row(values.len()), values.iter().map(|&x| x as f32).collect())
}
