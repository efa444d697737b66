//! Openings, bytes each way and material of every operation and gate: the formula of its header, written out again, is
//! what the meter forecasts and what real parties send.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use blindroute_protocol::gates::{self, Wide};
use blindroute_protocol::{Comparison, Cost, Form, Meter, Shape, Structure, Tensor, WeightId, WeightKind, WeightSpec};
use common::{Body, Gate, body, gate};

/// ⌈bits · count / 8⌉.
fn words(count: usize, bits: usize) -> usize {
    (count * bits).div_ceil(8)
}

/// 8·⌈count/64⌉ for each plane.
fn planes(planes: usize, count: usize) -> usize {
    planes * 8 * count.div_ceil(64)
}

/// Of the comparison's header: bytes each way, material.
fn comparison(n: usize, thresholds: usize, digits: usize, digit_bits: u32) -> (usize, usize) {
    let opened = planes(thresholds * (2 * digits - 1), n) + planes(thresholds, n);
    let products = (1 << digits) + (1 << (digits - 1)) - 2 * digits - 1;
    let material = digits * planes(1, n << digit_bits) + planes(1, n) + thresholds * planes(products, n);
    (opened, material)
}

fn cost(openings: usize, opening_bytes: usize, material_bytes: usize) -> Cost {
    Cost { openings, opening_bytes, material_bytes }
}

/// Runs the parties on zeros: the ledger, the forecast and the formula agree.
fn check<B: Body + std::fmt::Debug>(program: &Gate<B>, expected: Cost) {
    let weights: Vec<_> = program.weights.iter().map(|spec| Tensor::zeros(spec.shape())).collect();
    let inputs: Vec<_> = program.inputs.iter().map(|form| Tensor::zeros(form.shape)).collect();
    let run = common::run(1, program, &weights, &inputs);
    assert_eq!(run.forecast, expected, "{:?}", program.body);
}

const SIZES: [usize; 5] = [1, 7, 64, 65, 300];

/// The openings that a test's inputs take: `n` words of each width, all at once.
fn opened(n: usize, bits: &[usize]) -> usize {
    bits.iter().map(|&bits| words(n, bits)).sum()
}

body!(Open {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    machine.open(x).map(|_| ())
});
body!(OpenBits {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let bits = machine.lookup_bits(&x, &[false, true])?;
    machine.open_bits(bits).map(|_| ())
});

#[test]
fn opening() {
    for n in SIZES {
        for bits in [1, 20, 33, 64] {
            let form = Form::new(Shape::row(n), bits as u32, 0);
            check(&gate(Open {}, vec![form]), cost(1, words(n, bits), 0));
        }
        let form = Form::new(Shape::row(n), 1, 0);
        check(&gate(OpenBits {}, vec![form]), cost(2, words(n, 1) + planes(1, n), planes(1, 2 * n)));
    }
}

body!(Linear { scale: bool }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    if this.scale {
        machine.scale_columns(&x, WeightId(1)).map(|_| ())
    } else {
        machine.linear(&x, WeightId(0)).map(|_| ())
    }
});

