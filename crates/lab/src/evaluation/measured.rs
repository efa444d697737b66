//! The measures of curves on a split and on each resample of its prompts.

use super::curve::Tally;
use super::measures::{best_single, cheapest};
use super::{Bootstrap, Curve, CurvePoint, Estimate, Interval, Measure, Measures, Outcomes, Point, Row, Run, pareto};
use crate::{Stop, Stopped};

/// The measures of all curves on the split and on each resample.
pub(super) struct Measured<'a> {
    outcomes: &'a Outcomes,
    curves: &'a [Curve],
    /// Per curve and run.
    tallies: Vec<Vec<Tally<'a>>>,
    pub(super) singles: Vec<Point>,
    pub(super) best_single: usize,
    /// On the split, per curve and run.
    seen: Vec<Vec<Measures<f64>>>,
    /// Per resample and curve, means over the runs.
    drawn: Vec<Vec<Measures<f64>>>,
}

impl<'a> Measured<'a> {
    pub(super) fn new(
        outcomes: &'a Outcomes,
        curves: &'a [Curve],
        bootstrap: Bootstrap,
        stop: &Stop,
    ) -> Result<Self, Stopped> {
        let tally = |curve: &'a Curve| curve.runs.iter().map(|run| Tally::new(run, outcomes)).collect();
        let tallies: Vec<Vec<Tally<'a>>> = curves.iter().map(tally).collect();
        let singles = outcomes.singles(None);
        let best_single = best_single(&singles);
        let (seen, drawn) = (Vec::new(), Vec::new());
        let mut measured = Self { outcomes, curves, tallies, singles, best_single, seen, drawn };
        measured.seen = measured.measures(None);
        let means = |times: &[u32]| means(&measured.measures(Some(times)));
        measured.drawn = bootstrap.run_until(outcomes.prompts(), means, stop)?;
        Ok(measured)
    }

    /// The measures per curve and run, on the split or on a resample.
    fn measures(&self, times: Option<&[u32]>) -> Vec<Vec<Measures<f64>>> {
        let singles = self.outcomes.singles(times);
        // The same model in every resample. Otherwise two models with almost equal scores and different prices would take
        // turns as the reference of costs.
        let best = singles[self.best_single];
        let of = |(tally, run): (&Tally<'_>, &Run)| {
            Measures::of(&tally.points(self.outcomes, &singles, times), best, run.is_one_point())
        };
        let runs = self.tallies.iter().zip(self.curves);
        runs.map(|(tallies, curve)| tallies.iter().zip(&curve.runs).map(of).collect()).collect()
    }

    /// The measures of a curve, means over its runs.
    pub(super) fn estimates(&self, place: usize) -> Measures<Estimate> {
        let values = |measure: Measure| self.seen[place].iter().map(move |run| *run.get(measure));
        Measures::from_fn(|measure| Estimate {
            value: finite(mean(values(measure))),
            deviation: deviation(values(measure).collect()),
            interval: Interval::of(self.drawn.iter().map(|all| *all[place].get(measure)).collect()),
        })
    }

    pub(super) fn row(&self, place: usize) -> Row {
        let curve = &self.curves[place];
        let points = self.tallies[place][0].points(self.outcomes, &self.singles, None);
        let begins = pareto(&points).first().map_or(0.0, |first| first.cost);
        let points = with_lambdas(&points, &curve.runs[0]);
        let cheapest = self.singles[cheapest(&self.singles)];
        Row {
            name: curve.name.clone(),
            group: curve.group,
            seeds: curve.runs.len(),
            one_point: curve.runs.iter().all(Run::is_one_point),
            measures: self.estimates(place),
            default: points.iter().find(|point| curve.lambda.is_some() && point.lambda == curve.lambda).copied(),
            points,
            begins_late: begins > cheapest.cost + 1e-9,
        }
    }

    pub(super) fn difference(&self, of: usize, from: usize) -> Measures<Estimate> {
        let seen = means(&self.seen);
        Measures::from_fn(|measure| {
            let less = |all: &[Measures<f64>]| all[of].get(measure) - all[from].get(measure);
            Estimate {
                value: finite(less(&seen)),
                deviation: None,
                interval: Interval::of(self.drawn.iter().map(|all| less(all)).collect()),
            }
        })
    }
}

/// Per curve the mean over its runs.
fn means(runs: &[Vec<Measures<f64>>]) -> Vec<Measures<f64>> {
    runs.iter().map(|runs| Measures::mean(runs)).collect()
}

fn with_lambdas(points: &[Point], run: &Run) -> Vec<CurvePoint> {
    let lambdas = run.lambdas();
    let lambda = |place: usize| lambdas.get(place).copied();
    points.iter().enumerate().map(|(place, point)| CurvePoint { lambda: lambda(place), point: *point }).collect()
}

pub(crate) fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// The sample standard deviation; none for fewer than two values or for values that are not finite.
pub(crate) fn deviation(values: Vec<f64>) -> Option<f64> {
    let mean = mean(values.iter().copied());
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() as f64 - 1.0)).sqrt()).filter(|deviation| deviation.is_finite())
}
