//! Gates by keys of function secret sharing: right at every edge, as cheap as said, and nothing but noise to see.

use crate::common::{big, big_input, body, gate, integers, run};
use blindroute_protocol::gates::{self, SignWindow, Target, Wide};
use blindroute_protocol::{Clear, Comparison, Cost, Error, Form, Meter, Shape, Tensor, Tuning};
use blindroute_testkit::{Run, TestWorld, generator};

body!(Compare { comparison: Comparison, word: u32, tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let bits = if this.word == 32 {
        let x = big_input::<I, u32>(machine, 0)?;
        let x = machine.open(x)?;
        machine.compare(&x, &this.comparison)?
    } else {
        let x = big_input::<I, u64>(machine, 0)?;
        let x = machine.open(x)?;
        machine.compare(&x, &this.comparison)?
    };
    let y = machine.bits_to_share::<u32>(&bits, 7)?;
    machine.reveal(y, "a test")
});

/// Differences around zero, at the ends of the window, where digits carry, and anywhere, in units of 2^low.
fn grid(seed: u64, comparison: &Comparison) -> Vec<i128> {
    let steps = 1i128 << (comparison.window() - 1);
    let mut next = generator(seed);
    let anywhere = (0..40).map(|_| (next() * steps as f64) as i128).collect::<Vec<_>>();
    let edges = (-4..=4).chain([steps - 1, steps - 2, -steps, 1 - steps, 127, 128, -128, -129]);
    edges.chain(anywhere).map(|d| d.clamp(-steps, steps - 1) << comparison.low).collect()
}

fn check_comparison(seed: u64, comparison: &Comparison, bits: u32, word: u32) {
    let differences = grid(seed, comparison);
    let threshold = i128::from(comparison.thresholds[0]);
    let values: Vec<i128> = differences.iter().map(|d| d + threshold).collect();
    let (forms, inputs) = big(&values, Form::new(Shape::row(values.len()), bits, 0));
    let program = gate(Compare { comparison: comparison.clone(), word, tuning: Tuning::Middle }, forms);
    for (&d, &found) in differences.iter().zip(&integers(seed, &program, &[], &inputs)[0]) {
        assert_eq!(found, i128::from(d >= 0), "[{d} >= 0] with {comparison:?} in {bits} bits");
    }
}

#[test]
fn comparison_is_exact_for_every_window() {
    for digits in 1..=6u32 {
        for low in [0u32, 3, 20] {
            for threshold in [0i64, -1, 12_345, -(1 << 19)] {
                let comparison = Comparison::of_many(vec![threshold], low, digits);
                let seed = u64::from(digits * 100 + low);
                for bits in [low + comparison.window(), 64] {
                    check_comparison(seed, &comparison, bits, 64);
                }
                if low + comparison.window() <= 32 {
                    check_comparison(seed + 1, &comparison, 32, 32);
                }
            }
        }
    }
    for digit_bits in 1..=10 {
        check_comparison(7, &Comparison::of_few(vec![-7], 2, digit_bits), 40, 64);
    }
    // A window that no key has falls back to digits.
    let wide = Comparison { thresholds: vec![0], low: 0, digits: 4, digit_bits: 8 };
    check_comparison(8, &wide, 64, 64);
}

#[test]
fn a_window_outside_the_ring_is_the_same_error_as_by_digits() {
    let error = |tuning| {
        let (forms, inputs) = big(&[1, 2], Form::new(Shape::row(2), 20, 0));
        let program = gate(Compare { comparison: Comparison::of_many(vec![0], 10, 3), word: 64, tuning }, forms);
        TestWorld::seeded(1).run(&program, &[], &inputs).unwrap_err().to_string()
    };
    assert_eq!(error(Tuning::Middle), error(Tuning::Near));
}

body!(Relu { tuning: Tuning, window: SignWindow, target: Target }, |this, machine| {
    machine.tune(this.tuning);
    let x = machine.input::<u32>(0)?;
    let x = machine.open(x)?;
    let y = gates::relu::<I, u32, u32>(machine, &x, this.window, this.target)?;
    machine.reveal(y, "a test")
});

