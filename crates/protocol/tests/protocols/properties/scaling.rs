//! Rows times their factors, and LayerNorm, within the bounds that their gates state.

use super::cases;
use crate::common::{body, gate, run};
use blindroute_protocol::gates::{self, Scaling, Target};
use blindroute_protocol::{Error, Form, Interpreter, Machine, RingWord, Shape, Tensor};
use blindroute_testkit::generator;
use proptest::prelude::*;

fn scale<I: Interpreter, W: RingWord, V: RingWord>(machine: &mut Machine<I>, scaling: Scaling) -> Result<(), Error> {
    let x = machine.input::<W>(0)?;
    let x = machine.defer(x)?;
    let r = machine.input::<u64>(1)?;
    let r = machine.open(r)?;
    let x = machine.take(x)?;
    // A factor as a wide function leaves it: 94 fraction bits in a ring of 104.
    let factor = machine.extend::<u64, u128>(&r, 0, 104)?.raise(74);
    let y = gates::scale_rows::<I, W, V>(machine, &x, factor, scaling)?;
    let y = machine.share_of(&y)?;
    machine.reveal(y, "a test")
}

body!(ScaleRows { words: (u32, u32), scaling: Scaling }, |this, machine| {
    match this.words {
        (32, 64) => scale::<I, u32, u64>(machine, this.scaling),
        (32, _) => scale::<I, u32, u128>(machine, this.scaling),
        (_, 64) => scale::<I, u64, u64>(machine, this.scaling),
        _ => scale::<I, u64, u128>(machine, this.scaling),
    }
});

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn scaled_rows_are_within_their_bound(
        seed: u64, batch in 1usize..3, rows in 1usize..5, n in 1usize..30, words in 0usize..4, value in 8u32..=13,
        factor in 14u32..=20, fraction in 6u32..=12,
    ) {
        // The context's ring, the residual's, and wider ones.
        let (words, (bits, size), target_bits) = [
            ((32, 64), (28, 4e3), 28), ((32, 128), (32, 8e3), 64), ((64, 64), (40, 4e3), 32), ((64, 128), (52, 4e3), 64),
        ][words];
        let (shape, narrow) = (Shape::new(batch, rows, n), Shape::new(batch, rows, 1));
        let mut next = generator(seed);
        let rounded = |x: f64, unit: f64| ((x * unit).round() / unit) as f32;
        // Small factors of large values and the other way round: the products stay below 2^10.
        let r = Tensor::new(narrow, (0..batch * rows).map(|_| rounded(next().powi(3) * 100.0, 1_048_576.0)).collect());
        let x: Vec<f32> = (0..shape.len())
            .map(|i| rounded(next() * f64::min(size, 1000.0 / f64::from(r.data()[i / n].abs())), 8192.0))
            .collect();
        let target = Target { bits: target_bits, fraction };
        let scaling = Scaling { value, factor, target };
        let program = gate(ScaleRows { words, scaling }, vec![Form::new(shape, bits, 13), Form::new(narrow, 40, 20)]);
        let found = run(seed, &program, &[], &[Tensor::new(shape, x.clone()), r.clone()]).output;
        for (i, &y) in found.values[0].iter().enumerate() {
            let (x, r) = (f64::from(x[i]), f64::from(r.data()[i / n]));
            let unit = |fraction: u32| 2f64.powi(-(fraction as i32));
            // One unit of the truncated value, of the truncated factor and of the last place.
            let truncated = r.abs() * unit(value) + x.abs() * unit(factor) + unit(value + factor);
            let bound = truncated + unit(fraction);
            prop_assert!((y - x * r).abs() <= bound, "{x} · {r} gave {y}, off by {}", y - x * r);
        }
    }
}

fn normalise<I: Interpreter, W: RingWord, V: RingWord>(machine: &mut Machine<I>, target: Target) -> Result<(), Error> {
    let y = machine.input::<W>(0)?;
    let y = gates::layer_norm::<I, W, V>(machine, y, target)?;
    let y = machine.share_of(&y)?;
    machine.reveal(y, "a test")
}

body!(LayerNorm { words: (u32, u32), target: Target }, |this, machine| {
    match this.words {
        (32, 64) => normalise::<I, u32, u64>(machine, this.target),
        (32, _) => normalise::<I, u32, u128>(machine, this.target),
        (_, 64) => normalise::<I, u64, u64>(machine, this.target),
        _ => normalise::<I, u64, u128>(machine, this.target),
    }
});

/// Rows of mean zero and these squared norms: spread out, or with most of it in one element.
fn rows(width: usize, norms: &[f64], seed: u64) -> Vec<f64> {
    let mut next = generator(seed);
    let mut rows = Vec::new();
    for (index, norm) in norms.iter().enumerate() {
        let mut row: Vec<f64> = (0..width).map(|_| next()).collect();
        if index % 2 == 1 {
            row[index % width] = 20.0;
        }
        let mean = row.iter().sum::<f64>() / width as f64;
        row.iter_mut().for_each(|x| *x -= mean);
        let scale = (norm / row.iter().map(|x| x * x).sum::<f64>()).sqrt();
        rows.extend(row.iter().map(|x| x * scale));
    }
    rows
}

#[test]
fn layer_norm_keeps_its_bound_from_the_least_norm_to_the_greatest() {
    // From 2^4 to 2^17, and what a real encoder has: 46 to 49,746.
    let norms = [16.2, 16.2, 46.0, 46.0, 300.0, 300.0, 5000.0, 5000.0, 49_746.0, 49_746.0, 130_000.0, 130_000.0];
    let cases = [
        ((32, 64), (32, 21), Target { bits: 32, fraction: 9 }),
        ((32, 64), (32, 21), Target { bits: 44, fraction: 9 }),
        ((32, 128), (32, 21), Target { bits: 64, fraction: 12 }),
        ((64, 64), (52, 24), Target { bits: 40, fraction: 9 }),
        ((64, 128), (64, 24), Target { bits: 64, fraction: 12 }),
    ];
    let mut worst = 0f64;
    for width in [16, 384] {
        for (words, (bits, fraction), target) in cases {
            let y: Vec<f32> = rows(width, &norms, 7).into_iter().map(|y| y as f32).collect();
            let shape = Shape::matrix(norms.len(), width);
            let program = gate(LayerNorm { words, target }, vec![Form::new(shape, bits, fraction)]);
            let found = run(2, &program, &[], &[Tensor::new(shape, y.clone())]).output;
            for (row, found) in y.chunks(width).zip(found.values[0].chunks(width)) {
                let norm = row.iter().map(|&y| f64::from(y).powi(2)).sum::<f64>();
                let factor = (width as f64 / norm).sqrt();
                // What a unit of 2^−8 in each element may do to the root of the sum of squares, at the very worst.
                let length = row.iter().map(|&y| f64::from(y.abs())).sum::<f64>();
                let squares = (2.0 * length / 256.0 + width as f64 / 65536.0) / (2.0 * norm);
                for (&y, &found) in row.iter().zip(found) {
                    let (y, exact) = (f64::from(y), f64::from(y) * factor);
                    let truncated = factor * 2f64.powi(-12) + y.abs() * 2f64.powi(-17) + 2f64.powi(-29);
                    let bound =
                        exact.abs() * (7e-4 + squares) + truncated * 1.01 + 2f64.powi(-(target.fraction as i32));
                    let error = (found - exact).abs();
                    assert!(error <= bound, "{y} of ‖y‖² = {norm} gave {found}, expected {exact} ± {bound}");
                    worst = worst.max(error / (1.0 + exact.abs()));
                }
            }
        }
    }
    println!("worst error of LayerNorm: {worst}");
}
