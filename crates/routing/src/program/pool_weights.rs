//! The secret weights of a nested pool of classifiers.

use super::plan::{RULE_FRACTION, RULE_PRODUCT};
use crate::bundle::{PoolShape, TaskShape};
use blindroute_protocol::{WeightKind, WeightSpec};

impl PoolShape {
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
            for (exit, units) in task.units.iter().enumerate().filter(|(_, units)| **units > 0) {
                linear(task.weight("gain", exit), *units);
            }
        }
        specs
    }
}

impl TaskShape {
    /// The full name of a weight of this task.
    pub(super) fn weight(&self, part: &str, exit: usize) -> String {
        format!("task.{}.{part}.{exit}", self.task.name)
    }
}
