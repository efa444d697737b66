//! What nested pools are made of: the best few of a batch by a secret matrix, and the largest of many candidates in groups.

use crate::common::{Gate, body, gate, integers, run};
use crate::costs::{check, comparison, cost, opened, words};
use blindroute_protocol::gates::{self, Chosen};
use blindroute_protocol::{Comparison, Form, Shape, Structure, Tensor, Tuning};
use blindroute_testkit::generator;

const WIDTH: usize = 3;
/// Rings of keys, of what is gathered (twice), and of what is scattered.
const RINGS: [u32; 4] = [40, 33, 19, 30];

body!(BestFew { count: usize, tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let others = (machine.input::<u64>(1)?, machine.input::<u32>(2)?, machine.input::<u64>(3)?);
    let pending = (machine.defer(others.0)?, machine.defer(others.1)?, machine.defer(others.2)?);
    let keys = machine.input::<u64>(0)?;
    let keys = machine.open(keys)?;
    let (wide, narrow) = (machine.take(pending.0)?, machine.take(pending.1)?);
    let shallow = machine.take(pending.2)?;
    let chosen = Chosen::best(machine, &keys, this.count, &Comparison::exact(5, 4), 40)?;
    let wide = chosen.gathered(machine, &wide)?;
    let narrow = chosen.gathered(machine, &narrow)?;
    // What comes back is the first row of what was gathered, doubled.
    let deep = wide.restructure(&Structure::Rows(0, 1)).scale(2).narrowed(RINGS[3]);
    let deep = machine.open(deep)?;
    let back = chosen.without(machine, &shallow)?.add(&chosen.scattered(machine, &deep)?)?;
    machine.reveal(wide, "a test")?;
    machine.reveal(narrow, "a test")?;
    machine.reveal(back, "a test")
});

fn best_few(candidates: usize, count: usize, tuning: Tuning) -> Gate<BestFew> {
    let form = |shape: Shape, ring: usize| Form::new(shape, RINGS[ring], 0);
    let inputs = vec![
        form(Shape::row(candidates), 0),
        form(Shape::new(candidates, 2, WIDTH), 1),
        form(Shape::new(candidates, 1, 1), 2),
        form(Shape::new(candidates, 1, WIDTH), 3),
    ];
    gate(BestFew { count, tuning }, inputs)
}

/// Keys of few values, so that some are equal.
fn keys(candidates: usize, seed: u64) -> Vec<i128> {
    let mut next = generator(seed);
    // Where keys are equal the lower index is first; the ends of the comparison's range are among them.
    let values = [-(1 << 19) + 1, -7, 0, 0, 3, (1 << 19) - 1];
    (0..candidates).map(|_| values[((next() + 1.0) * 2.999) as usize]).collect()
}

fn small(shape: Shape, seed: u64) -> (Vec<i128>, Tensor<f32>) {
    let mut next = generator(seed);
    let values: Vec<i128> = (0..shape.len()).map(|_| (next() * 1000.0) as i128).collect();
    let tensor = Tensor::new(shape, values.iter().map(|&x| x as f32).collect());
    (values, tensor)
}

#[test]
fn the_best_few_are_gathered_in_order_and_put_back() {
    for (seed, (candidates, count)) in
        [(2, 1), (2, 2), (3, 2), (8, 3), (17, 16), (32, 12), (64, 8)].into_iter().enumerate()
    {
        for tuning in Tuning::ALL {
            let program = best_few(candidates, count, tuning);
            let seed = seed as u64;
            let keys = keys(candidates, seed);
            let shapes: Vec<Shape> = program.inputs.iter().map(|form| form.shape).collect();
            let (wide, of_wide) = small(shapes[1], 10 + seed);
            let (narrow, of_narrow) = small(shapes[2], 20 + seed);
            let (shallow, of_shallow) = small(shapes[3], 30 + seed);
            let of_keys = Tensor::new(shapes[0], keys.iter().map(|&x| x as f32).collect());
            let found = integers(seed, &program, &[], &[of_keys, of_wide, of_narrow, of_shallow]);
            let mut order: Vec<usize> = (0..candidates).collect();
            order.sort_by_key(|&candidate| (-keys[candidate], candidate));
            order.truncate(count);
            let step = 2 * WIDTH;
            let gathered: Vec<i128> = order.iter().flat_map(|&at| wide[at * step..(at + 1) * step].to_vec()).collect();
            assert_eq!(found[0], gathered, "{count} of {candidates}, {tuning:?}");
            assert_eq!(found[1], order.iter().map(|&at| narrow[at]).collect::<Vec<_>>());
            let back: Vec<i128> = (0..candidates * WIDTH)
                .map(|at| {
                    let (candidate, column) = (at / WIDTH, at % WIDTH);
                    if order.contains(&candidate) { 2 * wide[candidate * step + column] } else { shallow[at] }
                })
                .collect();
            assert_eq!(found[2], back, "{count} of {candidates}, {tuning:?}");
        }
    }
}

