//! Measuring routers on a split, compared with each other and with baselines.
//!
//! A [`Curve`] has the model that each prompt gets with each weight of cost λ. [`evaluate`] turns curves into an [`Evaluation`]:
//! each measure with its interval, paired differences, and the measures by task. An evaluation can be written as a table for the
//! terminal ([`Evaluation::to_text`]), JSON (serde), CSV ([`Evaluation::to_csv`]) or an HTML page ([`Evaluation::to_html`]).
//! [`rule`] computes what one router chooses, and [`calibrate`](mod@calibrate) finds the weight of cost for a user's own prompts.
//!
//! **Score and cost** are means over the split's prompts. A model's cost is its price relative to the highest price. If the data
//! have a cost per query, it is that cost relative to the largest mean of a model ([`Outcomes`]). So the cost axis is \[0, 1\] for
//! every pool, and it is the same axis in training, `train`'s reports and evaluations. A *rule* chooses by the models' public
//! relative prices in either case, because a client knows no cost of an answer before it asks. Mean costs per query on train instead
//! of prices changed no area on RouterBench's valid split by more than 0.0006, so there is one definition.
//!
//! **Measures** are explained at [`Measure::meaning`], which the reports print, and at [`audc`], [`hull_area`] and
//! [`scaled_audc`]. Settings are chosen on the valid split by [`hull_area`], not by [`audc`], because the flat left end of AUDC
//! rewards a router that never reaches the cheap models. For curves with the same cheapest point, both give almost the same
//! order.
//!
//! **Intervals** are the middle 95 % of a bootstrap over prompts. The bootstrap is paired: all curves see the same resamples, so
//! that differences are measured on the same prompts. Training data are not resampled. Several [`Curve::runs`] of one router show
//! the effect of the seed, as mean ± standard deviation. The measure on a resample is then the mean over the runs, so the
//! interval belongs to the mean beside it.

use crate::Stop;
use blindroute_routing::bundle::Model;

pub mod calibrate;
pub mod rule;

mod bootstrap;
mod compare;
mod curve;
mod error;
mod measured;
mod measures;
mod outcomes;
mod point;
mod reference;
mod result;
mod source_only;
mod sweep;
mod test_set;
#[cfg(test)]
mod tests;
pub(crate) mod write;

pub use bootstrap::{Bootstrap, Interval};
pub use compare::{Comparison, against_hull, compare};
pub use curve::{Choices, Curve, Group, Run};
pub use error::EvaluationError;
pub use measures::{Measure, Measures};
pub use outcomes::Outcomes;
pub use point::{Point, audc, hull, hull_area, pareto, scaled_audc};
pub use reference::{HULL, ORACLE, oracle, random, references};
pub use result::{CurvePoint, Difference, Estimate, Evaluation, Row, Task};
pub use source_only::SourceOnly;
pub use sweep::{
    Report, Single, lambdas, operate, points, report, report_of_utilities, run_of, run_of_utilities, singles, sweep,
    sweep_of_utilities,
};
pub use test_set::{About, TestSet};
pub use write::wrapped;

use measured::Measured;
pub(crate) use measured::{deviation, finite};

/// The pairs that a report compares: each private router with the original router of the same name, and each router with the
/// prompt-blind hull.
pub fn pairs(curves: &[Curve]) -> Vec<(usize, usize)> {
    let find = |group: Group, name: &str| curves.iter().position(|curve| curve.group == group && curve.name == name);
    let routers = || (0..curves.len()).filter(|place| curves[*place].group != Group::Baseline);
    let private = routers().filter(|place| curves[*place].group == Group::Private);
    let alike = private.filter_map(|place| Some((place, find(Group::Original, &curves[place].name)?)));
    let hull = find(Group::Baseline, HULL);
    alike.chain(routers().filter_map(|place| Some((place, hull?)))).collect()
}

