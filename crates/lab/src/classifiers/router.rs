//! The training of a pool's router: gains and shares, with encoder and heads as they are.

use super::calibrate::{Candidates, Lists, TaskReport, chosen, report, thresholds};
use super::features::Reader;
use super::gains::{Fitting, GainProgress, Joint, Pieces, fit, gains_of, pieces_of};
use super::gate::Aims;
use super::seconds::Sessions;
use super::{ClassifierError, Labelled, LabelledTexts};
use blindroute_routing::bundle::{Bundle, Classifier, ClassifierPool, ClassifierTask, Matrix, PoolShape};
use blindroute_routing::program::{BundlePlan, NetworkEstimate};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::path::Path;

/// How gains are trained and shares are chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct RoutingOptions {
    /// α: how much the distance of the mean gate from the wanted mix of exits counts.
    pub balance: f64,
    /// β: how much the expected cost of the gate counts, relative to that of the last exit.
    pub cost: f64,
    /// The wanted share of texts that leave at each exit, with the sum 1. Without it, half of the texts leave at each exit that they come to.
    pub mix: Option<Vec<f64>>,
    /// The network between the servers that sessions are estimated for. Without it, all parties are on one machine.
    pub network: Option<NetworkEstimate>,
    /// λ: how much the time of a text counts in the choice of the shares, relative to that of the last exit.
    pub lambda: f64,
}

impl Default for RoutingOptions {
    fn default() -> Self {
        Self { balance: 1.0, cost: 0.1, mix: None, network: None, lambda: 1.0 }
    }
}

/// A bundle with a trained pool.
#[derive(Debug)]
pub struct TrainedPool {
    /// The bundle.
    pub bundle: Bundle,
    /// How good each trained task is.
    pub reports: Vec<TaskReport>,
}

/// The smallest number of development texts.
pub(super) const LEAST_DEV: usize = 8;

/// Trains the gains and chooses the shares of these tasks of a bundle's pool, on development texts. Encoder, heads and other tasks stay as
/// they are, and a gain at the last exit, for texts that go on to a larger encoder. With a checkpoint file, continues from it and keeps it up to
/// date. Calls `on_piece` after every piece of the training.
pub fn train_pool_router(
    bundle: &Bundle,
    tasks: &[LabelledTexts],
    (options, seed): (&RoutingOptions, u64),
    checkpoint: Option<&Path>,
    on_piece: &mut dyn FnMut(&GainProgress),
) -> Result<TrainedPool, ClassifierError> {
    let exits = pool_of(bundle)?.exits.clone();
    if exits.len() < 2 {
        return Err(wrong("a pool with one exit".to_owned(), "two or more; with one there is nothing to choose"));
    }
    let mut places = Vec::with_capacity(tasks.len());
    for task in tasks {
        let place = place(bundle, &task.name)?;
        if places.contains(&place) {
            return Err(wrong(format!("the task {:?} twice", task.name), "each task once"));
        }
        places.push(place);
    }
    check_dev(tasks)?;
    let routing = Routing::new(bundle, exits.clone(), options, seed)?;
    let identity = identity(&[bundle], tasks, options, seed);
    let count = tasks.len() * pieces_of(exits.len());
    let mut pieces = Pieces::new(checkpoint.map(|path| (path, identity)), count, on_piece)?;
    let mut reports = Vec::with_capacity(tasks.len());
    let mut pool = pool_of(bundle)?.clone();
    for (task, place) in tasks.iter().zip(places) {
        reports.push(routing.train(&mut pool.tasks[place], (task, None), &mut pieces)?);
    }
    let mut parts = bundle.parts().clone();
    parts.pool = Some(pool);
    Ok(TrainedPool { bundle: Bundle::new(parts)?, reports })
}

pub(super) fn wrong(found: String, expected: &str) -> ClassifierError {
    ClassifierError::Pool { found, expected: expected.to_owned() }
}