/// The encoder's two rectifiers, and one that drops nothing.
fn rectifiers() -> [(Form, SignWindow, Target); 3] {
    let row = Shape::row(5000);
    [
        (Form::new(row, 28, 18), SignWindow { range: 8, digits: 3 }, Target { bits: 28, fraction: 4 }),
        (Form::new(row, 32, 21), SignWindow { range: 7, digits: 3 }, Target { bits: 32, fraction: 9 }),
        (Form::new(row, 30, 6), SignWindow { range: 10, digits: 4 }, Target { bits: 32, fraction: 6 }),
    ]
}

#[test]
fn the_positive_part_is_right_under_every_tuning() {
    for (form, window, target) in rectifiers() {
        let mut next = generator(u64::from(form.bits));
        let range = f64::from(1 << window.range);
        let unit = 2f64.powi(window.range as i32 - 4 * window.digits as i32);
        let mut values: Vec<f32> = (0..form.shape.len()).map(|_| (next().powi(3) * range * 0.999) as f32).collect();
        values[..6].copy_from_slice(&[0.0, 1.0, -1.0, (range - unit) as f32, -(range - unit) as f32, unit as f32]);
        let inputs = [Tensor::new(form.shape, values.clone())];
        for tuning in Tuning::ALL {
            let found = integers(5, &gate(Relu { tuning, window, target }, vec![form]), &[], &inputs);
            for (&x, &found) in values.iter().zip(&found[0]) {
                let (x, last) = (f64::from(x), 2f64.powi(-(target.fraction as i32)));
                let found = found as f64 * last;
                let near = |y: f64| (found - y).abs() <= 1.5 * last;
                assert!(near(x.max(0.0)) || (x.abs() <= unit && near(x)), "{x} gives {found} ({tuning:?})");
            }
        }
    }
}

body!(Divide { tuning: Tuning, root: bool, wide: Wide }, |this, machine| {
    machine.tune(this.tuning);
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let y = if this.root {
        gates::inverse_root(machine, &x, 20.0, &this.wide)?
    } else {
        gates::reciprocal(machine, &x, 0.01, &this.wide)?
    };
    machine.reveal(y, "a test")
});

#[test]
fn functions_of_few_elements_take_no_opening_and_are_as_exact() {
    let (norm, sums) = (Wide { low: 4, high: 17, fraction: 8 }, Wide { low: -3, high: 13, fraction: 12 });
    for (root, wide, form) in
        [(true, norm, Form::new(Shape::row(5000), 36, 16)), (false, sums, Form::new(Shape::row(5000), 28, 12))]
    {
        let mut next = generator(3);
        let (low, high) = (f64::from(wide.low), f64::from(wide.high));
        // Every octave, evenly.
        let values: Vec<f32> =
            (0..5000).map(|_| 2f64.powf(low + (high - low - 0.01) * (next() + 1.0) / 2.0) as f32).collect();
        let inputs = [Tensor::new(form.shape, values.clone())];
        let by = |tuning| {
            let run = run(9, &gate(Divide { tuning, root, wide }, vec![form]), &[], &inputs);
            (run.forecast, run.output.values[0].clone())
        };
        let ((digits, _), (points, found)) = (by(Tuning::Near), by(Tuning::Middle));
        assert_eq!((digits.openings, points.openings), (3, 1));
        for (&x, &found) in values.iter().zip(&found) {
            let x = f64::from(x);
            let expected = if root { 20.0 / x.sqrt() } else { 1.0 / (x + 0.01) };
            let allowed = if root { 8e-4 } else { 4e-3 };
            let allowed = if root && x < 2f64.powi(5) { 2e-2 } else { allowed };
            assert!((found / expected - 1.0).abs() <= allowed, "{x}: {found}, expected {expected}");
        }
    }
}

body!(Gelu { tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let x = machine.input::<u32>(0)?;
    let x = machine.open(x)?;
    let y = gates::gelu::<I, u32, u32>(machine, &x, Target { bits: 32, fraction: 9 })?;
    machine.reveal(y, "a test")
});

