//! ReLU, GELU, reciprocals and inverse roots within the bounds that their gates state.

use super::uniform;
use crate::common::{body, gate, run};
use blindroute_protocol::gates::{self, SignWindow, Target, Wide};
use blindroute_protocol::{Error, Form, Interpreter, Machine, RingWord, Shape, Tensor};
use blindroute_testkit::generator;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Relu(SignWindow),
    Gelu,
}

fn activate<I: Interpreter, W: RingWord, V: RingWord>(
    machine: &mut Machine<I>,
    kind: Kind,
    target: Target,
) -> Result<(), Error> {
    let x = machine.input::<W>(0)?;
    let x = machine.open(x)?;
    let y = match kind {
        Kind::Relu(window) => gates::relu::<I, W, V>(machine, &x, window, target)?,
        Kind::Gelu => gates::gelu::<I, W, V>(machine, &x, target)?,
    };
    machine.reveal(y, "a test")
}

body!(Activate { kind: Kind, words: (u32, u32), target: Target }, |this, machine| {
    let (kind, target) = (this.kind, this.target);
    match this.words {
        (32, 32) => activate::<I, u32, u32>(machine, kind, target),
        (32, _) => activate::<I, u32, u64>(machine, kind, target),
        (_, 32) => activate::<I, u64, u32>(machine, kind, target),
        _ => activate::<I, u64, u64>(machine, kind, target),
    }
});

const WORDS: [(u32, u32); 4] = [(32, 32), (32, 64), (64, 32), (64, 64)];

/// Arguments of a form, exact in f32, up to 2^range less `spare`: the ends, around zero and the marks, and anywhere.
fn arguments(seed: u64, range: i32, spare: f64, fraction: u32, marks: &[f64]) -> Vec<f32> {
    let (end, unit) = (2f64.powi(range), 2f64.powi(-(fraction as i32)));
    let mut values = vec![0.0, unit, -unit, 2.0 * unit, -2.0 * unit];
    for &mark in marks {
        for steps in -40..=40 {
            values.push(mark + f64::from(steps) * end / 65536.0);
        }
    }
    values.extend(uniform(seed, 400, 1 << 20).into_iter().map(|x| x as f64 / 1_048_576.0 * end));
    values.extend(uniform(seed, 400, 1 << 20).into_iter().map(|x| x as f64 / 65536.0));
    // f32 holds 24 bits; what it holds must be what the servers get.
    let on_grid = |x: f64| f64::from(((x / unit).round() * unit) as f32);
    let last = end - spare;
    values.extend([last, -last, end * 0.9, -end * 0.9]);
    values.into_iter().map(on_grid).filter(|x| x.abs() <= last).map(|x| x as f32).collect()
}

fn activations(seed: u64, body: Activate, form: (u32, u32), values: &[f32]) -> Vec<f64> {
    let shape = Shape::row(values.len());
    let program = gate(body, vec![Form::new(shape, form.0, form.1)]);
    run(seed, &program, &[], &[Tensor::new(shape, values.to_vec())]).output.values.concat()
}

#[test]
fn relu_is_the_positive_part_in_every_word() {
    // Scores of attention, pre-activations, and wider ones: ring, fraction, window, target fraction.
    let cases = [
        (28, 18, SignWindow { range: 8, digits: 3 }, 4),
        (32, 21, SignWindow { range: 7, digits: 3 }, 9),
        (32, 12, SignWindow { range: 8, digits: 5 }, 12),
        (20, 4, SignWindow { range: 12, digits: 4 }, 0),
    ];
    for (words, target_bits) in WORDS.into_iter().zip([28, 40, 32, 52]) {
        for (bits, fraction, window, target_fraction) in cases {
            let target = Target { bits: target_bits, fraction: target_fraction };
            let resolution = 2f64.powi(window.range as i32 - 4 * window.digits as i32);
            let values = arguments(u64::from(bits), window.range as i32, resolution, fraction, &[0.0]);
            let body = Activate { kind: Kind::Relu(window), words, target };
            let found = activations(3, body, (bits, fraction), &values);
            let unit = 2f64.powi(-(target_fraction as i32));
            for (&x, &y) in values.iter().zip(&found) {
                let x = f64::from(x);
                // Truncated to the target: exact where nothing is dropped, else less than one unit off.
                let kept = if (x / unit).fract() == 0.0 { y == x } else { (y - x).abs() < unit };
                let right = if x >= resolution {
                    kept
                } else if x <= -resolution {
                    y == 0.0
                } else {
                    y == 0.0 || kept
                };
                assert!(right && (x != 0.0 || y == 0.0), "{x} gave {y} with {window:?} in {bits} bits");
            }
        }
    }
}

#[test]
fn gelu_keeps_its_bound_over_its_whole_range() {
    let bump = gates::gelu_bump();
    let exact = |x: f64| bump.exact(x) + x.max(0.0);
    let mut worst = 0f64;
    for (words, target_bits) in WORDS.into_iter().zip([32, 64, 32, 44]) {
        for (bits, fraction) in [(30, 21), (32, 21), (32, 13), (17, 8)] {
            for target_fraction in [9, 12, 20] {
                let target = Target { bits: target_bits, fraction: target_fraction };
                let marks = gates::GELU_KNOTS.to_vec();
                let values = arguments(u64::from(bits), 7, 2f64.powi(-8), fraction, &marks);
                let found = activations(1, Activate { kind: Kind::Gelu, words, target }, (bits, fraction), &values);
                let unit = 2f64.powi(-(target_fraction as i32));
                // The spline's error, that of the truncated argument times the greatest slope, and the last place of both parts.
                let truncation = if fraction > 8 { 0.5 * 2f64.powi(-8) } else { 0.0 };
                for (&x, &y) in values.iter().zip(&found) {
                    let error = (y - exact(f64::from(x))).abs();
                    assert!(error <= 1e-3 + truncation + 2.0 * unit, "GELU of {x} gave {y}, off by {error}");
                    worst = worst.max(error - 2.0 * unit);
                }
            }
        }
    }
    println!("worst error of GELU less two units: {worst}");
}

