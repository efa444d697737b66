//! Making a pool cheaper at nearly the same accuracy, with the cost that the meter states in the objective.
//!
//! The objective is the loss on development texts, as the secure program rounds, and β times the seconds of a text on a stated
//! network, relative to those of the start. It is lowered in rounds of two steps. First, changes of widths and shape are tried, and the
//! one that lowers the objective most is accepted, again and again. Then a short training under the new widths and shape brings
//! accuracy back, and gains and shares are trained anew. The tasks that are not named are left out: their heads would not fit the changed encoder.

mod change;
mod objective;
mod prune;
mod report;
mod state;
#[cfg(test)]
mod tests;
mod variant;

pub use objective::Score;
pub use report::{RoundReport, Saved, SlimProgress, SlimReport, SlimRow, TaskMeasures};

use super::router::{RoutingOptions, check_dev, identity as of_dev, measured};
use super::train::{Beginning, PoolOptions, corpus, identity as of_train, routed, trained};
use super::{ClassifierError, LabelledTexts};
use crate::encoders::student::{limits, quantise};
use blindroute_routing::bundle::Bundle;
use change::Change;
use objective::Objective;
use prune::Pruner;
use sha2::{Digest, Sha256};
use state::{Log, State};
use std::path::Path;
use variant::Variant;

/// Bits of stored weights whose effect is told beside that of the changes.
const STORED: [u8; 2] = [8, 6];

/// How a pool is made cheaper.
#[derive(Clone, Debug, PartialEq)]
pub struct SlimOptions {
    /// β: the loss that the whole cost is worth.
    pub beta: f64,
    /// How much values that exceed their limits count.
    pub penalty: f64,
    /// The most rounds.
    pub rounds: usize,
    /// The most accepted changes of a round.
    pub changes: usize,
    /// Steps of training after the changes of a round.
    pub steps: usize,
    /// Tokens per step, with padding.
    pub tokens: usize,
    /// The largest learning rate of the layers.
    pub rate: f64,
    /// Bits of a stored weight of the layers. Without them, weights are stored exactly.
    pub bits: Option<u8>,
    /// How many units of each feed-forward network go at a time.
    pub units: usize,
    /// The most development texts of a task on which changes are tried.
    pub dev: usize,
    /// The seed of all random choices.
    pub seed: u64,
    /// How gains are trained and shares are chosen, and the network for which costs are stated.
    pub routing: RoutingOptions,
}

impl Default for SlimOptions {
    fn default() -> Self {
        Self {
            beta: 0.5,
            penalty: 1.0,
            rounds: 3,
            changes: 4,
            steps: 300,
            tokens: 1024,
            rate: 1e-4,
            bits: Some(10),
            units: 96,
            dev: 256,
            seed: 0,
            routing: RoutingOptions::default(),
        }
    }
}

/// A cheaper pool.
#[derive(Debug)]
pub struct Slimmed {
    /// Its bundle, without other tasks and routers.
    pub bundle: Bundle,
    /// What it saves and loses.
    pub report: SlimReport,
}

/// Makes the pool of a bundle cheaper for these tasks. With a checkpoint file, continues from it and keeps it up to date after every
/// round, and the training within a round beside it. Calls `on_progress` with all that happens.
pub fn slim_pool(
    start: &Bundle,
    tasks: &[LabelledTexts],
    options: &SlimOptions,
    checkpoint: Option<&Path>,
    on_progress: &mut dyn FnMut(SlimProgress),
) -> Result<Slimmed, ClassifierError> {
    if !(options.beta.is_finite() && options.beta > 0.0) {
        return Err(ClassifierError::Beta(options.beta));
    }
    let first = Variant::of(start, tasks)?;
    check_dev(tasks)?;
    let identity = identity(start, tasks, options)?;
    let objective = Objective::new(start, tasks, (&first, options))?;
    let pruner = Pruner::new(start, tasks, options.units);
    let search = Search { start, tasks, options, objective, pruner, state: State::new(checkpoint, identity) };
    let score = search.objective.score(&first)?;
    let (mut bundle, mut log) = match search.state.read()? {
        Some(found) => found,
        None => {
            let alone = search.alone(&first, &score, on_progress)?;
            let log = Log { alone, ..Log::default() };
            let bundle = first.bundle(start)?;
            search.state.write(&bundle, &log)?;
            (bundle, log)
        }
    };
    while log.rounds.len() < options.rounds {
        let before = Variant::of(&bundle, tasks)?;
        let round = log.rounds.len() + 1;
        let (changed, rows) = search.changed(before, round, on_progress)?;
        if rows.is_empty() {
            break;
        }
        let report;
        (bundle, report) = search.recovered(changed, (round, rows.len()), on_progress)?;
        log.accepted.extend(rows);
        log.rounds.push(report);
        search.state.write(&bundle, &log)?;
    }
    let last = Variant::of(&bundle, tasks)?;
    let end = search.objective.score(&last)?;
    let (before, after) = (search.measures(&first)?, search.measures(&last)?);
    let [embedding, published] = search.objective.replacements(&first)?;
    let saved = Saved::of(&score.cost, &end.cost);
    let Log { alone, accepted, rounds } = log;
    let report = SlimReport { start: score, alone, accepted, rounds, end, saved, before, after, embedding, published };
    Ok(Slimmed { bundle, report })
}

/// What all rounds use.
struct Search<'a> {
    start: &'a Bundle,
    tasks: &'a [LabelledTexts],
    options: &'a SlimOptions,
    objective: Objective<'a>,
    pruner: Pruner<'a>,
    state: State<'a>,
}

