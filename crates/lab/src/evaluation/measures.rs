//! Measures: single numbers that describe a curve.

use super::{Point, audc, hull_area, scaled_audc};
use serde::Serialize;

/// How far a mean may be below another and still count as equal, because sums are rounded.
const EQUAL: f64 = 1e-9;

/// One value of each measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measures<T> {
    /// [`audc`].
    pub audc: T,
    /// [`hull_area`].
    pub hull_area: T,
    /// [`scaled_audc`].
    pub scaled_audc: T,
    /// Quality-neutral cost.
    pub qnc: T,
    /// The largest mean score.
    pub peak: T,
    /// The cost of the peak.
    pub peak_cost: T,
}

/// A measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The area under the deferral curve.
    Audc,
    /// The area under the upper hull.
    HullArea,
    /// CSCR's area.
    ScaledAudc,
    /// Quality-neutral cost, as UniRoute defines it.
    Qnc,
    /// The largest mean score.
    Peak,
    /// The cost of the peak: the other meaning of QNC.
    PeakCost,
}

impl Measure {
    /// All measures, in the order of the tables.
    pub const ALL: [Self; 6] = [Self::Audc, Self::Qnc, Self::Peak, Self::PeakCost, Self::HullArea, Self::ScaledAudc];

    /// The heading in tables, with an arrow towards better values.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Audc => "AUDC ↑",
            Self::HullArea => "hull area ↑",
            Self::ScaledAudc => "scaled AUDC ↑",
            Self::Qnc => "QNC ↓",
            Self::Peak => "peak ↑",
            Self::PeakCost => "peak cost ↓",
        }
    }

    /// The name in files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Audc => "audc",
            Self::HullArea => "hull_area",
            Self::ScaledAudc => "scaled_audc",
            Self::Qnc => "qnc",
            Self::Peak => "peak",
            Self::PeakCost => "peak_cost",
        }
    }

    /// An explanation for the reports.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Audc => {
                "Area under the deferral curve, mean score over mean cost, on the fixed axis from 0 to the cost of the most \
                 expensive model. Points that another point beats are left out, straight lines join the others, and the ends \
                 are flat: the score of the last point extends to the right end, and the score of the first point extends to \
                 cost 0, although no point costs less than the first one. The left end favours routers that never reach the \
                 cheapest model."
            }
            Self::HullArea => {
                "Area under the best score that each mean cost allows: points may be mixed at random, not answering (score 0, \
                 cost 0) is also a point, and part of the allowed cost may remain unused. It has no flat left end, so it can \
                 compare routers whose curves begin at different costs. Settings were chosen by it on the valid split."
            }
            Self::ScaledAudc => {
                "CSCR's area (arXiv 2508.12491) as we read it: all points of the curve, none left out, over costs scaled \
                 so that the curve's own cheapest point is at 0 and its most expensive one at 1. The paper states neither its \
                 grid of λ nor the scaling. It cannot compare curves that span different costs."
            }
            Self::Qnc => {
                "Quality-neutral cost (UniRoute, arXiv 2502.08773): the lowest mean cost at which a point of the \
                 curve scores at least as much as the best single model on the same prompts, relative to that model's cost. \
                 Below 1, the router saves money without losing quality. – means that it never reaches that score."
            }
            Self::Peak => "The largest mean score of any point of the curve.",
            Self::PeakCost => {
                "The mean cost of the peak (of the cheapest point with that score), relative to the cost of the best single \
                 model. CSCR describes QNC as above, but its tables have a number for routers that never match the best \
                 model, as this measure does (there in the unit of the data set)."
            }
        }
    }
}

impl<T> Measures<T> {
    /// The value of a function for each measure.
    pub fn from_fn(mut of: impl FnMut(Measure) -> T) -> Self {
        Self {
            audc: of(Measure::Audc),
            hull_area: of(Measure::HullArea),
            scaled_audc: of(Measure::ScaledAudc),
            qnc: of(Measure::Qnc),
            peak: of(Measure::Peak),
            peak_cost: of(Measure::PeakCost),
        }
    }

    /// The value of one measure.
    pub fn get(&self, measure: Measure) -> &T {
        match measure {
            Measure::Audc => &self.audc,
            Measure::HullArea => &self.hull_area,
            Measure::ScaledAudc => &self.scaled_audc,
            Measure::Qnc => &self.qnc,
            Measure::Peak => &self.peak,
            Measure::PeakCost => &self.peak_cost,
        }
    }
}

