//! Every operation and gate against plain arithmetic, over the whole range it allows.

// Indices are what these references compute with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::needless_range_loop)]

mod common;

use blindroute_protocol::gates::{self, Wide};
use blindroute_protocol::{
    Comparison, Error, Form, Function, Interpreter, Machine, MaskedBits, RingWord, Shape, Spline, Structure, Tensor,
};
use blindroute_testkit::generator;
use common::{big, big_input, body, gate, integers, row, run};
use proptest::prelude::*;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Uniform integers below `bound` in magnitude.
fn uniform(seed: u64, count: usize, bound: i128) -> Vec<i128> {
    let mut next = generator(seed);
    let mut draw = || (next() * 2f64.powi(40)) as i128;
    (0..count).map(|_| (draw() << 41 ^ draw()).rem_euclid(2 * bound - 1) - bound + 1).collect()
}

// ---------------------------------------------------------------------------------------------- truncate, extend

fn cut_all<I: Interpreter, W: RingWord>(machine: &mut Machine<I>, shift: u32) -> Result<(), Error> {
    let x = big_input::<I, W>(machine, 0)?;
    let x = machine.open(x)?;
    let cut = machine.truncate(&x, shift)?;
    let cut = machine.share_of(&cut)?;
    machine.reveal(cut, "a test")?;
    let wide = machine.extend::<W, u64>(&x, shift, 64)?;
    machine.reveal(wide, "a test")?;
    let wider = machine.extend::<W, u128>(&x, shift, 101)?;
    machine.reveal(wider, "a test")?;
    if W::BITS == 32 {
        let narrow = machine.extend::<W, u32>(&x, shift, 32)?;
        machine.reveal(narrow, "a test")?;
    }
    Ok(())
}

body!(Cut { shift: u32, word: u32 }, |this, machine| {
    if this.word == 32 { cut_all::<I, u32>(machine, this.shift) } else { cut_all::<I, u64>(machine, this.shift) }
});

/// x ≫ shift or one more, and exact where nothing is cut off.
fn assert_cut(x: i128, found: i128, shift: u32, what: &dyn std::fmt::Debug) {
    let excess = found - (x >> shift);
    let exact = x & ((1 << shift) - 1) == 0;
    assert!(excess == 0 || (excess == 1 && !exact), "{x} >> {shift} gave {found}: {what:?}");
}

#[test]
fn truncation_and_extension_at_every_width_and_shift() {
    for bits in 20..=64u32 {
        let end = (1i128 << (bits - 2)) - 1;
        let mut values = vec![end, -end, -end - 1, end - 1, 0, 1, -1, end / 2, -end / 2];
        values.extend(uniform(u64::from(bits), 23, end));
        for shift in 0..bits - 2 {
            for word in if bits <= 32 { vec![32, 64] } else { vec![64] } {
                let form = Form::new(Shape::row(values.len()), bits, shift);
                let (forms, inputs) = big(&values, form);
                let program = gate(Cut { shift, word }, forms);
                for output in integers(u64::from(bits * 64 + shift), &program, &[], &inputs) {
                    for (&x, &found) in values.iter().zip(&output) {
                        assert_cut(x, found, shift, &(bits, shift, word));
                    }
                }
            }
        }
    }
}

