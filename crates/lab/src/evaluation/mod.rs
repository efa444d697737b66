//! What routers are worth on a split, beside each other and beside what one gets without them.
//!
//! A [`Curve`] says which model each prompt gets with each weight of cost λ; [`evaluate`] turns curves into an
//! [`Evaluation`]: each measure with its interval, paired differences, and the measures by task. From that one value come
//! the terminal's table, JSON, CSV and a page ([`Evaluation::to_text`], serde, [`Evaluation::to_csv`],
//! [`Evaluation::to_html`]).
//!
//! **Score and cost** are means over the split's prompts. Cost is a model's price relative to the dearest's, or, where the
//! data say what each query cost, that, relative to the largest model's mean: the cost axis is \[0, 1\] for every pool.
//!
//! **Measures** are explained at [`Measure::meaning`], which the reports print, and at [`audc`], [`hull_area`] and
//! [`scaled_audc`]. Settings are chosen on the valid split by [`hull_area`], not by [`audc`]: the flat left end of the latter
//! rewards a router for never reaching the cheap models. Between curves with the same cheapest point both order alike, nearly.
//!
//! **Intervals** are the middle 95 % of a bootstrap over prompts. It is paired: all curves see the same draws, so
//! a difference is measured on the same prompts. What routers were trained with is not drawn anew; several
//! [`Curve::runs`] of one router show what the seed does, as mean ± standard deviation. Then a draw's measure is the mean over
//! the runs, so the interval belongs to the mean that stands beside it.

use blindroute_routing::bundle::Model;

pub mod calibrate;
pub mod rule;

mod bootstrap;
mod curve;
mod error;
mod measures;
mod outcomes;
mod point;
mod reference;
mod result;
mod sweep;
mod test_set;
#[cfg(test)]
mod tests;
mod write;

pub use bootstrap::{Bootstrap, Interval};
pub use curve::{Choices, Curve, Group, Run};
pub use error::EvaluationError;
pub use measures::{Measure, Measures};
pub use outcomes::Outcomes;
pub use point::{Point, audc, hull, hull_area, pareto, scaled_audc};
pub use reference::{HULL, ORACLE, oracle, random, references};
pub use result::{CurvePoint, Difference, Estimate, Evaluation, Row, Task};
pub use sweep::{Report, Single, lambdas, operate, points, report, run_of, run_of_utilities, singles, sweep};
pub use test_set::{About, TestSet};

use curve::Tally;

/// The pairs that a report compares: each private router with the original one of its name, and each router with the
/// prompt-blind hull.
pub fn pairs(curves: &[Curve]) -> Vec<(usize, usize)> {
    let find = |group: Group, name: &str| curves.iter().position(|curve| curve.group == group && curve.name == name);
    let routers = || (0..curves.len()).filter(|place| curves[*place].group != Group::Baseline);
    let private = routers().filter(|place| curves[*place].group == Group::Private);
    let alike = private.filter_map(|place| Some((place, find(Group::Original, &curves[place].name)?)));
    let hull = find(Group::Baseline, HULL);
    alike.chain(routers().filter_map(|place| Some((place, hull?)))).collect()
}

