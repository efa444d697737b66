//! Every gate: real parties in memory against the clear function, ledger against forecast, ranges at their ends.

use blindroute_protocol::gates::{self, Order, Scaling, SignWindow, Target, Wide};
use blindroute_protocol::{
    Clear, Comparison, Error, Fixed, Form, Interpreter, Machine, Output, Program, Shape, Tensor, WeightId, WeightKind,
    WeightSpec,
};
use blindroute_testkit::{TestWorld, generator};

/// A program of one gate.
struct Gate<F> {
    weights: Vec<WeightSpec>,
    inputs: Vec<Form>,
    body: F,
}

/// The gates under test: closures cannot be generic, so each is a case.
#[derive(Clone, Copy, Debug)]
enum Body {
    Relu(SignWindow),
    Square(Target),
    Gelu,
    Softmax,
    RowMaximum,
    LayerNorm,
    Reciprocal,
    Argmax,
    OneHotRows(usize),
    TopK(usize),
    Linear,
    ScaleColumns,
    Matmul,
    MatmulTransposed,
    Product,
    Truncate(u32),
    Extend(u32),
    Compare,
}

fn encode_window(digits: u32, range: u32, fraction: u32) -> u32 {
    fraction + range - 4 * digits
}

impl Program for Gate<Body> {
    fn weights(&self) -> Vec<WeightSpec> {
        self.weights.clone()
    }

    fn inputs(&self) -> Vec<Form> {
        self.inputs.clone()
    }

    #[expect(clippy::too_many_lines, reason = "one arm per gate")]
    fn run<I: Interpreter>(&self, machine: &mut Machine<I>) -> Result<(), Error> {
        let x = machine.input::<u64>(0)?;
        match self.body {
            Body::Relu(window) => {
                let x = machine.open(x)?;
                let y = gates::relu::<I, u64, u64>(machine, &x, window, TARGET)?;
                machine.reveal(y, "a test")
            }
            Body::Square(target) => {
                let x = machine.open(x)?;
                let y = gates::square(machine, &x, target)?;
                let y = machine.share_of(&y)?;
                machine.reveal(y, "a test")
            }
            Body::Gelu => {
                let x = machine.open(x)?;
                let y = gates::gelu::<I, u64, u64>(machine, &x, TARGET)?;
                machine.reveal(y, "a test")
            }
            Body::Softmax => {
                let x = machine.open(x)?;
                let y = gates::softmax_numerators::<I, u64, u64>(machine, &x, TARGET)?;
                machine.reveal(y, "a test")
            }
            Body::RowMaximum => {
                let x = machine.open(x)?;
                let y = gates::row_maximum(machine, &x, 4, 5)?;
                let y = machine.share_of(&y)?;
                machine.reveal(y, "a test")
            }
            Body::LayerNorm => {
                let y = gates::layer_norm::<I, u64, u64>(machine, x, Target { bits: 44, fraction: 12 })?;
                let y = machine.share_of(&y)?;
                machine.reveal(y, "a test")
            }
            Body::Reciprocal => {
                let rows = machine.input::<u64>(1)?;
                let rows = machine.open(rows)?;
                let x = machine.open(x)?;
                let range = Wide { low: -3, high: 13, fraction: 12 };
                let factor = gates::reciprocal(machine, &rows, 0.01, &range)?;
                // A unit of the factor of the largest sum, 2^-24 times 4000, is within the tolerance.
                let scaling = Scaling { value: 12, factor: 24, target: Target { bits: 40, fraction: 12 } };
                let y = gates::scale_rows::<I, u64, u64>(machine, &x, factor, scaling)?;
                let y = machine.share_of(&y)?;
                machine.reveal(y, "a test")
            }
            Body::Argmax => {
                let x = machine.open(x)?;
                let bits = gates::argmax(machine, &x, &Comparison::exact(5, 4))?;
                machine.reveal_bits(bits, "a test")
            }
            Body::OneHotRows(parts) => {
                let x = gates::rows_of_parts(&x, parts);
                let x = machine.open(x)?;
                let row = gates::one_hot_rows(machine, &x, &Comparison::exact(5, 4), parts, WeightId(0))?;
                machine.reveal(row, "a test")
            }
            Body::TopK(k) => {
                let score = machine.input::<u64>(1)?;
                let score = machine.defer(score)?;
                let x = machine.open(x)?;
                let score = machine.take(score)?;
                let bits = gates::top_k_then_argmax(machine, &x, &score, k, &Comparison::exact(5, 4))?;
                machine.reveal_bits(bits, "a test")
            }
            Body::Linear => {
                let x = machine.open(x)?;
                let y = machine.linear(&x, WeightId(0))?;
                let bias = machine.bias(WeightId(1), 24)?;
                machine.reveal(y.add(&bias)?, "a test")
            }
            Body::ScaleColumns => {
                let x = machine.open(x)?;
                let y = machine.scale_columns(&x, WeightId(0))?;
                machine.reveal(y, "a test")
            }
            Body::Matmul | Body::MatmulTransposed | Body::Product => {
                let other = machine.input::<u64>(1)?;
                let other = machine.defer(other)?;
                let x = machine.open(x)?;
                let other = machine.take(other)?;
                let y = match self.body {
                    Body::Matmul => machine.matmul(&x, &other)?,
                    Body::MatmulTransposed => machine.matmul_transposed(&x, &other)?,
                    _ => machine.product(&x, &other)?,
                };
                machine.reveal(y, "a test")
            }
            Body::Truncate(shift) => {
                let y = machine.truncate_reduce(x, shift)?;
                let y = machine.open(y)?;
                let y = machine.share_of(&y)?;
                machine.reveal(y, "a test")
            }
            Body::Extend(shift) => {
                let x = machine.open(x)?;
                let y = machine.extend::<u64, u128>(&x, shift, 100)?;
                machine.reveal(y, "a test")
            }
            Body::Compare => {
                let x = machine.open(x)?;
                let low = encode_window(5, 8, 12);
                let bits = machine.compare(&x, &Comparison::of_many(vec![0], low, 5))?;
                let y = machine.bits_to_share::<u32>(&bits, 7)?;
                machine.reveal(y, "a test")
            }
        }
    }
}