#[test]
fn one_key_serves_all_knots_of_gelu() {
    let values: Vec<f32> = (0..3000).map(|i| (i - 1500) as f32 / 200.0).collect();
    let inputs = [Tensor::new(Shape::row(3000), values.clone())];
    let program = |tuning| gate(Gelu { tuning }, vec![Form::new(Shape::row(3000), 32, 21)]);
    let found = run(4, &program(Tuning::Middle), &[], &inputs);
    assert_eq!(found.forecast.openings + 1, Meter::cost(&program(Tuning::Near)).unwrap().openings);
    let bump = gates::gelu_bump();
    for (&x, &found) in values.iter().zip(&found.output.values[0]) {
        let exact = bump.exact(f64::from(x)) + f64::from(x.max(0.0));
        assert!((found - exact).abs() < 1e-3 + 3.0 / 512.0, "{x}: {found}");
    }
}

body!(Best { tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let x = machine.input::<u64>(0)?;
    let keys = gates::sort_keys(machine, x, 4, 40)?;
    let keys = machine.open(keys)?;
    let best = gates::argmax(machine, &keys, &Comparison::exact(5, 4))?;
    machine.reveal_bits(best, "a test")
});

#[test]
fn the_best_of_a_row_is_the_same_by_keys_in_two_openings_less() {
    let mut next = generator(6);
    for (batch, n) in [(1, 2), (3, 9), (1, 40)] {
        let shape = Shape::new(batch, 1, n);
        let mut values: Vec<f32> = (0..shape.len()).map(|_| (next() * 200.0).round() as f32).collect();
        // Equal ones too: the lower index wins.
        values[n - 1] = values[0];
        let program = |tuning| gate(Best { tuning }, vec![Form::new(shape, 40, 10)]);
        let inputs = [Tensor::new(shape, values)];
        let clear = Clear::run(&program(Tuning::Near), &[], inputs.to_vec()).unwrap();
        for (tuning, openings) in Tuning::ALL.into_iter().zip([4, 2, 2, 2]) {
            let found = run(3, &program(tuning), &[], &inputs);
            assert_eq!(found.output.bits, clear.bits, "{tuning:?}, {n} candidates");
            assert_eq!(found.forecast.openings, openings, "{tuning:?}");
        }
    }
}

#[test]
fn keys_cost_what_is_said() {
    let len = 10_000usize;
    let planes = 8 * len.div_ceil(64);
    let open = |bits: usize| (bits * len).div_ceil(8);
    let sum = |bytes: &dyn Fn(usize) -> usize| [4096, 4096, len - 8192].iter().map(|&n| bytes(n)).sum::<usize>();
    // A comparison of 13 bits: five levels and a last block.
    let form = Form::new(Shape::row(len), 40, 0);
    let comparison = Comparison::of_many(vec![0], 3, 3);
    let program = gate(Compare { comparison, word: 64, tuning: Tuning::Middle }, vec![form; 3]);
    let bits_to_share = (7 * len).div_ceil(8);
    let expected =
        Cost { openings: 2, opening_bytes: open(40) + planes, material_bytes: planes + 2 * 96 * len + bits_to_share };
    assert_eq!(Meter::cost(&program).unwrap(), expected);
    // ReLU: 1, A and T of 28, 28 and 14 bits, an extension of 28 and 14, twelve levels of values and eleven of seeds.
    let form = Form::new(Shape::row(len), 28, 18);
    let (window, target) = (SignWindow { range: 8, digits: 3 }, Target { bits: 28, fraction: 4 });
    let program = gate(Relu { tuning: Tuning::Far, window, target }, vec![form]);
    let keys = sum(&|n| 11 * 16 * n + 2 * (12 * 28 * n).div_ceil(8) + (12 * 14 * n).div_ceil(8));
    let shared = 3 * open(28) + 2 * open(14);
    let expected = Cost { openings: 1, opening_bytes: open(28), material_bytes: shared + 2 * keys };
    assert_eq!(Meter::cost(&program).unwrap(), expected);
    // A root: seven powers in Z_2^104 over 20 bits.
    let form = Form::new(Shape::row(len), 36, 16);
    let wide = Wide { low: 4, high: 17, fraction: 8 };
    let program = gate(Divide { tuning: Tuning::Middle, root: true, wide }, vec![form]);
    let keys = sum(&|n| 19 * 16 * n + 7 * 20 * 13 * n);
    let expected = Cost { openings: 1, opening_bytes: open(36), material_bytes: 13 * 13 * len + 2 * keys };
    assert_eq!(Meter::cost(&program).unwrap(), expected);
}

