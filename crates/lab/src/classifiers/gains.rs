//! The training of gains: which texts are worth the layers up to the last exit.
//!
//! A gain learns how much larger the probability of the true label is at the last exit than at its own. Only the order of gains
//! counts, so it is learned up to a factor and a constant. The number of steps is the one that predicts best the texts of a fold
//! which the gain was not trained on.
//!
//! Its rival needs no training: texts gain where the labels' scores are close together, so the rival is minus the sum of the
//! squares of the scores less their mean, which is a quadratic form of the features too. Each exit takes the one that is better on
//! the development texts.

use super::features::Answers;
use super::train::UNITS;
use crate::routers::draws::weight;
use crate::routers::optimiser::AdamW;
use crate::routers::tensors;
use blindroute_routing::bundle::{Gain, LinearLayer, Matrix};
use candle_core::{Device, Result, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;

const FOLDS: usize = 4;
/// The numbers of steps to try.
const STEPS: [usize; 5] = [10, 25, 50, 100, 200];
const RATE: f64 = 0.01;
const DECAY: f64 = 1.0;
/// All units start at this value, around which a difference of squares is almost a line.
const OFFSET: f64 = 0.5;
/// The largest unit on the development texts. Other texts have as much room again below 8, where the secure program needs them.
const LARGEST: f32 = 4.0;
/// The largest sum of a text's squares there. Differences of gains must be below 2^8.
const LARGEST_SUM: f32 = 64.0;
/// Beyond this, a unit's size is penalised. The training's scale has targets of deviation 1.
const FREE: f64 = 4.0;

/// A gain, and what gains that had not seen a text say of it.
#[derive(Debug)]
pub(super) struct Fitted {
    pub(super) gain: Gain,
    pub(super) held_out: Vec<f32>,
    pub(super) report: GainReport,
}

/// Which gain an exit has. The figures are the share of right answers if the texts with the largest gains go on to the last exit,
/// the mean over shares of one to seven eighths.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GainReport {
    /// `learned` or `spread`.
    pub kind: &'static str,
    /// With the learned gain, on texts that it was not trained on.
    pub learned: f64,
    /// With the spread of the scores.
    pub spread: f64,
}

/// The gains at each exit but the last.
pub(super) fn fit(answers: &Answers, heads: &[LinearLayer], seed: u64) -> Result<Vec<Fitted>> {
    let last = answers.features.len() - 1;
    let end = answers.of_true_label(last);
    let at = |exit: usize| {
        let features = &answers.features[exit];
        let target: Vec<f32> = end.iter().zip(answers.of_true_label(exit)).map(|(end, here)| end - here).collect();
        let (learned, held_out) = fit_one(features, &target, seed)?;
        let spread = resized(spread(&heads[exit]), features);
        let of_spread = gains_of(&spread, features);
        let area = |gains: &[f32]| area(&answers.right(exit), &answers.right(last), gains);
        let areas = (area(&held_out), area(&of_spread));
        let report = |kind| GainReport { kind, learned: areas.0, spread: areas.1 };
        Ok(if areas.0 > areas.1 {
            Fitted { gain: learned, held_out, report: report("learned") }
        } else {
            Fitted { gain: spread, held_out: of_spread, report: report("spread") }
        })
    };
    (0..last).map(at).collect()
}

/// Minus the squares of a head's scores less their mean. Its first half of units is zero.
fn spread(head: &LinearLayer) -> Gain {
    let labels = head.weight.columns();
    let of = |matrix: &Matrix| {
        Matrix::from_fn(matrix.rows(), 2 * labels, |row, unit| {
            let row = matrix.row(row);
            let mean = row.iter().sum::<f32>() / labels as f32;
            if unit < labels { 0.0 } else { row[unit - labels] - mean }
        })
    };
    Gain { units: LinearLayer { weight: of(&head.weight), bias: of(&head.bias) } }
}

