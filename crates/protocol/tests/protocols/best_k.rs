//! The k best of many candidates: the same as by a plain sort, at the stated cost.

use crate::common::{body, gate, integers};
use crate::costs::{check, comparison, cost, planes, words};
use blindroute_protocol::gates::{self, BestK};
use blindroute_protocol::{Clear, Comparison, Error, Fixed, Form, Meter, Shape, Tensor, Tuning};
use blindroute_testkit::generator;

/// Bits of the ring of keys, and of the result's.
const RINGS: (usize, usize) = (33, 40);
/// Less than every key.
const LEAST: f64 = -1000.0;

body!(Best { k: usize, tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let x = machine.input::<u64>(0)?;
    let x = machine.open(x)?;
    let best = gates::best_k(machine, &x, this.k, &Comparison::exact(6, 5), (LEAST, RINGS.1 as u32))?;
    machine.reveal(best, "a test")
});

/// So many keys for each of `batch` prompts; `range` is their largest magnitude, so that a small one has many ties.
fn keys(seed: u64, (batch, candidates): (usize, usize), range: f64) -> Tensor<f32> {
    let mut next = generator(seed);
    // Adding zero makes a negative zero positive, which the plain sort would otherwise set apart.
    let data = (0..batch * candidates).map(|_| (next() * range).round() as f32 + 0.0).collect();
    Tensor::new(Shape::new(batch, 1, candidates), data)
}

#[test]
fn the_best_are_those_of_a_plain_sort_with_many_ties() {
    let sizes =
        [(2, 1), (2, 2), (9, 3), (64, 64), (65, 1), (100, 7), (130, 100), (131, 5), (300, 10), (1100, 3), (1200, 40)];
    for (case, (candidates, k)) in sizes.into_iter().enumerate() {
        for range in [0.0, 2.0, 900.0] {
            let tuning = Tuning::ALL[case % Tuning::ALL.len()];
            let batch = if candidates < 200 { 2 } else { 1 };
            let input = keys(case as u64, (batch, candidates), range);
            let program = gate(Best { k, tuning }, vec![Form::new(input.shape(), RINGS.0 as u32, 0)]);
            let expected: Vec<i128> = input
                .data()
                .chunks(candidates)
                .flat_map(|row| {
                    let mut order: Vec<usize> = (0..candidates).collect();
                    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
                    let mut best = vec![0; candidates];
                    order[..k].iter().for_each(|&place| best[place] = 1);
                    best
                })
                .collect();
            let name = format!("the {k} best of {candidates} up to {range}, {tuning:?}");
            assert_eq!(integers(7, &program, &[], std::slice::from_ref(&input))[0], expected, "{name}");
            let clear = Clear::run(&program, &[], vec![input.clone()]).unwrap();
            let (fixed, _) = Fixed::run(&program, &[], &[input]).unwrap();
            for output in [clear, fixed] {
                assert!(output.values[0].iter().zip(&expected).all(|(x, y)| *x == *y as f64), "{name}");
            }
        }
    }
}

#[test]
fn rounds_that_divide_cost_what_they_say() {
    for (n, k) in [(9, 3), (64, 5), (100, 7), (300, 10), (1100, 3)] {
        let (mut left, mut sent, mut material, mut openings) = (n, words(n, RINGS.0), 0, 1);
        let plan = BestK::of(n, k, Tuning::Near).unwrap();
        let (mut comparisons, mut gathered) = (0, 0);
        let mut back = 0;
        // The sizes of the groups are those with the fewest comparisons: searched here as the documentation says it.
        for _ in 0..plan.divisions {
            let pairs = |n: usize| n * (n - 1) / 2;
            let total = |size: usize| left.div_ceil(size) * pairs(size) + pairs(left.div_ceil(size) * k);
            let size =
                (k + 1..=left / 2).filter(|&size| left.div_ceil(size) * k < left).min_by_key(|&size| total(size));
            let size = size.unwrap();
            let groups = left.div_ceil(size);
            let ranked = ((size - 1).ilog2() + 1) as usize;
            let (compared, digits) = comparison(groups * pairs(size), 1, 6, 5);
            sent += compared + words(groups * size, ranked) + planes(1, groups * size * k) + words(groups * k, RINGS.0);
            material += digits + words(groups * pairs(size), ranked) + planes(1, (groups * size * k) << ranked);
            material += 2 * words(groups * size * k, RINGS.0) + 2 * words(groups * size * k, RINGS.1);
            back += words(groups * k, RINGS.1);
            comparisons += groups * pairs(size);
            gathered += groups * size * k;
            openings += 6;
            left = groups * k;
        }
        let (pairs, ranked) = (left * (left - 1) / 2, ((left - 1).ilog2() + 1) as usize);
        let (compared, digits) = comparison(pairs, 1, 6, 5);
        sent += compared + words(left, ranked) + back;
        material += digits + words(pairs, ranked) + words(left << ranked, RINGS.1);
        let found = BestK { divisions: plan.divisions, comparisons: comparisons + pairs, gathered };
        assert_eq!(plan, found, "the best {k} of {n}");
        let program = gate(Best { k, tuning: Tuning::Near }, vec![Form::new(Shape::row(n), RINGS.0 as u32, 0)]);
        check(&program, cost(openings + 3, sent, material));
    }
}

#[test]
fn many_candidates_cost_far_fewer_comparisons_than_pairs() {
    let plan = |candidates, k| BestK::of(candidates, k, Tuning::Near).unwrap();
    assert!(plan(1000, 10).comparisons < 1000 * 999 / 2 / 8, "{:?}", plan(1000, 10));
    assert!(plan(4096, 20).comparisons < 4096 * 4095 / 2 / 20, "{:?}", plan(4096, 20));
    assert_eq!(plan(64, 5), BestK { divisions: 0, comparisons: 64 * 63 / 2, gathered: 0 });
}

#[test]
fn far_servers_compare_up_to_256_candidates_at_once_for_fewer_openings() {
    for (n, k, near, far) in
        [(64, 5, false, false), (100, 10, true, false), (256, 10, true, false), (300, 10, true, true)]
    {
        let openings = |tuning| {
            let program = gate(Best { k, tuning }, vec![Form::new(Shape::row(n), RINGS.0 as u32, 0)]);
            Meter::cost(&program).unwrap().openings
        };
        let divides = |tuning| BestK::of(n, k, tuning).unwrap().divisions > 0;
        assert_eq!((divides(Tuning::Middle), divides(Tuning::Far)), (near, far), "the {k} best of {n}");
        // Each division takes four.
        let saved = if near == far { 0 } else { 4 };
        assert_eq!(openings(Tuning::Middle), openings(Tuning::Far) + saved, "the {k} best of {n}");
    }
}

#[test]
fn what_cannot_be_found_is_refused() {
    for (candidates, k) in [(5, 0), (5, 6), (1, 1), (1 << 20, 1025)] {
        assert_eq!(BestK::of(candidates, k, Tuning::Near), None);
    }
    let program = gate(Best { k: 6, tuning: Tuning::Near }, vec![Form::new(Shape::row(5), 40, 0)]);
    assert!(matches!(Meter::cost(&program), Err(Error::Program(why)) if why.contains("the best 6")));
}
