//! Nested pools: the parties' labels are those of the clear program and of a plain simulation of its exits.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::common::{HIDDEN, World, bundle, prompt};
use blindroute_protocol::{Meter, Output, Tensor, Tuning};
use blindroute_routing::bundle::{
    Activation, Attention, Bundle, Classifier, ClassifierPool, ClassifierTask, Gain, LinearLayer, Matrix, Norms,
    Pooling,
};
use blindroute_routing::program::{
    Measurement, RouteProgram, Task, label, outside_range, scores, split_output, stack_inputs,
};
use blindroute_testkit::generator;
use std::sync::Arc;

pub(crate) const BUCKET: usize = 32;
const UNITS: usize = 6;

/// An encoder of four layers (twice those of the made-up bundle), with exits after 1, 2 and 4 of them.
pub(crate) fn world(labels: &[usize]) -> World {
    with_gains(labels, false)
}

/// The same whose gains are leads, or quadratic forms.
pub(crate) fn with_gains(labels: &[usize], leads: bool) -> World {
    let mut parts = bundle(Attention::Linear, Activation::Square, Pooling::Mean).into_parts();
    parts.encoder.norms = Norms::Output;
    parts.layers = [parts.layers.clone(), parts.layers].concat();
    parts.encoder.layers = 4;
    parts.routers.clear();
    parts.models.clear();
    let mut next = generator(9);
    let mut linear = |outputs: usize, size: f64| {
        let mut random = |rows: usize, size: f64| {
            let data = (0..rows * outputs).map(|_| (size * next()) as f32).collect();
            Matrix::new(rows, outputs, data).unwrap()
        };
        LinearLayer { weight: random(HIDDEN, size), bias: random(1, 0.3) }
    };
    let tasks = labels.iter().enumerate().map(|(index, &labels)| Classifier {
        task: ClassifierTask {
            name: format!("task{index}"),
            labels: (0..labels).map(|label| format!("label {label}")).collect(),
            pair: false,
            capacities: vec![0.5, 0.25],
            thresholds: vec![0.0; 2],
        },
        heads: (0..3).map(|_| linear(labels, 1.0)).collect(),
        gains: (0..2).map(|_| if leads { Gain::Lead } else { Gain::Quadratic(linear(UNITS, 0.8)) }).collect(),
    });
    parts.pool = Some(ClassifierPool { exits: vec![1, 2, 4], tasks: tasks.collect() });
    World::of(Bundle::new(parts).unwrap())
}

pub(crate) fn texts(world: &World, count: usize) -> Vec<Vec<Tensor<f32>>> {
    (0..count).map(|text| world.inputs(&prompt(3 + (text * 5) % 28, text as u64), BUCKET).tensors).collect()
}

fn task(exit: usize, capacities: [usize; 3], scores: bool) -> Task {
    Task::Classify { classifier: 0, bucket: BUCKET, exit, capacities, scores, begin: None, onward: false }
}

/// The features of a text after so many layers: those of the same bundle without the layers after them.
pub(crate) fn features(world: &World, layers: usize, inputs: &[Tensor<f32>]) -> Vec<f64> {
    let mut parts = world.bundle.parts().clone();
    parts.layers.truncate(layers);
    parts.encoder.layers = layers;
    parts.pool = None;
    let world = World::of(Bundle::new(parts).unwrap());
    world.clear(Measurement::Embed { bucket: BUCKET }, inputs.to_vec()).values[0].clone()
}

pub(crate) fn affine(x: &[f64], layer: &LinearLayer) -> Vec<f64> {
    let mut sums: Vec<f64> = layer.bias.data().iter().map(|&b| f64::from(b)).collect();
    for (x, row) in x.iter().zip(layer.weight.iter_rows()) {
        sums.iter_mut().zip(row).for_each(|(sum, &w)| *sum += x * f64::from(w));
    }
    sums
}

pub(crate) fn largest(scores: &[f64]) -> (usize, f64) {
    let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
    let others = (0..scores.len()).filter(|&other| other != best);
    (best, others.map(|other| scores[best] - scores[other]).fold(f64::INFINITY, f64::min))
}

pub(crate) fn gain_of(gain: &Gain, scores: &[f64], features: &[f64]) -> f64 {
    let Gain::Quadratic(units) = gain else { return -largest(scores).1 };
    let units = affine(features, units);
    let square = |units: &[f64]| units.iter().map(|z| z * z).sum::<f64>();
    square(&units[..UNITS / 2]) - square(&units[UNITS / 2..])
}