#[test]
fn truncation_and_extension_are_unbiased() {
    const COUNT: usize = 4096;
    for (bits, shift, x) in [(30u32, 8u32, 1000i128), (30, 8, -1001), (52, 12, 123_456_789), (64, 24, -77_777_777_777)]
    {
        let values = vec![x; COUNT];
        let (forms, inputs) = big(&values, Form::new(Shape::row(COUNT), bits, shift));
        let program = gate(Cut { shift, word: 64 }, forms);
        let unit = (1i128 << shift) as f64;
        let part = (x & ((1 << shift) - 1)) as f64 / unit;
        let mut sums = [0.0; 3];
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

// ---------------------------------------------------------------------------------------------------- comparison

fn counted<I: Interpreter, W: RingWord>(machine: &mut Machine<I>, bits: &MaskedBits<I>) -> Result<(), Error> {
    let y = machine.bits_to_share::<W>(bits, 7)?;
    machine.reveal(y, "a test")
}

body!(Compare { comparison: Comparison, word: u32 }, |this, machine| {
    if this.word == 32 {
        let x = big_input::<I, u32>(machine, 0)?;
        let x = machine.open(x)?;
        let bits = machine.compare(&x, &this.comparison)?;
        counted::<I, u64>(machine, &bits)
    } else {
        let x = big_input::<I, u64>(machine, 0)?;
        let x = machine.open(x)?;
        let bits = machine.compare(&x, &this.comparison)?;
        counted::<I, u32>(machine, &bits)
    }
});

/// Compares `threshold + d` for each difference, and checks every answer that the resolution decides.
fn check_comparison(seed: u64, comparison: &Comparison, bits: u32, word: u32, differences: &[i128]) {
    let threshold = comparison.thresholds[0];
    let values: Vec<i128> = differences.iter().map(|d| d + i128::from(threshold)).collect();
    let (forms, inputs) = big(&values, Form::new(Shape::row(values.len()), bits, 0));
    let program = gate(Compare { comparison: comparison.clone(), word }, forms);
    let unit = 1i128 << comparison.low;
    for (&d, &found) in differences.iter().zip(&integers(seed, &program, &[], &inputs)[0]) {
        if d % unit == 0 || d.abs() >= unit {
            assert_eq!(found, i128::from(d >= 0), "[{d} >= 0] with {comparison:?} in {bits} bits");
        }
    }
}

/// Differences around zero, at the ends of the window, and anywhere.
fn differences(seed: u64, comparison: &Comparison) -> Vec<i128> {
    let (unit, steps) = (1i128 << comparison.low, 1i128 << (comparison.window() - 1));
    let mut grid: Vec<i128> = (-4..=4).chain([steps - 1, steps - 2, -steps, 1 - steps]).collect();
    // All digits at an edge: carries run through every digit.
    grid.extend((0..comparison.digits).flat_map(|digit| {
        let weight = 1i128 << (digit * comparison.digit_bits);
        [weight, -weight, weight - 1, 1 - weight, steps - weight, weight - steps]
    }));
    grid.extend(uniform(seed, 40, steps));
    let grid = grid.into_iter().map(|d| d.clamp(-steps, steps - 1) * unit);
    let end = steps * unit;
    let between = uniform(seed + 1, 40, end).into_iter().chain([unit, -unit, unit + unit / 2, -unit - unit / 2]);
    // Rounding may add one unit, which must still fit the window.
    let between = between.chain([end - unit, unit - end, -end, 1 - end]).filter(|&d| (-end..=end - unit).contains(&d));
    grid.chain(between).collect()
}

#[test]
fn comparison_is_exact_for_every_number_of_digits() {
    for digits in 1..=6u32 {
        for low in [0u32, 3, 20] {
            for threshold in [0i64, 1, -1, 12_345, -(1 << 19)] {
                let comparison = Comparison::of_many(vec![threshold], low, digits);
                let seed = u64::from(digits * 100 + low);
                for bits in [low + comparison.window(), (low + comparison.window() + 3).min(64), 64] {
                    check_comparison(seed, &comparison, bits, 64, &differences(seed, &comparison));
                    if bits <= 32 {
                        check_comparison(seed, &comparison, bits, 32, &differences(seed, &comparison));
                    }
                }
            }
        }
    }
}

#[test]
fn comparison_is_exact_for_every_width_of_digits() {
    for digit_bits in 1..=10u32 {
        for digits in 1..=6u32 {
            let comparison = Comparison { thresholds: vec![-7], low: 2, digits, digit_bits };
            if comparison.low + comparison.window() <= 64 {
                check_comparison(1, &comparison, 64, 64, &differences(9, &comparison));
                check_comparison(
                    2,
                    &comparison,
                    comparison.low + comparison.window(),
                    64,
                    &differences(8, &comparison),
                );
            }
        }
    }
}

body!(CountBelow { function: Function, low: u32, digits: u32 }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let knots = this.function.spline().raw_knots(x.form().fraction);
    let inside = machine.compare(&x, &Comparison::of_many(knots, this.low, this.digits))?;
    let y = machine.piecewise(&inside, &x, &this.function, 20)?;
    machine.reveal(y, "a test")
});

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn comparison_of_anything(
        seed: u64, digits in 1u32..=6, low in 0u32..=24, spare in 0u32..=15, threshold in -(1i64 << 38)..(1i64 << 38),
    ) {
        let comparison = Comparison::of_many(vec![threshold], low, digits);
        let bits = (low + comparison.window() + spare).min(64);
        check_comparison(seed, &comparison, bits, 64, &differences(seed >> 1, &comparison));
    }

    #[test]
    fn many_thresholds_share_one_comparison(seed: u64, mut knots in prop::collection::btree_set(-200i64..200, 2..9)) {
        let knots: Vec<f64> = std::mem::take(&mut knots).into_iter().map(|knot| knot as f64).collect();
        // Constant pieces: the value is the number of thresholds at or below x.
        let inner = knots.windows(2).enumerate().fold(
            Spline::fit(1, &[knots[0] - 1.0, knots[0]], |_| 0.0),
            |spline, (index, pair)| spline.followed_by(pair[0], [1.0 + index as f64, 0.0, 0.0, 0.0]),
        );
        let last = knots[knots.len() - 1];
        let spline = inner.followed_by(last, [knots.len() as f64, 0.0, 0.0, 0.0]);
        let below = knots.clone();
        let exact = move |x: f64| below.iter().filter(|&&knot| x >= knot).count() as f64;
        let program_of = |shape| gate(
            CountBelow { function: Function::new("count", exact.clone(), spline.clone()), low: 0, digits: 5 },
            vec![Form::new(shape, 60, 4)],
        );
        let mut values: Vec<f32> = knots.iter().flat_map(|&k| [k as f32, k as f32 - 0.0625, k as f32 + 0.0625]).collect();
        values.extend([-4000.0, 4000.0, 0.0]);
        let program = program_of(Shape::row(values.len()));
        let found = run(seed, &program, &[], &[Tensor::new(Shape::row(values.len()), values.clone())]).output;
        for (&x, &y) in values.iter().zip(&found.values[0]) {
            prop_assert_eq!(y, exact(f64::from(x)), "{} among {:?}", x, knots);
        }
    }
}