#[test]
fn the_best_few_cost_their_formula() {
    for (candidates, count) in [(2usize, 1usize), (8, 3), (17, 16), (32, 12)] {
        let pairs = candidates * (candidates - 1) / 2;
        let bits = ((candidates - 1).ilog2() + 1) as usize;
        let (sent, digits) = comparison(pairs, 1, 5, 4);
        let inputs = opened(candidates, &[40]) + words(candidates * 2 * WIDTH, 33) + words(candidates, 19);
        let inputs = inputs + words(candidates * WIDTH, 30);
        let sent = inputs + sent + words(candidates, bits) + words(count * candidates, 40) + words(count * WIDTH, 30);
        let matrix = words((count * candidates) << bits, 40);
        let gathered = words(count * 2 * WIDTH, 33) + words(count, 19) + 2 * words(candidates * WIDTH, 30);
        let material = digits + words(pairs, bits) + matrix + gathered;
        check(&best_few(candidates, count, Tuning::Near), cost(1 + 4 + 1, sent, material));
    }
}

#[test]
fn a_choice_of_none_or_of_more_than_there_are_is_refused() {
    for (candidates, count) in [(8, 0), (8, 9), (1, 1)] {
        let program = best_few(candidates, count, Tuning::Near);
        let error = blindroute_protocol::Meter::cost(&program).unwrap_err().to_string();
        assert!(error.contains(&format!("the best {count} of")), "{error}");
    }
}

body!(Largest { tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let keys = machine.input::<u64>(0)?;
    let keys = machine.open(keys)?;
    let one_hot = gates::largest(machine, &keys, &Comparison::exact(5, 4), -((1 << 18) as f64), 2)?;
    machine.reveal(one_hot, "a test")
});

#[test]
fn the_largest_of_any_number_is_one_and_of_equals_the_first() {
    for candidates in [2, 3, 16, 17, 20, 77, 150] {
        for (seed, tuning) in Tuning::ALL.into_iter().enumerate() {
            let shape = Shape::new(3, 1, candidates);
            let mut next = generator(seed as u64);
            let range = [3.0, 2.0e5, 50.0, 1.0][seed];
            let values: Vec<i128> = (0..shape.len()).map(|_| (next() * range) as i128).collect();
            let program = gate(Largest { tuning }, vec![Form::new(shape, 40, 0)]);
            let input = Tensor::new(shape, values.iter().map(|&x| x as f32).collect());
            let found = run(seed as u64, &program, &[], &[input]).output.values;
            for (row, found) in values.chunks(candidates).zip(found[0].chunks(candidates)) {
                let best = (0..candidates).rev().max_by_key(|&at| row[at]).unwrap();
                let expected: Vec<f64> = (0..candidates).map(|at| f64::from(u8::from(at == best))).collect();
                // Two bits of ring: one is 1, and nothing else is set.
                assert_eq!(found, expected, "{candidates} candidates, {tuning:?}");
            }
        }
    }
}