impl Measures<f64> {
    /// The measures of the points of a run, relative to the best single model of the same prompts. QNC is infinite if the run never
    /// matches the best single model, and costs relative to a free model are infinite. Areas of a single point (`one_point`) are
    /// NaN, because the flat ends would make them its score.
    pub(super) fn of(points: &[Point], best_single: Point, one_point: bool) -> Self {
        let area = |of: fn(&[Point]) -> f64| if one_point { f64::NAN } else { of(points) };
        let cheapest_from = |score: f64| {
            let reach = points.iter().filter(|point| point.score >= score - EQUAL);
            reach.map(|point| point.cost).fold(f64::INFINITY, f64::min)
        };
        let relative = |cost: f64| if best_single.cost > 0.0 { cost / best_single.cost } else { f64::INFINITY };
        let peak = points.iter().map(|point| point.score).fold(0.0, f64::max);
        Self {
            audc: area(audc),
            hull_area: area(hull_area),
            scaled_audc: area(scaled_audc),
            qnc: relative(cheapest_from(best_single.score)),
            peak,
            peak_cost: relative(cheapest_from(peak)),
        }
    }

    /// The mean over runs.
    pub(super) fn mean(runs: &[Self]) -> Self {
        Self::from_fn(|measure| runs.iter().map(|run| run.get(measure)).sum::<f64>() / runs.len() as f64)
    }
}

/// The model with the best mean score; on ties the cheapest.
pub(super) fn best_single(singles: &[Point]) -> usize {
    first_max(singles, |a, b| a.score.total_cmp(&b.score).then(b.cost.total_cmp(&a.cost)))
}

/// The cheapest model; on ties the best.
pub(super) fn cheapest(singles: &[Point]) -> usize {
    first_max(singles, |a, b| b.cost.total_cmp(&a.cost).then(a.score.total_cmp(&b.score)))
}

fn first_max(singles: &[Point], order: impl Fn(&Point, &Point) -> std::cmp::Ordering) -> usize {
    let mut best = 0;
    for model in 1..singles.len() {
        if order(&singles[model], &singles[best]).is_gt() {
            best = model;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(points: &[(f64, f64)]) -> Vec<Point> {
        points.iter().map(|(cost, score)| Point { score: *score, cost: *cost }).collect()
    }

    #[test]
    fn measures_by_hand() {
        let best = Point { score: 0.75, cost: 0.5 };
        let curve = points(&[(1.0, 0.875), (0.75, 0.875), (0.25, 0.75), (0.0, 0.5)]);
        let found = Measures::of(&curve, best, false);
        assert_eq!((found.qnc, found.peak, found.peak_cost), (0.5, 0.875, 1.5));
        assert_eq!(found.audc, 0.25 * 0.625 + 0.5 * 0.8125 + 0.25 * 0.875);
        assert_eq!(found.hull_area, found.audc);
        assert_eq!(found.scaled_audc, found.audc);
        // A sum that is lower only by rounding still matches.
        assert_eq!(Measures::of(&points(&[(0.5, 0.75 - 1e-12)]), best, false).qnc, 1.0);
    }

    #[test]
    fn unreached_and_free_references_give_infinite_measures() {
        let best = Point { score: 0.75, cost: 0.5 };
        let low = Measures::of(&points(&[(0.25, 0.5)]), best, true);
        assert_eq!((low.qnc, low.peak, low.peak_cost), (f64::INFINITY, 0.5, 0.5));
        assert!(low.audc.is_nan() && low.hull_area.is_nan() && low.scaled_audc.is_nan());
        let free = Measures::of(&points(&[(0.0, 0.75)]), Point { cost: 0.0, ..best }, false);
        assert_eq!((free.qnc, free.peak_cost), (f64::INFINITY, f64::INFINITY));
    }

    #[test]
    fn ties_of_single_models_go_to_the_cheaper_or_better_then_the_first() {
        let singles = points(&[(1.0, 0.5), (0.5, 0.5), (0.5, 0.5), (0.25, 0.25), (0.25, 0.375)]);
        assert_eq!((best_single(&singles), cheapest(&singles)), (1, 4));
    }

    #[test]
    fn means_over_seeds() {
        let of = |score| Measures::of(&points(&[(0.5, score)]), Point { score: 0.5, cost: 0.5 }, false);
        let mean = Measures::mean(&[of(0.5), of(0.75)]);
        assert_eq!((mean.peak, mean.qnc, mean.audc), (0.625, 1.0, 0.625));
        assert_eq!(Measures::mean(&[of(0.5), of(0.25)]).qnc, f64::INFINITY);
    }
}