// ------------------------------------------------------------------------------------------------ bits and tables

body!(Select { word: u32 }, |this, machine| {
    let comparison = Comparison::of_many(vec![0], 0, 2);
    let chooser = machine.input::<u64>(0)?;
    let chooser = machine.open(chooser)?;
    let bits = machine.compare(&chooser, &comparison)?;
    match this.word {
        32 => {
            let x = big_input::<I, u32>(machine, 1)?;
            let x = machine.open(x)?;
            let y = machine.select(&bits, &x)?;
            machine.reveal(y, "a test")
        }
        64 => {
            let x = big_input::<I, u64>(machine, 1)?;
            let x = machine.open(x)?;
            let y = machine.select(&bits, &x)?;
            machine.reveal(y, "a test")
        }
        _ => {
            let x = big_input::<I, u128>(machine, 1)?;
            let x = machine.open(x)?;
            let y = machine.select(&bits, &x)?;
            machine.reveal(y, "a test")
        }
    }
});

body!(BitsProduct { ring: u32 }, |this, machine| {
    let comparison = Comparison::of_many(vec![0], 0, 1);
    let a = machine.input::<u64>(0)?;
    let a = machine.defer(a)?;
    let b = machine.input::<u64>(1)?;
    let b = machine.open(b)?;
    let a = machine.take(a)?;
    let a = machine.compare(&a, &comparison)?;
    let b = machine.compare(&b, &comparison)?;
    let product = machine.bits_product::<u32>(&a, &b, this.ring)?;
    machine.reveal(product, "a test")?;
    let single = machine.bits_to_share::<u64>(&a, this.ring)?;
    machine.reveal(single, "a test")
});