#[test]
fn the_largest_of_many_costs_its_formula() {
    let form = |rows: usize, n: usize| Form::new(Shape::new(rows, 1, n), 40, 0);
    let searched = |rows: usize, n: usize, ring: usize| {
        let (pairs, bits) = (rows * n * (n - 1) / 2, ((n - 1).ilog2() + 1) as usize);
        let (sent, digits) = comparison(pairs, 1, 5, 4);
        (sent + words(rows * n, bits), digits + words(pairs, bits) + words((rows * n) << bits, ring))
    };
    let near = || Largest { tuning: Tuning::Near };
    for (rows, n) in [(1, 2), (3, 16)] {
        let (sent, material) = searched(rows, n, 2);
        check(&gate(near(), vec![form(rows, n)]), cost(1 + 3, words(rows * n, 40) + sent, material));
    }
    for (rows, n, groups, size) in [(1, 17, 4, 5), (2, 77, 9, 9), (1, 150, 12, 13)] {
        let (first, second) = (searched(rows * groups, size, 40), searched(rows, groups, 2));
        let places = rows * groups * size;
        let sent = words(rows * n, 40) + first.0 + words(places, 40) + words(rows * groups, 40);
        let sent = sent + second.0 + words(rows * groups, 2);
        let material = first.1 + words(places, 40) + second.1 + words(places, 2);
        check(&gate(near(), vec![form(rows, n)]), cost(1 + 9, sent, material));
    }
}

body!(Lead { tuning: Tuning }, |this, machine| {
    machine.tune(this.tuning);
    let keys = machine.input::<u64>(0)?;
    let keys = machine.open(keys)?;
    let lead = gates::lead(machine, &keys, &Comparison::exact(5, 4), -((1 << 18) as f64))?;
    machine.reveal(lead, "a test")
});

#[test]
fn the_lead_is_that_of_the_largest_over_the_second_whichever_groups_they_are_in() {
    for candidates in [2, 3, 16, 17, 20, 77, 150] {
        for (seed, tuning) in Tuning::ALL.into_iter().enumerate() {
            let shape = Shape::new(3, 1, candidates);
            let mut next = generator(seed as u64);
            let range = [3.0, 2.0e5, 50.0, 1.0][seed];
            let mut values: Vec<i128> = (0..shape.len()).map(|_| (next() * range) as i128).collect();
            // The best two side by side, and so in one group.
            (values[0], values[1]) = (70_000 + 1_000 * seed as i128, 70_000);
            let program = gate(Lead { tuning }, vec![Form::new(shape, 40, 0)]);
            let input = Tensor::new(shape, values.iter().map(|&x| x as f32).collect());
            let found = run(seed as u64, &program, &[], &[input]).output.values;
            let lead = |row: &[i128]| {
                let mut sorted = row.to_vec();
                sorted.sort_unstable_by(|a, b| b.cmp(a));
                (sorted[0] - sorted[1]) as f64
            };
            let expected: Vec<f64> = values.chunks(candidates).map(lead).collect();
            assert_eq!(found[0], expected, "{candidates} candidates, {tuning:?}");
        }
    }
}

#[test]
fn the_lead_costs_its_formula() {
    let form = |rows: usize, n: usize| Form::new(Shape::new(rows, 1, n), 40, 0);
    // Comparing all pairs of each row, and looking ranks up in so many tables.
    let ranked = |rows: usize, n: usize, tables: usize| {
        let (pairs, bits) = (rows * n * (n - 1) / 2, ((n - 1).ilog2() + 1) as usize);
        let (sent, digits) = comparison(pairs, 1, 5, 4);
        let material = digits + words(pairs, bits) + tables * words((rows * n) << bits, 40);
        (sent + words(rows * n, bits) + tables * words(rows * n, 40), material + tables * words(rows * n, 40))
    };
    let near = || Lead { tuning: Tuning::Near };
    for (rows, n) in [(1, 2), (3, 16)] {
        let (sent, material) = ranked(rows, n, 1);
        check(&gate(near(), vec![form(rows, n)]), cost(1 + 4, words(rows * n, 40) + sent, material));
    }
    for (rows, n, groups, size) in [(1, 17, 4, 5), (2, 77, 9, 9), (1, 150, 12, 13)] {
        let (first, second) = (ranked(rows * groups, size, 2), ranked(rows, 2 * groups, 1));
        let sent = words(rows * n, 40) + first.0 + 2 * words(rows * groups, 40) + second.0;
        check(&gate(near(), vec![form(rows, n)]), cost(1 + 9, sent, first.1 + second.1));
    }
    let error = blindroute_protocol::Meter::cost(&gate(near(), vec![form(1, 1)])).unwrap_err().to_string();
    assert!(error.contains("two or more"), "{error}");
}
