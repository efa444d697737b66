//! What a session costs in time: the servers' wait for a stated network, from the cost meter, and their own work.

use super::ClassifierError;
use blindroute_protocol::{Cost, Meter, Tuning};
use blindroute_routing::bundle::{MOST_EXITS, going};
use blindroute_routing::program::{BundlePlan, NetworkEstimate, SessionRequest, Task, Work};
use blindroute_routing::tokenizer::{MAX_TOKENS, bucket};
use std::sync::Arc;

/// Texts of a batch, where so many fit into a session.
pub(super) const BATCH: usize = 32;
/// The servers' own work, fitted to `bench classify` on the loopback of two busy cores (2026-11-29): for each opening, and for each byte
/// that a server sends, which grows with the rows that it computes with. Only their ratio decides about shares.
const SECONDS_PER_OPENING: f64 = 2e-4;
const SECONDS_PER_BYTE: f64 = 2.5e-8;

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
        self.seconds(self.exits - 1, &going(shares, self.batch))
    }

    /// Seconds per text that leaves at each exit, with all others of its batch, relative to the last.
    pub(super) fn of_exits(&self) -> Result<Vec<f64>, ClassifierError> {
        let at = |exit| self.seconds(exit, &vec![self.batch; exit]);
        let seconds = (0..self.exits).map(at).collect::<Result<Vec<_>, _>>()?;
        let last = seconds.last().copied().unwrap_or(1.0);
        Ok(seconds.iter().map(|seconds| seconds / last).collect())
    }

    fn seconds(&self, exit: usize, going: &[usize]) -> Result<f64, ClassifierError> {
        let request = SessionRequest::new(self.task(exit, going)).with_batch(self.batch);
        let request = match &self.network {
            Some(network) => network.tune(&self.plan, request)?,
            None => request.with_tuning(Tuning::default()),
        };
        let cost = Meter::cost(&request.program(&self.plan)?)?;
        let waiting = self.network.map_or(0.0, |network| network.estimate(&cost).as_secs_f64());
        Ok((work(&cost) + waiting) / self.batch as f64)
    }
}

fn work(cost: &Cost) -> f64 {
    cost.openings as f64 * SECONDS_PER_OPENING + cost.opening_bytes as f64 * SECONDS_PER_BYTE
}