body!(Lookup { table: Vec<i64>, bits: u32 }, |this, machine| {
    let x = machine.input::<u32>(0)?;
    let x = machine.open(x)?;
    let y = machine.lookup::<u32, u64>(&x, &this.table, this.bits)?;
    machine.reveal(y, "a test")?;
    let y = machine.lookup::<u32, u128>(&x, &this.table, 128)?;
    machine.reveal(y, "a test")?;
    let odd: Vec<bool> = this.table.iter().map(|entry| entry & 1 == 1).collect();
    let bits = machine.lookup_bits(&x, &odd)?;
    let opened = machine.open_bits(bits)?;
    let same = machine.bits_to_share::<u32>(&opened, 3)?;
    machine.reveal(same, "a test")?;
    let bits = machine.lookup_bits(&x, &odd)?;
    machine.reveal_bits(bits, "a test")
});

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn selection_keeps_or_clears(seed: u64, bits in 20u32..=64, count in 1usize..200) {
        let chooser: Vec<i64> = uniform(seed, count, 200).into_iter().map(|x| x as i64).collect();
        let values = uniform(seed ^ 1, count, 1i128 << (bits - 1));
        let (forms, mut inputs) = big(&values, Form::new(Shape::row(count), bits, 0));
        inputs.insert(0, row(&chooser));
        for word in [32, 64, 128] {
            if bits > word {
                continue;
            }
            let forms = std::iter::once(Form::new(Shape::row(count), 9, 0)).chain(forms.clone()).collect();
            let found = integers(seed, &gate(Select { word }, forms), &[], &inputs);
            for ((&c, &x), &y) in chooser.iter().zip(&values).zip(&found[0]) {
                prop_assert_eq!(y, if c >= 0 { x } else { 0 });
            }
        }
    }

    #[test]
    fn products_of_bits_are_conjunctions(seed: u64, ring in 2u32..=32, count in 1usize..150) {
        let draw = |seed| uniform(seed, count, 15).into_iter().map(|x| x as i64).collect::<Vec<_>>();
        let (a, b) = (draw(seed), draw(seed ^ 7));
        let program = gate(BitsProduct { ring }, vec![Form::new(Shape::row(count), 5, 0); 2]);
        let found = integers(seed, &program, &[], &[row(&a), row(&b)]);
        for i in 0..count {
            prop_assert_eq!(found[0][i], i128::from(a[i] >= 0 && b[i] >= 0));
            prop_assert_eq!(found[1][i], i128::from(a[i] >= 0));
        }
    }
}

#[test]
fn tables_give_every_entry() {
    for bits in 1..=10u32 {
        let entries = 1i64 << bits;
        for seed in 0..2 {
            let table: Vec<i64> = uniform(seed, entries as usize, 1 << 30).into_iter().map(|x| x as i64).collect();
            // Once as unsigned and once as signed elements of the ring.
            let elements: Vec<i64> = (0..entries).chain(-entries / 2..entries / 2).collect();
            let program =
                gate(Lookup { table: table.clone(), bits: 40 }, vec![Form::new(Shape::row(elements.len()), bits, 0)]);
            let run = run(seed, &program, &[], &[row(&elements)]);
            for (i, element) in elements.iter().enumerate() {
                let expected = table[element.rem_euclid(entries) as usize];
                assert_eq!(run.output.values[0][i], expected as f64);
                assert_eq!(run.output.values[1][i], expected as f64);
                assert_eq!(run.output.values[2][i], (expected & 1) as f64);
                assert_eq!(run.output.bits[0][i], expected & 1 == 1);
            }
        }
    }
}

// --------------------------------------------------------------------------------------------------- selections

body!(Argmax { low: u32 }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let bits = gates::argmax(machine, &x, this.low, 5)?;
    machine.reveal_bits(bits, "a test")
});

body!(TopK { k: usize }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let score = machine.input::<u64>(1)?;
    let score = machine.defer(score)?;
    let x = machine.open(x)?;
    let score = machine.take(score)?;
    let bits = gates::top_k_then_argmax(machine, &x, &score, this.k, 3, 5)?;
    machine.reveal_bits(bits, "a test")
});

/// The first of the largest.
fn first_largest(values: &[i64], alive: &[usize]) -> usize {
    *alive.iter().max_by_key(|&&i| (values[i], std::cmp::Reverse(i))).unwrap()
}

