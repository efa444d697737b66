//! The largest of many: argmax, top-k and the maximum of rows.

use super::{cases, uniform};
use crate::common::{body, gate, integers, run};
use blindroute_protocol::gates;
use blindroute_protocol::{Comparison, Error, Form, Meter, Shape, Tensor, Tuning};
use proptest::prelude::*;

body!(Argmax { low: u32 }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let x = machine.truncate_reduce(x, this.low)?;
    let x = machine.open(x)?;
    let bits = gates::argmax(machine, &x, &Comparison::exact(5, 4))?;
    machine.reveal_bits(bits, "a test")
});

body!(TopK { k: usize }, |this, machine| {
    let x = machine.input::<u64>(0)?;
    let score = machine.input::<u64>(1)?;
    let score = machine.truncate_reduce(score, 3)?;
    let score = machine.defer(score)?;
    let x = machine.truncate_reduce(x, 3)?;
    let x = machine.open(x)?;
    let score = machine.take(score)?;
    let bits = gates::top_k_then_argmax(machine, &x, &score, this.k, &Comparison::exact(5, 4))?;
    machine.reveal_bits(bits, "a test")
});

body!(Ranking { count: usize, tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let bits = gates::ranking(machine, &x, this.count, &Comparison::exact(5, 4))?;
    machine.reveal_bits(bits, "a test")?;
    let bits = gates::argmax(machine, &x, &Comparison::exact(5, 4))?;
    machine.reveal_bits(bits, "a test")
});

