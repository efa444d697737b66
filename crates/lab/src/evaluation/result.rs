//! What an evaluation says.

use super::{About, Bootstrap, Group, Interval, Measures, Point, Single};
use serde::Serialize;

/// A number, and how sure it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// The number; none where it has no bound, or where there is nothing to measure.
    pub value: Option<f64>,
    /// The sample standard deviation over the seeds, of two or more.
    pub deviation: Option<f64>,
    /// What other prompts might have given.
    pub interval: Option<Interval>,
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// The weight of cost, where there is one.
    pub lambda: Option<f32>,
    /// What it scores and costs.
    #[serde(flatten)]
    pub point: Point,
}

/// A curve, measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The curve's name.
    pub name: String,
    /// Its group.
    pub group: Group,
    /// How many runs it has.
    pub seeds: usize,
    /// Is it a single way to answer, without a curve?
    pub one_point: bool,
    /// The measures, means over the runs.
    pub measures: Measures<Estimate>,
    /// The first run's points.
    pub points: Vec<CurvePoint>,
    /// The first run's point at its default weight of cost.
    pub default: Option<CurvePoint>,
    /// Does the curve begin above the cheapest model's cost? Then the flat left end of [`crate::evaluation::audc`] flatters it.
    pub begins_late: bool,
}

/// The first curve's measures less the second's, on the same prompts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The row of the first.
    pub of: usize,
    /// The row of the second.
    pub from: usize,
    /// The differences.
    pub measures: Measures<Estimate>,
    /// The share of prompts to which both give the same model, at the second's default weight of cost, mean over their runs one by
    /// one; of two routers.
    pub same_choices: Option<f64>,
}

/// The measures on the prompts of one task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// How many prompts.
    pub prompts: usize,
    /// The best single model there.
    pub best_single: Single,
    /// Those of each row, in order.
    pub measures: Vec<Measures<Option<f64>>>,
}

/// What routers are worth on a split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// What it is about.
    pub about: About,
    /// How many prompts.
    pub prompts: usize,
    /// Is cost counted by query, not by price?
    pub cost_by_query: bool,
    /// The unit of prices.
    pub cost_unit: String,
    /// How intervals were drawn.
    pub bootstrap: Bootstrap,
    /// Each model alone.
    pub singles: Vec<Single>,
    /// The best of them, by its place.
    pub best_single: usize,
    /// The curves, by group, then in the given order.
    pub rows: Vec<Row>,
    /// The private router with the largest hull area, which no flat end flatters, by its row.
    pub best_private: Option<usize>,
    /// The pairs that were compared.
    pub differences: Vec<Difference>,
    /// By task, where there are several.
    pub tasks: Vec<Task>,
}
