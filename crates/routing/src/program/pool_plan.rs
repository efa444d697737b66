//! What is public about a nested pool of classifiers.

use super::plan::{RULE_FRACTION, RULE_PRODUCT};
use crate::bundle::{ClassifierPool, ClassifierTask, check_exits, check_tasks};
use blindroute_protocol::{WeightKind, WeightSpec};
use serde::{Deserialize, Serialize};

/// A pool's public shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolPlan {
    /// After how many layers a text may leave, in rising order.
    pub exits: Vec<usize>,
    /// The tasks; the first is the default.
    pub tasks: Vec<TaskPlan>,
}

/// A task's public shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskPlan {
    /// Its name, labels and default capacities.
    #[serde(flatten)]
    pub task: ClassifierTask,
    /// The units of the gain at each exit but the last.
    pub units: Vec<usize>,
}

impl PoolPlan {
    pub(super) fn of(pool: &ClassifierPool) -> Self {
        let tasks = pool.tasks.iter().map(|classifier| TaskPlan {
            task: classifier.task.clone(),
            units: classifier.gains.iter().map(|gain| gain.units.weight.columns()).collect(),
        });
        Self { exits: pool.exits.clone(), tasks: tasks.collect() }
    }

    /// Whether it is the pool of an encoder with so many layers, with sizes that a bundle may have.
    pub(super) fn fits(&self, layers: usize) -> bool {
        let exits = self.exits.len();
        let units = |task: &TaskPlan| {
            task.units.len() + 1 == exits && task.units.iter().all(|units| (2..=1024).contains(units) && units % 2 == 0)
        };
        check_exits(&self.exits, layers).is_ok()
            && check_tasks(self.tasks.iter().map(|task| &task.task), exits).is_ok()
            && self.tasks.iter().all(units)
    }

    /// The index of the task of this name, or of the default.
    pub fn task(&self, name: Option<&str>) -> Option<usize> {
        match name {
            Some(name) => self.tasks.iter().position(|task| task.task.name == name),
            None => (!self.tasks.is_empty()).then_some(0),
        }
    }

    pub(super) fn weights(&self, hidden: usize) -> Vec<WeightSpec> {
        let mut specs = Vec::new();
        for task in &self.tasks {
            let mut linear = |name: String, columns| {
                let matrix = WeightKind::Matrix { inner: hidden, columns };
                specs.push(WeightSpec::new(name.clone(), matrix, RULE_FRACTION));
                specs.push(WeightSpec::new(format!("{name}.bias"), WeightKind::Bias(columns), RULE_PRODUCT));
            };
            for exit in 0..self.exits.len() {
                linear(task.weight("head", exit), task.task.labels.len());
            }
            for (exit, units) in task.units.iter().enumerate() {
                linear(task.weight("gain", exit), *units);
            }
        }
        specs
    }
}

impl TaskPlan {
    /// The full name of a weight of this task.
    pub(super) fn weight(&self, part: &str, exit: usize) -> String {
        format!("task.{}.{part}.{exit}", self.task.name)
    }
}
