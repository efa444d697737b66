//! Powers of two, and softmax's numerators made of them.

use super::uniform;
use crate::common::{big, big_input, body, gate, integers, run};
use blindroute_protocol::gates::{self, Target};
use blindroute_protocol::protocols::exponential::FRACTION;
use blindroute_protocol::{Error, Form, Interpreter, Machine, RingWord, Shape, Tensor};

fn powers<I: Interpreter, W: RingWord>(machine: &mut Machine<I>) -> Result<(), Error> {
    let x = big_input::<I, W>(machine, 0)?;
    let x = machine.open(x)?;
    for ring in RINGS {
        let y = machine.exponential::<W, u64>(&x, ring)?;
        machine.reveal(y, "a test")?;
    }
    let y = machine.exponential::<W, u128>(&x, 100)?;
    machine.reveal(y, "a test")
}

/// The rings of the results in 64 bits, the narrowest and the widest.
const RINGS: [u32; 2] = [FRACTION + 2, 64];

body!(Powers { word: u32 }, |this, machine| {
    if this.word == 32 { powers::<I, u32>(machine) } else { powers::<I, u64>(machine) }
});

/// The resolution of an exponent, 1/256.
const STEP_FRACTION: u32 = 8;
/// The header's absolute error.
const ABSOLUTE: f64 = 1.0 / 2048.0;

/// 2^x of an integer number of steps, zero below −16.
fn power(steps: i128) -> f64 {
    if steps < -(16 << STEP_FRACTION) { 0.0 } else { (steps as f64 / f64::from(1 << STEP_FRACTION)).exp2() }
}

/// Runs the integers `values` of `fraction` bits in `bits` bits, and returns the worst absolute error to the power of
/// the exponent truncated one way or the other.
fn worst_error(seed: u64, word: u32, bits: u32, fraction: u32, values: &[i128]) -> f64 {
    let (forms, inputs) = big(values, Form::new(Shape::row(values.len()), bits, fraction));
    let found = integers(seed, &gate(Powers { word }, forms), &[], &inputs);
    let shift = fraction - STEP_FRACTION;
    let mut worst = 0f64;
    for output in &found {
        for (&x, &y) in values.iter().zip(output) {
            let y = y as f64 / 2f64.powi(FRACTION as i32);
            let error = |steps: i128| (y - power(steps)).abs();
            let (floor, exact) = (x >> shift, x & ((1 << shift) - 1) == 0);
            let error = if exact { error(floor) } else { error(floor).min(error(floor + 1)) };
            assert!(y >= 0.0, "2^{x} is {y}");
            worst = worst.max(error);
        }
    }
    worst
}

#[test]
fn every_power_is_within_its_bound_in_every_form() {
    let mut worst = 0f64;
    for fraction in [8u32, 9, 12, 18, 26] {
        for top in 1..=6u32 {
            let bits = fraction - STEP_FRACTION + 12 + top;
            let shift = fraction - STEP_FRACTION;
            let (end, step) = (1i128 << bits, 1i128 << shift);
            // Needs x ≤ −1/256: between that and zero truncation may reach zero.
            let mut values: Vec<i128> = (1..=40).map(|steps| -steps * step).collect();
            values.extend([-end, 1 - end, -end / 2, -end / 2 - 1, -step - step / 2, -step - 1, step - end]);
            let sixteen = 16 << fraction;
            values.extend([-sixteen, 1 - sixteen, -sixteen - 1, -sixteen - step, -sixteen + step]);
            values.extend(uniform(u64::from(bits), 300, end - step).into_iter().map(|x| -x.abs() - step));
            values.extend(uniform(u64::from(bits) + 1, 300, sixteen - step).into_iter().map(|x| -x.abs() - step));
            for word in [32, 64] {
                if bits <= word {
                    worst = worst.max(worst_error(u64::from(bits), word, bits, fraction, &values));
                }
            }
        }
    }
    println!("worst absolute error of a power: {worst:e}");
    assert!(worst <= ABSOLUTE, "{worst}");
}

#[test]
fn every_step_of_an_exponent_has_its_power() {
    let steps: Vec<i128> = (1..=(17i128 << STEP_FRACTION)).map(|steps| -steps).collect();
    // The public part and the mask differ from seed to seed.
    let worst = (0..6).map(|seed| worst_error(seed, 32, 17, 8, &steps)).fold(0.0, f64::max);
    println!("worst absolute error of an exact power: {worst:e}");
    assert!(worst <= ABSOLUTE, "{worst}");
}