fn gate(body: Body, inputs: Vec<Form>) -> Gate<Body> {
    Gate { weights: Vec::new(), inputs, body }
}

/// Runs parties, clear and fixed; checks the ledger; returns (private, clear, fixed).
fn run(seed: u64, program: &Gate<Body>, weights: &[Tensor<f32>], inputs: &[Tensor<f32>]) -> [Output; 3] {
    let run = TestWorld::seeded(seed).run(program, weights, inputs).unwrap();
    for server in run.servers {
        assert_eq!(server.openings, run.forecast.openings, "openings");
        assert_eq!(server.opening_bytes, run.forecast.opening_bytes, "bytes each way");
    }
    assert_eq!(run.material_bytes, run.forecast.material_bytes, "material");
    let clear = Clear::run(program, weights, inputs.to_vec()).unwrap();
    let (fixed, _) = Fixed::run(program, weights, inputs).unwrap();
    [run.output, clear, fixed]
}

fn check(program: &Gate<Body>, weights: &[Tensor<f32>], inputs: &[Tensor<f32>], openings: usize, tolerance: f64) {
    for seed in 0..3 {
        let forecast = blindroute_protocol::Meter::cost(program).unwrap();
        assert_eq!(forecast.openings, openings, "openings of {:?}", program.body);
        let [private, clear, fixed] = run(seed, program, weights, inputs);
        assert_eq!(private.bits, clear.bits, "{:?}", program.body);
        assert_eq!(fixed.bits, clear.bits, "{:?}", program.body);
        for (what, output) in [("private", &private), ("fixed", &fixed)] {
            for (index, (&found, &expected)) in
                output.values.iter().flatten().zip(clear.values.iter().flatten()).enumerate()
            {
                assert!(
                    (found - expected).abs() <= tolerance * (1.0 + expected.abs() * 0.01),
                    "{:?} {what} element {index}: {found} for {expected}",
                    program.body
                );
            }
        }
    }
}

fn random(shape: Shape, seed: u64, size: f64) -> Tensor<f32> {
    let mut next = generator(seed);
    Tensor::new(shape, (0..shape.len()).map(|_| (next() * size) as f32).collect())
}