body!(TopKRanking { k: usize, count: usize, tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let (x, score) = (machine.input::<u64>(0)?, machine.input::<u64>(1)?);
    let score = machine.defer(score)?;
    let x = machine.open(x)?;
    let score = machine.take(score)?;
    let bits = gates::top_k_then_ranking(machine, &x, &score, (this.k, this.count), &Comparison::exact(5, 4))?;
    machine.reveal_bits(bits, "a test")?;
    let bits = gates::top_k_then_argmax(machine, &x, &score, this.k, &Comparison::exact(5, 4))?;
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

/// The places of these candidates, those of the largest values first, of equal ones in their order.
fn sorted(values: &[i64], mut candidates: Vec<usize>) -> Vec<usize> {
    candidates.sort_by_key(|&i| (std::cmp::Reverse(values[i]), i));
    candidates
}

/// Rows of one-hot vectors as the candidates that they name.
fn named(bits: &[bool], candidates: usize) -> Vec<Option<usize>> {
    bits.chunks(candidates).map(hot).collect()
}

#[test]
fn rankings_are_the_beginning_of_a_plain_sort_with_many_ties() {
    for n in 2..=12usize {
        // Two prompts at once, of few values, so that nearly everything ties, and sometimes everything.
        let form = Form::new(Shape::new(2, 1, n), 40, 9);
        for count in 1..=4.min(n) {
            let (case, range) = ((n * 100 + count) as u64, [1, 2, 3, 50][(n + count) % 4]);
            let draw = |seed| -> Vec<i64> { uniform(seed, 2 * n, range).into_iter().map(|x| x as i64).collect() };
            let (x, score) = (draw(case), draw(case + 7));
            let inputs =
                [&x, &score].map(|row| Tensor::new(form.shape, row.iter().map(|&x| x as f32 / 512.0).collect()));
            let tuning = Tuning::ALL[(n + count) % Tuning::ALL.len()];
            let found = run(case, &gate(Ranking { count, tuning }, vec![form]), &[], &inputs[..1]);
            let best = named(&found.output.bits[1], n);
            for (prompt, x) in x.chunks(n).enumerate() {
                let expected: Vec<_> = sorted(x, (0..n).collect()).into_iter().take(count).map(Some).collect();
                let rows = named(&found.output.bits[0][prompt * count * n..(prompt + 1) * count * n], n);
                assert_eq!(rows, expected, "the first {count} of {x:?}, {tuning:?}");
                assert_eq!(rows[0], best[prompt], "the first is the largest");
            }
            for k in [count, n] {
                let found = run(case, &gate(TopKRanking { k, count, tuning }, vec![form; 2]), &[], &inputs);
                let best = named(&found.output.bits[1], n);
                for (prompt, (x, score)) in x.chunks(n).zip(score.chunks(n)).enumerate() {
                    let mut kept = sorted(x, (0..n).collect());
                    kept.truncate(k);
                    let expected: Vec<_> = sorted(score, kept).into_iter().take(count).map(Some).collect();
                    let rows = named(&found.output.bits[0][prompt * count * n..(prompt + 1) * count * n], n);
                    assert_eq!(rows, expected, "the first {count} of the top {k} of {x:?} by {score:?}, {tuning:?}");
                    assert_eq!(rows[0], best[prompt], "the first is the largest");
                }
            }
        }
    }
}

#[test]
fn a_ranking_names_no_more_candidates_than_there_are() {
    let form = Form::new(Shape::row(3), 40, 9);
    let refused =
        |program: Result<_, Error>| matches!(program, Err(Error::Program(why)) if why.contains("expected 1 to"));
    let tuning = Tuning::Near;
    for count in [0, 4] {
        assert!(refused(Meter::cost(&gate(Ranking { count, tuning }, vec![form]))), "{count} of 3");
    }
    for (k, count) in [(2, 0), (2, 3), (3, 4)] {
        assert!(refused(Meter::cost(&gate(TopKRanking { k, count, tuning }, vec![form; 2]))), "{count} of the top {k}");
    }
    assert!(Meter::cost(&gate(TopKRanking { k: 2, count: 2, tuning }, vec![form; 2])).is_ok());
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

// What a router does with scores of eight fraction bits: rounded to keys of none, opened, compared.
body!(OfScores { k: Option<usize>, tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let x = machine.input::<u64>(0)?;
    let x = gates::sort_keys(machine, x, 8, 30)?;
    let score = machine.input::<u64>(1)?;
    let score = gates::sort_keys(machine, score, 8, 30)?;
    let score = machine.defer(score)?;
    let x = machine.open(x)?;
    let score = machine.take(score)?;
    let comparison = Comparison::exact(5, 4);
    let bits = match this.k {
        None => gates::argmax(machine, &x, &comparison)?,
        Some(k) => gates::top_k_then_argmax(machine, &x, &score, k, &comparison)?,
    };
    machine.reveal_bits(bits, "a test")
});

#[test]
fn case_48_scores_within_the_resolution_have_one_winner() {
    // Falling indices beat each other through rounding, so that without one rounding for all there are circles.
    for seed in 0..300 {
        let n = 3 + seed as usize % 9;
        let form = Form::new(Shape::row(n), 40, 8);
        let draw = |offset: u64| {
            let mut x: Vec<f32> =
                uniform(2 * seed + offset, n, 255).into_iter().map(|x| x.abs() as f32 / 256.0).collect();
            x.sort_by(f32::total_cmp);
            Tensor::new(Shape::row(n), x)
        };
        let inputs = [draw(0), draw(1)];
        for k in [None, Some(1 + seed as usize % n)] {
            for tuning in [Tuning::Near, Tuning::Far] {
                let found = run(seed, &gate(OfScores { k, tuning }, vec![form; 2]), &[], &inputs);
                assert!(hot(&found.output.bits[0]).is_some(), "seed {seed}, {k:?}, {tuning:?}: no single winner");
            }
        }
    }
}

#[test]
fn equal_scores_off_the_grid_go_to_the_lower_index() {
    for seed in 0..100 {
        let n = 2 + seed as usize % 9;
        let x = uniform(seed, 1, 25_500)[0] as f32 / 256.0;
        let inputs = [Tensor::new(Shape::row(n), vec![x; n]), Tensor::new(Shape::row(n), vec![-x; n])];
        for k in [None, Some(1 + seed as usize % n)] {
            let program = gate(OfScores { k, tuning: Tuning::Near }, vec![Form::new(Shape::row(n), 40, 8); 2]);
            assert_eq!(hot(&run(seed, &program, &[], &inputs).output.bits[0]), Some(0), "seed {seed}, {k:?}");
        }
    }
}

body!(Rounding {}, |this, machine| {
    let _ = this;
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let bits = gates::argmax(machine, &x, &Comparison::of_many(vec![0], 8, 4))?;
    machine.reveal_bits(bits, "a test")
});

#[test]
fn a_comparison_that_leaves_bits_out_orders_no_candidates() {
    let program = gate(Rounding {}, vec![Form::new(Shape::row(3), 40, 8)]);
    assert!(matches!(Meter::cost(&program), Err(Error::Program(why)) if why.contains("exact comparisons")));
}