// ---------------------------------------------------------------------------------------------------- wide splines

body!(WideFunction { offset: Option<f64>, scale: f64, range: Wide, word: u32 }, |this, machine| {
    if this.word == 32 { wide::<I, u32>(machine, this) } else { wide::<I, u64>(machine, this) }
});

fn wide<I: Interpreter, W: RingWord>(machine: &mut Machine<I>, of: &WideFunction) -> Result<(), Error> {
    let x = machine.input::<W>(0)?;
    let x = machine.open(x)?;
    let y = match of.offset {
        Some(offset) => gates::reciprocal(machine, &x, offset, &of.range)?,
        None => gates::inverse_root(machine, &x, of.scale, &of.range)?,
    };
    machine.reveal(y, "a test")
}

/// The largest relative error from 2^from on and below it, down to `least`.
fn wide_errors(body: WideFunction, form: (u32, u32), from: i32, least: f64) -> (f64, f64) {
    let (bits, fraction) = form;
    let unit = 2f64.powi(fraction as i32);
    let high = f64::from(body.range.high);
    let mut next = generator(4);
    let bottom = least.max(1.0 / unit).log2();
    let mut values: Vec<f64> = (0..3000).map(|_| (bottom + (high - bottom) * (next() + 1.0) / 2.0).exp2()).collect();
    for octave in from - 3..body.range.high {
        let knot = 2f64.powi(octave);
        values.extend([knot, knot * 1.0001, knot * 0.9999, knot + 1.0 / unit, knot - 1.0 / unit]);
    }
    values.extend([least, 2f64.powf(high) * 0.9999]);
    if least == 0.0 {
        values.extend((0..40).map(|i| 2f64.powi(from) * f64::from(i) / 40.0));
    }
    let values: Vec<f32> =
        values.into_iter().filter(|&x| x >= least).map(|x| ((x * unit).round() / unit) as f32).collect();
    let shape = Shape::matrix(values.len(), 1);
    let (offset, scale) = (body.offset, body.scale);
    let program = gate(body, vec![Form::new(shape, bits, fraction)]);
    let found = run(3, &program, &[], &[Tensor::new(shape, values.clone())]).output;
    let (mut above, mut below) = ((0.0f64, 0.0), (0.0f64, 0.0));
    for (&x, &y) in values.iter().zip(&found.values[0]) {
        let x = (f64::from(x) * unit).round_ties_even() / unit;
        let expected = match offset {
            Some(offset) => 1.0 / (x + offset),
            None => scale / x.sqrt(),
        };
        let error = (y / expected - 1.0).abs();
        let worst = if x >= 2f64.powi(from) { &mut above } else { &mut below };
        if error > worst.0 {
            *worst = (error, x);
        }
    }
    println!("{offset:?} {scale}: above {above:?}, below {below:?}");
    (above.0, below.0)
}

fn reciprocal(offset: f64, low: i32, high: i32, word: u32) -> WideFunction {
    WideFunction { offset: Some(offset), scale: 1.0, range: Wide { low, high, fraction: 12 }, word }
}

#[test]
fn reciprocals_keep_their_bounds() {
    // 2ReLU's row sums, and softmax's, of one token at least: a quarter, truncated and rounded.
    for (word, bits) in [(32, 28), (64, 40)] {
        let (above, below) = wide_errors(reciprocal(0.01, -3, 13, word), (bits, 12), -3, 0.0);
        assert!(above < 4e-3 && below < 7e-2, "{above} {below}");
    }
    for (word, bits) in [(32, 32), (32, 22), (64, 32)] {
        let (above, below) = wide_errors(reciprocal(0.0, -2, 8, word), (bits, 12), -2, 0.249);
        assert!(above < 2e-3 && below < 2e-3, "{above} {below}");
    }
    let (above, _) = wide_errors(reciprocal(0.0, 0, 13, 64), (40, 12), 0, 1.0);
    assert!(above < 2e-3, "{above}");
}

#[test]
fn inverse_roots_keep_their_bounds() {
    // LayerNorm's.
    let range = Wide { low: 4, high: 17, fraction: 8 };
    let body = WideFunction { offset: None, scale: 384f64.sqrt(), range, word: 64 };
    for form in [(36, 16), (37, 18)] {
        let (above, _) = wide_errors(body.clone(), form, 4, 16.0);
        assert!(above < 7e-4, "{above}");
    }
    // CSCR's.
    let range = Wide { low: -6, high: 13, fraction: 14 };
    for form in [(48, 28), (48, 32)] {
        let body = WideFunction { offset: None, scale: 1.0, range, word: 64 };
        let (above, below) = wide_errors(body, form, -3, 2f64.powi(-6));
        assert!(above < 8e-4 && below < 2e-2, "{above} {below}");
    }
}