/// See [`GainReport`].
fn area(here: &[bool], last: &[bool], gains: &[f32]) -> f64 {
    let mut order: Vec<usize> = (0..gains.len()).collect();
    order.sort_by(|a, b| gains[*b].total_cmp(&gains[*a]));
    let right = |eighths: usize| {
        let going = order.len() * eighths / 8;
        let right =
            order.iter().enumerate().filter(|(rank, text)| if *rank < going { last[**text] } else { here[**text] });
        right.count() as f64 / order.len().max(1) as f64
    };
    (1..8).map(right).sum::<f64>() / 7.0
}

/// The gain of each row of features.
pub(super) fn gains_of(gain: &Gain, features: &Matrix) -> Vec<f32> {
    let half = gain.units.weight.columns() / 2;
    let of = |row: &[f32]| {
        units(&gain.units, row).iter().enumerate().map(|(j, z)| if j < half { z * z } else { -z * z }).sum()
    };
    features.iter_rows().map(of).collect()
}

fn units(layer: &LinearLayer, row: &[f32]) -> Vec<f32> {
    let mut units = layer.bias.data().to_vec();
    for (x, weights) in row.iter().zip(layer.weight.iter_rows()) {
        units.iter_mut().zip(weights).for_each(|(unit, weight)| *unit += x * weight);
    }
    units
}

/// The learned gain, and what gains that had not seen a text say of it.
fn fit_one(features: &Matrix, target: &[f32], seed: u64) -> Result<(Gain, Vec<f32>)> {
    let target = standardised(target);
    let scale = Scale::of(features);
    let folds: Vec<usize> = (0..features.rows()).map(|row| row % FOLDS).collect();
    let mut errors = [0.0f64; STEPS.len()];
    let mut held_out = vec![vec![0.0f32; target.len()]; STEPS.len()];
    for fold in 0..FOLDS {
        let (seen, unseen): (Vec<usize>, Vec<usize>) = (0..target.len()).partition(|row| folds[*row] != fold);
        let mut tried = 0;
        descend(&scale, features, (&target, &seen), seed, &mut |gain| {
            for row in &unseen {
                let one = Matrix::from_fn(1, features.columns(), |_, column| features.row(*row)[column]);
                let found = gains_of(gain, &one)[0];
                errors[tried] += f64::from(found - target[*row]).powi(2);
                held_out[tried][*row] = found;
            }
            tried += 1;
            tried < STEPS.len()
        })?;
    }
    let best = (0..STEPS.len()).min_by(|a, b| errors[*a].total_cmp(&errors[*b])).unwrap_or(0);
    let all: Vec<usize> = (0..target.len()).collect();
    let (mut tried, mut last) = (0, None);
    descend(&scale, features, (&target, &all), seed, &mut |gain| {
        last = Some(gain.clone());
        tried += 1;
        tried <= best
    })?;
    let gain = last.ok_or_else(|| candle_core::Error::Msg("a gain was not trained".to_owned()))?;
    Ok((resized(gain, features), held_out.swap_remove(best)))
}

/// Trains on these rows, and calls `each` with the gain after every number of [`STEPS`] until it returns false.
fn descend(
    scale: &Scale,
    features: &Matrix,
    (target, rows): (&[f32], &[usize]),
    seed: u64,
    each: &mut dyn FnMut(&Gain) -> bool,
) -> Result<()> {
    let device = Device::Cpu;
    let hidden = features.columns();
    let x = Matrix::from_fn(rows.len(), hidden, |row, column| scale.apply(features.row(rows[row])[column], column));
    let x = tensors::tensor(&x, &device)?;
    let y: Vec<f32> = rows.iter().map(|row| target[*row]).collect();
    let y = Tensor::from_vec(y, (rows.len(), 1), &device)?;
    let first = weight(hidden, UNITS, hidden, &mut ChaCha8Rng::seed_from_u64(seed))?;
    let weight = Var::from_tensor(&(first.as_detached_tensor() * 0.1)?)?;
    let bias = Var::from_tensor(&(Tensor::ones((1, UNITS), x.dtype(), &device)? * OFFSET)?)?;
    let named = vec![("weight".to_owned(), weight.clone()), ("bias".to_owned(), bias.clone())];
    let mut optimiser = AdamW::new(named, DECAY)?;
    for count in STEPS {
        while optimiser.steps < count {
            let loss = loss(&x, &y, weight.as_tensor(), bias.as_tensor())?;
            optimiser.step(&loss.backward()?, RATE)?;
        }
        let layer = LinearLayer { weight: tensors::matrix(&weight)?, bias: tensors::matrix(&bias)? };
        if !each(&Gain { units: scale.folded(&layer) }) {
            break;
        }
    }
    Ok(())
}

