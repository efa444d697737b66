//! What a client asks for: a task, for how many prompts, and how its program is tuned; and the choice of the tuning for a
//! network.

use super::plan::BundlePlan;
use super::route::{RouteProgram, Task};
use blindroute_protocol::{Cost, Error, Meter, Tuning};
use serde::{Deserialize, Serialize};
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

/// A task with its tuning and batch. Public: all parties of a session run the program that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunedTask {
    /// What to run.
    #[serde(flatten)]
    pub task: Task,
    /// How; left out on the wire where it is the default.
    #[serde(default, with = "TuningName", skip_serializing_if = "is_default")]
    pub tuning: Tuning,
    /// For how many prompts at once; left out on the wire where it is one.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub batch: usize,
}

impl TunedTask {
    /// The program of a model that it names.
    ///
    /// # Errors
    /// If the model has no such task, or the task takes no such batch.
    pub fn program(self, plan: &Arc<BundlePlan>) -> Result<RouteProgram, Error> {
        RouteProgram::new(Arc::clone(plan), self.task)?.with_tuning(self.tuning).with_batch(self.batch)
    }
}

fn one() -> usize {
    1
}

fn is_one(batch: &usize) -> bool {
    *batch == one()
}

fn is_default(tuning: &Tuning) -> bool {
    *tuning == Tuning::default()
}

impl From<Task> for TunedTask {
    fn from(task: Task) -> Self {
        Self { task, tuning: Tuning::default(), batch: one() }
    }
}

/// A network between the two servers, as far as the choice of a tuning goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NetworkEstimate {
    /// One way.
    pub delay: Duration,
    /// Megabits a second, each direction.
    pub megabits: f64,
}

impl NetworkEstimate {
    /// Online work a byte of material, where it counts most: keys are evaluated at about this rate on one core (half of
    /// the material, that of one server; measured by the ring's example `keys`).
    const SECONDS_A_BYTE: f64 = 1.0e-9;
    /// Material beyond this, both servers' together, cannot wait prepared at the servers, which hold 560 MiB each of it as
    /// words: the query would wait for the dealer, at the network's rate. No choice.
    const MATERIAL_MAX: usize = 512 << 20;

    /// How much longer a program of this cost takes online on this network than on none.
    pub fn estimate(&self, cost: &Cost) -> Duration {
        let bytes = cost.opening_bytes as f64 * 8.0 / (self.megabits * 1e6);
        let material = cost.material_bytes as f64 / 2.0 * Self::SECONDS_A_BYTE;
        self.delay * cost.openings as u32 + Duration::from_secs_f64(bytes + material)
    }

    /// The tuning with the least estimate for so many prompts at once among those whose material can wait; the first of
    /// equals, which has the least material. Bytes and material grow with the batch, openings do not: the larger it is,
    /// the less far servers gain by keys.
    ///
    /// # Errors
    /// If the task is none of the model's, or takes no such batch.
    pub fn choose(&self, plan: &Arc<BundlePlan>, task: Task, batch: usize) -> Result<Tuning, Error> {
        let mut best: Option<(Duration, Tuning)> = None;
        for tuning in Tuning::ALL {
            let cost = Meter::cost(&TunedTask { task, tuning, batch }.program(plan)?)?;
            let estimate = self.estimate(&cost);
            let waits = tuning == Tuning::default() || cost.material_bytes <= Self::MATERIAL_MAX;
            if waits && best.is_none_or(|(least, _)| estimate < least) {
                best = Some((estimate, tuning));
            }
        }
        Ok(best.map_or_else(Tuning::default, |(_, tuning)| tuning))
    }
}
