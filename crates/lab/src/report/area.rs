//! The area under a deferral curve.

use super::Point;

/// The area under the curve of the best mean score within reach of each mean cost from 0 to 1.
///
/// Two ways to answer can be mixed by lot, which reaches every point between them; answering nothing (score 0, cost 0)
/// is a way too; and no one has to spend all. So the curve is the upper hull of the points and the origin, and level
/// after its highest point. This makes the area comparable between routers whose curves have different ends, and equal
/// for a router and the models it would choose by lot. It is 1 only for a perfect answer at no cost.
pub fn area(points: &[Point]) -> f64 {
    let mut sorted: Vec<Point> = points.to_vec();
    sorted.push(Point { score: 0.0, cost: 0.0 });
    // Of equal cost, the best first: the others then fall below the hull.
    sorted.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(b.score.total_cmp(&a.score)));
    let mut hull: Vec<Point> = Vec::new();
    for point in sorted {
        if hull.last().is_some_and(|last| point.score <= last.score) {
            continue;
        }
        while let [.., before, last] = hull.as_slice()
            && slope(before, &point) >= slope(before, last)
        {
            hull.pop();
        }
        hull.push(point);
    }
    let under: f64 =
        hull.windows(2).map(|pair| (pair[1].cost - pair[0].cost) * (pair[0].score + pair[1].score) / 2.0).sum();
    under + hull.last().map_or(0.0, |last| (1.0 - last.cost) * last.score)
}

fn slope(from: &Point, to: &Point) -> f64 {
    (to.score - from.score) / (to.cost - from.cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(points: &[(f64, f64)]) -> f64 {
        area(&points.iter().map(|(cost, score)| Point { score: *score, cost: *cost }).collect::<Vec<_>>())
    }

    #[test]
    fn by_hand() {
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
}