/// Where activations go.
const TARGET: Target = Target { bits: 52, fraction: 12 };
const UNIT: f64 = 1.0 / 4096.0;

#[test]
fn relu_is_the_positive_part() {
    let shape = Shape::new(2, 5, 37);
    let program = gate(Body::Relu(SignWindow { range: 8, digits: 5 }), vec![Form::new(shape, 52, 12)]);
    let mut x = random(shape, 1, 30.0);
    x.data_mut()[..6].copy_from_slice(&[0.0, 1.0, -1.0, 255.0, -255.0, 1.0 / 4096.0]);
    check(&program, &[], &[x], 3, UNIT);
}

#[test]
fn a_square_is_exact_to_rounding() {
    let shape = Shape::new(2, 7, 11);
    // The last two are the widest in words of 32 bits and the narrowest in words of 64.
    for (bits, fraction, size, ring) in
        [(40, 12, 100.0, 32), (20, 9, 500.0, 32), (36, 6, 7.0, 20), (20, 9, 7.0, 26), (20, 9, 7.0, 27)]
    {
        // The input's own rounding is half a unit, and a square's slope twice its argument.
        let rounding = 2.0 * size * 0.5 / f64::from(1 << fraction);
        let target = Target { bits: ring, fraction: 12 };
        let program = gate(Body::Square(target), vec![Form::new(shape, bits, fraction)]);
        check(&program, &[], &[random(shape, 21, size)], 2, rounding + 2.0 * UNIT);
    }
}

#[test]
fn gelu_is_within_its_bound() {
    let shape = Shape::matrix(3, 100);
    let program = gate(Body::Gelu, vec![Form::new(shape, 50, 12)]);
    let mut x = random(shape, 2, 6.0);
    x.data_mut()[..4].copy_from_slice(&[0.0, 127.9, -127.9, 4.2]);
    check(&program, &[], &[x], 4, 1e-3 + 2f64.powi(-8) + UNIT);
}

#[test]
fn softmax_numerators_are_within_their_bound() {
    let shape = Shape::new(2, 3, 13);
    let program = gate(Body::Softmax, vec![Form::new(shape, 28, 18)]);
    // On a grid that the maximum's comparison tells apart, so that the maximum is exact. The truncation of an exponent is a
    // factor of 2^(1/256), of a power of at most a quarter.
    let x = random(shape, 3, 20.0).map(|x| (x * 8.0).round() / 8.0);
    check(&program, &[], &[x], 1 + 3 * 4 + 3, 0.25 * 0.002_712 + 1.0 / 2048.0 + UNIT);
}

#[test]
fn the_row_maximum_is_found_at_any_width() {
    for columns in [1, 2, 3, 8, 13] {
        let shape = Shape::matrix(4, columns);
        let program = gate(Body::RowMaximum, vec![Form::new(shape, 40, 12)]);
        let levels = (columns as f64).log2().ceil() as usize;
        check(&program, &[], &[random(shape, 4, 50.0)], 1 + 3 * levels, 5.0 * 16.0 * UNIT);
    }
}

#[test]
fn layer_norm_is_within_its_bound() {
    let shape = Shape::matrix(4, 384);
    for bits in [52, 64] {
        let program = gate(Body::LayerNorm, vec![Form::new(shape, bits, 24)]);
        let mut y = random(shape, 5, 1.0);
        for (row, scale) in [0.4, 1.0, 5.0, 25.0].into_iter().enumerate() {
            let row = &mut y.data_mut()[row * 384..(row + 1) * 384];
            let mean = row.iter().sum::<f32>() / 384.0;
            row.iter_mut().for_each(|x| *x = (*x - mean) * scale);
        }
        check(&program, &[], &[y], 6, 3e-3);
    }
}

#[test]
fn rows_are_scaled_by_reciprocals() {
    let shape = Shape::matrix(6, 20);
    let program = gate(Body::Reciprocal, vec![Form::new(shape, 40, 12), Form::new(Shape::matrix(6, 1), 40, 12)]);
    let sums = Tensor::new(Shape::matrix(6, 1), vec![0.13, 0.3, 1.0, 33.3, 500.0, 4000.0]);
    let x = random(shape, 6, 1.0).zip(&sums, |x, sum| x * sum);
    check(&program, &[], &[x, sums], 6, 2e-3);
}