/// Measures curves on a split. `pairs` are the curves to compare, by index ([`pairs`]).
pub fn evaluate(
    set: &TestSet,
    curves: &[Curve],
    pairs: &[(usize, usize)],
    bootstrap: Bootstrap,
    stop: &Stop,
) -> Result<Evaluation, EvaluationError> {
    check(set, curves, pairs)?;
    let measured = Measured::new(&set.outcomes, curves, bootstrap, stop)?;
    let mut order: Vec<usize> = (0..curves.len()).collect();
    order.sort_by_key(|place| curves[*place].group);
    let rows: Vec<Row> = order.iter().map(|place| measured.row(*place)).collect();
    let row_of = |place: usize| order.iter().position(|other| *other == place).unwrap_or_default();
    let difference = |(of, from): &(usize, usize)| Difference {
        of: row_of(*of),
        from: row_of(*from),
        same_choices: curves[*of].same_choices(&curves[*from]),
        measures: measured.difference(*of, *from),
    };
    let area = |row: &usize| rows[*row].measures.hull_area.value;
    let private = (0..rows.len()).filter(|row| rows[*row].group == Group::Private && area(row).is_some());
    let single = |(model, point): (&Model, &Point)| Single { model: model.name.clone(), point: *point };
    Ok(Evaluation {
        about: set.about.clone(),
        prompts: set.outcomes.prompts(),
        cost_by_query: set.outcomes.is_by_query(),
        cost_unit: set.models.first().map(|model| model.unit.clone()).unwrap_or_default(),
        bootstrap,
        best_single: measured.best_single,
        singles: set.models.iter().zip(&measured.singles).map(single).collect(),
        best_private: private.reduce(|best, row| if area(&row) > area(&best) { row } else { best }),
        differences: pairs.iter().map(difference).collect(),
        tasks: tasks(set, curves, &order),
        rows,
    })
}

fn check(set: &TestSet, curves: &[Curve], pairs: &[(usize, usize)]) -> Result<(), EvaluationError> {
    for (place, curve) in curves.iter().enumerate() {
        let wrong = |problem| EvaluationError::Name { group: curve.group, name: curve.name.clone(), problem };
        if curve.runs.is_empty() {
            return Err(wrong("it has no run; give at least one"));
        }
        let alike = |other: &Curve| other.name == curve.name && other.group == curve.group;
        if curves[..place].iter().any(alike) {
            return Err(wrong("another curve of this group has the same name; rename one"));
        }
        curve.runs.iter().try_for_each(|run| run.check(&curve.name, &set.outcomes))?;
    }
    match pairs.iter().flat_map(|(of, from)| [*of, *from]).find(|index| *index >= curves.len()) {
        Some(index) => Err(EvaluationError::Pair { index, curves: curves.len() }),
        None => Ok(()),
    }
}

/// The measures by task, in the order of the tasks' names.
fn tasks(set: &TestSet, curves: &[Curve], order: &[usize]) -> Vec<Task> {
    let mut names: Vec<&str> = set.tasks.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < 2 {
        return Vec::new();
    }
    let task = |name: &str| {
        let places: Vec<usize> = (0..set.tasks.len()).filter(|place| set.tasks[*place] == name).collect();
        let outcomes = set.outcomes.only(&places);
        let singles = outcomes.singles(None);
        let best = measures::best_single(&singles);
        let measured = |run: &Run| {
            let points = points(&run.only(&places), &outcomes);
            Measures::of(&points, singles[best], run.is_one_point())
        };
        let measures = order.iter().map(|place| {
            let runs: Vec<Measures<f64>> = curves[*place].runs.iter().map(measured).collect();
            let mean = Measures::mean(&runs);
            Measures::from_fn(|measure| finite(*mean.get(measure)))
        });
        Task {
            name: if name.is_empty() { "not stated" } else { name }.to_owned(),
            prompts: places.len(),
            best_single: Single { model: set.models[best].name.clone(), point: singles[best] },
            measures: measures.collect(),
        }
    };
    names.into_iter().map(task).collect()
}
