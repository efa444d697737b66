//! Rules that are made elsewhere: networks and stored prompts. That the parties choose what plain numbers and the clear interpreter choose is
//! tested with the other rules (programs, ranking, lexical, batches); here are the edges of their ranges, ties, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use crate::common::{HIDDEN, MODELS, World, bundle, choose, one_hot};
use blindroute_protocol::{Clear, Fixed, Meter, Tuning};
use blindroute_routing::bundle::{
    Activation, Attention, Bundle, BundleError, HiddenLayer, Matrix, Mlp, Neighbours, Pooling, Router, Rule, RuleShape,
};
use blindroute_routing::program::{BundlePlan, RouteProgram, RouterPlan, Task, head_inputs};
use blindroute_testkit::generator;
use std::sync::Arc;

fn cost() -> Matrix {
    Matrix::new(1, MODELS, vec![0.02, 1.0, 0.3, 0.05, 0.6, 0.1, 0.45]).unwrap()
}

/// The made-up bundle with this rule alone.
fn with(rule: Rule) -> Result<Bundle, BundleError> {
    let mut parts = bundle(Attention::TwoRelu, Activation::Relu, Pooling::Mean).into_parts();
    parts.routers = vec![Router { name: "foreign".to_owned(), lambda: 0.5, lexical: None, rule }];
    Bundle::new(parts)
}

fn random(seed: u64, (rows, columns): (usize, usize), size: f64) -> Matrix {
    let mut next = generator(seed);
    Matrix::new(rows, columns, (0..rows * columns).map(|_| (size * next()) as f32).collect()).unwrap()
}

fn network(seed: u64, widths: &[usize], size: f64) -> Mlp {
    let (mut hidden, mut before) = (Vec::new(), HIDDEN);
    for (layer, &width) in (1..).zip(widths) {
        let weight = random(seed + layer, (before, width), size / (before as f64).sqrt());
        hidden.push(HiddenLayer { weight, bias: random(seed + 10 * layer, (1, width), 0.3) });
        before = width;
    }
    let weight = random(seed + 100, (before, MODELS), 1.7 / (before as f64).sqrt());
    Mlp { hidden, weight, bias: random(seed + 200, (1, MODELS), 0.3), cost: cost() }
}

fn stored(seed: u64, count: usize, keep: usize) -> Neighbours {
    let (stored, outcomes) = (random(seed, (count, HIDDEN), 0.2), random(seed + 1, (count, MODELS), 1.0));
    Neighbours { stored, offset: Matrix::from_fn(1, count, |_, _| 0.0), outcomes, cost: cost(), keep }
}

/// The parties and the interpreters choose what plain numbers choose, where these have a margin. How many had one.
fn agree(world: &World, embeddings: &[Matrix], least: f32) -> usize {
    let rule = &world.bundle.parts().routers[0].rule;
    let mut checked = 0;
    for (seed, embedding) in (0..).zip(embeddings) {
        let lambda = [0.0, 0.5, 4.0][seed as usize % 3];
        let (expected, margin) = choose(rule, embedding.data(), lambda);
        let inputs = head_inputs(embedding, lambda);
        let program = world.program(Task::head(0)).with_tuning(Tuning::ALL[seed as usize % Tuning::ALL.len()]);
        let found = world.run(seed, &program, &inputs);
        assert!(one_hot(&found).is_some(), "seed {seed}: not one model");
        if margin > least {
            checked += 1;
            assert_eq!(one_hot(&found), Some(expected), "seed {seed}");
            let (fixed, _) = Fixed::run(&program, &world.weights, &inputs).unwrap();
            let clear = Clear::run(&program, &world.weights, inputs).unwrap();
            assert_eq!([one_hot(&fixed), one_hot(&clear)], [Some(expected); 2], "seed {seed}");
        }
    }
    checked
}

