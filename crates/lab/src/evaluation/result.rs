//! The result of an evaluation.

use super::{About, Bootstrap, Group, Interval, Measures, Point, Single};
use serde::Serialize;

/// A number and its uncertainty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// The number; none if it is infinite or cannot be measured.
    pub value: Option<f64>,
    /// The sample standard deviation over the seeds, if there are at least two.
    pub deviation: Option<f64>,
    /// The interval for other prompts of the same kind.
    pub interval: Option<Interval>,
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// The weight of cost, if the point has one.
    pub lambda: Option<f32>,
    /// Its score and cost.
    #[serde(flatten)]
    pub point: Point,
}

/// The measures of a curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The curve's name.
    pub name: String,
    /// Its group.
    pub group: Group,
    /// The number of runs.
    pub seeds: usize,
    /// Whether it is a single point, not a curve.
    pub one_point: bool,
    /// The measures, means over the runs.
    pub measures: Measures<Estimate>,
    /// The first run's points.
    pub points: Vec<CurvePoint>,
    /// The first run's point at its default weight of cost.
    pub default: Option<CurvePoint>,
    /// Whether the curve begins above the cheapest model's cost. Then the flat left end of [`audc`](crate::evaluation::audc)
    /// overstates its area.
    pub begins_late: bool,
}

/// The measures of one curve minus those of another, on the same prompts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The row of the first.
    pub of: usize,
    /// The row of the second.
    pub from: usize,
    /// The differences.
    pub measures: Measures<Estimate>,
    /// For two routers, the share of prompts for which both choose the same model at the second's default weight of cost: the mean
    /// over pairs of runs.
    pub same_choices: Option<f64>,
}

/// The measures on the prompts of one task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// The number of prompts.
    pub prompts: usize,
    /// The best single model on these prompts.
    pub best_single: Single,
    /// The measures of each row, in order.
    pub measures: Vec<Measures<Option<f64>>>,
}

/// The results of routers and baselines on a split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// The head of the report.
    pub about: About,
    /// The number of prompts.
    pub prompts: usize,
    /// Whether costs are per query instead of prices.
    pub cost_by_query: bool,
    /// The unit of prices.
    pub cost_unit: String,
    /// The bootstrap of the intervals.
    pub bootstrap: Bootstrap,
    /// Each model alone.
    pub singles: Vec<Single>,
    /// The index of the best single model.
    pub best_single: usize,
    /// The curves, by group, then in the given order.
    pub rows: Vec<Row>,
    /// The row of the private router with the largest hull area.
    pub best_private: Option<usize>,
    /// The pairs that were compared.
    pub differences: Vec<Difference>,
    /// The measures by task, if there are several tasks.
    pub tasks: Vec<Task>,
}