pub(super) fn pool_of(bundle: &Bundle) -> Result<&ClassifierPool, ClassifierError> {
    let none = || wrong("no pool of classifiers".to_owned(), "one; train it with `blindroute train pool`");
    bundle.parts().pool.as_ref().ok_or_else(none)
}

pub(super) fn place(bundle: &Bundle, name: &str) -> Result<usize, ClassifierError> {
    let tasks = &pool_of(bundle)?.tasks;
    let known = || tasks.iter().map(|task| task.task.name.as_str()).collect::<Vec<_>>().join(", ");
    let place = tasks.iter().position(|task| task.task.name == name);
    place.ok_or_else(|| wrong(format!("no task {name:?}"), &format!("one of {}", known())))
}

/// How accurate a pool is on texts of a task, with its own gains and shares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The number of texts.
    pub texts: usize,
    /// The share of right answers at each exit.
    pub exits: Vec<f64>,
    /// The share of right answers if gains choose the texts that go on.
    pub routed: f64,
    /// Layers per text then, in the mean.
    pub layers: f64,
}

/// Measures a classifier of a bundle's pool.
pub(super) fn measured(
    bundle: &Bundle,
    classifier: &Classifier,
    texts: &Labelled,
    seed: u64,
) -> Result<Measured, ClassifierError> {
    let exits = &pool_of(bundle)?.exits;
    let answers = Reader::new(bundle, exits)?.answers(&classifier.heads, texts)?;
    let gains = gains_at(classifier, &answers.features);
    let candidates = Candidates::new(&answers, gains, exits, seed);
    let route = candidates.route(&classifier.task.capacities, 0.0);
    let (exits, routed, layers) = (candidates.by_exit(), route.gain, route.layers);
    Ok(Measured { texts: texts.texts.len(), exits, routed, layers })
}

/// What is public about the task of this name in a bundle's pool, by which its files are read.
pub fn task_of<'a>(bundle: &'a Bundle, name: &str) -> Result<&'a ClassifierTask, ClassifierError> {
    Ok(&pool_of(bundle)?.tasks[place(bundle, name)?].task)
}

/// Checks that all tasks have enough development texts.
pub(super) fn check_dev(tasks: &[LabelledTexts]) -> Result<(), ClassifierError> {
    let Some(task) = tasks.iter().find(|task| task.dev.texts.len() < LEAST_DEV) else { return Ok(()) };
    let expected = format!("at least {LEAST_DEV}; give a larger file, or more training texts where there is none");
    let found = format!("{} development texts", task.dev.texts.len());
    Err(ClassifierError::Task { task: task.name.clone(), found, expected })
}

/// Checks that the wanted mix is one of so many exits.
pub(super) fn check_mix(options: &RoutingOptions, exits: usize) -> Result<(), ClassifierError> {
    let Some(mix) = &options.mix else { return Ok(()) };
    let inside = mix.iter().all(|share| (0.0..=1.0).contains(share));
    if mix.len() != exits || !inside || (mix.iter().sum::<f64>() - 1.0).abs() > 1e-6 {
        return Err(ClassifierError::Mix { found: mix.clone(), expected: exits });
    }
    Ok(())
}

/// What the router of every task of a pool is trained with.
pub(super) struct Routing<'a> {
    encoder: &'a Bundle,
    exits: Vec<usize>,
    options: &'a RoutingOptions,
    seed: u64,
}

impl<'a> Routing<'a> {
    /// For a pool on this encoder with these exits.
    pub(super) fn new(
        encoder: &'a Bundle,
        exits: Vec<usize>,
        options: &'a RoutingOptions,
        seed: u64,
    ) -> Result<Self, ClassifierError> {
        check_mix(options, exits.len())?;
        Ok(Self { encoder, exits, options, seed })
    }

    /// The sessions of a task.
    fn sessions(&self, classifier: &Classifier, task: &LabelledTexts) -> Sessions {
        let mut plan = BundlePlan::of(self.encoder);
        let pool = ClassifierPool { exits: self.exits.clone(), tasks: vec![classifier.clone()] };
        plan.pool = Some(PoolShape::of(&pool));
        Sessions::new(plan, self.options.network, 0, task.dev.texts.iter().map(Vec::len))
    }

