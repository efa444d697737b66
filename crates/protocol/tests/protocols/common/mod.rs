//! Programs of one step, and inputs of any width, for the tests of this crate.

#![allow(dead_code, unreachable_pub, unused_imports, unused_macros)]

use blindroute_protocol::{
    Error, Form, Interpreter, Machine, Masked, MaskedBits, Meter, Program, RingWord, Shape, Share, Structure, Tensor,
    WeightSpec,
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

/// A signed integer as a ring of `bits` bits holds it.
pub fn wrapped(x: i128, bits: u32) -> i128 {
    x << (128 - bits) >> (128 - bits)
}

/// Small integers as a row.
pub fn row(values: &[i64]) -> Tensor<f32> {
    Tensor::new(Shape::row(values.len()), values.iter().map(|&x| x as f32).collect())
}

/// A program that touches every operation of the machine, with its weights.
pub fn everything(n: usize) -> Gate<Everything> {
    use blindroute_protocol::WeightKind;
    let matrix = WeightKind::Matrix { inner: n, columns: 3 };
    Gate {
        weights: vec![
            WeightSpec::new("matrix", matrix, 12),
            WeightSpec::new("scale", WeightKind::Scale(n), 12),
            WeightSpec::new("bias", WeightKind::Bias(3), 24),
            WeightSpec::new("narrow matrix", matrix, 7).in_ring(30),
            WeightSpec::new("narrow scale", WeightKind::Scale(n), 7).in_ring(29),
            WeightSpec::new("narrow bias", WeightKind::Bias(3), 25).in_ring(32),
        ],
        inputs: vec![
            Form::new(Shape::row(n), 60, 12),
            Form::new(Shape::row(n), 60, 12),
            Form::new(Shape::row(n), 3, 0),
            Form::new(Shape::row(1), 37, 18),
            Form::new(Shape::row(n), 28, 18),
        ],
        body: Everything,
    }
}

/// See [`everything`].
#[derive(Clone, Copy, Debug)]
pub struct Everything;

impl Body for Everything {
    fn run<I: Interpreter>(&self, machine: &mut Machine<I>) -> Result<(), Error> {
        use blindroute_protocol::gates::{self, Target, Wide};
        use blindroute_protocol::{Comparison, WeightId};
        let y = machine.input::<u64>(1)?;
        let index = machine.input::<u32>(2)?;
        let norm = machine.input::<u64>(3)?;
        let narrow = machine.input::<u32>(4)?;
        let (y, index, norm) = (machine.defer(y)?, machine.defer(index)?, machine.defer(norm)?);
        let narrow = machine.defer(narrow)?;
        let x = machine.input::<u64>(0)?;
        let x = machine_constant(machine, x)?;
        let x = machine.open(x)?;
        let (y, index, norm) = (machine.take(y)?, machine.take(index)?, machine.take(norm)?);
        let narrow = machine.take(narrow)?;
        let layer = machine.linear(&x, WeightId(0))?.add(&machine.bias(WeightId(2), 24)?)?;
        machine.reveal(layer, "a test")?;
        let scaled = machine.scale_columns(&y, WeightId(1))?;
        machine.reveal(scaled, "a test")?;
        let dot = machine.matmul_transposed(&x, &y)?;
        let dot =
            dot.add(&machine.matmul(&x, &y.restructure(&Structure::Reshape(Shape::matrix(x.form().shape.len(), 1))))?)?;
        machine.reveal(dot, "a test")?;
        let product = machine.product(&x, &y)?.add(&machine.square_sum::<u64, u64>(&x, 0, 60)?)?;
        machine.reveal(product, "a test")?;
        let truncated = machine.share_of(&x)?;
        let truncated = machine.truncate_reduce(truncated, 6)?;
        let truncated = machine.open(truncated)?;
        let one = machine.constants(truncated.form().with_shape(Shape::row(1)), &[1.0])?;
        let truncated = machine.share_of(&truncated.add(&one)?)?;
        machine.reveal(truncated, "a test")?;
        let extended = machine.extend::<u64, u128>(&x, 6, 88)?;
        machine.reveal(extended, "a test")?;
        let bits = machine.compare(&x, &Comparison::of_many(vec![0], 8, 3))?;
        let kept = machine.select(&bits, &x)?;
        machine.reveal(kept, "a test")?;
        let both = machine.bits_product::<u32>(&bits, &bits, 9)?;
        machine.reveal(both, "a test")?;
        let table: Vec<i64> = (0..8).map(|entry| entry * entry).collect();
        let entry = machine.lookup::<u32, u64>(&index, &table, 20)?;
        machine.reveal(entry, "a test")?;
        let odd: Vec<bool> = (0..8).map(|entry| entry % 2 == 1).collect();
        let odd = machine.lookup_bits(&index, &odd)?;
        let odd = machine.open_bits(odd)?;
        let odd = machine.bits_to_share::<u32>(&odd, 5)?;
        machine.reveal(odd, "a test")?;
        extended_and_narrow(machine, &bits, &x, &narrow)?;
        let small = machine.share_of(&x)?;
        let small = machine.truncate_reduce(small, 2)?;
        let small = machine.open(small)?.narrowed(50);
        let gelu = gates::gelu::<I, u64, u64>(machine, &small, Target { bits: 64, fraction: 10 })?;
        machine.reveal(gelu, "a test")?;
        let root = gates::inverse_root(machine, &norm, 1.0, &Wide { low: 4, high: 17, fraction: 8 })?;
        machine.reveal(root, "a test")?;
        let winner = gates::argmax(machine, &y, &Comparison::exact(5, 4))?;
        machine.reveal_bits(winner, "a test")
    }
}

/// What extends masked values on the way, and what is in words of 32 bits.
fn extended_and_narrow<I: Interpreter>(
    machine: &mut Machine<I>,
    bits: &MaskedBits<I>,
    x: &Masked<I, u64>,
    narrow: &Masked<I, u32>,
) -> Result<(), Error> {
    use blindroute_protocol::WeightId;
    use blindroute_protocol::gates::{self, Target};
    let layer = machine.linear(narrow, WeightId(3))?.add(&machine.bias(WeightId(5), 25)?)?;
    machine.reveal(layer, "a test")?;
    let scaled = machine.scale_columns(narrow, WeightId(4))?;
    machine.reveal(scaled, "a test")?;
    let first = narrow.restructure(&Structure::Columns(0, 1));
    let extended = machine.product_extended::<u64, u32, u128>((x, 6), (&first, 11), 70)?;
    machine.reveal(extended, "a test")?;
    let squares = machine.square_sum::<u32, u64>(narrow, 10, 37)?;
    machine.reveal(squares, "a test")?;
    let kept = machine.select_extended::<u32, u64>(bits, narrow, 9, 33)?;
    machine.reveal(kept, "a test")?;
    let narrower = machine.share_of(x)?;
    let narrower = machine.truncate_reduce(narrower, 6)?;
    let narrower = machine.open(narrower)?.narrowed(30);
    let narrower = machine.to_word::<u64, u32>(&narrower)?;
    let narrower = machine.extend::<u32, u32>(&narrower, 2, 31)?;
    machine.reveal(narrower, "a test")?;
    let turned = Structure::Gather(bits.shape(), (0..bits.shape().len()).rev().collect());
    let turned = machine.restructure_bits(bits, &turned)?;
    let turned = machine.bits_to_share::<u64>(&turned, 3)?;
    machine.reveal(turned, "a test")?;
    let powers = gates::softmax_numerators::<I, u32, u32>(machine, narrow, Target { bits: 32, fraction: 11 })?;
    machine.reveal(powers, "a test")
}

fn machine_constant<I: Interpreter>(machine: &mut Machine<I>, x: Share<I, u64>) -> Result<Share<I, u64>, Error> {
    let ramp: Vec<f64> = (0..x.form().shape.len()).map(|i| i as f64 / 64.0).collect();
    let x = machine.add_constants(x, &ramp)?;
    machine.add_constant(x, -0.25)
}

/// Inputs of [`everything`], all of them `size`d by the caller's generator.
pub fn everything_inputs(n: usize, mut next: impl FnMut() -> f64) -> Vec<Tensor<f32>> {
    let mut row = |scale: f64| Tensor::new(Shape::row(n), (0..n).map(|_| (next() * scale) as f32).collect());
    let (x, y, index) = (row(6.0), row(100.0), row(3.5));
    let index = index.map(f32::round);
    vec![x, y, index, Tensor::new(Shape::row(1), vec![77.0]), row(9.0)]
}

/// Weights of [`everything`].
pub fn everything_weights(n: usize) -> Vec<Tensor<f32>> {
    let mut next = blindroute_testkit::generator(99);
    let mut draw = |shape: Shape| Tensor::new(shape, (0..shape.len()).map(|_| next() as f32).collect());
    let mut three = || [draw(Shape::matrix(n, 3)), draw(Shape::row(n)), draw(Shape::row(3))];
    [three(), three()].concat()
}
