//! Routers that read lexical features: what the parties choose is what a plain search chooses, at the price of the features.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::common::{HIDDEN, World, bundle, choose, one_hot, prompt, unit};
use blindroute_protocol::{Error, Inputs, Meter, Program as _, Shape, Tensor, Tuning};
use blindroute_routing::bundle::{Activation, Attention, Bundle, Matrix, Pooling, Rule};
use blindroute_routing::lexical::Lexical;
use blindroute_routing::program::{Measurement, RouteProgram, Task, head_inputs, stack_inputs};
use blindroute_routing::tokenizer::Tokenizer;
use blindroute_testkit::generator;
use std::sync::Arc;

const BUCKET: usize = 32;
const SETTINGS: Lexical = Lexical { hashed: 8, scale: 2.0 };

/// The routers of the made-up bundle, each with more rows for features.
fn world(attention: Attention, activation: Activation) -> World {
    let mut parts = bundle(attention, activation, Pooling::Mean).into_parts();
    let mut next = generator(77);
    let mut wider = |columns: usize, size: f64| {
        let data = (0..SETTINGS.width() * columns).map(|_| (size * next()) as f32).collect();
        Matrix::new(SETTINGS.width(), columns, data).unwrap()
    };
    let under = |first: &Matrix, second: &Matrix| {
        let row = |row: usize| if row < first.rows() { first.row(row) } else { second.row(row - first.rows()) };
        Matrix::from_fn(first.rows() + second.rows(), first.columns(), |place, column| row(place)[column])
    };
    for router in &mut parts.routers {
        router.lexical = Some(SETTINGS);
        match &mut router.rule {
            Rule::UniRoute(rule) => {
                let features = wider(rule.centroids.rows(), 1.0);
                rule.centroids = unit(&under(&rule.centroids.transposed(), &features).transposed());
            }
            Rule::Cscr(rule) => rule.w1 = under(&rule.w1, &wider(rule.w1.columns(), 0.2)),
            Rule::Direct(rule) => rule.weight = under(&rule.weight, &wider(rule.weight.columns(), 0.3)),
            Rule::Mlp(rule) => {
                let first = &mut rule.hidden[0].weight;
                *first = under(first, &wider(first.columns(), 0.3));
            }
            Rule::Neighbours(rule) => {
                let features = wider(rule.stored.rows(), 0.2);
                rule.stored = under(&rule.stored.transposed(), &features).transposed();
            }
        }
    }
    World::of(Bundle::new(parts).unwrap())
}

fn tokenizer(world: &World) -> Tokenizer {
    let parts = world.bundle.parts();
    Tokenizer::from_json(&parts.tokenizer, parts.encoder.window).unwrap()
}

/// A prompt's inputs of a route, and all that its rule reads.
fn case(world: &World, ids: &[u32], lambda: f32) -> (Vec<Tensor<f32>>, Matrix) {
    let inputs = world.inputs(ids, BUCKET);
    let embedding = world.clear(Measurement::Embed { bucket: BUCKET }, inputs.tensors.clone());
    let features = tokenizer(world).lexical(ids, SETTINGS);
    let row: Vec<f32> = embedding.values[0].iter().map(|&x| x as f32).chain(features.clone()).collect();
    let row = Matrix::new(1, row.len(), row).unwrap();
    (inputs.with_lexical(Some(features)).with_lambda(lambda), row)
}

#[test]
fn routes_choose_what_a_plain_search_of_both_chooses() {
    for (attention, activation) in [(Attention::TwoRelu, Activation::Relu), (Attention::Linear, Activation::Square)] {
        let world = world(attention, activation);
        for (index, router) in world.bundle.parts().routers.iter().enumerate() {
            let (route, head) = (Task::route(index, BUCKET), Task::head(index));
            let mut checked = 0;
            for (seed, lambda) in [(1, 0.0f32), (2, 0.5), (3, 4.0), (4, 0.1), (5, 1.0), (6, 0.2), (7, 0.3)] {
                let (inputs, row) = case(&world, &prompt(2 + 4 * seed as usize, seed), lambda);
                let (expected, margin) = choose(&router.rule, row.data(), lambda);
                if margin < 2e-2 {
                    continue;
                }
                checked += 1;
                let name = format!("{attention}, {}, seed {seed}", router.name);
                let of_head = head_inputs(&row, lambda);
                assert_eq!(one_hot(&world.clear(route, inputs.clone())), Some(expected), "{name}");
                assert_eq!(one_hot(&world.clear(head, of_head.clone())), Some(expected), "{name}");
                assert_eq!(one_hot(&world.private(seed, head, &of_head)), Some(expected), "{name} in head");
                let tuning = Tuning::ALL[seed as usize % Tuning::ALL.len()];
                let found = world.run(seed, &world.program(route).with_tuning(tuning), &inputs);
                assert_eq!(one_hot(&found), Some(expected), "{name} in full, {tuning:?}");
            }
            assert!(checked >= 2, "{attention}, {}: only {checked} cases have a margin", router.name);
        }
    }
}

