//! Every operation and gate against plain arithmetic, over the whole range it allows, in one file a topic.

// Indices are what these references compute with.
mod batches;
mod comparisons;
mod extended;
mod extension;
mod functions;
mod outside;
mod powers;
mod products;
mod scaling;
mod selections;
mod tables;

use crate::common::{big, big_input};
use blindroute_protocol::{Error, Form, Interpreter, Machine, Masked, RingWord, Shape, Tensor};
use blindroute_testkit::generator;
use proptest::prelude::ProptestConfig;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Uniform integers below `bound` in magnitude.
fn uniform(seed: u64, count: usize, bound: i128) -> Vec<i128> {
    let mut next = generator(seed);
    let mut draw = || (next() * 2f64.powi(40)) as i128;
    (0..count).map(|_| (draw() << 82 ^ draw() << 41 ^ draw()).rem_euclid(2 * bound - 1) - bound + 1).collect()
}

fn integer_tensor(seed: u64, shape: Shape, bound: i128) -> Tensor<f32> {
    Tensor::new(shape, uniform(seed, shape.len(), bound).into_iter().map(|x| x as f32).collect())
}

/// What a value that is extended may be: the ends of the range |x| < 2^(bits − 2), and `count` in all.
fn extended_values(seed: u64, bits: u32, count: usize) -> Vec<i128> {
    let end = 1i128 << (bits - 2);
    let mut values = vec![end - 1, -end, 1 - end, end - 2, 0, 1, -1, end / 2, -end / 2];
    values.extend(uniform(seed, count.saturating_sub(values.len()), end));
    values.truncate(count);
    values
}

/// x ≫ shift, and how often one more: exactly where nothing is dropped.
fn truncations(x: i128, shift: u32) -> Vec<i128> {
    let floor = x >> shift;
    if floor << shift == x { vec![floor] } else { vec![floor, floor + 1] }
}

/// An operand in a word of 32, 64 or 128 bits.
#[derive(Clone, Copy, Debug)]
struct Operand {
    word: u32,
    bits: u32,
    shift: u32,
}

/// Low bits of an operand in words of 128 bits that arrive apart: inputs have at most 64.
const LOW: u32 = 44;

impl Operand {
    /// How many inputs it arrives as.
    fn inputs(self) -> usize {
        if self.word < 128 { 3 } else { 6 }
    }

    /// Integers as inputs; [`Operand::open`] puts them together.
    fn share(self, values: &[i128], shape: Shape) -> (Vec<Form>, Vec<Tensor<f32>>) {
        if self.word < 128 {
            return big(values, Form::new(shape, self.bits, self.shift));
        }
        let form = Form::new(shape, 64, self.shift);
        let high: Vec<i128> = values.iter().map(|x| x >> LOW).collect();
        let low: Vec<i128> = values.iter().map(|x| x & ((1 << LOW) - 1)).collect();
        let ((mut forms, mut inputs), (more, low)) = (big(&high, form), big(&low, form));
        forms.extend(more);
        inputs.extend(low);
        (forms, inputs)
    }

    fn open<I: Interpreter, W: RingWord>(self, machine: &mut Machine<I>, index: usize) -> Result<Masked<I, W>, Error> {
        if self.word < 128 {
            let x = big_input::<I, W>(machine, index)?;
            return machine.open(x);
        }
        let high = big_input::<I, u64>(machine, index)?;
        let high = machine.defer(high)?;
        let low = big_input::<I, u64>(machine, index + 3)?;
        let low = machine.open(low)?;
        let high = machine.take(high)?;
        let high = machine.extend::<u64, W>(&high, 0, self.bits)?.scale(1 << LOW);
        let low = machine.extend::<u64, W>(&low, 0, self.bits)?;
        machine.open(high.add(&low)?)
    }
}