fn hot(bits: &[bool]) -> Option<usize> {
    let set: Vec<usize> = (0..bits.len()).filter(|&i| bits[i]).collect();
    if set.len() == 1 { Some(set[0]) } else { None }
}

/// On the grid of 2^low, as f32 of the form's fraction.
fn on_grid(values: &[i64], low: u32, fraction: u32) -> Tensor<f32> {
    let unit = 2f32.powi(low as i32 - fraction as i32);
    Tensor::new(Shape::row(values.len()), values.iter().map(|&x| x as f32 * unit).collect())
}

#[test]
fn argmax_and_top_k_with_many_ties() {
    for n in 2..=20usize {
        let form = Form::new(Shape::row(n), 40, 12);
        for k in 1..=n {
            // Few values, so that nearly everything ties, and sometimes everything.
            let range = [1, 2, 3, 50][(n + k) % 4];
            let draw = |seed| -> Vec<i64> { uniform(seed, n, range).into_iter().map(|x| x as i64).collect() };
            let (x, score) = (draw((n * 100 + k) as u64), draw((n * 100 + k) as u64 + 7));
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by_key(|&i| (std::cmp::Reverse(x[i]), i));
            let expected = first_largest(&score, &order[..k]);
            let inputs = [on_grid(&x, 3, 12), on_grid(&score, 3, 12)];
            let found = run(k as u64, &gate(TopK { k }, vec![form; 2]), &[], &inputs);
            assert_eq!(hot(&found.output.bits[0]), Some(expected), "top {k} of {x:?} by {score:?}");
            let found = run(k as u64, &gate(Argmax { low: 3 }, vec![form]), &[], &inputs[..1]);
            assert_eq!(hot(&found.output.bits[0]), Some(order[0]), "the largest of {x:?}");
        }
    }
}

#[test]
fn argmax_off_the_grid() {
    // Two values always give one winner, whatever lies between them; equal values go to the lower index even off the
    // grid, since the difference is exactly zero.
    let low = 8;
    for seed in 0..40 {
        let x = Tensor::new(Shape::row(2), uniform(seed, 2, 300).into_iter().map(|x| x as f32).collect());
        let found = run(seed, &gate(Argmax { low }, vec![Form::new(Shape::row(2), 40, 0)]), &[], &[x]);
        assert!(hot(&found.output.bits[0]).is_some());
        let equal = Tensor::new(Shape::row(9), vec![77.0; 9]);
        let found = run(seed, &gate(Argmax { low }, vec![Form::new(Shape::row(9), 40, 0)]), &[], &[equal]);
        assert_eq!(hot(&found.output.bits[0]), Some(0));
    }
}

body!(RowMaximum { low: u32, digits: u32 }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let y = gates::row_maximum(machine, &x, this.low, this.digits)?;
    let y = machine.share_of(&y)?;
    machine.reveal(y, "a test")
});

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn row_maximum_is_within_its_bound(
        seed: u64, batch in 1usize..3, rows in 1usize..5, n in 1usize..40, low in 0u32..=6, ties: bool,
    ) {
        let shape = Shape::new(batch, rows, n);
        let bound = if ties { 3 } else { 1 << (low + 18) };
        let values: Vec<f32> = uniform(seed, shape.len(), bound).into_iter().map(|x| x as f32).collect();
        let program = gate(RowMaximum { low, digits: 5 }, vec![Form::new(shape, 40, 0)]);
        let found = integers(seed, &program, &[], &[Tensor::new(shape, values.clone())]);
        let levels = (n as f64).log2().ceil() as i128;
        for (values, &found) in values.chunks(n).zip(&found[0]) {
            let expected = values.iter().map(|&x| x as i128).max().unwrap();
            prop_assert!(found <= expected && expected - found <= levels * ((1 << low) - 1), "{found} for {expected}");
            prop_assert!(values.iter().any(|&x| x as i128 == found));
        }
    }
}

// ----------------------------------------------------------------------------------------------------- products

