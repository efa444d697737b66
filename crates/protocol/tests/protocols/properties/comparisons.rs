//! Comparisons with public thresholds.

use super::{cases, uniform};
use crate::common::{big, big_input, body, gate, integers, run};
use blindroute_protocol::{
    Comparison, Error, Form, Function, Interpreter, Machine, MaskedBits, RingWord, Shape, Spline, Tensor,
};
use proptest::prelude::*;

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
            Spline::fit(2, &[knots[0] - 1.0, knots[0]], |_| 0.0),
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