#[test]
fn linear() {
    for (rows, inner, columns, bits) in [(1, 1, 1, 64), (3, 7, 5, 52), (9, 4, 13, 33)] {
        let weights = vec![
            WeightSpec::new("w", WeightKind::Matrix { inner, columns }, 3),
            WeightSpec::new("s", WeightKind::Scale(inner), 3),
        ];
        let inputs = vec![Form::new(Shape::matrix(rows, inner), bits as u32, 3)];
        for (scale, results) in [(false, rows * columns), (true, rows * inner)] {
            let program = Gate { weights: weights.clone(), inputs: inputs.clone(), body: Linear { scale } };
            check(&program, cost(1, words(rows * inner, bits), words(results, bits)));
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Matmul,
    Transposed,
    Elements,
    Squares,
    Extended,
}

body!(Product { kind: Kind }, |this, machine| {
    let a = machine.input::<u64>(0)?;
    let a = machine.defer(a)?;
    let b = machine.input::<u64>(1)?;
    let b = machine.open(b)?;
    let a = machine.take(a)?;
    match this.kind {
        Kind::Matmul => machine.matmul(&a, &b)?,
        Kind::Transposed => machine.matmul_transposed(&a, &b)?,
        Kind::Elements => machine.product(&a, &b)?,
        Kind::Squares => machine.square_sum(&a)?,
        Kind::Extended => machine.product_extended(&a, &b, 3)?,
    };
    Ok(())
});

#[test]
fn product() {
    for (batch, rows, inner, columns, bits) in [(1, 1, 1, 1, 64), (2, 3, 7, 5, 45), (1, 8, 9, 10, 33)] {
        let a = Shape::new(batch, rows, inner);
        let cases = [
            (Kind::Matmul, Shape::new(batch, inner, columns), batch * rows * columns),
            (Kind::Transposed, Shape::new(batch, columns, inner), batch * rows * columns),
            (Kind::Elements, Shape::new(1, rows, 1), a.len()),
            (Kind::Squares, Shape::row(1), batch * rows),
        ];
        for (kind, b, results) in cases {
            let forms = vec![Form::new(a, bits as u32, 3), Form::new(b, bits as u32, 3)];
            let sent = words(a.len(), bits) + words(b.len(), bits);
            check(&gate(Product { kind }, forms), cost(1, sent, words(results, bits)));
        }
        let b = Shape::new(batch, rows, 1);
        let forms = vec![Form::new(a, bits as u32, 3), Form::new(b, 20, 3)];
        let sent = words(a.len(), bits) + words(b.len(), 20);
        let material = 2 * words(b.len(), bits) + 2 * words(a.len(), bits);
        check(&gate(Product { kind: Kind::Extended }, forms), cost(1, sent, material));
    }
}

body!(Extension { shift: u32, out: Option<u32> }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    match this.out {
        Some(bits) => machine.extend::<u64, u128>(&x, this.shift, bits).map(|_| ()),
        None => machine.truncate(&x, this.shift).map(|_| ()),
    }
});

#[test]
fn extension() {
    for n in SIZES {
        for (bits, shift) in [(20, 0), (33, 7), (64, 24)] {
            let form = Form::new(Shape::row(n), bits as u32, shift);
            let material = words(n, bits - shift as usize);
            check(&gate(Extension { shift, out: None }, vec![form]), cost(1, words(n, bits), material));
            for out in [40, 101, 128] {
                let program = gate(Extension { shift, out: Some(out) }, vec![form]);
                check(&program, cost(1, words(n, bits), 2 * words(n, out as usize)));
            }
        }
    }
}

body!(Compare { comparison: Comparison }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    machine.compare(&x, &this.comparison).map(|_| ())
});

