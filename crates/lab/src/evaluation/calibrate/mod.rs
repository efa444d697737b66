//! The weight of cost λ that gives a target mean cost or mean score on a user's own prompts.
//!
//! A router's default λ comes from its provider's validation split. Other prompts need another λ for the same cost or quality, and
//! with few prompts that λ is uncertain. So a calibration is made only if the bootstrap interval of the target quantity is narrow
//! enough. Otherwise the error says how many prompts would be enough.
//!
//! A target cost needs only prompts, because a price belongs to a model. A target score needs outcomes.

use crate::data::TableError;
use crate::evaluation::{Bootstrap, Interval, lambdas, rule};
use crate::{Stop, Stopped};
use blindroute_routing::bundle::{Matrix, Model, Router, Rule};
use serde::{Deserialize, Serialize};

mod artefact;
mod prompts;

pub use artefact::{ArtefactError, Calibration};

use artefact::Estimates;
pub use prompts::{PromptsError, UserPrompts};

/// The target of a calibration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A mean cost of at most this, relative to the most expensive model, with the smallest such λ.
    Cost(f64),
    /// A mean score of at least this, at the lowest cost.
    Score(f64),
}

/// Options of a calibration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The target.
    pub target: Target,
    /// How far the interval of the target quantity may extend to either side.
    pub tolerance: f64,
    /// The bootstrap for the intervals.
    pub bootstrap: Bootstrap,
}

impl Options {
    /// Checks the numbers, so that nobody waits for embeddings first.
    ///
    /// # Errors
    /// [`CalibrateError::Number`] for the first that is out of range.
    pub fn check(&self) -> Result<(), CalibrateError> {
        let (what, found) = match self.target {
            Target::Cost(target) => ("the target cost", target),
            Target::Score(target) => ("the target score", target),
        };
        if !(0.0..=1.0).contains(&found) {
            return Err(CalibrateError::Number { what, found, expected: "from 0 to 1" });
        }
        if !(self.tolerance > 0.0 && self.tolerance < 1.0) {
            let found = self.tolerance;
            return Err(CalibrateError::Number { what: "the tolerance", found, expected: "above 0 and below 1" });
        }
        Ok(())
    }
}

/// A mean over the prompts and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean over the prompts.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

/// What can go wrong in a calibration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// There are too few prompts for the tolerance.
    #[error(
        "not enough data: with {prompts} different prompts the mean {what} is uncertain by ±{width:.3}, more than ±{tolerance}; use about {needed} prompts, or a larger --tolerance"
    )]
    NotEnough {
        /// The target quantity.
        what: &'static str,
        /// The number of different prompts.
        prompts: usize,
        /// How far the interval extends.
        width: f64,
        /// How far it may extend.
        tolerance: f64,
        /// The approximate number of prompts that would be enough.
        needed: usize,
    },
    /// No λ reaches the target.
    #[error(
        "no weight of cost gives this router a mean {what} of {target}: on these prompts it goes from {low:.4} to {high:.4}; choose a target between"
    )]
    OutOfReach {
        /// The target quantity.
        what: &'static str,
        /// The target.
        target: f64,
        /// The smallest possible value.
        low: f64,
        /// The largest possible value.
        high: f64,
    },
    /// A target or tolerance out of range.
    #[error("{what} is {found}, expected a number {expected}")]
    Number {
        /// Which number.
        what: &'static str,
        /// The given value.
        found: f64,
        /// The allowed range.
        expected: &'static str,
    },
    /// There are too few prompts for any interval.
    #[error("not enough data: {prompts} different prompts, expected at least {LEAST}; often some hundreds are needed")]
    TooFew {
        /// The number of different prompts.
        prompts: usize,
    },
    /// A target score without outcomes.
    #[error(
        "a target score needs the score of each model on each prompt: add scores to the lines, or use a target cost"
    )]
    NoOutcomes,
    /// The caller stopped the calibration.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The embeddings and scores do not belong to the prompts and the pool.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// The smallest number of prompts for a percentile interval of the bootstrap.
const LEAST: usize = 30;
/// The largest λ: secure programs need λ · relative cost below 16.
const LARGEST: f32 = 10.0;

