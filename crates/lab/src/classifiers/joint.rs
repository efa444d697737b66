//! Gates that are trained together with layers and heads.

use super::features::Reader;
use super::gains::{Joint, Scale, first};
use super::gate::{Aims, Draw, Gate};
use super::heads::likelihoods;
use super::router::Routing;
use super::{ClassifierError, Labelled, LabelledTexts};
use crate::routers::tensors;
use blindroute_routing::bundle::{Bundle, Classifier, LinearLayer, Matrix};
use candle_core::{DType, Device, Result, Tensor, Var};

/// A gate's layers learn as with a rate that is larger by this factor, like heads.
const FACTOR: f64 = 10.0;
/// Texts of a task on which features are standardised.
const SAMPLE: usize = 256;

/// The gate of a task.
struct TaskGate {
    gate: Gate,
    aims: Aims,
    /// Of the features at each exit but the last, before the training.
    scales: Vec<Scale>,
    /// The same as tensors.
    means: Vec<(Tensor, Tensor)>,
}

/// The gates of all tasks.
pub(super) struct Gates {
    tasks: Vec<(String, TaskGate)>,
    steps: usize,
    seed: u64,
}

impl Gates {
    /// Gates for a training of so many steps that starts from this bundle's encoder.
    pub(super) fn new(
        (start, exits): (&Bundle, &[usize]),
        pool: &[Classifier],
        tasks: &[LabelledTexts],
        routing: &Routing<'_>,
        (steps, seed): (usize, u64),
    ) -> std::result::Result<Self, ClassifierError> {
        let reader = Reader::new(start, exits)?;
        let mut gates = Vec::with_capacity(tasks.len());
        for (classifier, task) in pool.iter().zip(tasks) {
            let of = &task.train;
            let count = of.texts.len().min(SAMPLE);
            let sample = Labelled { texts: of.texts[..count].to_vec(), labels: of.labels[..count].to_vec() };
            let features = reader.answers(&classifier.heads, &sample)?.features;
            let scales: Vec<Scale> = features[..exits.len() - 1].iter().map(Scale::of).collect();
            let mut values = Vec::new();
            for (exit, features) in features[..exits.len() - 1].iter().enumerate() {
                let (weight, bias) = first(features.columns(), seed + exit as u64)?;
                values.extend([weight, bias, Tensor::zeros((1, 1), DType::F32, &Device::Cpu)?]);
            }
            let row = |values: &[f32]| Tensor::from_vec(values.to_vec(), (1, values.len()), &Device::Cpu);
            let means = scales.iter().map(|scale| Ok((row(&scale.means)?, row(&scale.deviations)?)));
            let means = means.collect::<Result<_>>()?;
            let (gate, aims) = (Gate::new(&values, FACTOR, DType::F32)?, routing.aims(classifier, task)?);
            gates.push((task.name.clone(), TaskGate { gate, aims, scales, means }));
        }
        Ok(Self { tasks: gates, steps, seed })
    }

    /// Every variable with its name, in a fixed order.
    pub(super) fn parameters(&self) -> Vec<(String, Var)> {
        self.tasks.iter().flat_map(|(name, task)| task.gate.parameters(&format!("task.{name}"))).collect()
    }

    /// The loss of a step of a task, from the features at each exit and the logarithms of the labels' probabilities there.
    pub(super) fn loss(
        &self,
        task: usize,
        step: usize,
        (features, logs): (&[Tensor], &[Tensor]),
        labels: &[usize],
    ) -> Result<Tensor> {
        let TaskGate { gate, aims, means, .. } = &self.tasks[task].1;
        let mut standardised = Vec::with_capacity(features.len());
        for (x, (mean, deviation)) in features.iter().zip(means) {
            standardised.push(x.broadcast_sub(mean)?.broadcast_div(deviation)?);
        }
        // The last exit has no gain.
        standardised.extend(features.last().cloned());
        let draw = Draw::new((step, self.steps), (labels.len(), features.len()), self.seed)?;
        gate.losses(&standardised, &likelihoods(logs, labels)?, &draw, aims)?.sum(aims)
    }

    /// The gates, by task.
    pub(super) fn joints(&self) -> Result<Vec<Joint>> {
        let of = |(_, task): &(String, TaskGate)| {
            let values = task.gate.values()?.iter().map(tensors::matrix).collect::<Result<Vec<Matrix>>>()?;
            let stage = |(stage, scale): (&[Matrix], &Scale)| {
                let layer = LinearLayer { weight: stage[0].clone(), bias: stage[1].clone() };
                (scale.folded(&layer), stage[2].data()[0])
            };
            Ok(Joint { stages: values.chunks_exact(3).zip(&task.scales).map(stage).collect() })
        };
        self.tasks.iter().map(of).collect()
    }
}
