//! The gate over the exits: its gradients, where they stop, and what its losses pull to.

use super::super::gate::{Aims, Draw, Gate, Losses};
use super::super::heads::{likelihoods, log_softmax};
use super::{check_gradients, numbers};
use crate::routers::optimiser::AdamW;
use candle_core::{DType, Device, Tensor, Var};

const ROWS: usize = 7;
const WIDTH: usize = 5;

pub(super) fn aims(mix: &[f64], costs: &[f64]) -> Aims {
    Aims { balance: 1.0, cost: 0.1, mix: mix.to_vec(), costs: costs.to_vec() }
}

/// A gate over three exits, with features and heads that are trained too.
struct World {
    gate: Gate,
    features: Vec<(String, Var)>,
    heads: Vec<(String, Var)>,
    draw: Draw,
    aims: Aims,
}

impl World {
    fn new() -> Self {
        let variable =
            |name: &str, place: usize, start: Tensor| (format!("{name}.{place}"), Var::from_tensor(&start).unwrap());
        let stage = |size: f64| [numbers(WIDTH, 4, size), numbers(1, 4, 0.7 * size), numbers(1, 1, size)];
        let start = [stage(1.1), stage(0.9)].concat();
        Self {
            gate: Gate::new(&start, 3.0, DType::F64).unwrap(),
            features: (0..3).map(|exit| variable("features", exit, numbers(ROWS, WIDTH, 4.0 + exit as f64))).collect(),
            heads: (0..3).map(|exit| variable("head", exit, numbers(WIDTH, 2, 1.0 + 0.3 * exit as f64))).collect(),
            draw: Draw::new((3, 10), (ROWS, 3), 5).unwrap(),
            aims: aims(&[0.6, 0.3, 0.1], &[0.2, 0.5, 1.0]),
        }
    }

    fn losses(&self) -> Losses {
        let features: Vec<Tensor> = self.features.iter().map(|(_, var)| var.as_tensor().clone()).collect();
        let log = |(x, (_, head)): (&Tensor, &(String, Var))| log_softmax(&x.matmul(head).unwrap()).unwrap();
        let logs: Vec<Tensor> = features.iter().zip(&self.heads).map(log).collect();
        let likelihoods = likelihoods(&logs, &[0, 1, 1, 0, 1, 0, 0]).unwrap();
        self.gate.losses(&features, &likelihoods, &self.draw, &self.aims).unwrap()
    }
}

#[test]
fn gradients_of_the_gate_equal_slopes() {
    let world = World::new();
    let gate = world.gate.parameters("task");
    assert_eq!((gate.len(), gate[5].0.as_str()), (6, "task.gate.1.threshold"));
    check_gradients(&gate, &|| world.losses().sum(&world.aims).unwrap());
    for part in [|losses: Losses| losses.balance, |losses: Losses| losses.cost] {
        check_gradients(&gate, &|| part(world.losses()));
    }
    check_gradients(&[gate, world.heads.clone(), world.features.clone()].concat(), &|| world.losses().task);
}

/// Layers and heads, which the features stand for, learn nothing from balance and cost. The gains do.
#[test]
fn balance_and_cost_teach_the_gains_alone() {
    let world = World::new();
    let length = |loss: &Tensor, variable: &Var| {
        let gradients = loss.backward().unwrap();
        let gradient = gradients.get(variable.as_tensor());
        gradient.map_or(0.0, |gradient| gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap())
    };
    let Losses { task, balance, cost, excess } = world.losses();
    for (name, variable) in world.gate.parameters("task") {
        for loss in [&task, &balance, &cost] {
            assert!(length(loss, &variable) > 0.0, "{name} has no gradient");
        }
    }
    for (name, variable) in world.features.iter().chain(&world.heads) {
        for loss in [&balance, &cost, &excess] {
            assert_eq!(length(loss, variable), 0.0, "{name} has a gradient");
        }
        // Only the gate of the last exit, which has none, does not reach its features; its answer does.
        assert!(length(&task, variable) > 0.0, "{name} has no gradient of the task's loss");
    }
}

