//! The fixed-point interpreter lets through every value that an operation allows, and stops the next.

use crate::common::{Gate, big, big_input, body};
use blindroute_protocol::gates::{self, SignWindow, Target};
use blindroute_protocol::{Comparison, Error, Fixed, Form, Shape, WeightId, WeightKind, WeightSpec};

#[derive(Clone, Copy, Debug)]
enum Step {
    Open,
    Reveal,
    Truncate,
    Extend,
    SquareSum,
    FactorOfElements,
    FactorOfRows,
    Select,
    Compare,
    Exponential,
    Linear,
    Scale,
    Bias,
    Matmul,
    Relu,
}

/// The ring and fraction bits of the operand.
const BITS: u32 = 28;
const FRACTION: u32 = 18;

body!(One { step: Step }, |this, machine| {
    let x = big_input::<I, u32>(machine, 0)?;
    if matches!(this.step, Step::Reveal) {
        return machine.reveal(x, "a test");
    }
    // A wider ring for what arrives, so that the step itself must look.
    let wide = big_input::<I, u64>(machine, 3)?;
    let wide = machine.open(wide)?;
    if matches!(this.step, Step::Open) {
        return machine.open(x).map(|_| ());
    }
    let x = machine.to_word::<u64, u32>(&wide.clone().narrowed(BITS))?;
    let one = big_input::<I, u32>(machine, 6)?;
    let one = machine.open(one)?;
    let bits = machine.compare(&one, &Comparison::of_many(vec![0], 0, 4))?;
    match this.step {
        Step::Truncate => {
            let x = machine.share_of(&x)?;
            machine.truncate_reduce(x, 6).map(|_| ())
        }
        Step::Extend => machine.extend::<u32, u64>(&x, 6, 64).map(|_| ()),
        Step::SquareSum => machine.square_sum::<u32, u64>(&x, 6, 64).map(|_| ()),
        Step::FactorOfElements => machine.product_extended::<u32, u32, u64>((&x, 6), (&one, 0), 64).map(|_| ()),
        Step::FactorOfRows => machine.product_extended::<u32, u32, u64>((&one, 0), (&x, 6), 64).map(|_| ()),
        Step::Select => machine.select_extended::<u32, u64>(&bits, &x, 6, 64).map(|_| ()),
        Step::Compare => machine.compare(&x, &Comparison::of_many(vec![0], 4, 4)).map(|_| ()),
        Step::Exponential => machine.exponential::<u32, u64>(&x, 42).map(|_| ()),
        // Results are looked at where they are opened.
        Step::Linear => {
            let y = machine.linear(&x, WeightId(0))?;
            machine.open(y).map(|_| ())
        }
        Step::Scale => {
            let y = machine.scale_columns(&x, WeightId(1))?;
            machine.open(y).map(|_| ())
        }
        Step::Bias => {
            let y = machine.share_of(&x)?.add(&machine.bias(WeightId(2), FRACTION)?)?;
            machine.open(y).map(|_| ())
        }
        Step::Matmul => {
            let y = machine.matmul(&x, &one)?;
            machine.open(y).map(|_| ())
        }
        Step::Relu => {
            let target = Target { bits: 28, fraction: 4 };
            gates::relu::<_, u32, u32>(machine, &x, SignWindow { range: 8, digits: 3 }, target).map(|_| ())
        }
        Step::Open | Step::Reveal => Ok(()),
    }
});

/// Whether the value x passes the step.
fn passes(step: Step, x: i128) -> bool {
    let shape = Shape::row(1);
    let spec = |name, kind, fraction| WeightSpec::new(name, kind, fraction).in_ring(BITS);
    let weights = vec![
        spec("matrix", WeightKind::Matrix { inner: 1, columns: 1 }, 0),
        spec("scale", WeightKind::Scale(1), 0),
        spec("bias", WeightKind::Bias(1), FRACTION),
    ];
    // Factors of one, and a bias of the least that is.
    let unit = 2f32.powi(-(FRACTION as i32));
    let tensors = [1.0, 1.0, unit].map(|value| blindroute_protocol::Tensor::new(shape, vec![value]));
    let (mut forms, mut inputs) = big(&[x], Form::new(shape, BITS, FRACTION));
    for (value, form) in [(x, Form::new(shape, 40, FRACTION)), (1, Form::new(shape, 20, 0))] {
        let (more, other) = big(&[value], form);
        forms.extend(more);
        inputs.extend(other);
    }
    let program = Gate { weights, inputs: forms, body: One { step } };
    match Fixed::run(&program, &tensors, &inputs) {
        Ok((_, headroom)) => {
            assert!(headroom.iter().all(|check| check.bits_used <= check.bits_allowed));
            true
        }
        Err(Error::Overflow { bits_used, bits_allowed, .. }) => {
            assert!(bits_used > bits_allowed);
            false
        }
        Err(error) => panic!("{step:?} of {x}: {error}"),
    }
}

#[test]
fn the_last_value_of_a_range_passes_and_the_next_does_not() {
    let whole = 1i128 << (BITS - 1);
    let extended = 1i128 << (BITS - 2);
    let ends = [
        (Step::Open, -whole, whole - 1),
        (Step::Reveal, -whole, whole - 1),
        // Rounding up must stay in the ring that is left.
        (Step::Truncate, -whole, whole - (1 << 6)),
        (Step::Extend, -extended, extended - 1),
        (Step::SquareSum, -extended, extended - 1),
        (Step::FactorOfElements, -extended, extended - 1),
        (Step::FactorOfRows, -extended, extended - 1),
        (Step::Select, -extended, extended - 1),
        // Seventeen bits above the fourth, rounding up included.
        (Step::Compare, -(1 << 20), (1 << 20) - (1 << 4)),
        // The whole ring is negative; the truncation to 1/256 must not reach zero.
        (Step::Exponential, -(1 << BITS), -(1 << (FRACTION - 8))),
        (Step::Linear, -whole, whole - 1),
        (Step::Scale, -whole, whole - 1),
        (Step::Bias, -whole - 1, whole - 2),
        (Step::Relu, -extended, extended - (1 << 14)),
    ];
    for (step, least, most) in ends {
        for (x, expected) in [(least, true), (least + 1, true), (most - 1, true), (most, true)] {
            assert_eq!(passes(step, x), expected, "{step:?} of {x}");
        }
        for x in [least - 1, most + 1] {
            assert!(!passes(step, x), "{step:?} let {x} through");
        }
    }
    // The other operand's ring is narrower, and so is the product's.
    for (x, expected) in [(-(1 << 19), true), ((1 << 19) - 1, true), (1 << 19, false), (-(1 << 19) - 1, false)] {
        assert_eq!(passes(Step::Matmul, x), expected, "matmul of {x}");
    }
}