#[test]
fn networks_at_the_edges_of_their_ranges() {
    // Hidden values up to nearly 64 of both signs, whose scores stay small: the rows of the last layer are scaled down.
    for widths in [vec![16], vec![16, 8]] {
        let mut rule = network(5, &widths, 1.7);
        let embeddings: Vec<Matrix> = (0..12).map(|seed| random(300 + seed, (1, HIDDEN), 1.5)).collect();
        let largest = |rule: &Mlp| {
            let mut most = 0.0f32;
            for embedding in &embeddings {
                let mut values = embedding.data().to_vec();
                for layer in &rule.hidden {
                    let sum = |column: usize| {
                        let weights = layer.weight.iter_rows().zip(&values).map(|(row, x)| row[column] * x);
                        weights.sum::<f32>() + layer.bias.data()[column]
                    };
                    values = (0..layer.weight.columns()).map(sum).collect();
                    most = values.iter().fold(most, |most, x| most.max(x.abs()));
                    values.iter_mut().for_each(|x| *x = x.max(0.0));
                }
            }
            most
        };
        let stretch = 60.0 / largest(&rule);
        let stretched = |matrix: &Matrix, by: f32| {
            Matrix::from_fn(matrix.rows(), matrix.columns(), |row, column| by * matrix.row(row)[column])
        };
        rule.hidden[0].weight = stretched(&rule.hidden[0].weight, stretch.min(20.0));
        let ratio = 60.0 / largest(&rule);
        rule.hidden[0].weight = stretched(&rule.hidden[0].weight, ratio.min(1.0));
        rule.weight = stretched(&rule.weight, 0.1);
        let world = World::of(with(Rule::Mlp(rule)).unwrap());
        let checked = agree(&world, &embeddings, 2e-2);
        assert!(checked >= 6, "{widths:?}: only {checked} cases have a margin");
    }
}

#[test]
fn a_network_whose_values_are_all_negative_answers_by_its_bias() {
    let mut rule = network(9, &[12], 0.0);
    rule.hidden[0].bias = Matrix::from_fn(1, 12, |_, _| -63.0);
    let best = (0..MODELS).max_by(|&a, &b| rule.bias.data()[a].total_cmp(&rule.bias.data()[b])).unwrap();
    let world = World::of(with(Rule::Mlp(rule)).unwrap());
    let found = world.private(3, Task::head(0), &head_inputs(&random(1, (1, HIDDEN), 1.0), 0.0));
    assert_eq!(one_hot(&found), Some(best));
}

#[test]
fn stored_prompts_of_both_searches_for_the_smallest_and_largest_k() {
    for (count, keep) in [(2, 1), (2, 2), (40, 1), (40, 40), (120, 1), (200, 3), (90, 60)] {
        let world = World::of(with(Rule::Neighbours(stored(20, count, keep))).unwrap());
        let embeddings: Vec<Matrix> = (0..12).map(|seed| random(400 + seed, (1, HIDDEN), 1.5)).collect();
        // With all kept the order of products decides nothing, and the margin is that of the scores.
        let checked = if keep < count { agree(&world, &embeddings, 1e-3) } else { 6 };
        assert!(checked >= 6, "{keep} of {count}: only {checked} cases have a margin");
    }
}

/// Prompts stored several times, with different outcomes: those with the lowest index are kept, whichever way products are rounded.
#[test]
fn of_equally_near_prompts_the_first_are_kept() {
    for count in [30, 120] {
        let mut rule = stored(7, count, 2);
        let first = rule.stored.clone();
        rule.stored = Matrix::from_fn(count, HIDDEN, |row, column| first.row(row % 10)[column]);
        let score = |outcomes: &Matrix, model: usize, near: usize| {
            (outcomes.row(near)[model] + outcomes.row(near + 10)[model]) / 2.0
        };
        let world = World::of(with(Rule::Neighbours(rule.clone())).unwrap());
        let mut checked = 0;
        for seed in 0..20 {
            let embedding = random(500 + seed, (1, HIDDEN), 1.5);
            let product = |row: usize| first.row(row).iter().zip(embedding.data()).map(|(a, b)| a * b).sum::<f32>();
            let mut order: Vec<usize> = (0..10).collect();
            order.sort_by(|&a, &b| product(b).total_cmp(&product(a)));
            let mut models: Vec<usize> = (0..MODELS).collect();
            models.sort_by(|&a, &b| score(&rule.outcomes, b, order[0]).total_cmp(&score(&rule.outcomes, a, order[0])));
            let margin = score(&rule.outcomes, models[0], order[0]) - score(&rule.outcomes, models[1], order[0]);
            if product(order[0]) - product(order[1]) > 1e-3 && margin > 1e-3 {
                checked += 1;
                let inputs = head_inputs(&embedding, 0.0);
                assert_eq!(one_hot(&world.private(seed, Task::head(0), &inputs)), Some(models[0]), "seed {seed}");
                assert_eq!(one_hot(&world.clear(Task::head(0), inputs)), Some(models[0]), "seed {seed}");
            }
        }
        assert!(checked >= 10, "only {checked} cases have a margin");
    }
}

