//! The ways to choose each text's exit that are compared.

use super::answers::{Routed, TaskAnswers};
use super::metrics::{Found, Truth};
use super::result::Kind;
use crate::routers::draws::shuffle;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Draws of random routing, over which its figures are means.
pub(super) const DRAWS: u64 = 20;

/// A method's labels, in several runs if it is random.
pub(super) struct Method {
    pub(super) kind: Kind,
    pub(super) capacities: Option<Vec<f32>>,
    /// Whether the capacities are the task's own.
    pub(super) own: bool,
    /// The layers that each text cost.
    pub(super) layers: Vec<f64>,
    pub(super) repeated: usize,
    pub(super) runs: Vec<Found>,
}

/// All methods of a task: each exit, routing with each capacities followed by random routing of the same mix, and the oracle.
pub(super) fn methods(answers: &TaskAnswers<'_>, truth: &Truth, seed: u64) -> Vec<Method> {
    let texts = truth.texts();
    let alone = |kind, layers, labels| Method {
        kind,
        capacities: None,
        own: false,
        layers,
        repeated: 0,
        runs: vec![Found::new(labels, truth)],
    };
    let mut methods: Vec<Method> = (answers.exits.iter().zip(&answers.by_exit))
        .map(|(layers, labels)| alone(Kind::Exit, vec![*layers as f64; texts], labels.clone()))
        .collect();
    for (place, routed) in answers.routed.iter().enumerate() {
        let layers: Vec<f64> = routed.left.iter().map(|left| mean_layers(left, answers.exits)).collect();
        let of = |kind, runs| Method {
            kind,
            capacities: Some(routed.capacities.clone()),
            own: place == 0,
            layers: layers.clone(),
            repeated: routed.repeated,
            runs,
        };
        methods.push(of(Kind::Routing, vec![Found::new(routed.labels.clone(), truth)]));
        let draw = |draw| Found::new(random(routed, &answers.by_exit, seed, draw), truth);
        methods.push(of(Kind::Random, (0..DRAWS).map(draw).collect()));
    }
    let (layers, labels) = oracle(&answers.by_exit, answers.exits, truth);
    methods.push(alone(Kind::Oracle, layers, labels));
    methods
}

fn mean_layers(left: &[f64], exits: &[usize]) -> f64 {
    left.iter().zip(exits).map(|(share, layers)| share * *layers as f64).sum()
}

/// Each text leaves at its first right exit, or at the first if none is right.
pub(super) fn oracle(by_exit: &[Vec<Option<usize>>], exits: &[usize], truth: &Truth) -> (Vec<f64>, Vec<Option<usize>>) {
    let leave = |text: usize| by_exit.iter().position(|labels| labels[text] == Some(truth.label(text))).unwrap_or(0);
    (0..truth.texts()).map(|text| (exits[leave(text)] as f64, by_exit[leave(text)][text])).unzip()
}

/// Random texts leave at each exit, as many as with the capacities.
pub(super) fn random(routed: &Routed, by_exit: &[Vec<Option<usize>>], seed: u64, draw: u64) -> Vec<Option<usize>> {
    let mut draws = ChaCha8Rng::seed_from_u64(seed);
    draws.set_stream(draw);
    let texts = routed.left.len();
    let mut order: Vec<usize> = (0..texts).collect();
    shuffle(&mut order, &mut draws);
    let mut labels = vec![None; texts];
    let (mut from, mut share) = (0, 0.0);
    for (exit, found) in by_exit.iter().enumerate() {
        share += routed.left.iter().filter_map(|left| left.get(exit)).sum::<f64>();
        let to = if exit + 1 == by_exit.len() { texts } else { (share.round() as usize).clamp(from, texts) };
        order[from..to].iter().for_each(|text| labels[*text] = found[*text]);
        from = to;
    }
    labels
}