#[test]
fn argmax_breaks_ties_by_index() {
    for values in [vec![3.0, -1.0, 7.0, 7.0, 2.0], vec![0.0; 6], vec![-5.0, -4.0], vec![1.0, 0.999]] {
        let shape = Shape::row(values.len());
        let program = gate(Body::Argmax, vec![Form::new(shape, 32, 12)]);
        check(&program, &[], &[Tensor::new(shape, values)], 4, 0.0);
    }
}

#[test]
fn a_one_hot_row_of_a_secret_table() {
    let shape = Shape::row(5);
    let mut program = gate(Body::OneHotRows(1), vec![Form::new(shape, 32, 12)]);
    program.weights = vec![WeightSpec::new("table", WeightKind::Matrix { inner: 5, columns: 3 }, 16)];
    let table = random(Shape::matrix(5, 3), 7, 1.0);
    let x = Tensor::new(shape, vec![0.5, -1.0, 3.0, 2.5, 3.0]);
    check(&program, &[table], &[x], 5, 1e-4);
}

/// Two rows of three parts each: every part adds its own row of the table.
#[test]
fn parts_add_their_rows_of_a_secret_table() {
    let shape = Shape::new(2, 1, 12);
    let mut program = gate(Body::OneHotRows(3), vec![Form::new(shape, 32, 12)]);
    program.weights = vec![WeightSpec::new("table", WeightKind::Matrix { inner: 12, columns: 2 }, 16)];
    let table = random(Shape::matrix(12, 2), 8, 1.0);
    let x = random(shape, 11, 4.0);
    check(&program, std::slice::from_ref(&table), std::slice::from_ref(&x), 5, 1e-4);
    let run = TestWorld::seeded(5).run(&program, std::slice::from_ref(&table), std::slice::from_ref(&x)).unwrap();
    for (row, found) in run.output.values[0].chunks(2).enumerate() {
        let largest = |part: usize| {
            let start = 12 * row + 4 * part;
            (0..4).max_by(|&a, &b| x.data()[start + a].total_cmp(&x.data()[start + b])).unwrap() + 4 * part
        };
        for (column, found) in found.iter().enumerate() {
            let expected: f64 = (0..3).map(|part| f64::from(table.data()[2 * largest(part) + column])).sum();
            assert!((found - expected).abs() < 1e-3, "row {row}, column {column}: {found}, {expected}");
        }
    }
}

#[test]
fn top_k_keeps_exactly_k_and_takes_the_best() {
    let n = 12;
    let shape = Shape::row(n);
    for k in [1, 4, n] {
        for seed in 0..3 {
            let program = gate(Body::TopK(k), vec![Form::new(shape, 32, 12), Form::new(shape, 32, 12)]);
            check(&program, &[], &[random(shape, seed, 4.0), random(shape, seed + 50, 4.0)], 6, 0.0);
        }
        let program = gate(Body::TopK(k), vec![Form::new(shape, 32, 12), Form::new(shape, 32, 12)]);
        let equal = Tensor::new(shape, vec![1.0; n]);
        let run = TestWorld::seeded(9).run(&program, &[], &[equal.clone(), equal]).unwrap();
        assert_eq!(run.output.bits[0].iter().position(|&bit| bit), Some(0), "all equal: the first wins");
        assert_eq!(run.output.bits[0].iter().filter(|&&bit| bit).count(), 1);
    }
}

#[test]
fn top_k_equals_a_plain_search() {
    let n = 30;
    let shape = Shape::row(n);
    let program = gate(Body::TopK(4), vec![Form::new(shape, 32, 12), Form::new(shape, 32, 12)]);
    for seed in 0..4 {
        let (similarity, score) = (random(shape, seed, 4.0), random(shape, seed + 90, 4.0));
        let run = TestWorld::seeded(seed).run(&program, &[], &[similarity.clone(), score.clone()]).unwrap();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| similarity.data()[b].total_cmp(&similarity.data()[a]));
        let best = order[..4].iter().copied().max_by(|&a, &b| score.data()[a].total_cmp(&score.data()[b])).unwrap();
        assert_eq!(run.output.bits[0].iter().position(|&bit| bit), Some(best));
    }
}

