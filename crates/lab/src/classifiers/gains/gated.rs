//! The rival that trains the gains of all exits together, as a gate over the exits ([`super::super::gate`]).

use super::folds::cross_fitted;
use super::learned::{DECAY, RATE, first};
use super::pieces::Pieces;
use super::scale::Scale;
use super::{Fitting, Found, quadratic_of};
use crate::classifiers::ClassifierError;
use crate::classifiers::gate::{Draw, Gate, likelihoods};
use crate::routers::optimiser::AdamW;
use crate::routers::tensors;
use blindroute_routing::bundle::{LinearLayer, Matrix};
use candle_core::{DType, Device, Result, Tensor};

/// The numbers of steps to try. None is one of them, for a gate that was trained with the layers.
const STEPS: [usize; 6] = [0, 10, 25, 50, 100, 200];

/// A gate that was trained together with the layers: the gain of each exit but the last, for features that are not standardised, and
/// its threshold.
#[derive(Clone, Debug)]
pub(in crate::classifiers) struct Joint {
    pub(in crate::classifiers) stages: Vec<(LinearLayer, f32)>,
}

/// The gains at each exit but the last, and what gains that had not seen a text say of it.
pub(super) fn fit(of: &Fitting<'_>, pieces: &mut Pieces<'_>) -> std::result::Result<Vec<Found>, ClassifierError> {
    let answers = of.answers;
    let (rows, exits) = (answers.labels.len(), answers.features.len());
    let scales: Vec<Scale> = answers.features[..exits - 1].iter().map(Scale::of).collect();
    let start = start(of, &scales)?;
    let all: Vec<usize> = (0..rows).collect();
    let likelihoods = likelihoods(answers, &all);
    let mut held_out = vec![vec![vec![0.0f32; rows]; exits - 1]; STEPS.len()];
    let mut train = |rows: &[usize]| descend(of, &scales, &start, rows);
    let mut judge = |choice: usize, matrices: &[Matrix], unseen: &[usize]| {
        let stages = stages(matrices, &scales);
        let entropy = |row: &usize| {
            let (mut mixed, mut here) = (0.0, 1.0f64);
            for (exit, (units, threshold)) in stages.iter().enumerate() {
                let found = quadratic_of(units, answers.features[exit].row(*row));
                held_out[choice][exit][*row] = found;
                let on = 1.0 / (1.0 + (-f64::from(found + threshold)).exp());
                mixed += here * (1.0 - on) * f64::from(likelihoods.row(*row)[exit]);
                here *= on;
            }
            -(mixed + here * f64::from(likelihoods.row(*row)[exits - 1]) + 1e-9).ln()
        };
        unseen.iter().map(entropy).sum()
    };
    let name = format!("{}.gated", of.task);
    let (matrices, best) = cross_fitted(pieces, &name, (rows, STEPS.len()), &mut train, &mut judge)?;
    let units = stages(&matrices, &scales).into_iter().map(|(units, _)| units);
    Ok(units.zip(held_out.swap_remove(best)).map(|(units, held_out)| Found { units, held_out }).collect())
}

/// The units for features that are not standardised, with their thresholds.
fn stages(matrices: &[Matrix], scales: &[Scale]) -> Vec<(LinearLayer, f32)> {
    let stage = |(matrices, scale): (&[Matrix], &Scale)| {
        let layer = LinearLayer { weight: matrices[0].clone(), bias: matrices[1].clone() };
        (scale.folded(&layer), matrices[2].data()[0])
    };
    matrices.chunks_exact(3).zip(scales).map(stage).collect()
}

/// Where a gate starts: see [`Gate::new`].
fn start(of: &Fitting<'_>, scales: &[Scale]) -> Result<Vec<Tensor>> {
    let mut start = Vec::new();
    for (exit, scale) in scales.iter().enumerate() {
        let (weight, bias, threshold) = match of.joint.and_then(|joint| joint.stages.get(exit)) {
            Some((layer, threshold)) => {
                let layer = scale.unfolded(layer);
                let tensor = |matrix| tensors::tensor(matrix, &Device::Cpu);
                (tensor(&layer.weight)?, tensor(&layer.bias)?, *threshold)
            }
            None => {
                let (weight, bias) = first(of.answers.features[exit].columns(), of.seed + exit as u64)?;
                (weight, bias, 0.0)
            }
        };
        start.extend([weight, bias, Tensor::full(threshold, (1, 1), &Device::Cpu)?]);
    }
    Ok(start)
}

/// The gate's tensors after each number of [`STEPS`].
fn descend(of: &Fitting<'_>, scales: &[Scale], start: &[Tensor], rows: &[usize]) -> Result<Vec<Matrix>> {
    let device = Device::Cpu;
    let standardised = scales.iter().zip(&of.answers.features).map(|(scale, features)| scale.apply(features, rows));
    let mut features = standardised.map(|x| tensors::tensor(&x, &device)).collect::<Result<Vec<_>>>()?;
    let likelihoods = tensors::tensor(&likelihoods(of.answers, rows), &device)?;
    // The last exit has no gain, so its features do not matter.
    features.extend(features.last().cloned());
    let gate = Gate::new(start, 1.0, DType::F32)?;
    let mut optimiser = AdamW::new(gate.parameters(of.task), DECAY)?;
    let mut found = Vec::new();
    let most = STEPS.iter().copied().max().unwrap_or(0);
    for count in STEPS {
        while optimiser.steps < count {
            let draw = Draw::new((optimiser.steps, most), (rows.len(), features.len()), of.seed)?;
            let losses = gate.losses(&features, &likelihoods, &draw, of.aims)?;
            optimiser.step(&losses.sum(of.aims)?.backward()?, RATE)?;
        }
        found.extend(gate.values()?.iter().map(tensors::matrix).collect::<Result<Vec<_>>>()?);
    }
    Ok(found)
}