/// Measures curves on a split. `pairs` are compared, by the curves' places ([`pairs`]).
pub fn evaluate(
    set: &TestSet,
    curves: &[Curve],
    pairs: &[(usize, usize)],
    bootstrap: Bootstrap,
) -> Result<Evaluation, EvaluationError> {
    check(set, curves, pairs)?;
    let outcomes = &set.outcomes;
    let tallies: Vec<Vec<Tally<'_>>> =
        curves.iter().map(|curve| curve.runs.iter().map(|run| Tally::new(run, outcomes)).collect()).collect();
    let singles = outcomes.singles(None);
    let best_single = measures::best_single(&singles);
    // For each curve each run's measures, of the split as it is or as drawn.
    let measure = |times: Option<&[u32]>| -> Vec<Vec<Measures<f64>>> {
        let singles = outcomes.singles(times);
        // The same model in every draw: else a near tie of two of different prices would decide what costs are relative to.
        let best = singles[best_single];
        let of = |tally: &Tally<'_>, run: &Run| {
            Measures::of(&tally.points(outcomes, &singles, times), best, run.is_one_point())
        };
        (tallies.iter().zip(curves))
            .map(|(tallies, curve)| tallies.iter().zip(&curve.runs).map(|(tally, run)| of(tally, run)).collect())
            .collect()
    };
    let means = |runs: Vec<Vec<Measures<f64>>>| -> Vec<Measures<f64>> {
        runs.iter().map(|runs| Measures::mean(runs)).collect()
    };
    let seen = measure(None);
    let drawn = bootstrap.run(outcomes.prompts(), |times| means(measure(Some(times))));

    let mut order: Vec<usize> = (0..curves.len()).collect();
    order.sort_by_key(|place| curves[*place].group);
    let cheapest = singles[measures::cheapest(&singles)];
    let rows: Vec<Row> = (order.iter())
        .map(|place| {
            let curve = &curves[*place];
            let estimate = |measure: Measure| Estimate {
                value: finite(mean(seen[*place].iter().map(|run| *run.get(measure)))),
                deviation: deviation(seen[*place].iter().map(|run| *run.get(measure)).collect()),
                interval: Interval::of(drawn.iter().map(|all| *all[*place].get(measure)).collect()),
            };
            let points = tallies[*place][0].points(outcomes, &singles, None);
            let begins = pareto(&points).first().map_or(0.0, |first| first.cost);
            let points = with_lambdas(&points, &curve.runs[0]);
            Row {
                name: curve.name.clone(),
                group: curve.group,
                seeds: curve.runs.len(),
                one_point: curve.runs.iter().all(Run::is_one_point),
                measures: Measures::from_fn(estimate),
                default: points.iter().find(|point| curve.lambda.is_some() && point.lambda == curve.lambda).copied(),
                points,
                begins_late: begins > cheapest.cost + 1e-9,
            }
        })
        .collect();
    let row_of = |place: usize| order.iter().position(|other| *other == place).unwrap_or_default();
    let difference = |(of, from): &(usize, usize)| Difference {
        of: row_of(*of),
        from: row_of(*from),
        same_choices: curves[*of].same_choices(&curves[*from]),
        measures: Measures::from_fn(|measure| {
            let less = |all: &[Measures<f64>]| all[*of].get(measure) - all[*from].get(measure);
            Estimate {
                value: finite(less(&means(seen.clone()))),
                deviation: None,
                interval: Interval::of(drawn.iter().map(|all| less(all)).collect()),
            }
        }),
    };
    let area = |row: &usize| rows[*row].measures.hull_area.value;
    let private = (0..rows.len()).filter(|row| rows[*row].group == Group::Private && area(row).is_some());
    let single = |(model, point): (&Model, &Point)| Single { model: model.name.clone(), point: *point };
    Ok(Evaluation {
        about: set.about.clone(),
        prompts: outcomes.prompts(),
        cost_by_query: outcomes.is_by_query(),
        cost_unit: set.models.first().map(|model| model.unit.clone()).unwrap_or_default(),
        bootstrap,
        best_single,
        singles: set.models.iter().zip(&singles).map(single).collect(),
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
            return Err(wrong("another of this group has the same name; rename one"));
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

fn with_lambdas(points: &[Point], run: &Run) -> Vec<CurvePoint> {
    let lambdas = run.lambdas();
    let lambda = |place: usize| lambdas.get(place).copied();
    points.iter().enumerate().map(|(place, point)| CurvePoint { lambda: lambda(place), point: *point }).collect()
}

fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// The sample standard deviation, of two or more finite values.
fn deviation(values: Vec<f64>) -> Option<f64> {
    let mean = mean(values.iter().copied());
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() as f64 - 1.0)).sqrt()).filter(|deviation| deviation.is_finite())
}