#[test]
fn the_cut_of_an_exponent_is_unbiased() {
    const COUNT: usize = 4096;
    let (fraction, x) = (18u32, -(3i128 << 18) - 300);
    let values = vec![x; COUNT];
    let (forms, inputs) = big(&values, Form::new(Shape::row(COUNT), 28, fraction));
    let step = f64::from(1 << STEP_FRACTION);
    let (mut sum, seeds) = (0.0, 4);
    for seed in 0..seeds {
        let found = integers(seed, &gate(Powers { word: 32 }, forms.clone()), &[], &inputs);
        // In steps: the absolute error of a power of an eighth is below a step.
        sum += found[0].iter().map(|&y| ((y as f64 / 2f64.powi(FRACTION as i32)).log2() * step).round()).sum::<f64>();
    }
    let trials = COUNT as f64 * f64::from(seeds as u32);
    let exact = x as f64 / 2f64.powi((fraction - STEP_FRACTION) as i32);
    let part = exact - exact.floor();
    let bias = sum / trials - exact;
    assert!(bias.abs() < 5.0 * (part * (1.0 - part) / trials).sqrt(), "bias {bias} of a step");
}

body!(Softmax { word: u32, target: Target }, |this, machine| {
    if this.word == 32 {
        let x = machine.input::<u32>(0)?;
        let x = machine.open(x)?;
        let y = gates::softmax_numerators::<I, u32, u32>(machine, &x, this.target)?;
        machine.reveal(y, "a test")
    } else {
        let x = machine.input::<u64>(0)?;
        let x = machine.open(x)?;
        let y = gates::softmax_numerators::<I, u64, u64>(machine, &x, this.target)?;
        machine.reveal(y, "a test")
    }
});

/// One unit of an exponent's last place as a factor, less one.
const CUT: f64 = 0.002_712;

/// Whether the numerators are those of this maximum.
fn fits(values: &[f32], found: &[f64], maximum: f32, unit: f64) -> bool {
    values.iter().zip(found).all(|(&x, &y)| {
        let expected = f64::from(x - maximum - 2.0).exp2();
        (y - expected).abs() <= expected * CUT + ABSOLUTE + unit
    })
}

/// Rows of values, each a multiple of `grid`, and whether the maximum must be the true one.
fn check_softmax(seed: u64, word: u32, (bits, fraction): (u32, u32), columns: usize, size: f64, grid: f32) {
    let target = Target { bits: word, fraction: 11 };
    let rows = 3;
    let shape = Shape::new(1, rows, columns);
    let count = (size / f64::from(grid)) as i128;
    let values: Vec<f32> = uniform(seed, shape.len(), count + 1).into_iter().map(|x| x as f32 * grid).collect();
    let program = gate(Softmax { word, target }, vec![Form::new(shape, bits, fraction)]);
    let found = run(seed, &program, &[], &[Tensor::new(shape, values.clone())]).output;
    let unit = 2f64.powi(-11);
    for (values, found) in values.chunks(columns).zip(found.values[0].chunks(columns)) {
        let maximum = values.iter().copied().fold(f32::MIN, f32::max);
        let exact = grid >= 0.125;
        // What counts as the maximum is an element less than one below it.
        let found_for = values.iter().filter(|&&x| x == maximum || (!exact && x > maximum - 1.0));
        assert!(
            found_for.clone().any(|&maximum| fits(values, found, maximum, unit)),
            "{values:?} gave {found:?} in {bits} bits, fraction {fraction}"
        );
        assert!(found.iter().all(|&y| (0.0..=0.5 + unit).contains(&y)), "{found:?}");
        assert!(found.iter().any(|&y| y >= 0.25 - ABSOLUTE - unit), "{found:?}");
    }
}

#[test]
fn softmax_numerators_are_powers_of_the_distance_to_the_maximum() {
    for (word, forms) in [(32, [(28, 18), (24, 14)]), (64, [(28, 18), (40, 30)])] {
        for form in forms {
            for columns in [1, 2, 3, 13, 64, 256] {
                // On the grid the maximum is exact, off it it is low by less than one.
                for (size, grid) in [(6.0, 0.125), (255.0, 0.125), (3.0, 0.007_812_5), (250.0, 0.007_812_5)] {
                    check_softmax(columns as u64, word, form, columns, size, grid);
                }
            }
        }
    }
}