/// Plain capacity routing: by text its scores, and how near any choice between texts was.
pub(crate) fn simulated(
    world: &World,
    texts: &[Vec<Tensor<f32>>],
    exit: usize,
    capacities: [usize; 3],
) -> (Vec<Vec<f64>>, f64) {
    let pool = world.bundle.parts().pool.as_ref().unwrap();
    let classifier = &pool.tasks[0];
    let mut going: Vec<usize> = (0..texts.len()).collect();
    let mut found = vec![Vec::new(); texts.len()];
    let mut margin = f64::INFINITY;
    for at in 0..=exit {
        let reached: Vec<(usize, Vec<f64>)> =
            going.iter().map(|&text| (text, features(world, pool.exits[at], &texts[text]))).collect();
        for (text, features) in &reached {
            found[*text] = affine(features, &classifier.heads[at]);
        }
        if at == exit || capacities[at] == going.len() {
            continue;
        }
        let mut gains: Vec<(f64, usize)> = (reached.iter())
            .map(|(text, features)| (gain_of(&classifier.gains[at], &found[*text], features), *text))
            .collect();
        gains.sort_by(|a, b| b.0.total_cmp(&a.0));
        margin = margin.min(gains[capacities[at] - 1].0 - gains[capacities[at]].0);
        going = gains[..capacities[at]].iter().map(|(_, text)| *text).collect();
    }
    (found, margin)
}

fn check(output: &Output, expected: &[Vec<f64>], what: &str) {
    let outputs = split_output(output, expected.len()).unwrap();
    let mut checked = 0;
    for (text, (output, expected)) in outputs.iter().zip(expected).enumerate() {
        assert!(!outside_range(output), "{what}, text {text}");
        let (best, lead) = largest(expected);
        if lead > 0.15 {
            assert_eq!(label(output), Some(best), "{what}, text {text}: {expected:?}");
            checked += 1;
        }
    }
    assert!(2 * checked > expected.len(), "{what}: only {checked} texts have a clear label");
}

#[test]
fn labels_are_those_of_the_deepest_exit_that_a_text_reached() {
    for (labels, leads) in [(2, false), (5, false), (23, false), (3, true), (23, true)] {
        let world = with_gains(&[labels], leads);
        let texts = texts(&world, 8);
        let stacked = stack_inputs(&texts).unwrap();
        let mut chosen = 0;
        for (seed, (exit, capacities)) in
            [(2, [4, 2, 0]), (2, [8, 3, 0]), (2, [5, 5, 0]), (1, [1, 0, 0]), (0, [0; 3]), (2, [8, 8, 0])]
                .into_iter()
                .enumerate()
        {
            let (expected, margin) = simulated(&world, &texts, exit, capacities);
            if margin < if leads { 0.02 } else { 0.05 } {
                continue;
            }
            chosen += 1;
            let what = format!("{labels} labels, exit {exit}, {capacities:?}");
            let program = world.program(task(exit, capacities, false)).with_batch(8).unwrap();
            let clear = blindroute_protocol::Clear::run(&program, &world.weights, stacked.clone()).unwrap();
            check(&clear, &expected, &format!("clear, {what}"));
            let tuning = Tuning::ALL[seed % Tuning::ALL.len()];
            let found = world.run(seed as u64, &program.with_tuning(tuning), &stacked);
            check(&found, &expected, &format!("private, {what}"));
        }
        assert!(chosen >= 3, "only {chosen} cases have a margin");
    }
}

#[test]
fn scores_are_those_of_the_exit() {
    let world = world(&[4]);
    let texts = texts(&world, 4);
    let capacities = [2, 1, 0];
    let (expected, margin) = simulated(&world, &texts, 2, capacities);
    assert!(margin > 0.05, "{margin}");
    let program = world.program(task(2, capacities, true)).with_batch(4).unwrap();
    let output = world.run(3, &program, &stack_inputs(&texts).unwrap());
    for (output, expected) in split_output(&output, 4).unwrap().iter().zip(&expected) {
        for (found, expected) in scores(output).iter().zip(expected) {
            assert!((found - expected).abs() < 0.1, "{:?} for {expected:?}", scores(output));
        }
    }
}