#[test]
fn products_are_exact_to_rounding() {
    let a = Shape::new(3, 4, 6);
    let matmul = gate(Body::Matmul, vec![Form::new(a, 52, 12), Form::new(Shape::new(3, 6, 5), 52, 12)]);
    check(&matmul, &[], &[random(a, 1, 3.0), random(Shape::new(3, 6, 5), 2, 3.0)], 1, 0.01);
    let transposed = gate(Body::MatmulTransposed, vec![Form::new(a, 52, 12), Form::new(Shape::new(3, 5, 6), 52, 12)]);
    check(&transposed, &[], &[random(a, 3, 3.0), random(Shape::new(3, 5, 6), 4, 3.0)], 1, 0.01);
    let product = gate(Body::Product, vec![Form::new(a, 64, 12), Form::new(Shape::new(1, 4, 1), 64, 12)]);
    check(&product, &[], &[random(a, 5, 3.0), random(Shape::new(1, 4, 1), 6, 3.0)], 1, 0.01);
}

#[test]
fn linear_layers_are_exact_to_rounding() {
    let shape = Shape::matrix(3, 7);
    let mut linear = gate(Body::Linear, vec![Form::new(shape, 60, 12)]);
    linear.weights = vec![
        WeightSpec::new("matrix", WeightKind::Matrix { inner: 7, columns: 5 }, 12),
        WeightSpec::new("bias", WeightKind::Bias(5), 24),
    ];
    let weights = [random(Shape::matrix(7, 5), 1, 1.0), random(Shape::row(5), 2, 1.0)];
    check(&linear, &weights, &[random(shape, 3, 4.0)], 1, 0.01);
    let mut scale = gate(Body::ScaleColumns, vec![Form::new(shape, 64, 12)]);
    scale.weights = vec![WeightSpec::new("scale", WeightKind::Scale(7), 12)];
    check(&scale, &[random(Shape::row(7), 4, 1.0)], &[random(shape, 5, 4.0)], 1, 0.01);
}

#[test]
fn cutting_and_extension_never_err_by_more_than_a_unit() {
    let shape = Shape::matrix(50, 40);
    for size in [0.01, 1.0, 500.0, 4095.0] {
        let truncate = gate(Body::Truncate(8), vec![Form::new(shape, 30, 16)]);
        if size < 4096.0 {
            check(&truncate, &[], &[random(shape, 1, size)], 1, 1.0 / 256.0 / 1.0001);
        }
        let extend = gate(Body::Extend(6), vec![Form::new(shape, 30, 16)]);
        check(&extend, &[], &[random(shape, 2, size)], 1, 1.0 / 1024.0);
    }
}

#[test]
fn comparison_is_exact_outside_its_resolution() {
    let shape = Shape::matrix(1, 130);
    let program = gate(Body::Compare, vec![Form::new(shape, 40, 12)]);
    let mut x = random(shape, 8, 200.0);
    let edges = [255.9, -255.9, 0.0, 1.0, -1.0, 1.0 / 256.0, -1.0 / 256.0, 1.0 / 4096.0];
    x.data_mut()[..edges.len()].copy_from_slice(&edges);
    check(&program, &[], &[x], 3, 0.0);
}

#[test]
fn the_spline_keeps_its_stated_bound() {
    let worst = |function: &blindroute_protocol::Function, from: f64, to: f64| {
        (0..=20_000)
            .map(|i| from + (to - from) * f64::from(i) / 20_000.0)
            .map(|x| (function.spline().at(x) - function.exact(x)).abs())
            .fold(0.0, f64::max)
    };
    assert!(worst(&gates::gelu_bump(), -128.0, 128.0) < 1e-3);
    assert!(worst(&gates::gelu_bump(), -4.0, 4.0) < 1e-3);
}

#[test]
fn an_order_of_all_pairs_prints_no_value() {
    assert!(std::any::type_name::<Order<Clear<'_>>>().contains("Order"));
}