impl Search<'_> {
    /// Every change alone.
    fn alone(
        &self,
        first: &Variant,
        score: &Score,
        on_progress: &mut dyn FnMut(SlimProgress),
    ) -> Result<Vec<SlimRow>, ClassifierError> {
        let mut rows = Vec::new();
        for change in Change::all(first.pool.exits.len()).into_iter().chain(STORED.map(Change::Bits)) {
            let Some((variant, what)) = change.of(first, &self.pruner)? else { continue };
            let row = SlimRow::new(0, what, (score, self.objective.score(&variant)?));
            on_progress(SlimProgress::Alone(row.clone()));
            rows.push(row);
        }
        Ok(rows)
    }

    /// Accepts changes while one of them lowers the objective, up to the most of a round.
    fn changed(
        &self,
        mut variant: Variant,
        round: usize,
        on_progress: &mut dyn FnMut(SlimProgress),
    ) -> Result<(Variant, Vec<SlimRow>), ClassifierError> {
        let mut score = self.objective.score(&variant)?;
        let mut rows = Vec::new();
        while rows.len() < self.options.changes {
            let mut best: Option<(Variant, String, Score)> = None;
            for change in Change::all(variant.pool.exits.len()) {
                let Some((after, what)) = change.of(&variant, &self.pruner)? else { continue };
                let cost = self.objective.cost(&after)?;
                // What is no cheaper is no change to accept, and need not be run.
                if cost.seconds >= score.cost.seconds {
                    continue;
                }
                let found = self.objective.score_at(&after, cost)?;
                if found.objective < best.as_ref().map_or(score.objective, |(_, _, best)| best.objective) {
                    best = Some((after, what, found));
                }
            }
            let Some((after, what, found)) = best else { break };
            let row = SlimRow::new(round, what, (&score, found));
            on_progress(SlimProgress::Accepted(row.clone()));
            rows.push(row);
            (variant, score) = (after, found);
        }
        Ok((variant, rows))
    }

    /// Trains a changed pool, then its gains and shares.
    fn recovered(
        &self,
        mut variant: Variant,
        (round, changes): (usize, usize),
        on_progress: &mut dyn FnMut(SlimProgress),
    ) -> Result<(Bundle, RoundReport), ClassifierError> {
        if let Some(bits) = self.options.bits {
            variant.layers.iter_mut().for_each(|layer| quantise(layer, bits));
        }
        let changed = self.objective.score(&variant)?;
        let bundle = variant.bundle(self.start)?;
        let options = self.training(&variant, round);
        let widths = &variant.encoder.widths;
        let limits = limits(widths).with_ranges(widths);
        let beginning = Beginning { bundle: &bundle, tasks: &variant.pool.tasks, limits, gates: None };
        let file = self.state.of_round(round);
        let mut on_step = |progress: &_| on_progress(SlimProgress::Training(Clone::clone(progress)));
        let weights = trained(beginning, self.tasks, &options, file.as_deref(), &mut on_step)?;
        let mut after = variant.clone();
        after.layers = weights.layers;
        for (classifier, heads) in after.pool.tasks.iter_mut().zip(weights.heads) {
            classifier.heads = heads;
        }
        let trained = self.objective.score(&after)?;
        let kept = trained.objective <= changed.objective;
        let mut variant = if kept { after } else { variant };
        let encoder = variant.bundle(self.start)?;
        let mut on_piece = |progress: &_| on_progress(SlimProgress::Gains(Clone::clone(progress)));
        routed(&encoder, &mut variant.pool, (self.tasks, &[]), &options, &mut on_piece)?;
        let routed = self.objective.score(&variant)?;
        let report = RoundReport { round, changes, changed, trained, kept, routed };
        on_progress(SlimProgress::Round(report.clone()));
        Ok((variant.bundle(self.start)?, report))
    }

    /// How the pool is trained after the changes of a round.
    fn training(&self, variant: &Variant, round: usize) -> PoolOptions {
        let SlimOptions { steps, tokens, rate, penalty, bits, .. } = *self.options;
        let seed = self.options.seed + round as u64;
        let routing = self.options.routing.clone();
        PoolOptions {
            steps,
            tokens,
            rate,
            penalty,
            bits,
            seed,
            routing,
            ..PoolOptions::new(variant.pool.exits.clone())
        }
    }

    /// Accuracy and cost of all tasks.
    fn measures(&self, of: &Variant) -> Result<Vec<TaskMeasures>, ClassifierError> {
        let bundle = of.bundle(self.start)?;
        let costs = self.objective.costs(of)?;
        let mut found = Vec::with_capacity(self.tasks.len());
        for ((classifier, task), cost) in of.pool.tasks.iter().zip(self.tasks).zip(costs) {
            let on = |texts| measured(&bundle, classifier, texts, self.options.seed);
            found.push(TaskMeasures {
                task: task.name.clone(),
                dev: on(&task.dev)?,
                test: task.test.as_ref().map(on).transpose()?,
                shares: classifier.task.capacities.clone(),
                cost,
            });
        }
        Ok(found)
    }
}

/// The identity of the search that a checkpoint belongs to.
fn identity(start: &Bundle, tasks: &[LabelledTexts], options: &SlimOptions) -> Result<[u8; 32], ClassifierError> {
    let corpora = tasks.iter().map(corpus).collect::<Result<Vec<_>, _>>()?;
    let mut hash = Sha256::new();
    hash.update(format!("slim {options:?}").as_bytes());
    hash.update(of_train(start, tasks, &corpora, &PoolOptions::new(Vec::new())));
    hash.update(of_dev(&[start], tasks, &options.routing, options.seed));
    Ok(hash.finalize().into())
}
