//! Points of score and cost, and the areas under curves of them.

use serde::Serialize;

/// The mean score and mean cost on a split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Mean score, from 0 to 1.
    pub score: f64,
    /// Mean cost, relative to the most expensive model.
    pub cost: f64,
}

/// The points that no other point beats, in order of rising cost: no other point scores as much for the same or less cost.
pub fn pareto(points: &[Point]) -> Vec<Point> {
    let mut sorted = points.to_vec();
    // At equal cost the best point comes first; it beats the others.
    sorted.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(b.score.total_cmp(&a.score)));
    let mut kept: Vec<Point> = Vec::new();
    for point in sorted {
        if kept.last().is_none_or(|last| point.score > last.score) {
            kept.push(point);
        }
    }
    kept
}

/// The corners of the upper hull of the points, from the cheapest to the best. Random mixtures of the points reach every point on
/// the hull.
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

/// The area under the deferral curve on the cost axis from 0 to 1, the cost of the most expensive model.
///
/// The curve joins the points that no other beats ([`pareto`]) by straight lines, with flat ends: the score of the first point
/// extends to cost 0, and the score of the last point extends to cost 1. The right end can be reached, because part of the
/// allowed cost may remain unused. The left end is the convention of the literature and overstates: no point costs less than
/// the first one. It adds the same area to all curves that reach the cheapest model, and more to those that do not.
pub fn audc(points: &[Point]) -> f64 {
    under(&pareto(points))
}

/// The area under the best mean score that each mean cost from 0 to 1 allows.
///
/// Points can be mixed at random, which reaches every point between them; not answering (score 0, cost 0) is a point too; and part
/// of the allowed cost may remain unused. So the curve is the upper hull of the points and the origin, and is level after its
/// highest point. This area can be compared between routers whose curves have different ends. It is 1 only for perfect
/// answers at no cost.
pub fn hull_area(points: &[Point]) -> f64 {
    let origin = Point { score: 0.0, cost: 0.0 };
    under(&hull(&points.iter().copied().chain([origin]).collect::<Vec<_>>()))
}

/// CSCR's area (arXiv 2508.12491) as we read it: all points of the run by cost, none left out, joined by straight lines over costs
/// scaled so that the run's own cheapest point is at 0 and its most expensive one at 1. For a run at a single cost it is the best
/// score.
///
/// The paper sweeps λ from 0 to an unstated λ_max and does not state the scaling. Its tables agree with this scaling (the area
/// of a router that ignores cost is almost its peak). It cannot compare runs that span different costs.
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

/// The area from cost 0 to 1 under straight lines through points of rising cost, level before the first point and after the
/// last one.
fn under(line: &[Point]) -> f64 {
    let (Some(first), Some(last)) = (line.first(), line.last()) else { return 0.0 };
    let between: f64 = (line.windows(2))
        .map(|pair| {
            let (from, to) = (pair[0], pair[1]);
            // With costs per query, a mean may exceed the largest mean of a model.
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
        // A point below the hull, a worse one at the same cost, and a repeated one.
        let two = 0.2 * 0.3 + 0.8 * (0.6 + 1.0) / 2.0;
        assert!((of(&[(0.2, 0.6), (1.0, 1.0)]) - two).abs() < 1e-12);
        assert!((of(&[(1.0, 1.0), (0.2, 0.1), (0.6, 0.7), (0.2, 0.6), (0.2, 0.6)]) - two).abs() < 1e-12);
        // A point with more cost and less score changes nothing.
        assert_eq!(of(&[(0.0, 0.5), (1.0, 0.4)]), 0.5);
        // The hull leaves out a point below the line to a later one.
        assert_eq!(of(&[(0.25, 0.2), (0.5, 0.8)]), of(&[(0.5, 0.8)]));
    }

    #[test]
    fn beaten_points_are_left_out() {
        let given = points(&[(0.5, 0.7), (0.25, 0.5), (0.25, 0.25), (0.75, 0.7), (1.0, 0.9), (0.5, 0.7), (0.3, 0.5)]);
        assert_eq!(pareto(&given), points(&[(0.25, 0.5), (0.5, 0.7), (1.0, 0.9)]));
        // A middle point above the line from end to end stays; one below it is left out.
        assert_eq!(hull(&given), points(&[(0.25, 0.5), (0.5, 0.7), (1.0, 0.9)]));
        assert_eq!(hull(&points(&[(0.0, 0.0), (0.5, 0.4), (1.0, 1.0)])), points(&[(0.0, 0.0), (1.0, 1.0)]));
        // A point on the line counts as beaten, because a mixture reaches it.
        assert_eq!(hull(&points(&[(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])), points(&[(0.0, 0.0), (1.0, 1.0)]));
        assert!(pareto(&[]).is_empty() && hull(&[]).is_empty());
    }

    #[test]
    fn the_audc_by_hand() {
        assert_eq!(audc(&[]), 0.0);
        // The score of a single point extends to both ends.
        assert_eq!(audc(&points(&[(0.5, 0.75)])), 0.75);
        let two = 0.25 * 0.5 + 0.5 * (0.5 + 1.0) / 2.0 + 0.25 * 1.0;
        assert_eq!(audc(&points(&[(0.75, 1.0), (0.25, 0.5)])), two);
        // Beaten and repeated points change nothing, and at equal cost the best point counts.
        assert_eq!(audc(&points(&[(0.75, 1.0), (0.25, 0.5), (0.5, 0.5), (0.25, 0.0), (1.0, 1.0), (0.25, 0.5)])), two);
        // The curve is not a hull: a point below the line stays.
        assert_eq!(audc(&points(&[(0.0, 0.0), (0.5, 0.25), (1.0, 1.0)])), 0.5 * 0.125 + 0.5 * 0.625);
        // The axis ends at cost 1.
        assert_eq!(audc(&points(&[(0.5, 0.0), (1.5, 1.0)])), 0.5 * 0.25);
        assert_eq!(audc(&points(&[(1.5, 0.5), (2.5, 1.0)])), 0.5);
    }

    #[test]
    fn the_scaled_area_by_hand() {
        assert_eq!(scaled_audc(&[]), 0.0);
        assert_eq!(scaled_audc(&points(&[(0.5, 0.25), (0.5, 0.75)])), 0.75);
        // Only the run's own span counts, and a beaten point lowers the line.
        assert_eq!(scaled_audc(&points(&[(0.25, 0.5), (0.5, 1.0)])), 0.75);
        assert_eq!(scaled_audc(&points(&[(0.25, 0.5), (0.375, 0.0), (0.5, 1.0)])), 0.5 * 0.25 + 0.5 * 0.5);
    }
}
