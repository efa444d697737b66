//! Cutting and extension, at every width and shift.

use super::{Operand, extended_values, truncations, uniform};
use crate::common::{big, body, gate, integers, wrapped};
use blindroute_protocol::{Error, Form, Interpreter, Machine, RingWord, Shape};

fn truncate_all<I: Interpreter, W: RingWord>(machine: &mut Machine<I>, operand: Operand) -> Result<(), Error> {
    let x = operand.open::<I, W>(machine, 0)?;
    let truncated = machine.share_of(&x)?;
    let truncated = machine.truncate_reduce(truncated, operand.shift)?;
    machine.reveal(truncated, "a test")?;
    for ring in RINGS[0] {
        let extended = machine.extend::<W, u32>(&x, operand.shift, ring)?;
        machine.reveal(extended, "a test")?;
    }
    for ring in RINGS[1] {
        let extended = machine.extend::<W, u64>(&x, operand.shift, ring)?;
        machine.reveal(extended, "a test")?;
    }
    for ring in RINGS[2] {
        let extended = machine.extend::<W, u128>(&x, operand.shift, ring)?;
        machine.reveal(extended, "a test")?;
    }
    Ok(())
}

/// The rings that values are extended to in each word, narrower ones than the value's own among them.
const RINGS: [[u32; 2]; 3] = [[19, 32], [33, 64], [101, 128]];

body!(Truncate { operand: Operand }, |this, machine| {
    match this.operand.word {
        32 => truncate_all::<I, u32>(machine, this.operand),
        64 => truncate_all::<I, u64>(machine, this.operand),
        _ => truncate_all::<I, u128>(machine, this.operand),
    }
});

fn check(operand: Operand, values: &[i128]) {
    let (forms, inputs) = operand.share(values, Shape::row(values.len()));
    let seed = u64::from(operand.bits * 64 + operand.shift);
    let found = integers(seed, &gate(Truncate { operand }, forms), &[], &inputs);
    let rings = [operand.bits - operand.shift].into_iter().chain(RINGS.concat());
    for (ring, output) in rings.zip(&found) {
        for (&x, &y) in values.iter().zip(output) {
            let allowed = truncations(x, operand.shift);
            assert!(
                allowed.iter().any(|&x| wrapped(x, ring) == y),
                "{x} >> {} gave {y} in {ring} bits: {operand:?}",
                operand.shift
            );
        }
    }
}

#[test]
fn cutting_and_extension_at_every_width_and_shift() {
    for bits in (5..=64u32).chain([65, 80, 104]) {
        let values = extended_values(u64::from(bits), bits, 32);
        // Every shift leaves three bits at least. Of the widest rings the shifts near the words' ends are enough.
        let shifts = (0..bits - 2).filter(|&shift| bits <= 64 || shift % 16 < 2 || shift + 4 > bits);
        for shift in shifts {
            for word in [32, 64, 128] {
                // The next wider word too, and 128 bits where nothing else holds the ring.
                if bits <= word && (word < 128 || bits > 64) {
                    check(Operand { word, bits, shift }, &values);
                }
            }
        }
    }
}

body!(Whole {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let shift = x.form().fraction;
    let truncated = machine.truncate_reduce(x, shift)?;
    machine.reveal(truncated, "a test")
});

#[test]
fn cutting_uses_the_whole_ring_but_for_one_unit() {
    for (bits, shift) in [(24u32, 0u32), (24, 5), (24, 20)] {
        let end = 1i128 << (bits - 1);
        // Rounding up must not pass the end of the ring that is left.
        let most = end - (1 << shift);
        let mut values = vec![-end, 1 - end, most, most - 1];
        values.extend(uniform(u64::from(shift), 50, most));
        let values: Vec<i64> = values.into_iter().map(|x| x as i64).collect();
        let form = Form::new(Shape::row(values.len()), bits, shift);
        let wide: Vec<i128> = values.iter().map(|&x| i128::from(x)).collect();
        // Below 2^24 in magnitude, so that f32 holds them.
        let input = blindroute_protocol::Tensor::new(
            form.shape,
            values.iter().map(|&x| (x as f64 / 2f64.powi(shift as i32)) as f32).collect(),
        );
        let found = integers(u64::from(shift), &gate(Whole {}, vec![form]), &[], &[input]);
        for (&x, y) in wide.iter().zip(&found[0]) {
            assert!(truncations(x, shift).contains(y), "{x} >> {shift} gave {y} in {bits} bits");
        }
    }
}

#[test]
fn cutting_and_extension_are_unbiased() {
    const COUNT: usize = 4096;
    for (bits, shift, x) in [(30u32, 8u32, 1000i128), (30, 8, -1001), (52, 12, 123_456_789), (64, 24, -77_777_777_777)]
    {
        let values = vec![x; COUNT];
        let (forms, inputs) = big(&values, Form::new(Shape::row(COUNT), bits, shift));
        let program = gate(Truncate { operand: Operand { word: 64, bits, shift } }, forms);
        let unit = (1i128 << shift) as f64;
        let part = (x & ((1 << shift) - 1)) as f64 / unit;
        let mut sums = [0.0; 7];
        let seeds = 8;
        for seed in 0..seeds {
            for (sum, output) in sums.iter_mut().zip(integers(seed, &program, &[], &inputs)) {
                *sum += output.iter().map(|&found| found as f64 - x as f64 / unit).sum::<f64>();
            }
        }
        let trials = COUNT as f64 * seeds as f64;
        let deviation = (part * (1.0 - part) / trials).sqrt();
        for sum in sums {
            assert!((sum / trials).abs() < 5.0 * deviation, "{bits} {shift} {x}: bias {}", sum / trials);
        }
    }
}
