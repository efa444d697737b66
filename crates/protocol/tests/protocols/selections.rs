//! The selections of the literature: each against plain sorting with all its ties, and openings, bytes and material
//! against the formulas of their headers.

use crate::common::{Gate, body, gate, row, run};
use blindroute_protocol::gates::selection::{
    Graph, Window, bitonic_layers, bitonic_sort, brute_force, bubble_levels, divide_and_conquer_bubble, graph_search,
    repeated_maximum_pairwise, repeated_maximum_tree,
};
use blindroute_protocol::{Clear, Comparison, Cost, Fixed, Form, Meter, Shape, Tensor};
use blindroute_testkit::generator;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Method {
    Pairwise,
    Tree,
    Graph,
    Bitonic,
    Bubble,
    BruteForce,
}

const EXACT: [Method; 5] = [Method::Pairwise, Method::Tree, Method::Bitonic, Method::Bubble, Method::BruteForce];
const WINDOW: Window = Window { digits: 3 };
/// Holds the widest comparison of the tests.
const RING: u32 = 32;

body!(Select { method: Method, k: usize, window: Window, graph: Option<Graph> }, |this, machine| {
    let score = machine.input::<u64>(1)?;
    let score = machine.defer(score)?;
    let similarity = machine.input::<u64>(0)?;
    let similarity = machine.open(similarity)?;
    let score = machine.take(score)?;
    let (x, y, k, window) = (&similarity, &score, this.k, this.window);
    let bits = match this.method {
        Method::Pairwise => repeated_maximum_pairwise(machine, x, y, k, window)?,
        Method::Tree => repeated_maximum_tree(machine, x, y, k, window)?,
        Method::Bitonic => bitonic_sort(machine, x, y, k, window)?,
        Method::Bubble => divide_and_conquer_bubble(machine, x, y, k, window)?,
        Method::BruteForce => brute_force(machine, x, y, k, window)?,
        Method::Graph => {
            let graph = this.graph.clone().unwrap_or_else(|| Graph::ring(x.form().shape.columns, k));
            graph_search(machine, x, y, k, window, &graph)?
        }
    };
    machine.reveal_bits(bits, "a test")
});

fn program(method: Method, n: usize, k: usize) -> Gate<Select> {
    gate(Select { method, k, window: WINDOW, graph: None }, vec![Form::new(Shape::row(n), RING, 0); 2])
}

/// Places by falling value, equal ones in order.
fn sorted(places: &[usize], values: &[i64]) -> Vec<usize> {
    let mut places = places.to_vec();
    places.sort_by_key(|&place| std::cmp::Reverse(values[place]));
    places
}

/// The best by score of the first k by similarity, `places` in the order in which ties go.
fn expected(places: &[usize], similarity: &[i64], score: &[i64], k: usize) -> usize {
    let mut best = sorted(places, similarity)[..k].to_vec();
    best.sort_by_key(|kept| places.iter().position(|place| place == kept));
    sorted(&best, score)[0]
}

/// What the search in the graph finds, in the clear.
fn searched(graph: &Graph, similarity: &[i64], score: &[i64], k: usize) -> usize {
    let entry = sorted(&graph.top, similarity)[0];
    let here = sorted(&graph.neighbours[entry], similarity)[0];
    expected(&graph.neighbours[here], similarity, score, k)
}

