//! What a session costs in time: the servers' wait for a stated network, from the cost meter, and their own work.

use super::ClassifierError;
use blindroute_protocol::{Cost, Meter, Tuning};
use blindroute_routing::bundle::{MOST_EXITS, going};
use blindroute_routing::program::{BundlePlan, Measurement, NetworkEstimate, SessionRequest, Task, Work};
use blindroute_routing::tokenizer::{MAX_TOKENS, bucket};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Texts of a batch, where so many fit into a session.
pub(super) const BATCH: usize = 32;
/// The servers' own work, fitted to `bench classify` on the loopback of two busy cores (2026-11-29): for each opening, and for each byte
/// that a server sends, which grows with the rows that it computes with. Only their ratio decides about shares.
const SECONDS_PER_OPENING: f64 = 2e-4;
const SECONDS_PER_BYTE: f64 = 2.5e-8;

/// What a text costs in sessions of ordinary size, by the meter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TextCost {
    /// Seconds per text.
    pub seconds: f64,
    /// Openings of the whole session.
    pub openings: f64,
    /// Bytes per text that each server sends the other.
    pub bytes: f64,
    /// Bytes of material of both servers per token, padding included.
    pub material: f64,
}

/// The sessions of a task.
#[derive(Debug)]
pub(super) struct Sessions {
    plan: Arc<BundlePlan>,
    /// Without one, all parties are on one machine.
    network: Option<NetworkEstimate>,
    classifier: usize,
    exits: usize,
    bucket: usize,
    batch: usize,
}

impl Sessions {
    /// Sessions of the task at this place of the plan's pool, with texts such as those of these lengths in tokens: they are padded to
    /// the bucket of the median.
    pub(super) fn new(
        plan: BundlePlan,
        network: Option<NetworkEstimate>,
        classifier: usize,
        lengths: impl Iterator<Item = usize>,
    ) -> Self {
        let mut lengths: Vec<usize> = lengths.collect();
        lengths.sort_unstable();
        let median = lengths.get(lengths.len() / 2).copied().unwrap_or(1);
        let bucket = bucket(median).unwrap_or(MAX_TOKENS);
        let exits = plan.pool.as_ref().map_or(1, |pool| pool.exits.len());
        let mut sessions = Self { plan: Arc::new(plan), network, classifier, exits, bucket, batch: BATCH };
        sessions.batch = BATCH.min(Work::Task(sessions.task(exits - 1, &[])).most_prompts());
        sessions
    }

    fn task(&self, exit: usize, going: &[usize]) -> Task {
        let mut capacities = [0; MOST_EXITS - 1];
        capacities.iter_mut().zip(going).for_each(|(capacity, going)| *capacity = *going);
        let (classifier, bucket) = (self.classifier, self.bucket);
        Task::classify(classifier, bucket, exit, capacities)
    }

    /// Seconds per text with these shares.
    pub(super) fn with_shares(&self, shares: &[f32]) -> Result<f64, ClassifierError> {
        Ok(self.cost(shares)?.seconds)
    }

    /// What a text costs with these shares.
    pub(super) fn cost(&self, shares: &[f32]) -> Result<TextCost, ClassifierError> {
        self.of_work(self.task(self.exits - 1, &going(shares, self.batch)))
    }

    /// What the embedding of a text costs, without any exit.
    pub(super) fn of_embedding(&self) -> Result<TextCost, ClassifierError> {
        self.of_work(Measurement::Embed { bucket: self.bucket })
    }

    /// Seconds per text that leaves at each exit, with all others of its batch, relative to the last.
    pub(super) fn of_exits(&self) -> Result<Vec<f64>, ClassifierError> {
        let at = |exit| Ok(self.of_work(self.task(exit, &vec![self.batch; exit]))?.seconds);
        let seconds = (0..self.exits).map(at).collect::<Result<Vec<f64>, ClassifierError>>()?;
        let last = seconds.last().copied().unwrap_or(1.0);
        Ok(seconds.iter().map(|seconds| seconds / last).collect())
    }

    fn of_work(&self, work: impl Into<Work>) -> Result<TextCost, ClassifierError> {
        let request = SessionRequest::new(work).with_batch(self.batch);
        let request = match &self.network {
            Some(network) => network.tune(&self.plan, request)?,
            None => request.with_tuning(Tuning::default()),
        };
        let cost = Meter::cost(&request.program(&self.plan)?)?;
        let waiting = self.network.map_or(0.0, |network| network.estimate(&cost).as_secs_f64());
        let texts = self.batch as f64;
        Ok(TextCost {
            seconds: (own_work(&cost) + waiting) / texts,
            openings: cost.openings as f64,
            bytes: cost.opening_bytes as f64 / texts,
            material: cost.material_bytes as f64 / (texts * self.bucket as f64),
        })
    }
}

fn own_work(cost: &Cost) -> f64 {
    cost.openings as f64 * SECONDS_PER_OPENING + cost.opening_bytes as f64 * SECONDS_PER_BYTE
}