#[test]
fn what_does_not_fit_the_ranges_is_refused_with_number_and_limit() {
    let refused = |rule: Rule| with(rule).unwrap_err().to_string();
    let one = |rows, columns, x: f32| {
        Matrix::from_fn(rows, columns, move |row, column| if row + column == 0 { x } else { 0.1 })
    };
    let mut rule = network(1, &[6], 1.0);
    rule.hidden[0].weight = one(HIDDEN, 6, -2000.0);
    let why = refused(Rule::Mlp(rule));
    assert!(why.contains("weight of router \"foreign\" is -2000, expected a magnitude below 1024"), "{why}");
    let mut rule = network(1, &[6, 4], 1.0);
    rule.hidden[1].bias = one(1, 4, 64.0);
    let why = refused(Rule::Mlp(rule));
    assert!(why.contains("bias of a hidden layer of router \"foreign\" is 64, expected a magnitude below 64"), "{why}");
    let why = refused(Rule::Mlp(network(1, &[], 1.0)));
    assert!(why.contains("width of router \"foreign\" is 0"), "{why}");
    assert!(with(Rule::Mlp(network(1, &[6, 5, 4], 1.0))).is_err(), "three hidden layers");
    let offset = Neighbours { offset: one(1, 20, -64.5), ..stored(2, 20, 3) };
    let why = refused(Rule::Neighbours(offset));
    assert!(
        why.contains("offset of a stored prompt of router \"foreign\" is -64.5, expected a magnitude below 64"),
        "{why}"
    );
    let outcomes = Neighbours { outcomes: one(20, MODELS, 9.0), ..stored(2, 20, 3) };
    assert!(refused(Rule::Neighbours(outcomes)).contains("is 9, expected a magnitude below 8"));
    let problem = |stored, keep| {
        let plan = RuleShape::Neighbours { stored, keep };
        let mut parts = bundle(Attention::TwoRelu, Activation::Relu, Pooling::Mean).into_parts();
        parts.routers.clear();
        plan_problem(&Bundle::new(parts).unwrap(), plan)
    };
    for (stored, keep) in [(0, 1), (1, 1), (20, 0), (20, 21), (4097, 1), (4096, 600)] {
        assert!(problem(stored, keep).is_some(), "{keep} of {stored}");
    }
    for (stored, keep) in [(2, 1), (20, 20), (1000, 10), (1000, 50), (4096, 10)] {
        assert_eq!(problem(stored, keep), None, "{keep} of {stored}");
    }
}

/// Why a bundle with a router of this shape would be refused, its size aside.
fn plan_problem(bundle: &Bundle, shape: RuleShape) -> Option<String> {
    let RuleShape::Neighbours { stored, keep } = shape else { return None };
    let rule = Neighbours {
        stored: Matrix::from_fn(stored, HIDDEN, |_, _| 0.0),
        offset: Matrix::from_fn(1, stored, |_, _| 0.0),
        outcomes: Matrix::from_fn(stored, MODELS, |_, _| 0.0),
        cost: cost(),
        keep,
    };
    let mut parts = bundle.parts().clone();
    parts.routers = vec![Router { name: "n".to_owned(), lambda: 0.0, lexical: None, rule: Rule::Neighbours(rule) }];
    Bundle::new(parts).err().map(|error| error.to_string())
}

/// A program that does not know a rule refuses the bundle by the rule's name.
#[test]
fn an_unknown_rule_is_refused_by_name() {
    let bytes = with(Rule::Neighbours(stored(2, 20, 3))).unwrap().write().unwrap();
    assert!(Bundle::read(&bytes).is_ok());
    let shape = serde_json::from_str::<RuleShape>(r#"{"kind":"forest","trees":3}"#).unwrap_err().to_string();
    assert!(shape.contains("unknown variant `forest`, expected one of `uniroute`, `cscr`, `direct`"), "{shape}");
}

/// The figures of the documents: `cargo test -p blindroute-routing --test suite costs_of_stored -- --nocapture`.
#[test]
fn costs_of_stored_prompts_do_not_grow_with_their_square() {
    let cost = |stored, keep, tuning| {
        let mut plan = BundlePlan::clone(&crate::common::real_plan());
        let rule = RuleShape::Neighbours { stored, keep };
        (plan.models, plan.routers) = (11, vec![RouterPlan { name: "n".to_owned(), lexical: None, rule }]);
        let program = RouteProgram::new(Arc::new(plan), Task::head(0)).unwrap().with_tuning(tuning);
        Meter::cost(&program).unwrap()
    };
    for tuning in Tuning::ALL {
        for (stored, keep) in [(100, 5), (100, 10), (1000, 5), (1000, 10), (1000, 50), (4096, 10)] {
            println!("{keep} of {stored}, {tuning:?}: {:?}", cost(stored, keep, tuning));
        }
        let (few, many) = (cost(100, 10, tuning), cost(1000, 10, tuning));
        assert!(many.material_bytes < 30 * few.material_bytes, "{tuning:?}: {few:?}, {many:?}");
    }
}
