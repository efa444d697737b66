//! The default weight of cost.

use crate::data::Samples;
use crate::evaluation::{Point, lambdas, singles, sweep_of_utilities};

/// The largest default weight of cost: secure programs need λ · relative cost below 16.
const LARGEST: f32 = 10.0;

/// How a router's default weight of cost is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LambdaRule {
    /// The weight with the lowest mean cost whose mean score is at least that of the best single model minus `slack`. If there is
    /// none, the weight with the best mean score. This is the default, without slack: routing should save money without losing
    /// quality, and the rule needs no exchange rate between the two.
    MatchBestSingle {
        /// The mean score that may be lost.
        slack: f64,
    },
    /// The largest mean score − `alpha` · mean relative cost.
    Utility {
        /// The score that is worth the cost of the most expensive model.
        alpha: f64,
    },
}

impl Default for LambdaRule {
    fn default() -> Self {
        Self::MatchBestSingle { slack: 0.0 }
    }
}

/// The weight of cost that is chosen among the [`lambdas`] up to 10 for these utilities of the samples' prompts, and the score and cost there.
/// Scores go from 0 to 1, so weights above 1 change little except the choice among models of almost equal cost. On ties the
/// largest weight wins, because it favours the cheaper model on other prompts.
///
/// # Panics
/// If the utilities or costs are for other prompts or models than the samples'.
pub fn choose_lambda(utilities: &[Vec<f32>], cost: &[f32], samples: &Samples, by: LambdaRule) -> (f32, Point) {
    let grid: Vec<f32> = lambdas().into_iter().filter(|lambda| *lambda <= LARGEST).collect();
    let points = sweep_of_utilities(utilities, cost, samples, &grid);
    let best_single = singles(samples, cost).iter().map(|point| point.score).fold(0.0, f64::max);
    let value = |point: &Point| match by {
        LambdaRule::MatchBestSingle { slack } if point.score >= best_single - slack => (1, -point.cost),
        LambdaRule::MatchBestSingle { .. } => (0, point.score),
        LambdaRule::Utility { alpha } => (0, point.score - alpha * point.cost),
    };
    let mut best = 0;
    for index in 1..grid.len() {
        if value(&points[index]) >= value(&points[best]) {
            best = index;
        }
    }
    (grid[best], points[best])
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_routing::bundle::Matrix;

    #[test]
    fn the_cheapest_that_matches_the_best() {
        let matrix = |rows, columns, data: &[f32]| Matrix::new(rows, columns, data.to_vec()).unwrap();
        // The first prompt needs model 1, the others do not.
        let (utilities, cost) = (vec![vec![-0.5, 0.0], vec![0.0, 0.0], vec![0.0, 0.0]], [0.0, 1.0]);
        let samples = Samples::new(matrix(3, 1, &[1.0, 1.0, 1.0]), matrix(3, 2, &[0.0, 1.0, 1.0, 1.0, 1.0, 1.0]));
        let samples = samples.unwrap();
        let (lambda, point) = choose_lambda(&utilities, &cost, &samples, LambdaRule::default());
        assert_eq!(point, Point { score: 1.0, cost: 1.0 / 3.0 });
        assert!((0.3..0.5).contains(&lambda), "{lambda}: the largest of the grid below 0.5");
        // What model 1 adds to the score is worth less than its cost here.
        let (lambda, point) = choose_lambda(&utilities, &cost, &samples, LambdaRule::Utility { alpha: 1.1 });
        assert_eq!((lambda, point.cost), (10.0, 0.0));
        let (_, point) = choose_lambda(&utilities, &cost, &samples, LambdaRule::MatchBestSingle { slack: 0.4 });
        assert_eq!(point.cost, 0.0);
    }
}