body!(Products { word: u32, transposed: bool }, |this, machine| {
    match this.word {
        32 => products::<I, u32>(machine, this.transposed),
        64 => products::<I, u64>(machine, this.transposed),
        _ => products::<I, u128>(machine, this.transposed),
    }
});

fn products<I: Interpreter, W: RingWord>(machine: &mut Machine<I>, transposed: bool) -> Result<(), Error> {
    let a = machine.input::<W>(0)?;
    let a = machine.defer(a)?;
    let b = machine.input::<W>(1)?;
    let b = machine.open(b)?;
    let a = machine.take(a)?;
    let y = if transposed { machine.matmul_transposed(&a, &b)? } else { machine.matmul(&a, &b)? };
    machine.reveal(y, "a test")?;
    let squares = machine.square_sum(&a)?;
    machine.reveal(squares, "a test")?;
    let elements = machine.product(&a, &a.restructure(&Structure::Columns(0, 1)))?;
    machine.reveal(elements, "a test")
}

fn integer_tensor(seed: u64, shape: Shape, bound: i128) -> Tensor<f32> {
    Tensor::new(shape, uniform(seed, shape.len(), bound).into_iter().map(|x| x as f32).collect())
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn matrix_products_of_odd_shapes(
        seed: u64, batch in 1usize..4, rows in 1usize..9, inner in 1usize..19, columns in 1usize..9, transposed: bool,
    ) {
        let left = Shape::new(batch, rows, inner);
        let right = if transposed { Shape::new(batch, columns, inner) } else { Shape::new(batch, inner, columns) };
        let (a, b) = (integer_tensor(seed, left, 1000), integer_tensor(seed ^ 1, right, 1000));
        for word in [32, 64, 128] {
            let bits = if word == 32 { 31 } else { 45 };
            let program = gate(Products { word, transposed }, vec![Form::new(left, bits, 0), Form::new(right, bits, 0)]);
            let found = integers(seed, &program, &[], &[a.clone(), b.clone()]);
            let at = |t: &Tensor<f32>, b: usize, r: usize, c: usize| {
                t.data()[(b * t.shape().rows + r) * t.shape().columns + c] as i128
            };
            for n in 0..batch * rows * columns {
                let (z, r, c) = (n / (rows * columns), n / columns % rows, n % columns);
                let other = |i| if transposed { at(&b, z, c, i) } else { at(&b, z, i, c) };
                prop_assert_eq!(found[0][n], (0..inner).map(|i| at(&a, z, r, i) * other(i)).sum::<i128>());
            }
            for n in 0..batch * rows {
                let (z, r) = (n / rows, n % rows);
                prop_assert_eq!(found[1][n], (0..inner).map(|i| at(&a, z, r, i).pow(2)).sum::<i128>());
                for i in 0..inner {
                    prop_assert_eq!(found[2][n * inner + i], at(&a, z, r, i) * at(&a, z, r, 0));
                }
            }
        }
    }
}

body!(ProductExtended { shift: u32 }, |this, machine| {
    let a = machine.input::<u64>(0)?;
    let a = machine.defer(a)?;
    let b = big_input::<I, u64>(machine, 1)?;
    let b = machine.open(b)?;
    let a = machine.take(a)?;
    let y = machine.product_extended(&a, &b, this.shift)?;
    machine.reveal(y, "a test")
});

#[test]
fn extended_products_at_the_ends_of_their_range() {
    for (bits, shift) in [(20u32, 0u32), (20, 7), (33, 12), (40, 20), (40, 37)] {
        let end = (1i128 << (bits - 2)) - 1;
        let factors: Vec<i128> = [end, -end, -end - 1, 0, 1, -1].into_iter().chain(uniform(5, 10, end)).collect();
        let (shape, narrow) = (Shape::new(2, 8, 3), Shape::new(2, 8, 1));
        let a = integer_tensor(3, shape, 1 << 20);
        let (forms, mut inputs) = big(&factors, Form::new(narrow, bits, shift));
        inputs.insert(0, a.clone());
        let forms: Vec<Form> = std::iter::once(Form::new(shape, 64, 0)).chain(forms).collect();
        for seed in 0..6 {
            let found = integers(seed, &gate(ProductExtended { shift }, forms.clone()), &[], &inputs);
            for (i, &y) in found[0].iter().enumerate() {
                let (x, b) = (a.data()[i] as i128, factors[i / 3]);
                let exact = b & ((1 << shift) - 1) == 0;
                assert!(
                    y == x * (b >> shift) || (!exact && y == x * ((b >> shift) + 1)),
                    "{x} · ({b} >> {shift}): {y}"
                );
            }
        }
    }
}

