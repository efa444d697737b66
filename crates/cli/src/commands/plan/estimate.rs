//! What a session of a model takes on a pair, in time and memory. Openings, bytes and material are exact, from the cost meter; times
//! and memory are estimated from these.

use super::super::explain::Asked;
use super::input::{ModelEntry, PairEntry};
use anyhow::Context;
use blindroute_protocol::{Cost, Meter, WeightSpec};
use blindroute_routing::bundle::PoolShape;
use blindroute_routing::program::{BundlePlan, NetworkEstimate, SessionRequest, Task};
use blindroute_runtime::memory::weights_bytes;
use blindroute_runtime::session::MATERIAL_BUDGET;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Seconds of all parties per product of a linear layer, and per byte of material, on two cores that they share (AMD EPYC of Zen 5,
/// AVX-512). Fitted to offline and online time together of the two students at 32, 128 and 256 tokens in docs/PERFORMANCE.md, of
/// which it is within a quarter.
const SECONDS_PER_PRODUCT: f64 = 6e-11;
const SECONDS_PER_MATERIAL_BYTE: f64 = 2e-9;

/// A server without weights and sessions, in MiB.
const PROGRAM_MIB: f64 = 64.0;
/// What a session holds while it is prepared and runs, as a multiple of its material. With [`PROGRAM_MIB`] it is within a tenth of
/// the peaks of the default bundle in docs/PERFORMANCE.md.
const SESSION_FACTOR: f64 = 3.0;
const MIB: f64 = (1 << 20) as f64;

/// A session of a model on a pair.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Estimate {
    pub(super) tuning: String,
    pub(super) openings: usize,
    /// Bytes that each server sends the other.
    pub(super) server_bytes: usize,
    /// Bytes that the dealer sends.
    pub(super) material_bytes: usize,
    /// Multiplications of one server in the linear layers of the encoder.
    pub(super) products: f64,
    /// Waiting for the network between the servers.
    pub(super) network_seconds: f64,
    /// Computing, offline and online.
    pub(super) work_seconds: f64,
    /// Of the model on each server of the pair.
    pub(super) memory_mib: f64,
}

impl Estimate {
    pub(super) fn seconds(&self) -> f64 {
        self.network_seconds + self.work_seconds
    }
}

/// A session of this model on each pair.
pub(super) fn on_each(model: &ModelEntry, pairs: &[PairEntry]) -> anyhow::Result<Vec<Estimate>> {
    let plan = Arc::new(BundlePlan::of(&model.read()?));
    let (router, task) = (model.router.as_deref(), model.task.as_deref());
    let asked = Asked { router, task, bucket: model.bucket, batch: model.batch, going: &[] };
    let task = asked.task(&plan).with_context(|| format!("model {:?}", model.name()))?;
    let most = task.most_prompts();
    if model.batch > most {
        anyhow::bail!(
            "model {:?}: a batch of {} in bucket {} is too large; expected at most {most}",
            model.name(),
            model.batch,
            model.bucket
        );
    }
    let request = SessionRequest::new(task).with_batch(model.batch);
    let products = products(&plan, task, model);
    pairs.iter().map(|pair| on(&plan, request, (products, model.sessions), pair)).collect()
}

fn on(
    plan: &Arc<BundlePlan>,
    request: SessionRequest,
    (products, sessions): (f64, usize),
    pair: &PairEntry,
) -> anyhow::Result<Estimate> {
    let delay = Duration::from_secs_f64(pair.delay_ms / 1e3);
    let request = NetworkEstimate { delay, megabits: pair.megabits }.tune(plan, request)?;
    let cost = Meter::cost(&request.program(plan)?)?;
    let Cost { openings, opening_bytes, material_bytes } = cost;
    let work = SECONDS_PER_PRODUCT * products + SECONDS_PER_MATERIAL_BYTE * material_bytes as f64;
    Ok(Estimate {
        tuning: format!("{:?}", request.tuning.unwrap_or_default()).to_lowercase(),
        openings,
        server_bytes: opening_bytes,
        material_bytes,
        products,
        network_seconds: delay.as_secs_f64() * openings as f64 + opening_bytes as f64 * 8.0 / (pair.megabits * 1e6),
        work_seconds: work / pair.cores,
        memory_mib: memory(&plan.weights(), material_bytes, sessions),
    })
}

/// Memory of a model on a server: program + weights + sessions × 3 × material, of which a server holds at most 560 MiB.
fn memory(weights: &[WeightSpec], material_bytes: usize, sessions: usize) -> f64 {
    let weights = weights_bytes(weights);
    let session = SESSION_FACTOR * material_bytes.min(MATERIAL_BUDGET) as f64;
    PROGRAM_MIB + (weights as f64 + sessions as f64 * session) / MIB
}

/// Multiplications in the linear layers: each weight of a layer by each token of the texts that reach it.
fn products(plan: &BundlePlan, task: Task, model: &ModelEntry) -> f64 {
    let encoder = &plan.encoder;
    let layer = 4 * encoder.hidden * encoder.hidden + 2 * encoder.hidden * encoder.ffn;
    let texts = match (task, &plan.pool) {
        (Task::Classify { exit, capacities, .. }, Some(pool)) => layers_of_texts(pool, exit, &capacities, model.batch),
        _ => encoder.layers * model.batch,
    };
    (layer * texts * model.bucket) as f64
}

/// The sum over all texts of the layers that each goes through.
fn layers_of_texts(pool: &PoolShape, exit: usize, capacities: &[usize], batch: usize) -> usize {
    let beyond = pool.exits.windows(2).zip(capacities).take(exit);
    pool.exits[0] * batch + beyond.map(|(exits, texts)| (exits[1] - exits[0]) * texts).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_protocol::WeightKind;

    #[test]
    fn a_texts_layers_are_those_before_the_exit_that_it_leaves_at() {
        let pool = PoolShape { exits: vec![2, 4, 6], tasks: Vec::new() };
        // Two layers of all eight texts, two of four, and two of one.
        assert_eq!(layers_of_texts(&pool, 2, &[4, 1, 0], 8), 2 * 8 + 2 * 4 + 2);
        assert_eq!(layers_of_texts(&pool, 1, &[4, 1, 0], 8), 2 * 8 + 2 * 4);
        assert_eq!(layers_of_texts(&pool, 0, &[0; 3], 8), 16);
    }

    #[test]
    fn memory_is_the_stated_sum() {
        let weights = [
            WeightSpec::new("narrow", WeightKind::Matrix { inner: 1024, columns: 1024 }, 12).in_ring(32),
            WeightSpec::new("wide", WeightKind::Matrix { inner: 1024, columns: 1024 }, 12),
        ];
        // 16 bytes and 24 for each of 2^20 weights, and three times 8 MiB for each of two sessions.
        assert!((memory(&weights, 8 << 20, 2) - (64.0 + 16.0 + 24.0 + 48.0)).abs() < 1e-9);
        let most = memory(&[], 600 << 20, 1);
        assert!((most - (64.0 + 3.0 * 560.0)).abs() < 1e-9, "{most}");
    }
}
