//! Points of score and cost, and the areas under curves of them.

use serde::Serialize;

/// A way to answer a split: what it scores and costs on average.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Mean score, from 0 to 1.
    pub score: f64,
    /// Mean cost, relative to the largest model's.
    pub cost: f64,
}

/// The points that no other beats, by rising cost: for each of them, nothing scores as much for as little.
pub fn pareto(points: &[Point]) -> Vec<Point> {
    let mut sorted = points.to_vec();
    // Of equal cost the best first: the others are then beaten.
    sorted.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(b.score.total_cmp(&a.score)));
    let mut kept: Vec<Point> = Vec::new();
    for point in sorted {
        if kept.last().is_none_or(|last| point.score > last.score) {
            kept.push(point);
        }
    }
    kept
}

/// The corners of what the points reach when they are mixed by lot, by rising cost: their upper hull, from the cheapest to
/// the best.
pub fn hull(points: &[Point]) -> Vec<Point> {
    let mut hull: Vec<Point> = Vec::new();
    for point in pareto(points) {
        while let [.., before, last] = hull.as_slice()
            && slope(before, &point) >= slope(before, last)
        {
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

fn slope(from: &Point, to: &Point) -> f64 {
    (to.score - from.score) / (to.cost - from.cost)
}

/// The area under the deferral curve on the cost axis from 0 to 1, the largest model's cost.
///
/// The curve joins the points that no other beats ([`pareto`]) by straight lines, with flat ends: left of the first point
/// its score is carried to cost 0, right of the last point its score is carried to 1. The right end is what one gets, for no one has to
/// spend all. The left end is the literature's convention and flatters: nothing is to be had below the first point's
/// cost. It is the same gift to all curves that reach the cheapest model, and a larger one to those that do not.
pub fn audc(points: &[Point]) -> f64 {
    under(&pareto(points))
}

/// The area under the best mean score within reach of each mean cost from 0 to 1.
///
/// Two ways to answer can be mixed by lot, which reaches every point between them; answering nothing (score 0, cost 0)
/// is a way too; and no one has to spend all. So the curve is the upper hull of the points and the origin, and level
/// after its highest point. This makes the area comparable between routers whose curves have different ends, and equal
/// for a router and the models it would choose by lot. It is 1 only for a perfect answer at no cost.
pub fn hull_area(points: &[Point]) -> f64 {
    let origin = Point { score: 0.0, cost: 0.0 };
    under(&hull(&points.iter().copied().chain([origin]).collect::<Vec<_>>()))
}

/// CSCR's area (arXiv 2508.12491) as we read it: all points of the run by cost, none dropped, joined by straight lines over costs
/// scaled so that the run's own cheapest point is at 0 and its dearest at 1. A run at a single cost has its best score.
///
/// The paper sweeps λ from 0 to an unstated λ_max and does not state the scaling; its tables fit this one (a router
/// that ignores cost has nearly its peak as area). Runs that span different costs are not comparable by it.
pub fn scaled_audc(points: &[Point]) -> f64 {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(a.score.total_cmp(&b.score)));
    match (sorted.first(), sorted.last()) {
        (Some(first), Some(last)) if last.cost > first.cost => {
            let (start, width) = (first.cost, last.cost - first.cost);
            sorted.iter_mut().for_each(|point| point.cost = (point.cost - start) / width);
            under(&sorted)
        }
        (_, last) => last.map_or(0.0, |last| last.score),
    }
}

/// The area from cost 0 to 1 under the straight lines through points of rising cost, level before the first and after the
/// last.
fn under(line: &[Point]) -> f64 {
    let (Some(first), Some(last)) = (line.first(), line.last()) else { return 0.0 };
    let between: f64 = (line.windows(2))
        .map(|pair| {
            let (from, to) = (pair[0], pair[1]);
            // What one query at a time costs may exceed the dearest model's mean.
            if to.cost <= 1.0 {
                (to.cost - from.cost) * (from.score + to.score) / 2.0
            } else if from.cost < 1.0 {
                let width = 1.0 - from.cost;
                width * (2.0 * from.score + slope(&from, &to) * width) / 2.0
            } else {
                0.0
            }
        })
        .sum();
    first.score * first.cost.min(1.0) + between + last.score * (1.0 - last.cost).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(points: &[(f64, f64)]) -> Vec<Point> {
        points.iter().map(|(cost, score)| Point { score: *score, cost: *cost }).collect()
    }

    fn of(given: &[(f64, f64)]) -> f64 {
        hull_area(&points(given))
    }

    #[test]
    fn the_hull_area_by_hand() {
        assert_eq!(of(&[]), 0.0);
        assert_eq!(of(&[(0.0, 1.0)]), 1.0);
        // A line from the origin.
        assert_eq!(of(&[(1.0, 1.0)]), 0.5);
        assert_eq!(of(&[(0.5, 0.8)]), 0.5 * 0.4 + 0.5 * 0.8);
        // A point below the hull, one behind it, and one twice.
        let two = 0.2 * 0.3 + 0.8 * (0.6 + 1.0) / 2.0;
        assert!((of(&[(0.2, 0.6), (1.0, 1.0)]) - two).abs() < 1e-12);
        assert!((of(&[(1.0, 1.0), (0.2, 0.1), (0.6, 0.7), (0.2, 0.6), (0.2, 0.6)]) - two).abs() < 1e-12);
        // Paying more for less changes nothing.
        assert_eq!(of(&[(0.0, 0.5), (1.0, 0.4)]), 0.5);
        // The hull drops a point that a later one makes useless.
        assert_eq!(of(&[(0.25, 0.2), (0.5, 0.8)]), of(&[(0.5, 0.8)]));
    }

    #[test]
    fn what_is_beaten_is_dropped() {
        let given = points(&[(0.5, 0.7), (0.25, 0.5), (0.25, 0.25), (0.75, 0.7), (1.0, 0.9), (0.5, 0.7), (0.3, 0.5)]);
        assert_eq!(pareto(&given), points(&[(0.25, 0.5), (0.5, 0.7), (1.0, 0.9)]));
        // The middle is above the line from end to end, and stays; below it, it goes.
        assert_eq!(hull(&given), points(&[(0.25, 0.5), (0.5, 0.7), (1.0, 0.9)]));
        assert_eq!(hull(&points(&[(0.0, 0.0), (0.5, 0.4), (1.0, 1.0)])), points(&[(0.0, 0.0), (1.0, 1.0)]));
        // On the line counts as beaten: a lot reaches it.
        assert_eq!(hull(&points(&[(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])), points(&[(0.0, 0.0), (1.0, 1.0)]));
        assert!(pareto(&[]).is_empty() && hull(&[]).is_empty());
    }

    #[test]
    fn the_audc_by_hand() {
        assert_eq!(audc(&[]), 0.0);
        // One point is carried to both ends.
        assert_eq!(audc(&points(&[(0.5, 0.75)])), 0.75);
        let two = 0.25 * 0.5 + 0.5 * (0.5 + 1.0) / 2.0 + 0.25 * 1.0;
        assert_eq!(audc(&points(&[(0.75, 1.0), (0.25, 0.5)])), two);
        // Beaten points and repetitions change nothing, ties of cost take the best.
        assert_eq!(audc(&points(&[(0.75, 1.0), (0.25, 0.5), (0.5, 0.5), (0.25, 0.0), (1.0, 1.0), (0.25, 0.5)])), two);
        // Not a hull: a dent stays.
        assert_eq!(audc(&points(&[(0.0, 0.0), (0.5, 0.25), (1.0, 1.0)])), 0.5 * 0.125 + 0.5 * 0.625);
        // Beyond 1 there is no axis.
        assert_eq!(audc(&points(&[(0.5, 0.0), (1.5, 1.0)])), 0.5 * 0.25);
        assert_eq!(audc(&points(&[(1.5, 0.5), (2.5, 1.0)])), 0.5);
    }

    #[test]
    fn the_scaled_area_by_hand() {
        assert_eq!(scaled_audc(&[]), 0.0);
        assert_eq!(scaled_audc(&points(&[(0.5, 0.25), (0.5, 0.75)])), 0.75);
        // Only the run's own span counts, and a beaten point pulls the line down.
        assert_eq!(scaled_audc(&points(&[(0.25, 0.5), (0.5, 1.0)])), 0.75);
        assert_eq!(scaled_audc(&points(&[(0.25, 0.5), (0.375, 0.0), (0.5, 1.0)])), 0.5 * 0.25 + 0.5 * 0.5);
    }
}