body!(ScaleRows { fraction: u32 }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.defer(x)?;
    let r = machine.input::<u64>(1)?;
    let r = machine.open(r)?;
    let x = machine.take(x)?;
    // A factor as a wide function leaves it: 94 fraction bits in a ring of 104.
    let factor = machine.extend::<u64, u128>(&r, 0, 104)?.raise(74);
    let x = machine.extend::<u64, u128>(&x, 0, gates::WIDE_RING)?;
    let x = machine.defer(x)?;
    let y = gates::scale_rows(machine, x, factor, this.fraction)?;
    let y = machine.share_of(&y)?;
    machine.reveal(y, "a test")
});

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn scaled_rows_are_within_their_bound(
        seed: u64, batch in 1usize..3, rows in 1usize..5, n in 1usize..30, fraction in 8u32..=20,
    ) {
        let (shape, narrow) = (Shape::new(batch, rows, n), Shape::new(batch, rows, 1));
        let mut next = generator(seed);
        let x = Tensor::new(shape, (0..shape.len()).map(|_| ((next() * 4e6).round() / 4096.0) as f32).collect());
        let r = Tensor::new(narrow, (0..batch * rows).map(|_| ((next() * 1e7).round() / 1_048_576.0) as f32).collect());
        let program = gate(ScaleRows { fraction }, vec![Form::new(shape, 40, 12), Form::new(narrow, 40, 20)]);
        let found = run(seed, &program, &[], &[x.clone(), r.clone()]).output;
        for (i, &y) in found.values[0].iter().enumerate() {
            let (x, r) = (f64::from(x.data()[i]), f64::from(r.data()[i / n]));
            let bound = x.abs() * 2f64.powi(-24) + 2f64.powi(-(fraction as i32));
            prop_assert!((y - x * r).abs() <= bound, "{x} · {r} gave {y}, off by {}", y - x * r);
        }
    }
}

// ---------------------------------------------------------------------------------------------------- wide splines

body!(WideFunction { offset: Option<f64>, scale: f64, range: Wide }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let y = match this.offset {
        Some(offset) => gates::reciprocal(machine, &x, offset, &this.range)?,
        None => gates::inverse_root(machine, &x, this.scale, &this.range)?,
    };
    machine.reveal(y, "a test")
});

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

fn reciprocal(offset: f64, low: i32) -> WideFunction {
    WideFunction { offset: Some(offset), scale: 1.0, range: Wide { low, high: 13, fraction: 12 } }
}

#[test]
fn reciprocals_keep_their_bounds() {
    // 2ReLU's row sums, and softmax's.
    let (above, below) = wide_errors(reciprocal(0.01, -3), (40, 12), -3, 0.0);
    assert!(above < 4e-3 && below < 7e-2, "{above} {below}");
    let (above, _) = wide_errors(reciprocal(0.0, 0), (40, 12), 0, 1.0);
    assert!(above < 2e-3, "{above}");
}

#[test]
fn inverse_roots_keep_their_bounds() {
    // LayerNorm's.
    let range = Wide { low: 4, high: 17, fraction: 8 };
    let body = WideFunction { offset: None, scale: 384f64.sqrt(), range };
    let (above, _) = wide_errors(body, (37, 18), 4, 16.0);
    assert!(above < 7e-4, "{above}");
    // CSCR's.
    let range = Wide { low: -6, high: 13, fraction: 14 };
    let body = WideFunction { offset: None, scale: 1.0, range };
    let (above, below) = wide_errors(body, (48, 32), -3, 2f64.powi(-6));
    assert!(above < 8e-4 && below < 2e-2, "{above} {below}");
}