    /// What the gate of a task is to reach.
    pub(super) fn aims(&self, classifier: &Classifier, task: &LabelledTexts) -> Result<Aims, ClassifierError> {
        let last = self.exits.len() - 1;
        let half = |exit: usize| 0.5f64.powi((exit + 1).min(last) as i32);
        let mix = self.options.mix.clone().unwrap_or_else(|| (0..=last).map(half).collect());
        let costs = self.sessions(classifier, task).of_exits()?;
        Ok(Aims { balance: self.options.balance, cost: self.options.cost, mix, costs })
    }

    /// Trains the gains of a task and chooses its shares. Another gate than a random one can be where the gains start.
    pub(super) fn train(
        &self,
        classifier: &mut Classifier,
        (task, joint): (&LabelledTexts, Option<&Joint>),
        pieces: &mut Pieces<'_>,
    ) -> Result<TaskReport, ClassifierError> {
        let reader = Reader::new(self.encoder, &self.exits)?;
        let (heads, seed) = (&classifier.heads, self.seed);
        let dev = reader.answers(heads, &task.dev)?;
        let aims = self.aims(classifier, task)?;
        let fitting = Fitting { task: &task.name, answers: &dev, heads, aims: &aims, joint, seed };
        let fitted = fit(&fitting, pieces)?;
        let test = task.test.as_ref().map(|test| reader.answers(heads, test)).transpose()?;
        // The gain at the last exit, if there is one, is that of a cascade, and stays.
        let past = classifier.gains.get(self.exits.len() - 1).cloned().zip(classifier.task.thresholds.last().copied());
        let kinds = fitted.iter().map(|fit| fit.report.clone()).collect();
        let predicted = fitted.iter().map(|fit| fit.held_out.clone()).collect();
        classifier.gains = fitted.into_iter().map(|fit| fit.gain).collect();
        // The gains' number of units counts, so the shares are priced with these gains.
        let lists = Lists::new(self.exits.len(), &self.sessions(classifier, task))?;
        let (dev, of_dev) = (Candidates::new(&dev, predicted, &self.exits, seed), dev.features);
        let chosen = chosen(&dev, &lists, self.options.lambda);
        classifier.task.capacities = chosen.shares.clone();
        // The gains as they are now: other gains, which had not seen the text, are on other scales.
        classifier.task.thresholds = thresholds(&gains_at(classifier, &of_dev), &chosen.shares);
        let test = test.map(|test| Candidates::new(&test, gains_at(classifier, &test.features), &self.exits, seed));
        let open = test.as_ref().map(|test| test.open(&classifier.task.thresholds));
        if let Some((gain, threshold)) = past {
            classifier.gains.push(gain);
            classifier.task.thresholds.push(threshold);
        }
        Ok(TaskReport { gains: kinds, open, ..report(task, &chosen, &lists, &dev, test.as_ref()) })
    }
}

/// The gains of texts with these features, by exit but the last.
fn gains_at(classifier: &Classifier, features: &[Matrix]) -> Vec<Vec<f32>> {
    let by_exit = classifier.gains.iter().zip(&classifier.heads).zip(features);
    by_exit.map(|((gain, head), features)| gains_of(gain, head, features)).collect()
}

/// The identity of the training that a checkpoint belongs to.
pub(super) fn identity(bundles: &[&Bundle], tasks: &[LabelledTexts], options: &RoutingOptions, seed: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    bundles.iter().for_each(|bundle| hash.update(bundle.digest().as_bytes()));
    hash.update(format!("router {options:?} {seed}").as_bytes());
    for task in tasks {
        hash.update(format!("{:?} {}", task.name, task.dev.texts.len()).as_bytes());
        for (text, label) in task.dev.texts.iter().zip(&task.dev.labels) {
            hash.update((text.len() as u64).to_le_bytes());
            text.iter().for_each(|id| hash.update(id.to_le_bytes()));
            hash.update((*label as u64).to_le_bytes());
        }
    }
    hash.finalize().into()
}