#[test]
fn draws_follow_from_seed_and_step_and_get_colder() {
    let draw = |step: usize, seed: u64| {
        let Draw { noise, temperature } = Draw::new((step, 100), (1000, 4), seed).unwrap();
        (noise.flatten_all().unwrap().to_vec1::<f64>().unwrap(), temperature)
    };
    assert_eq!(draw(7, 1), draw(7, 1));
    assert!(draw(7, 1).0 != draw(8, 1).0 && draw(7, 1).0 != draw(7, 2).0);
    let temperatures = [0, 50, 100].map(|step| draw(step, 1).1);
    assert_eq!(temperatures.map(|x| (x * 1e9).round() / 1e9), [2.0, 1.0, 0.5]);
    // Gumbel's distribution has the mean of Euler's constant and the variance π²/6.
    let noise = draw(0, 1).0;
    let mean = noise.iter().sum::<f64>() / noise.len() as f64;
    let variance = noise.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / noise.len() as f64;
    assert!((mean - 0.5772).abs() < 0.05 && (variance - 1.645).abs() < 0.15, "{mean}, {variance}");
}

/// The gate is a distribution. Balance pulls its mean to the mix, and cost to the cheap exits.
#[test]
fn balance_and_cost_pull_the_mean_gate() {
    let mean_gate = |balance: f64, cost: f64| {
        let mut world = World::new();
        (world.aims.balance, world.aims.cost) = (balance, cost);
        let mut optimiser = AdamW::new(world.gate.parameters("task"), 0.0).unwrap();
        for _ in 0..300 {
            let losses = world.losses();
            let loss = ((losses.balance * balance).unwrap() + (losses.cost * cost).unwrap()).unwrap();
            optimiser.step(&loss.backward().unwrap(), 0.02).unwrap();
        }
        let features: Vec<Tensor> = world.features.iter().map(|(_, var)| var.as_detached_tensor()).collect();
        let gate = world.gate.logs(&features).unwrap().0.exp().unwrap();
        let sums = gate.sum(1).unwrap().to_vec1::<f64>().unwrap();
        assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-12), "{sums:?}");
        gate.mean(0).unwrap().to_vec1::<f64>().unwrap()
    };
    let balanced = mean_gate(1.0, 0.0);
    let near = |found: &[f64]| found.iter().zip([0.6, 0.3, 0.1]).all(|(found, wanted)| (found - wanted).abs() < 0.03);
    assert!(near(&balanced), "{balanced:?}");
    let cheap = mean_gate(0.0, 1.0);
    assert!(cheap[0] > 0.95, "{cheap:?}");
}

/// Gains far from zero leave the losses finite, so that no overflow ends a training.
#[test]
fn extreme_gains_give_finite_losses() {
    let x = Tensor::full(300.0f32, (2, 1), &Device::Cpu).unwrap();
    let stage = |sign: f32| {
        let row = |a: f32, b: f32| Tensor::from_vec(vec![a, b], (1, 2), &Device::Cpu).unwrap();
        let weight = if sign > 0.0 { row(1.0, 0.0) } else { row(0.0, 1.0) };
        [weight, row(0.0, 0.0), Tensor::zeros((1, 1), DType::F32, &Device::Cpu).unwrap()]
    };
    for sign in [1.0, -1.0] {
        let gate = Gate::new(&stage(sign), 1.0, DType::F32).unwrap();
        let draw = Draw::new((0, 1), (2, 2), 1).unwrap();
        let likelihoods = Tensor::full(0.5f32, (2, 2), &Device::Cpu).unwrap();
        let aims = aims(&[0.5, 0.5], &[0.5, 1.0]);
        let losses = gate.losses(&[x.clone(), x.clone()], &likelihoods, &draw, &aims).unwrap();
        let loss = losses.sum(&aims).unwrap().to_scalar::<f32>().unwrap();
        assert!(loss.is_finite(), "{losses:?}");
        let (name, variable) = gate.parameters("task").swap_remove(0);
        let gradients = losses.sum(&aims).unwrap().backward().unwrap();
        let gradient = gradients.get(variable.as_tensor()).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(gradient.iter().all(|x| x.is_finite()), "{name}: {gradient:?}");
    }
}
