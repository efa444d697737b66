//! The result of an evaluation of a pool.

use super::metrics::Metric;
use super::private::PrivateResult;
use crate::evaluation::{Bootstrap, Estimate, finite};
use serde::Serialize;
use std::collections::BTreeMap;

/// How the exit of each text is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// All texts leave at one exit.
    Exit,
    /// Those of the largest predicted gain go on.
    Routing,
    /// Random ones go on, as many as with routing.
    Random,
    /// Each text leaves at its first right exit, or at the first if none is right.
    Oracle,
}

/// The figures of one method on one task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MethodResult {
    /// How exits are chosen.
    pub kind: Kind,
    /// By exit but the last, the share of all texts that goes on; for routing and random choice.
    pub capacities: Option<Vec<f32>>,
    /// Whether these are the task's own capacities.
    pub own: bool,
    /// Layers per text.
    pub layers: Estimate,
    /// How many texts were repeated to fill sessions, and are not in the layers.
    pub repeated: usize,
    /// The measures of its labels. Those of random choice are means over draws.
    pub measures: BTreeMap<Metric, Estimate>,
    /// The measures less those of the last exit on the same texts; empty for the last exit itself.
    pub difference: BTreeMap<Metric, Estimate>,
}

impl MethodResult {
    /// Its name in reports.
    #[must_use]
    pub fn name(&self) -> String {
        let capacities = || if self.own { "own".to_owned() } else { short(self.capacities.iter().flatten()) };
        match self.kind {
            Kind::Exit => format!("all after {}", layers(self.layers.value.unwrap_or_default())),
            Kind::Routing => format!("routing, {}", capacities()),
            Kind::Random => format!("random, {}", capacities()),
            Kind::Oracle => "oracle".to_owned(),
        }
    }

    /// Its exact capacities in one word; empty if it has none.
    #[must_use]
    pub fn shares(&self) -> String {
        let shares: Vec<String> = self.capacities.iter().flatten().map(ToString::to_string).collect();
        shares.join("/")
    }

    pub(super) fn measure(&self, metric: Metric) -> Estimate {
        self.measures.get(&metric).copied().unwrap_or_default()
    }
}

/// Capacities for people.
fn short<'a>(capacities: impl Iterator<Item = &'a f32>) -> String {
    let short = |share: &f32| format!("{share:.3}").trim_end_matches('0').trim_end_matches('.').to_owned();
    capacities.map(short).collect::<Vec<_>>().join("/")
}

fn layers(number: f64) -> String {
    if number == 1.0 { "1 layer".to_owned() } else { format!("{number} layers") }
}

/// The figures of one task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskEvaluation {
    /// Its name.
    pub task: String,
    /// The number of texts.
    pub texts: usize,
    /// The number of labels.
    pub labels: usize,
    /// The label that F1 is of, if there are two.
    pub f1_of: Option<String>,
    /// After how many layers texts may leave.
    pub exits: Vec<usize>,
    /// The lines of texts that got no answer in the clear from some method. They count as wrong.
    pub unanswered_lines: Vec<u64>,
    /// The methods.
    pub methods: Vec<MethodResult>,
    /// Under MPC, if that was asked for.
    pub private: Option<PrivateResult>,
}

impl TaskEvaluation {
    /// All texts at the last exit: the largest model alone.
    pub(super) fn last_exit(&self) -> Option<&MethodResult> {
        self.methods.iter().rfind(|method| method.kind == Kind::Exit)
    }

    /// Routing with the task's own capacities.
    pub(super) fn own_routing(&self) -> Option<&MethodResult> {
        self.methods.iter().find(|method| method.kind == Kind::Routing && method.own)
    }

    /// The task's own capacities, for people.
    pub(super) fn own_capacities(&self) -> String {
        short(self.own_routing().iter().filter_map(|own| own.capacities.as_ref()).flatten())
    }

    /// The measures that it has.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let has = |metric: &Metric| self.methods.iter().any(|method| method.measures.contains_key(metric));
        Metric::ALL.into_iter().filter(has).collect()
    }
}

/// Means over the tasks, of routing with each task's own capacities beside the last exit alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The number of tasks.
    pub tasks: usize,
    /// The accuracy of the last exit less that of routing.
    pub accuracy_loss: Option<f64>,
    /// The share of layers that routing saves.
    pub layers_saved: Option<f64>,
    /// The share of the online time under MPC that it saves, if that was measured.
    pub online_saved: Option<f64>,
    /// The share of the whole time under MPC that it saves, if that was measured.
    pub time_saved: Option<f64>,
}

impl Summary {
    pub(super) fn of(tasks: &[TaskEvaluation]) -> Self {
        let mean = |value: &dyn Fn(&TaskEvaluation) -> Option<f64>| {
            let values: Option<Vec<f64>> = tasks.iter().map(value).collect();
            values.and_then(|values| finite(values.iter().sum::<f64>() / values.len() as f64))
        };
        let both = |task: &TaskEvaluation, value: fn(&MethodResult) -> Option<f64>| {
            Some((value(task.own_routing()?)?, value(task.last_exit()?)?))
        };
        Self {
            tasks: tasks.len(),
            accuracy_loss: mean(&|task| {
                let (own, last) = both(task, |method| method.measure(Metric::Accuracy).value)?;
                Some(last - own)
            }),
            layers_saved: mean(&|task| {
                let (own, last) = both(task, |method| method.layers.value)?;
                Some(1.0 - own / last)
            }),
            online_saved: mean(&|task| Some(1.0 - task.private.as_ref()?.online_ratio.value?)),
            time_saved: mean(&|task| Some(1.0 - task.private.as_ref()?.time_ratio.value?)),
        }
    }
}

/// An evaluation of a pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolEvaluation {
    /// The bundle's name.
    pub bundle: String,
    /// Its digest.
    pub digest: String,
    /// The day.
    pub date: String,
    /// The most texts of a session.
    pub batch: usize,
    /// The network between all parties under MPC, emulated or not; none if nothing ran under MPC.
    pub scene: Option<String>,
    /// How the intervals were made. Its seed is that of all random choices.
    pub bootstrap: Bootstrap,
    /// The tasks.
    pub tasks: Vec<TaskEvaluation>,
    /// Means over the tasks.
    pub summary: Summary,
}