#[test]
fn comparisons() {
    for n in SIZES {
        for digits in 1..=6 {
            for thresholds in [1, 2, 9] {
                for digit_bits in [1, 4, 7, 10] {
                    if digits * digit_bits as usize > 40 {
                        continue;
                    }
                    let comparison_of =
                        Comparison { thresholds: (0..thresholds).collect(), low: 2, digits: digits as u32, digit_bits };
                    let (sent, material) = comparison(n, thresholds as usize, digits, digit_bits);
                    let program = gate(Compare { comparison: comparison_of }, vec![Form::new(Shape::row(n), 50, 0)]);
                    check(&program, cost(3, words(n, 50) + sent, material));
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Use {
    Select,
    Share,
    Product,
}

body!(Selection { kind: Use }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let bits = machine.compare(&x, &Comparison::of_many(vec![0], 0, 1))?;
    match this.kind {
        Use::Select => machine.select(&bits, &x).map(|_| ()),
        Use::Share => machine.bits_to_share::<u32>(&bits, 21).map(|_| ()),
        Use::Product => machine.bits_product::<u32>(&bits, &bits, 21).map(|_| ()),
    }
});

#[test]
fn selection() {
    for n in SIZES {
        let (sent, digits) = comparison(n, 1, 1, 4);
        for (kind, material) in
            [(Use::Select, 2 * words(n, 37)), (Use::Share, words(n, 21)), (Use::Product, 3 * words(n, 21))]
        {
            let program = gate(Selection { kind }, vec![Form::new(Shape::row(n), 37, 0)]);
            check(&program, cost(3, words(n, 37) + sent, digits + material));
        }
    }
}

body!(Table { bits: Option<u32> }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let entries = 1usize << x.form().bits;
    match this.bits {
        Some(bits) => machine.lookup::<u64, u64>(&x, &vec![1; entries], bits).map(|_| ()),
        None => machine.lookup_bits(&x, &vec![true; entries]).map(|_| ()),
    }
});

#[test]
fn table() {
    for n in SIZES {
        for bits in [1, 5, 10] {
            let form = Form::new(Shape::row(n), bits as u32, 0);
            let program = gate(Table { bits: Some(43) }, vec![form]);
            check(&program, cost(1, words(n, bits), words(n << bits, 43)));
            check(&gate(Table { bits: None }, vec![form]), cost(1, words(n, bits), planes(1, n << bits)));
        }
    }
}

/// (D − 1) + J(D + 1) tensors.
fn piecewise(n: usize, bits: usize, degree: usize, knots: usize) -> usize {
    (degree - 1 + knots * (degree + 1)) * words(n, bits)
}

body!(Relu {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    gates::relu(machine, &x, 8, 5).map(|_| ())
});
body!(Gelu {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    gates::gelu(machine, &x, 64).map(|_| ())
});
body!(Softmax {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    gates::softmax_numerators(machine, &x, 40).map(|_| ())
});
body!(RowMaximum {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    gates::row_maximum(machine, &x, 2, 5).map(|_| ())
});

/// Openings, bytes and material of the maximum of rows of `columns`.
fn maximum(rows: usize, columns: usize, bits: usize) -> (usize, usize, usize) {
    let (mut left, mut total) = (columns, (0, 0, 0));
    while left > 1 {
        let n = rows * (left / 2);
        let (sent, material) = comparison(n, 1, 5, 4);
        total = (total.0 + 3, total.1 + sent + words(n, bits), total.2 + material + 2 * words(n, bits));
        left = left.div_ceil(2);
    }
    total
}

#[test]
fn activations_and_maximum() {
    for n in SIZES {
        let shape = Shape::row(n);
        let (sent, material) = comparison(n, 1, 5, 4);
        let program = gate(Relu {}, vec![Form::new(shape, 52, 12)]);
        check(&program, cost(3, words(n, 52) + sent, material + 2 * words(n, 52)));
        let (sent, material) = comparison(n, 9, 5, 4);
        let program = gate(Gelu {}, vec![Form::new(shape, 50, 10)]);
        let material = material + piecewise(n, 50, 3, 9) + 2 * words(n, 64);
        check(&program, cost(4, 2 * words(n, 50) + sent, material));
    }
    for (rows, columns) in [(1, 1), (2, 2), (3, 13), (2, 64)] {
        let (n, levels) = (rows * columns, (columns as f64).log2().ceil() as usize);
        let (openings, sent, material) = maximum(rows, columns, 38);
        assert_eq!(openings, 3 * levels);
        let form = Form::new(Shape::matrix(rows, columns), 38, 10);
        check(&gate(RowMaximum {}, vec![form]), cost(1 + openings, words(n, 38) + sent, material));
        let (inside, digits) = comparison(n, 9, 5, 4);
        let sent = 2 * words(n, 38) + sent + inside;
        let material = material + digits + piecewise(n, 38, 2, 9) + 2 * words(n, 40);
        check(&gate(Softmax {}, vec![form]), cost(4 + openings, sent, material));
    }
}

body!(Wider { offset: Option<f64> }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let range = Wide { low: 4, high: 17, fraction: 8 };
    match this.offset {
        Some(offset) => gates::reciprocal(machine, &x, offset, &range).map(|_| ()),
        None => gates::inverse_root(machine, &x, 1.0, &range).map(|_| ()),
    }
});

/// Bytes each way and material of a wide function with so many knots: the copy, the digits, and the spline's header.
fn wide(n: usize, knots: usize) -> (usize, usize) {
    let digits = 2 * planes(1, n << 10) + planes(1, n);
    (words(n, 128) + planes(3 * knots, n), 2 * words(n, 128) + digits + (6 + 16 * knots) * words(n, 128))
}

body!(LayerNorm {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    gates::layer_norm(machine, x).map(|_| ())
});

#[test]
fn wide_functions() {
    for n in SIZES {
        let form = Form::new(Shape::matrix(n, 1), 37, 12);
        // Thirteen octaves; with an offset, three pieces before them.
        for (offset, knots) in [(None, 12), (Some(0.0), 12), (Some(1.0), 15)] {
            let (sent, material) = wide(n, knots);
            check(&gate(Wider { offset }, vec![form]), cost(2, words(n, 37) + sent, material));
        }
    }
    for (rows, columns, bits) in [(1, 16, 52), (5, 33, 64)] {
        let n = rows * columns;
        let form = Form::new(Shape::matrix(rows, columns), bits as u32, 24);
        let (small, (sent, spline)) = (bits - 15, wide(rows, 12));
        let sent = words(n, bits) + words(rows, small) + words(n, 88) + sent + words(rows, 104) + words(n, 88);
        let scaled = 2 * words(rows, 88) + 2 * words(n, 88) + words(n, 88 - 24);
        let material = words(n, small) + words(rows, small) + 2 * words(n, 88) + spline + scaled;
        check(&gate(LayerNorm {}, vec![form]), cost(5, sent, material));
    }
}

body!(Argmax {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    gates::argmax(machine, &x, 0, 5).map(|_| ())
});
body!(OneHotRow {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    gates::one_hot_row(machine, &x, 0, 5, WeightId(0)).map(|_| ())
});
body!(TopK {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let y = machine.input::<u64>(1)?;
    let y = machine.defer(y)?;
    let x = machine.open(x)?;
    let y = machine.take(y)?;
    gates::top_k_then_argmax(machine, &x, &y, 1, 0, 5).map(|_| ())
});

#[test]
fn selections() {
    for n in [2usize, 3, 9, 16, 17, 112] {
        let (pairs, count) = (n * (n - 1) / 2, ((n - 1).ilog2() + 1) as usize);
        let form = Form::new(Shape::row(n), 40, 0);
        let (sent, digits) = comparison(pairs, 1, 5, 4);
        let (sent, ranks) = (words(n, 40) + sent + words(n, count), digits + words(pairs, count));
        check(&gate(Argmax {}, vec![form]), cost(4, sent, ranks + planes(1, n << count)));
        let program = Gate {
            weights: vec![WeightSpec::new("t", WeightKind::Matrix { inner: n, columns: 3 }, 4)],
            inputs: vec![form],
            body: OneHotRow {},
        };
        let material = ranks + words(n << count, 64) + words(3, 64);
        check(&program, cost(5, sent + words(n, 64), material));
        let (sent, digits) = comparison(2 * pairs, 1, 5, 4);
        let ring = count + 1;
        let sent = opened(n, &[40, 40, count, ring]) + sent + planes(1, n);
        let survivors = words(pairs, count) + planes(1, n << count);
        let among = 2 * 3 * words(pairs, ring) + words(n, ring);
        let last = words(n, ring) + planes(1, n << ring);
        check(&gate(TopK {}, vec![form; 2]), cost(6, sent, digits + survivors + among + last));
    }
}

body!(Free {}, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.add_constant(x.scale(-3), 2.0)?;
    let x = machine.open(x)?;
    let x = x.restructure(&Structure::Reshape(Shape::matrix(2, 2))).restructure(&Structure::SumColumns);
    let share = machine.share_of(&x)?;
    machine.reveal(share, "a test")
});

#[test]
fn linear_maps_are_free() {
    check(&gate(Free {}, vec![Form::new(Shape::row(4), 20, 4)]), cost(1, words(4, 20), 0));
    assert_eq!(Meter::outputs(&gate(Free {}, vec![Form::new(Shape::row(4), 20, 4)])).unwrap().len(), 1);
}