/// Calibrates a router on prompts of which its rule reads this, `[prompts, inputs]`, and, if known, scores `[prompts, models]`.
pub fn calibrate(
    router: &Router,
    models: &[Model],
    embeddings: &Matrix,
    scores: Option<&Matrix>,
    options: &Options,
    stop: &Stop,
) -> Result<Calibration, CalibrateError> {
    let Router { name, rule: router, .. } = router;
    check(router, models, embeddings, scores, options)?;
    let cost = rule::costs(router);
    let grid: Vec<f32> = lambdas().into_iter().filter(|lambda| *lambda <= LARGEST).collect();
    let utilities: Vec<Vec<f32>> = embeddings.iter_rows().map(|row| rule::utilities(router, row)).collect();
    stop.check()?;
    let choices: Vec<Vec<usize>> = (grid.iter())
        .map(|lambda| utilities.iter().map(|utilities| rule::best(utilities, cost, *lambda)).collect())
        .collect();
    let costs: Vec<Vec<f64>> =
        choices.iter().map(|models| models.iter().map(|model| f64::from(cost[*model])).collect()).collect();
    let scored: Option<Vec<Vec<f64>>> = scores.map(|scores| {
        let score = |(model, row): (&usize, &[f32])| f64::from(row[*model]);
        choices.iter().map(|models| models.iter().zip(scores.iter_rows()).map(score).collect()).collect()
    });
    let (what, asked, values) = match (options.target, &scored) {
        (Target::Cost(target), _) => ("cost", target, &costs),
        (Target::Score(target), Some(scored)) => ("score", target, scored),
        (Target::Score(_), None) => return Err(CalibrateError::NoOutcomes),
    };
    let means = |times: Option<&[u32]>| -> Vec<f64> { values.iter().map(|values| mean(values, times)).collect() };
    let costs_of = |times: Option<&[u32]>| -> Vec<f64> { costs.iter().map(|costs| mean(costs, times)).collect() };
    let found = means(None);
    let Some(at) = choose(options.target, &found, &costs_of(None)) else {
        let low = found.iter().copied().fold(f64::INFINITY, f64::min);
        let high = found.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        return Err(CalibrateError::OutOfReach { what, target: asked, low, high });
    };
    let prompts = embeddings.rows();
    // Copies of a prompt are drawn together: they are not more evidence than one of them.
    let (groups, different) = groups(embeddings);
    if different < LEAST {
        return Err(CalibrateError::TooFew { prompts: different });
    }
    // Each resample gives the λ that it would choose, and the cost and score of the λ chosen here.
    let resample = |drawn: &[u32]| {
        let times: Vec<u32> = groups.iter().map(|group| drawn[*group]).collect();
        let times = times.as_slice();
        let chosen = choose(options.target, &means(Some(times)), &costs_of(Some(times)));
        let score = scored.as_ref().map(|scored| mean(&scored[at], Some(times)));
        (chosen.map(|place| f64::from(grid[place])), mean(&costs[at], Some(times)), score)
    };
    let resamples = options.bootstrap.run_until(different, resample, stop)?;
    let estimate = |value: f64, values: Vec<f64>| {
        let interval = Interval::of(values).unwrap_or(Interval { low: None, high: None });
        Estimate { value, low: interval.low.unwrap_or(value), high: interval.high.unwrap_or(value) }
    };
    let cost = estimate(mean(&costs[at], None), resamples.iter().map(|resample| resample.1).collect());
    let score = scored
        .as_ref()
        .map(|scored| estimate(mean(&scored[at], None), resamples.iter().filter_map(|resample| resample.2).collect()));
    let subject = match options.target {
        Target::Cost(_) => cost,
        Target::Score(_) => score.unwrap_or(cost),
    };
    let width = (subject.high - subject.value).max(subject.value - subject.low);
    if width > options.tolerance {
        // The width of the interval falls with the square root of the number of prompts.
        let needed = (different as f64 * (width / options.tolerance).powi(2)).ceil() as usize;
        let tolerance = options.tolerance;
        return Err(CalibrateError::NotEnough { what, prompts: different, width, tolerance, needed });
    }
    let lambda = estimate(f64::from(grid[at]), resamples.iter().filter_map(|resample| resample.0).collect());
    Ok(Calibration::new(name, models, options.target, Estimates { prompts, lambda, cost, score }))
}

/// The index on the grid of λ that meets the target. For a cost it is the smallest such λ, which has the best score. For a score it
/// is the λ of lowest cost, on ties the largest λ, which favours the cheaper model on other prompts.
fn choose(target: Target, values: &[f64], costs: &[f64]) -> Option<usize> {
    match target {
        Target::Cost(target) => values.iter().position(|value| *value <= target),
        Target::Score(target) => {
            let meets = (0..values.len()).filter(|place| values[*place] >= target);
            meets.min_by(|a, b| costs[*a].total_cmp(&costs[*b]).then(b.cmp(a)))
        }
    }
}

/// The mean, with each value counted as often as `times` says, or once.
fn mean(values: &[f64], times: Option<&[u32]>) -> f64 {
    match times {
        Some(times) => {
            let sum: f64 = values.iter().zip(times).map(|(value, times)| value * f64::from(*times)).sum();
            sum / times.iter().map(|times| f64::from(*times)).sum::<f64>()
        }
        None => values.iter().sum::<f64>() / values.len() as f64,
    }
}

/// For each prompt the index of its embedding among the different ones, and the number of different ones.
fn groups(embeddings: &Matrix) -> (Vec<usize>, usize) {
    let mut known = std::collections::HashMap::new();
    let bits = |row: &[f32]| row.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
    let groups = embeddings.iter_rows().map(|row| {
        let next = known.len();
        *known.entry(bits(row)).or_insert(next)
    });
    (groups.collect(), known.len())
}

fn check(
    router: &Rule,
    models: &[Model],
    embeddings: &Matrix,
    scores: Option<&Matrix>,
    options: &Options,
) -> Result<(), CalibrateError> {
    options.check()?;
    let shape = |what, found, expected| {
        if found == expected { Ok(()) } else { Err(TableError::Shape { what, found, expected }) }
    };
    shape("the number of the router's models", rule::costs(router).len(), models.len())?;
    if let Some(scores) = scores {
        shape("the number of prompts with scores", scores.rows(), embeddings.rows())?;
        shape("the number of models with scores", scores.columns(), models.len())?;
    }
    if embeddings.rows() < LEAST {
        return Err(CalibrateError::TooFew { prompts: embeddings.rows() });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