body!(All {}, |this, machine| {
    machine.tune(Tuning::Far);
    let x = machine.input::<u32>(0)?;
    let norm = machine.input::<u64>(1)?;
    let norm = machine.defer(norm)?;
    let x = machine.open(x)?;
    let norm = machine.take(norm)?;
    machine.compare(&x, &Comparison::of_many(vec![0, 1 << 20], 14, 3))?;
    let (window, target) = (SignWindow { range: 7, digits: 3 }, Target { bits: 32, fraction: 9 });
    let y = gates::relu::<I, u32, u32>(machine, &x, window, target)?;
    let y = machine.open(y)?;
    let root = gates::inverse_root(machine, &norm, 1.0, &Wide { low: 4, high: 17, fraction: 8 })?;
    let root = machine.open(root)?;
    let (y, root) = (machine.share_of(&y)?, machine.share_of(&root)?);
    machine.reveal(y, "a test")?;
    machine.reveal(root, "a test")
});

const COUNT: usize = 2048;

fn all(seed: u64, mut next: impl FnMut() -> f64) -> Run {
    let row = Shape::row(COUNT);
    let program = gate(All {}, vec![Form::new(row, 32, 21), Form::new(row, 36, 16)]);
    let x = (0..COUNT).map(|_| (next() * 100.0) as f32).collect();
    let norm = (0..COUNT).map(|_| (next().abs() * 60_000.0 + 16.0) as f32).collect();
    let inputs = [Tensor::new(row, x), Tensor::new(row, norm)];
    TestWorld::seeded(seed).recorded().run(&program, &[], &inputs).unwrap()
}

/// χ² of the bytes against uniform: 255 on average, deviation 22.6. Seven deviations are allowed.
fn assert_uniform(what: &str, bytes: &[u8]) {
    let mut counts = [0.0f64; 256];
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1.0);
    let expected = bytes.len() as f64 / 256.0;
    let statistic: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
    assert!((97.0..413.0).contains(&statistic), "{what}: χ² = {statistic}");
}

#[test]
fn what_a_server_and_the_dealer_send_is_noise_whatever_the_input() {
    let zeros = all(11, || 0.0);
    let random = all(11, generator(8));
    for (name, run) in [("zero", &zeros), ("random", &random)] {
        for (party, messages) in run.transcript.messages.iter().enumerate() {
            for (index, message) in messages.iter().enumerate().filter(|(_, message)| !message.is_empty()) {
                assert_uniform(&format!("message {index} of server {party}, input {name}"), message);
            }
        }
        for (index, (a, b)) in run.transcript.messages[0].iter().zip(&run.transcript.messages[1]).enumerate() {
            let opened: Vec<u8> = a.iter().zip(b).map(|(a, b)| a ^ b).collect();
            if !opened.is_empty() {
                assert_uniform(&format!("the sum of messages {index}, input {name}"), &opened);
            }
        }
    }
    // The dealer knows no input; both servers get the same corrections of keys, and server zero no other.
    let sent = |run: &Run| (run.transcript.material.clone(), run.transcript.material_zero.clone());
    assert!(sent(&zeros) == sent(&random));
    let (one, zero) = sent(&zeros);
    assert_uniform("material of server 0", &zero.concat());
    assert_uniform("material of server 1", &one.concat());
    assert!(zero.iter().all(|record| one.contains(record)));
    let lengths = |run: &Run| run.transcript.messages[0].iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths(&zeros), lengths(&random));
}

#[test]
fn corrections_that_end_early_are_an_error() {
    let row = Shape::row(COUNT);
    let program = gate(All {}, vec![Form::new(row, 32, 21), Form::new(row, 36, 16)]);
    let inputs = [Tensor::zeros(row), Tensor::new(row, vec![100.0; COUNT])];
    for bytes in [0, 1, 100_000] {
        let parties = TestWorld::seeded(2).with_material_cut(bytes).run_parties(&program, &[], &inputs).unwrap();
        assert!(parties.servers.iter().all(Result::is_err), "{parties:?}");
        assert!(matches!(parties.servers[1], Err(Error::Material(_) | Error::MaterialEnded)), "{parties:?}");
    }
}