/// The mark says of each text whether its values left their range where it was: not of those that left the encoder before.
#[test]
fn only_texts_that_met_an_overflow_are_marked() {
    let plain = world(&[3]);
    let texts = texts(&plain, 8);
    let stacked = stack_inputs(&texts).unwrap();
    let marks = |world: &World, capacities: [usize; 3], seed: u64| -> Vec<bool> {
        let program = world.program(task(2, capacities, false)).with_batch(8).unwrap();
        split_output(&world.run(seed, &program, &stacked), 8).unwrap().iter().map(outside_range).collect()
    };
    assert_eq!(marks(&plain, [4, 2, 0], 1), [false; 8]);
    // Far too large after the layer whose output the second exit does not see.
    let mut parts = plain.bundle.parts().clone();
    let down = &mut parts.layers[2].down.weight;
    *down = Matrix::from_fn(down.rows(), down.columns(), |row, column| 60.0 * down.row(row)[column]);
    let large = World::of(Bundle::new(parts).unwrap());
    for (seed, (capacities, count)) in [([8, 3, 0], 3), ([4, 2, 0], 2), ([5, 5, 0], 5)].into_iter().enumerate() {
        let (_, margin) = simulated(&plain, &texts, 2, capacities);
        assert!(margin > 0.05, "{margin}");
        let found = marks(&large, capacities, seed as u64);
        assert_eq!(found.iter().filter(|mark| **mark).count(), count, "{capacities:?}: {found:?}");
        // They are the texts whose scores come from the last exit.
        let [(without, _), (with, _)] =
            [[8, 8, 0], capacities].map(|capacities| simulated(&plain, &texts, 2, capacities));
        let deepest: Vec<bool> = without.iter().zip(&with).map(|(all, some)| all == some).collect();
        assert_eq!(found, deepest, "{capacities:?}");
    }
}

/// What is sent depends on the numbers of texts only, and the layers after an exit cost as many texts as go on.
#[test]
fn openings_are_as_stated_and_capacity_saves_bytes() {
    let world = world(&[2, 23]);
    let cost = |classifier, exit, capacities, batch| {
        let task = Task::classify(classifier, BUCKET, exit, capacities);
        let program = RouteProgram::new(Arc::clone(&world.plan), task).unwrap().with_batch(batch).unwrap();
        Meter::cost(&program).unwrap()
    };
    let all = cost(0, 2, [16, 16, 0], 16);
    let one = cost(0, 2, [4, 4, 0], 16);
    let two = cost(0, 2, [8, 4, 0], 16);
    // Choosing takes six openings and scattering one.
    assert_eq!((one.openings - all.openings, two.openings - all.openings), (7, 14));
    assert_eq!(cost(1, 2, [16, 16, 0], 16).openings - all.openings, 4);
    // A lead takes two openings more, and five of more than 16 labels.
    let leads = with_gains(&[2, 23], true);
    let of = |world: &World, classifier, capacities| {
        let task = Task::classify(classifier, BUCKET, 2, capacities);
        let program = RouteProgram::new(Arc::clone(&world.plan), task).unwrap().with_batch(16).unwrap();
        Meter::cost(&program).unwrap().openings
    };
    for (classifier, more) in [(0, 2), (1, 5)] {
        let [lead, form] = [&leads, &world].map(|world| of(world, classifier, [4, 4, 0]));
        assert_eq!(lead - form, more);
    }
    assert!(one.opening_bytes < all.opening_bytes / 2, "{} of {}", one.opening_bytes, all.opening_bytes);
    let layers = [cost(0, 0, [0; 3], 16), cost(0, 1, [16, 0, 0], 16)].map(|cost| cost.openings);
    assert_eq!(layers[1] - layers[0], 12);
}

#[test]
fn what_a_pool_does_not_have_is_refused() {
    let world = world(&[2]);
    let refused = |task: Task, batch: usize| {
        let program = RouteProgram::new(Arc::clone(&world.plan), task).and_then(|program| program.with_batch(batch));
        program.err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(refused(task(2, [4, 2, 0], false), 8), "");
    for (wrong, batch, part) in [
        (task(3, [8, 8, 8], false), 8, "no exit 3"),
        (task(2, [9, 2, 0], false), 8, "a capacity of 9"),
        (task(2, [4, 5, 0], false), 8, "a capacity of 5"),
        (task(2, [4, 0, 0], false), 8, "a capacity of 0"),
        (task(1, [4, 2, 0], false), 8, "a capacity of 2"),
        (Task::classify(1, BUCKET, 0, [0; 3]), 1, "no task 1"),
        (task(2, [4, 2, 0], false), 65, "batch of 65"),
    ] {
        assert!(refused(wrong, batch).contains(part), "{:?}: {}", wrong, refused(wrong, batch));
    }
    let without = World::new(Attention::Linear, Activation::Square, Pooling::Mean);
    let error = RouteProgram::new(Arc::clone(&without.plan), task(0, [0; 3], false)).unwrap_err().to_string();
    assert!(error.contains("no pool of classifiers"), "{error}");
}