/// Parties, clear and fixed-point interpreters all give the one-hot vector of `winner`.
fn check(seed: u64, program: &Gate<Select>, similarity: &[i64], score: &[i64], winner: usize) {
    let inputs = [row(similarity), row(score)];
    let one_hot = vec![(0..similarity.len()).map(|place| place == winner).collect::<Vec<bool>>()];
    let clear = Clear::run(program, &[], inputs.to_vec()).unwrap();
    assert_eq!(clear.bits, one_hot, "clear: {:?} of {similarity:?}, {score:?}", program.body);
    let (fixed, _) = Fixed::run(program, &[], &inputs).unwrap();
    assert_eq!(fixed.bits, one_hot, "fixed: {:?} of {similarity:?}, {score:?}", program.body);
    let private = run(seed, program, &[], &inputs).output;
    assert_eq!(private.bits, one_hot, "private: {:?} of {similarity:?}, {score:?}", program.body);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_select_the_same(seed: u64, n in 2usize..24, few in 1i64..5, share in 0.0f64..1.0) {
        // Few values make many ties; the last digit is wide enough for all.
        let mut next = generator(seed);
        let mut draw = |size: i64| (0..n).map(|_| (next() * size as f64).round() as i64).collect::<Vec<_>>();
        let all: Vec<usize> = (0..n).collect();
        for (similarity, score) in [(draw(few), draw(few)), (draw(2000), draw(few)), (draw(2000), draw(2000))] {
            let k = 1 + (share * n as f64) as usize;
            for method in EXACT {
                let winner = expected(&all, &similarity, &score, k);
                check(seed, &program(method, n, k), &similarity, &score, winner);
            }
            let winner = searched(&Graph::ring(n, k), &similarity, &score, k);
            check(seed, &program(Method::Graph, n, k), &similarity, &score, winner);
        }
    }

    #[test]
    fn the_graph_leads_to_the_best_where_similarity_falls_with_distance(seed: u64, n in 2usize..60, k in 1usize..5) {
        let k = k.min(n);
        let peak = (seed % n as u64) as i64;
        let distance = |place: i64| (place - peak).rem_euclid(n as i64).min((peak - place).rem_euclid(n as i64));
        // Odd multiples on one side, so that no two are equal.
        let similarity: Vec<i64> =
            (0..n as i64).map(|i| 1000 - 4 * distance(i) - i64::from((i - peak).rem_euclid(n as i64) * 2 > n as i64)).collect();
        let mut next = generator(seed);
        let score: Vec<i64> = (0..n).map(|_| (next() * 1000.0) as i64).collect();
        let all: Vec<usize> = (0..n).collect();
        let winner = expected(&all, &similarity, &score, k);
        prop_assert_eq!(searched(&Graph::ring(n, k), &similarity, &score, k), winner);
        check(seed, &program(Method::Graph, n, k), &similarity, &score, winner);
    }
}

#[test]
fn values_at_the_ends_of_the_window_are_ordered() {
    let end = (1i64 << 12) - 1;
    let similarity = [0, end, end, 1, 0, end - 1, end];
    let score = [end, 0, 1, end, end, 5, 1];
    for k in 1..=7 {
        let winner = expected(&[0, 1, 2, 3, 4, 5, 6], &similarity, &score, k);
        for method in EXACT {
            check(k as u64, &program(method, 7, k), &similarity, &score, winner);
        }
    }
}

