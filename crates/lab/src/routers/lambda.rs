//! The default weight of cost.

use crate::data::Samples;
use crate::evaluation::{Point, lambdas, rule, singles, sweep};
use blindroute_routing::bundle::Rule;

/// The largest default weight of cost: secure programs need λ · relative cost below 16.
const LARGEST: f32 = 10.0;

/// How a router's default weight of cost is chosen on the validation split.
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

/// The weight of cost that the rule chooses among the [`lambdas`] up to 10 on these samples, and its score and cost there.
/// Scores go from 0 to 1, so weights above 1 change little except the choice among models of almost equal cost. On ties the
/// largest weight wins, because it favours the cheaper model on other prompts.
///
/// # Panics
/// If the router's rule is for other models or embeddings than the samples'.
pub fn choose_lambda(router: &Rule, samples: &Samples, by: LambdaRule) -> (f32, Point) {
    let grid: Vec<f32> = lambdas().into_iter().filter(|lambda| *lambda <= LARGEST).collect();
    let points = sweep(router, samples, &grid);
    let best_single = singles(samples, rule::costs(router)).iter().map(|point| point.score).fold(0.0, f64::max);
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
    use blindroute_routing::bundle::{Matrix, UniRoute};

    #[test]
    fn the_cheapest_that_matches_the_best() {
        let matrix = |rows, columns, data: &[f32]| Matrix::new(rows, columns, data.to_vec()).unwrap();
        // One cluster of prompts needs model 1, the other does not.
        let router = Rule::UniRoute(UniRoute {
            centroids: matrix(2, 2, &[1.0, 0.0, 0.0, 1.0]),
            errors: matrix(2, 2, &[0.0, 0.0, 0.5, 0.0]),
            cost: matrix(1, 2, &[0.0, 1.0]),
        });
        let samples =
            Samples::new(matrix(3, 2, &[1.0, 0.0, 0.0, 1.0, 0.0, 1.0]), matrix(3, 2, &[1.0, 1.0, 0.0, 1.0, 1.0, 1.0]));
        let samples = samples.unwrap();
        let (lambda, point) = choose_lambda(&router, &samples, LambdaRule::default());
        assert_eq!(point, Point { score: 1.0, cost: 2.0 / 3.0 });
        assert!((0.3..0.5).contains(&lambda), "{lambda}: the largest of the grid below 0.5");
        // Half the score of model 1 is worth less than its cost here.
        let (lambda, point) = choose_lambda(&router, &samples, LambdaRule::Utility { alpha: 0.9 });
        assert_eq!((lambda, point.cost), (10.0, 0.0));
        let (_, point) = choose_lambda(&router, &samples, LambdaRule::MatchBestSingle { slack: 0.4 });
        assert_eq!(point.cost, 0.0);
    }
}
