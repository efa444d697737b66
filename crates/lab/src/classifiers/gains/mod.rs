//! The training of gains: which texts are worth the layers up to the last exit.
//!
//! Three rivals are quadratic forms of the features, one file each: [`learned`] learns the difference of the probabilities of the true
//! label, [`spread`] looks at the labels' scores, and [`gated`] trains all exits' gains together, as a gate over the exits. Those
//! that learn are trained on development texts, and judged by gains that have not seen the text. The fourth, [`lead`], is by how much
//! the best label leads; it costs openings. Each exit takes the rival that is best on the development texts, and a lead only if it is
//! clearly better.

mod folds;
mod gated;
mod lead;
mod learned;
mod pieces;
mod scale;
mod spread;

pub(super) use gated::Joint;
pub(super) use learned::first;
#[cfg(test)]
pub(super) use learned::loss;
pub use pieces::GainProgress;
pub(super) use pieces::Pieces;
pub(super) use scale::Scale;

use super::ClassifierError;
use super::features::Answers;
use super::gate::Aims;
use blindroute_routing::bundle::{Gain, LinearLayer, Matrix};
use serde::Serialize;

/// The largest unit on the development texts. Other texts have as much room again below 8, where the secure program needs them.
const LARGEST: f32 = 4.0;
/// The largest sum of a text's squares there. Differences of gains must be below 2^8.
const LARGEST_SUM: f32 = 64.0;

/// By how much more a lead has to get right than the best quadratic form, for its openings.
const WORTH: f64 = 0.001;

/// A gain, and what gains that had not seen a text say of it.
#[derive(Debug)]
struct Found {
    units: LinearLayer,
    held_out: Vec<f32>,
}

/// The gain that an exit takes, what gains that had not seen a text say of it, and how good its rivals are.
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
    /// `learned`, `spread`, `gated` or `lead`.
    pub kind: &'static str,
    /// With the learned gain, on texts that it was not trained on.
    pub learned: f64,
    /// With the spread of the scores.
    pub spread: f64,
    /// With the gain of a gate over the exits, on texts that it was not trained on.
    pub gated: f64,
    /// With minus the lead of the best label.
    pub lead: f64,
}

/// What the gains of a task are trained with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fitting<'a> {
    /// The task's name.
    pub(super) task: &'a str,
    /// What the encoder and the heads say of the development texts.
    pub(super) answers: &'a Answers,
    pub(super) heads: &'a [LinearLayer],
    pub(super) aims: &'a Aims,
    /// The gate that was trained together with the layers, if one was.
    pub(super) joint: Option<&'a Joint>,
    pub(super) seed: u64,
}

/// How many pieces the gains of a task at so many exits take.
pub(super) fn pieces_of(exits: usize) -> usize {
    if exits > 1 { folds::PIECES * exits } else { 0 }
}

/// The gains at each exit but the last.
pub(super) fn fit(of: &Fitting<'_>, pieces: &mut Pieces<'_>) -> Result<Vec<Fitted>, ClassifierError> {
    let answers = of.answers;
    let last = answers.features.len() - 1;
    if last == 0 {
        return Ok(Vec::new());
    }
    let end = answers.of_true_label(last);
    let gated = gated::fit(of, pieces)?;
    let mut fitted = Vec::with_capacity(last);
    for (exit, gated) in gated.into_iter().enumerate() {
        let features = &answers.features[exit];
        let target: Vec<f32> = end.iter().zip(answers.of_true_label(exit)).map(|(end, here)| end - here).collect();
        let learned = learned::fit(features, &target, of.seed, &format!("{}.learned.{exit}", of.task), pieces)?;
        let spread = resized(&spread::spread(&of.heads[exit]), features);
        let spread = Found { held_out: quadratics_of(&spread, features), units: spread };
        let lead = lead::leads(&of.heads[exit], features);
        let area = |gains: &[f32]| area(&answers.right(exit), &answers.right(last), gains);
        let mut report = GainReport {
            kind: "spread",
            learned: area(&learned.held_out),
            spread: area(&spread.held_out),
            gated: area(&gated.held_out),
            lead: area(&lead),
        };
        let (mut best, mut most) = (spread, report.spread);
        for (kind, found, area) in [("learned", learned, report.learned), ("gated", gated, report.gated)] {
            if area > most {
                (report.kind, best, most) = (kind, found, area);
            }
        }
        fitted.push(if report.lead > most + WORTH {
            Fitted { gain: Gain::Lead, held_out: lead, report: GainReport { kind: "lead", ..report } }
        } else {
            let gain = Gain::Quadratic(resized(&best.units, features));
            Fitted { gain, held_out: best.held_out, report }
        });
    }
    Ok(fitted)
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

/// The gain of each row of features, where this head gives the labels' scores.
pub(super) fn gains_of(gain: &Gain, head: &LinearLayer, features: &Matrix) -> Vec<f32> {
    match gain {
        Gain::Quadratic(units) => quadratics_of(units, features),
        Gain::Lead => lead::leads(head, features),
    }
}

fn quadratics_of(units: &LinearLayer, features: &Matrix) -> Vec<f32> {
    features.iter_rows().map(|row| quadratic_of(units, row)).collect()
}

fn quadratic_of(layer: &LinearLayer, row: &[f32]) -> f32 {
    let half = layer.weight.columns() / 2;
    units(layer, row).iter().enumerate().map(|(j, z)| if j < half { z * z } else { -z * z }).sum()
}

fn units(layer: &LinearLayer, row: &[f32]) -> Vec<f32> {
    let mut units = layer.bias.data().to_vec();
    for (x, weights) in row.iter().zip(layer.weight.iter_rows()) {
        units.iter_mut().zip(weights).for_each(|(unit, weight)| *unit += x * weight);
    }
    units
}

/// The units times a factor, so that on these features its largest unit is [`LARGEST`], or its largest sum [`LARGEST_SUM`] if that needs a smaller factor. The order of gains stays.
fn resized(layer: &LinearLayer, features: &Matrix) -> LinearLayer {
    let (mut largest, mut sum) = (1e-3f32, 1e-3f32);
    for row in features.iter_rows() {
        let units = units(layer, row);
        largest = units.iter().fold(largest, |most, z| most.max(z.abs()));
        sum = sum.max(units.iter().map(|z| z * z).sum());
    }
    let factor = (LARGEST / largest).min((LARGEST_SUM / sum).sqrt());
    let times = |matrix: &Matrix| {
        Matrix::from_fn(matrix.rows(), matrix.columns(), |row, column| factor * matrix.row(row)[column])
    };
    LinearLayer { weight: times(&layer.weight), bias: times(&layer.bias) }
}