/// The mean square error of gains, `[rows, 1]` targets, and the penalty of large units.
pub(super) fn loss(x: &Tensor, y: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let units = x.matmul(weight)?.broadcast_add(bias)?;
    let columns = units.dim(1)?;
    let signs: Vec<f32> = (0..columns).map(|unit| if unit < columns / 2 { 1.0 } else { -1.0 }).collect();
    let signs = Tensor::from_vec(signs, (columns, 1), x.device())?.to_dtype(x.dtype())?;
    let error = (units.sqr()?.matmul(&signs)? - y)?.sqr()?.mean_all()?;
    error + ((units.abs()? / FREE)? - 1.0)?.relu()?.sqr()?.mean_all()?
}

/// The mean and the deviation of each column of features.
struct Scale {
    means: Vec<f32>,
    deviations: Vec<f32>,
}

impl Scale {
    fn of(features: &Matrix) -> Self {
        let (mut means, mut deviations) = (Vec::new(), Vec::new());
        for column in features.transposed().iter_rows() {
            let (mean, deviation) = mean_and_deviation(column);
            means.push(mean);
            deviations.push(deviation.max(1e-4));
        }
        Self { means, deviations }
    }

    fn apply(&self, x: f32, column: usize) -> f32 {
        (x - self.means[column]) / self.deviations[column]
    }

    /// The layer for features that are not standardised.
    fn folded(&self, layer: &LinearLayer) -> LinearLayer {
        let (rows, columns) = layer.weight.shape();
        let weight = Matrix::from_fn(rows, columns, |row, unit| layer.weight.row(row)[unit] / self.deviations[row]);
        let shift =
            units(&LinearLayer { weight: weight.clone(), bias: Matrix::from_fn(1, columns, |_, _| 0.0) }, &self.means);
        let bias = Matrix::from_fn(1, columns, |_, unit| layer.bias.data()[unit] - shift[unit]);
        LinearLayer { weight, bias }
    }
}

fn mean_and_deviation(values: &[f32]) -> (f32, f32) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    let variance = values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
    (mean as f32, variance.sqrt() as f32)
}

fn standardised(values: &[f32]) -> Vec<f32> {
    let (mean, deviation) = mean_and_deviation(values);
    values.iter().map(|x| (x - mean) / deviation.max(1e-6)).collect()
}

/// The gain times a factor, so that on these features its largest unit is [`LARGEST`], or its largest sum [`LARGEST_SUM`] if that needs a smaller factor. The order of gains stays.
fn resized(gain: Gain, features: &Matrix) -> Gain {
    let (mut largest, mut sum) = (1e-3f32, 1e-3f32);
    for row in features.iter_rows() {
        let units = units(&gain.units, row);
        largest = units.iter().fold(largest, |most, z| most.max(z.abs()));
        sum = sum.max(units.iter().map(|z| z * z).sum());
    }
    let factor = (LARGEST / largest).min((LARGEST_SUM / sum).sqrt());
    let times = |matrix: &Matrix| {
        Matrix::from_fn(matrix.rows(), matrix.columns(), |row, column| factor * matrix.row(row)[column])
    };
    Gain { units: LinearLayer { weight: times(&gain.units.weight), bias: times(&gain.units.bias) } }
}
