//! The weight of cost for a user's own prompts: what λ brings the mean cost, or the mean score, to a target.
//!
//! A router's default λ comes from its provider's validation split. Other prompts need another λ for the same cost or
//! quality, and how much other is uncertain where they are few. So a calibration is made only if the bootstrap's interval
//! of what was asked for is narrow enough, and says otherwise how many prompts about would do.
//!
//! Costs need prompts alone, since a price belongs to a model; scores need outcomes.

use crate::data::TableError;
use crate::evaluation::{Bootstrap, Interval, lambdas, rule};
use blindroute_routing::bundle::{Matrix, Model, Rule};
use serde::{Deserialize, Serialize};

mod artefact;
mod prompts;

pub use artefact::{ArtefactError, Calibration};
pub use prompts::{PromptsError, UserPrompts};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A mean cost of at most this, relative to the dearest model; the best mean score is not looked at.
    Cost(f64),
    /// A mean score of at least this, as cheaply as can be.
    Score(f64),
}

/// How a calibration is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// What is asked for.
    pub target: Target,
    /// The most that the interval of what is asked for may reach to either side of it.
    pub tolerance: f64,
    /// For the intervals.
    pub bootstrap: Bootstrap,
}

/// What a prompt set says, and how surely.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean over the prompts.
    pub value: f64,
    /// Where it lies in 95 of 100 such sets, at least.
    pub low: f64,
    /// At most.
    pub high: f64,
}

/// What can be wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// The prompts are too few for an answer.
    #[error(
        "not enough data: {prompts} prompts (copies of one count once) leave the mean {what} uncertain by ±{width:.3}, more than ±{tolerance}; give about {needed} prompts, or a larger --tolerance"
    )]
    NotEnough {
        /// What was asked for.
        what: &'static str,
        /// How many different prompts there are.
        prompts: usize,
        /// How far the interval reaches.
        width: f64,
        /// How far it may.
        tolerance: f64,
        /// How many prompts would do.
        needed: usize,
    },
    /// Fewer prompts than any interval can be trusted with.
    #[error(
        "not enough data: {prompts} prompts (copies of one count once); an interval needs {LEAST} at least, and often some \
         hundreds"
    )]
    TooFew {
        /// How many different prompts there are.
        prompts: usize,
    },
    /// No λ reaches the target.
    #[error(
        "no weight of cost brings the mean {what} of this router to {target}: on these prompts it goes from {low:.4} to {high:.4}; choose a target between"
    )]
    OutOfReach {
        /// What was asked for.
        what: &'static str,
        /// The target.
        target: f64,
        /// The least that can be had.
        low: f64,
        /// The most.
        high: f64,
    },
    /// A target or tolerance that is none.
    #[error("{what} is {found}, it must be a number {expected}")]
    Number {
        /// Which.
        what: &'static str,
        /// What was given.
        found: f64,
        /// What can be.
        expected: &'static str,
    },
    /// A target of quality without outcomes.
    #[error(
        "a target score needs to know how each model did on each prompt: give a line's scores, or a target cost instead"
    )]
    NoOutcomes,
    /// The embeddings and scores do not belong to the prompts and the pool.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// Below this a percentile interval of the bootstrap is no interval.
const LEAST: usize = 30;
/// The largest λ: secure heads hold λ · relative cost below 16.
const LARGEST: f32 = 10.0;

/// The calibration of a router on prompts with these embeddings `[prompts, hidden]` and, where they are known, scores
/// `[prompts, models]`.
pub fn calibrate(
    name: &str,
    router: &Rule,
    models: &[Model],
    embeddings: &Matrix,
    scores: Option<&Matrix>,
    options: &Options,
) -> Result<Calibration, CalibrateError> {
    check(router, models, embeddings, scores, options)?;
    let cost = rule::costs(router);
    let grid: Vec<f32> = lambdas().into_iter().filter(|lambda| *lambda <= LARGEST).collect();
    let utilities: Vec<Vec<f32>> = embeddings.iter_rows().map(|row| rule::utilities(router, row)).collect();
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
    // Copies of a prompt are drawn together: they say no more of other prompts than one of them does.
    let (groups, different) = groups(embeddings);
    if different < LEAST {
        return Err(CalibrateError::TooFew { prompts: different });
    }
    // Each resample says what it would have chosen, and what the choice made here is worth on it.
    let resamples = options.bootstrap.run(different, |drawn| {
        let times: Vec<u32> = groups.iter().map(|group| drawn[*group]).collect();
        let times = times.as_slice();
        let chosen = choose(options.target, &means(Some(times)), &costs_of(Some(times)));
        let score = scored.as_ref().map(|scored| mean(&scored[at], Some(times)));
        (chosen.map(|place| f64::from(grid[place])), mean(&costs[at], Some(times)), score)
    });
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
        // The interval narrows as the root of the number of prompts.
        let needed = (different as f64 * (width / options.tolerance).powi(2)).ceil() as usize;
        let tolerance = options.tolerance;
        return Err(CalibrateError::NotEnough { what, prompts: different, width, tolerance, needed });
    }
    let lambda = estimate(f64::from(grid[at]), resamples.iter().filter_map(|resample| resample.0).collect());
    Ok(Calibration::new(name, models, options.target, lambda, prompts, cost, score))
}

/// Where on the grid the target is met: of those that meet it, for a cost the smallest λ (the best score), for a score the
/// least cost, and of equal costs the largest λ, which leans to the cheaper model on other prompts.
fn choose(target: Target, values: &[f64], costs: &[f64]) -> Option<usize> {
    match target {
        Target::Cost(target) => values.iter().position(|value| *value <= target),
        Target::Score(target) => {
            let meets = (0..values.len()).filter(|place| values[*place] >= target);
            meets.min_by(|a, b| costs[*a].total_cmp(&costs[*b]).then(b.cmp(a)))
        }
    }
}

/// The mean, each value counted so many times.
fn mean(values: &[f64], times: Option<&[u32]>) -> f64 {
    match times {
        Some(times) => {
            let sum: f64 = values.iter().zip(times).map(|(value, times)| value * f64::from(*times)).sum();
            sum / times.iter().map(|times| f64::from(*times)).sum::<f64>()
        }
        None => values.iter().sum::<f64>() / values.len() as f64,
    }
}

/// For each prompt the number of its embedding among the different ones, and how many these are.
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
    let (what, found) = match options.target {
        Target::Cost(target) => ("the target cost", target),
        Target::Score(target) => ("the target score", target),
    };
    if !(0.0..=1.0).contains(&found) {
        return Err(CalibrateError::Number { what, found, expected: "from 0 to 1" });
    }
    if !(options.tolerance > 0.0 && options.tolerance < 1.0) {
        let found = options.tolerance;
        return Err(CalibrateError::Number { what: "the tolerance", found, expected: "above 0 and below 1" });
    }
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