/// The same encoder output for two prompts, which differ in their features only: the choice follows the features.
#[test]
fn features_change_the_choice() {
    let world = world(Attention::Linear, Activation::Square);
    let direct = 2;
    let route = Task::route(direct, BUCKET);
    let (inputs, row) = case(&world, &prompt(9, 1), 0.0);
    let rule = &world.bundle.parts().routers[direct].rule;
    let place = inputs.len() - 2;
    assert_eq!(inputs[place].shape(), Shape::row(SETTINGS.width()));
    let mut found = Vec::new();
    for column in 0..SETTINGS.width() {
        let mut other = row.data().to_vec();
        other[HIDDEN..].fill(0.0);
        other[HIDDEN + column] = 15.0;
        let (expected, margin) = choose(rule, &other, 0.0);
        if margin > 2e-2 {
            let mut changed = inputs.clone();
            changed[place] = Tensor::new(Shape::row(SETTINGS.width()), other[HIDDEN..].to_vec());
            assert_eq!(one_hot(&world.private(column as u64, route, &changed)), Some(expected), "feature {column}");
            found.push(expected);
        }
    }
    found.sort_unstable();
    found.dedup();
    assert!(found.len() >= 3, "{found:?}");
}

#[test]
fn prompts_of_a_batch_have_features_of_their_own() {
    let world = world(Attention::Linear, Activation::Square);
    for (index, router) in world.bundle.parts().routers.iter().enumerate() {
        let mut cases = Vec::new();
        for seed in 0.. {
            let lambda = [0.0, 0.3, 2.0][seed as usize % 3];
            let (inputs, row) = case(&world, &prompt(2 + seed as usize % 30, seed), lambda);
            let (expected, margin) = choose(&router.rule, row.data(), lambda);
            if margin > 2e-2 {
                cases.push((inputs, expected));
            }
            if cases.len() == 4 {
                break;
            }
        }
        let (inputs, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
        let program = world.program(Task::route(index, BUCKET)).with_batch(4).unwrap();
        let found = world.run(3, &program, &stack_inputs(&inputs).unwrap());
        let models = found.bits[0].len() / 4;
        let chosen: Vec<usize> =
            found.bits[0].chunks(models).map(|bits| bits.iter().position(|bit| *bit).unwrap()).collect();
        assert_eq!(chosen, expected, "{}", router.name);
    }
}

/// Features take no opening. Each is opened twice: in the ring in which the client shares it, and in that of the embedding.
#[test]
fn features_cost_their_two_openings_in_bytes_and_no_round() {
    for attention in [Attention::TwoRelu, Attention::Linear] {
        let (with, without) =
            (world(attention, Activation::Square), World::new(attention, Activation::Square, Pooling::Mean));
        let cost = |world: &World, task: Task| {
            Meter::cost(&RouteProgram::new(Arc::clone(&world.plan), task).unwrap()).unwrap()
        };
        for router in 0..with.plan.routers.len() {
            let route = Task::route(router, BUCKET);
            let (more, less) = (cost(&with, route), cost(&without, route));
            let bits = SETTINGS.width() * (19 + 40);
            let bytes = (more.opening_bytes - less.opening_bytes) as f64;
            assert_eq!(more.openings, less.openings);
            // Each of the two is padded to whole bytes, or shares a byte with its neighbour.
            assert!((bytes - bits as f64 / 8.0).abs() <= 2.0, "{attention}, router {router}: {bytes} for {bits} bits");
            let head = Task::head(router);
            let (more, less) = (cost(&with, head), cost(&without, head));
            assert_eq!(more.openings, less.openings);
            let bytes = (more.opening_bytes - less.opening_bytes) as f64;
            assert!((bytes - (SETTINGS.width() * 40) as f64 / 8.0).abs() <= 1.0, "head, router {router}: {bytes}");
        }
    }
}

#[test]
fn whatever_is_shared_as_features_is_small() {
    let world = world(Attention::Linear, Activation::Square);
    let program = world.program(Task::route(0, BUCKET));
    let forms = program.inputs();
    let place = forms.len() - 2;
    assert_eq!(
        (forms[place].bits, forms[place].fraction),
        (19, 12),
        "from -64 to 64: no power of two to read weights by"
    );
    let (mut inputs, _) = case(&world, &prompt(9, 1), 0.0);
    inputs[place] = Tensor::new(forms[place].shape, vec![4096.0; SETTINGS.width()]);
    let refused = Inputs::check(&forms, &inputs);
    assert!(matches!(refused, Err(Error::InputRange { input, .. }) if input == place), "{refused:?}");
}
