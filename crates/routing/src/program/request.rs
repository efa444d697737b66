//! What a client asks of the servers, and the servers' choice of a program's tuning for the network between them.

use super::plan::BundlePlan;
use super::route::RouteProgram;
use super::task::{Work, is_one, one};
use blindroute_protocol::{Cost, Error, Meter, Tuning};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;
use std::time::Duration;

/// A tuning's name on the wire.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Tuning", rename_all = "lowercase")]
enum TuningName {
    Near,
    Lean,
    Middle,
    Far,
}

/// A tuning that is named on the wire.
#[derive(Serialize, Deserialize)]
struct Named(#[serde(with = "TuningName")] Tuning);

/// What one session runs. Public: all parties of the session see it, and run the program that it names.
///
/// A client leaves the tuning to the servers, which know how far they are from each other; what the client sends and
/// learns is the same under each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRequest {
    /// The task of a router, or a measurement.
    #[serde(flatten)]
    pub task: Work,
    /// Which implementations of the gates the program uses; left out on the wire if it is `None`, and the servers choose.
    #[serde(
        default,
        serialize_with = "write_tuning",
        deserialize_with = "read_tuning",
        skip_serializing_if = "Option::is_none"
    )]
    pub tuning: Option<Tuning>,
    /// How many prompts share the session; left out on the wire if it is one.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub batch: usize,
}

impl SessionRequest {
    /// A request for a task or a measurement, for one prompt and with the tuning that the servers choose.
    pub fn new(task: impl Into<Work>) -> Self {
        Self { task: task.into(), tuning: None, batch: one() }
    }

    /// The same for this many prompts.
    #[must_use]
    pub fn with_batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// The same with a tuning of its own, whatever the servers would choose: for measurements and tests.
    #[must_use]
    pub fn with_tuning(self, tuning: Tuning) -> Self {
        Self { tuning: Some(tuning), ..self }
    }

    /// The program that it names; without a tuning, that for near servers.
    ///
    /// # Errors
    /// If the bundle of this plan has no such task, or the task takes no batch of this size.
    pub fn program(self, plan: &Arc<BundlePlan>) -> Result<RouteProgram, Error> {
        RouteProgram::new(Arc::clone(plan), self.task)?
            .with_tuning(self.tuning.unwrap_or_default())
            .with_batch(self.batch)
    }
}

fn write_tuning<S: Serializer>(tuning: &Option<Tuning>, serializer: S) -> Result<S::Ok, S::Error> {
    tuning.map(Named).serialize(serializer)
}

fn read_tuning<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Tuning>, D::Error> {
    Named::deserialize(deserializer).map(|Named(tuning)| Some(tuning))
}

/// The network between the two servers, as far as the choice of a tuning needs it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NetworkEstimate {
    /// One-way delay.
    pub delay: Duration,
    /// Megabits per second, in each direction.
    pub megabits: f64,
}

impl NetworkEstimate {
    /// Online work per byte of material, where it counts most: one core evaluates keys at about this rate (half of the
    /// material belongs to each server; measured by the ring's example `keys`).
    const SECONDS_PER_BYTE: f64 = 1.0e-9;
    /// The most material, of both servers together, that a tuning other than the default may need. A server holds at most
    /// 560 MiB prepared; beyond that the query would wait for the dealer at the network's rate.
    const MATERIAL_MAX: usize = 512 << 20;

    /// How much longer the online phase of a program of this cost takes on this network than without any delay.
    pub fn estimate(&self, cost: &Cost) -> Duration {
        let bytes = cost.opening_bytes as f64 * 8.0 / (self.megabits * 1e6);
        let material = cost.material_bytes as f64 / 2.0 * Self::SECONDS_PER_BYTE;
        self.delay * cost.openings as u32 + Duration::from_secs_f64(bytes + material)
    }

    /// The same request with the tuning of the least [estimate](Self::estimate) among those whose material can wait at the
    /// servers; of equal ones the first, which has the least material. Bytes and material grow with the batch, openings do
    /// not: the larger the batch, the less distant servers gain from keys.
    ///
    /// # Errors
    /// If the bundle of this plan has no such task, or the task takes no batch of this size.
    pub fn tune(&self, plan: &Arc<BundlePlan>, request: SessionRequest) -> Result<SessionRequest, Error> {
        let mut best: Option<(Duration, Tuning)> = None;
        for tuning in Tuning::ALL {
            let cost = Meter::cost(&request.with_tuning(tuning).program(plan)?)?;
            let estimate = self.estimate(&cost);
            let waits = tuning == Tuning::default() || cost.material_bytes <= Self::MATERIAL_MAX;
            if waits && best.is_none_or(|(least, _)| estimate < least) {
                best = Some((estimate, tuning));
            }
        }
        Ok(request.with_tuning(best.map_or_else(Tuning::default, |(_, tuning)| tuning)))
    }
}