#[test]
fn fractions_and_resolution_are_respected() {
    // As the program of the measurements has it: sixteen fraction bits, all looked at.
    let (n, k) = (40, 3);
    let window = Window { digits: 5 };
    let mut next = generator(5);
    let mut draw = || Tensor::new(Shape::row(n), (0..n).map(|_| next() as f32).collect());
    let inputs = [draw(), draw()];
    for method in EXACT {
        let body = Select { method, k, window, graph: None };
        let program = gate(body, vec![Form::new(Shape::row(n), 44, 16); 2]);
        let clear = Clear::run(&program, &[], inputs.to_vec()).unwrap();
        assert_eq!(run(7, &program, &[], &inputs).output.bits, clear.bits, "{method:?}");
        assert_eq!(clear.bits[0].iter().filter(|&&bit| bit).count(), 1);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |program: &Gate<Select>| Meter::cost(program).is_err();
    for method in EXACT.into_iter().chain([Method::Graph]) {
        assert!(refused(&program(method, 5, 0)) && refused(&program(method, 5, 6)), "{method:?}");
        let uneven = vec![Form::new(Shape::row(5), RING, 0), Form::new(Shape::row(6), RING, 0)];
        assert!(refused(&gate(Select { method, k: 2, window: WINDOW, graph: None }, uneven)), "{method:?}");
        let batch = vec![Form::new(Shape::new(2, 1, 5), RING, 0); 2];
        assert!(refused(&gate(Select { method, k: 2, window: WINDOW, graph: None }, batch)), "{method:?}");
        let narrow = vec![Form::new(Shape::row(5), 12, 0); 2];
        assert!(refused(&gate(Select { method, k: 2, window: WINDOW, graph: None }, narrow)), "{method:?}");
        // Integers that do not count to five are no matter, for indices have a ring of their own; only those that mark
        // what was taken need a window above one.
        let shallow = vec![Form::new(Shape::row(5), RING, RING - 2); 2];
        let marks = matches!(method, Method::Pairwise | Method::Tree);
        assert_eq!(refused(&gate(Select { method, k: 2, window: WINDOW, graph: None }, shallow)), marks, "{method:?}");
    }
    let good = Graph::ring(5, 2);
    let outside = Graph { top: vec![0, 5], ..good.clone() };
    let alone = Graph { top: vec![0], ..good.clone() };
    let uneven = Graph { neighbours: vec![vec![0, 1], vec![1], vec![2, 1], vec![3, 1], vec![4, 1]], ..good.clone() };
    for graph in [outside, alone, uneven, Graph::ring(4, 2)] {
        let body = Select { method: Method::Graph, k: 2, window: WINDOW, graph: Some(graph) };
        assert!(refused(&gate(body, vec![Form::new(Shape::row(5), RING, 0); 2])));
    }
}

// --------------------------------------------------------------------------------------------------------- costs

fn words(count: usize, bits: u32) -> usize {
    (count * bits as usize).div_ceil(8)
}

fn planes(planes: usize, count: usize) -> usize {
    planes * 8 * count.div_ceil(64)
}

fn sum(costs: impl IntoIterator<Item = Cost>) -> Cost {
    costs.into_iter().fold(cost(0, 0, 0), |a, b| {
        cost(a.openings + b.openings, a.opening_bytes + b.opening_bytes, a.material_bytes + b.material_bytes)
    })
}

fn cost(openings: usize, opening_bytes: usize, material_bytes: usize) -> Cost {
    Cost { openings, opening_bytes, material_bytes }
}

/// Bits that count to n − 1.
fn count_bits(n: usize) -> u32 {
    usize::BITS - (n - 1).leading_zeros()
}

fn comparison(n: usize, comparison: &Comparison) -> Cost {
    let digits = comparison.digits as usize;
    let products = (1 << digits) + (1 << (digits - 1)) - 2 * digits - 1;
    let material = digits * planes(1, n << comparison.digit_bits) + planes(1, n) + planes(products, n);
    cost(2, planes(2 * digits, n), material)
}

/// A record's words, selected: opened together, and twice as material.
fn selected(picked: usize, from: usize, bits: &[u32]) -> Cost {
    let opened = bits.iter().map(|&bits| words(picked, bits)).sum();
    cost(1, opened, 2 * bits.iter().map(|&bits| words(from, bits)).sum::<usize>())
}

/// The compare-exchange of m pairs.
fn exchange(m: usize, n: usize, by: &Comparison) -> Cost {
    sum([comparison(m, by), selected(m, m, &[RING, RING, count_bits(n)])])
}

/// All pairs of n, their ranks opened, and looked up; then the bits opened.
fn maximum(n: usize, by: &Comparison) -> Cost {
    let (pairs, bits) = (n * (n - 1) / 2, count_bits(n));
    let ranks = cost(1, words(n, bits), words(pairs, bits) + planes(1, n << bits));
    sum([comparison(pairs, by), ranks, cost(1, planes(1, n), 0)])
}

/// A secret index of n, looked up as a one-hot vector.
fn one_hot(n: usize) -> Cost {
    cost(0, 0, planes(1, n << count_bits(n)))
}

fn best(k: usize, n: usize) -> Cost {
    let index = selected(1, k, &[count_bits(n)]);
    if k == 1 { one_hot(n) } else { sum([maximum(k, &WINDOW.with_ties(n)), index, one_hot(n)]) }
}

/// The row without the one that was taken.
fn taken(n: usize) -> Cost {
    cost(0, words(n, RING), words(n, RING))
}

fn levels(n: usize) -> usize {
    count_bits(n) as usize
}

fn formula(method: Method, n: usize, k: usize) -> Cost {
    let bits = count_bits(n);
    let found = match method {
        Method::Pairwise => {
            let winner = cost(1, words(1, RING) + words(1, bits), 2 * (words(n, RING) + words(n, bits)));
            sum((0..k).flat_map(|round| {
                let rest = if round + 1 < k { taken(n) } else { cost(0, 0, 0) };
                [maximum(n, &WINDOW.with_taken()), winner, rest]
            }))
        }
        Method::Tree => sum((0..k).flat_map(|round| {
            let mut costs = Vec::new();
            let mut left = n;
            while left > 1 {
                costs.push(exchange(left / 2, n, &WINDOW.with_taken()));
                left = left.div_ceil(2);
            }
            if round + 1 < k {
                costs.extend([one_hot(n), cost(2, planes(1, n), 0), taken(n)]);
            }
            costs
        })),
        Method::Bitonic => sum(bitonic_layers(n).into_iter().map(|m| exchange(m, n, &WINDOW.with_ties(n)))),
        Method::Bubble => sum(bubble_levels(n, k).into_iter().map(|m| exchange(m, n, &WINDOW.with_ties(n)))),
        Method::BruteForce => {
            let one = exchange(1, n, &WINDOW.comparison());
            let count = k * n - k * (k + 1) / 2;
            cost(count * one.openings, count * one.opening_bytes, count * one.material_bytes)
        }
        Method::Graph => {
            let graph = Graph::ring(n, k);
            let (d, upper) = (graph.degree(), graph.top.len());
            let step = |from: usize| selected(d, d * from, &[RING, RING, bits]);
            let here = sum([selected(1, d, &[bits]), one_hot(n), cost(1, planes(1, n), 0)]);
            let plain = WINDOW.comparison();
            let (pairs, count, ring) = (d * (d - 1) / 2, count_bits(d), count_bits(d) + 1);
            let ranks = cost(1, words(d, count), words(pairs, count) + planes(1, d << count));
            let among = cost(1, words(d, ring), 6 * words(pairs, ring) + 2 * words(d, ring) + planes(1, d << ring));
            let alive = cost(1, planes(1, d), 0);
            let top = sum([comparison(2 * pairs, &plain), ranks, alive, among, cost(1, planes(1, d), 0)]);
            let index = sum([selected(1, d, &[bits]), one_hot(n)]);
            let parts = [maximum(upper, &plain), step(upper), maximum(d, &plain), here, step(n), top, index];
            return sum(parts.into_iter().chain([cost(1, 2 * words(n, RING), 0)]));
        }
    };
    sum([found, best(k, n), cost(1, 2 * words(n, RING), 0)])
}

#[test]
fn costs_are_the_formulas() {
    for (n, k) in [(2, 1), (2, 2), (3, 2), (5, 1), (16, 4), (17, 4), (70, 3)] {
        for method in EXACT.into_iter().chain([Method::Graph]) {
            let program = program(method, n, k);
            assert_eq!(Meter::cost(&program).unwrap(), formula(method, n, k), "{method:?}, {k} of {n}");
            run(1, &program, &[], &[row(&vec![0; n]), row(&vec![0; n])]);
        }
    }
}

#[test]
fn openings_are_those_of_the_documentation() {
    // One more for the inputs.
    let openings = |method| Meter::cost(&program(method, 112, 4)).unwrap().openings - 1;
    assert_eq!(openings(Method::Pairwise), 25);
    assert_eq!(openings(Method::Tree), (3 * 7 + 2) * 4 - 2 + 5);
    assert_eq!(openings(Method::Graph), 19);
    assert_eq!(openings(Method::Bitonic), 3 * 28 + 5);
    assert_eq!(openings(Method::Bubble), 3 * 28 + 5);
    assert_eq!(openings(Method::BruteForce), 3 * 438 + 5);
    assert_eq!(bubble_levels(112, 4).iter().sum::<usize>(), 438);
    assert_eq!(bitonic_layers(128), [64; 28]);
    for n in 2..300 {
        assert_eq!(bubble_levels(n, 1).len(), levels(n), "levels of {n}");
        assert_eq!(bubble_levels(n, 1).iter().sum::<usize>(), n - 1);
        assert!(bitonic_layers(n).len() <= levels(n) * (levels(n) + 1) / 2);
    }
}
