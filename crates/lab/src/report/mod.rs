//! What a router is worth on a split, beside what one gets without it.
//!
//! Scores and costs are means over the split's prompts; costs are relative to the dearest model of the pool, so the cost
//! axis is \[0, 1\] for every pool and router.

use blindroute_routing::bundle::{Model, Rule};
use rayon::prelude::*;
use serde::Serialize;

use crate::{Samples, rule};

mod area;

pub use area::area;

/// A way to answer a split: what it scores and costs on average.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Mean score, from 0 to 1.
    pub score: f64,
    /// Mean relative cost, from 0 to 1.
    pub cost: f64,
}

/// A router on a split, and its baselines.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// How many prompts.
    pub prompts: usize,
    /// The weight of cost of [`Self::router`].
    pub lambda: f32,
    /// The router.
    pub router: Point,
    /// How many prompts went to each model, in the pool's order.
    pub chosen: Vec<usize>,
    /// For each prompt a model that scores best, the cheapest of these: no router can do better at any cost.
    pub oracle: Point,
    /// A model by lot, as expected.
    pub random: Point,
    /// The one model with the best mean score.
    pub best_single: Single,
    /// The cheapest model; the better one among equally cheap.
    pub cheapest: Single,
    /// [`area`] of the router over [`lambdas`].
    pub area: f64,
    /// [`area`] of the single models: what choosing models by lot with the best odds reaches without seeing a prompt.
    pub prompt_free_area: f64,
}

/// Always the same model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Single {
    /// Which.
    pub model: String,
    /// What it scores and costs.
    #[serde(flatten)]
    pub point: Point,
}

/// The weights of cost over which a router's curve is drawn: 0, and ten a decade from 0.0001 to 1000.
pub fn lambdas() -> Vec<f32> {
    std::iter::once(0.0).chain((0..=70).map(|step| 10f64.powf(-4.0 + f64::from(step) / 10.0) as f32)).collect()
}

/// What a rule scores and costs with one weight of cost.
///
/// # Panics
/// If the rule is for other models or embeddings than the samples'.
pub fn operate(rule: &Rule, samples: &Samples, lambda: f32) -> Point {
    sweep(rule, samples, &[lambda])[0]
}

/// What a rule scores and costs with each weight of cost.
///
/// # Panics
/// If the rule is for other models or embeddings than the samples'.
pub fn sweep(rule: &Rule, samples: &Samples, lambdas: &[f32]) -> Vec<Point> {
    let utilities = all_utilities(rule, samples);
    let cost = rule::costs(rule);
    lambdas
        .iter()
        .map(|lambda| mean(utilities.iter().map(|utilities| rule::best(utilities, cost, *lambda)), samples, cost))
        .collect()
}

/// The report of a router on a split. `models` is the pool, in the samples' order.
///
/// # Panics
/// If the rule, the samples and the models do not belong together.
pub fn evaluate(rule: &Rule, lambda: f32, samples: &Samples, models: &[Model]) -> Report {
    assert_eq!(models.len(), samples.models());
    let cost = rule::costs(rule);
    let choices: Vec<usize> =
        all_utilities(rule, samples).iter().map(|utilities| rule::best(utilities, cost, lambda)).collect();
    let mut chosen = vec![0; models.len()];
    choices.iter().for_each(|model| chosen[*model] += 1);
    let singles = singles(samples, cost);
    let single = |order: fn(&Point, &Point) -> std::cmp::Ordering| {
        let mut best = 0;
        for model in 1..singles.len() {
            if order(&singles[model], &singles[best]).is_gt() {
                best = model;
            }
        }
        Single { model: models[best].name.clone(), point: singles[best] }
    };
    let count = singles.len() as f64;
    Report {
        prompts: samples.prompts(),
        lambda,
        router: mean(choices.iter().copied(), samples, cost),
        chosen,
        oracle: oracle(samples, cost),
        random: Point {
            score: singles.iter().map(|point| point.score).sum::<f64>() / count,
            cost: singles.iter().map(|point| point.cost).sum::<f64>() / count,
        },
        best_single: single(|a, b| a.score.total_cmp(&b.score).then(b.cost.total_cmp(&a.cost))),
        cheapest: single(|a, b| b.cost.total_cmp(&a.cost).then(a.score.total_cmp(&b.score))),
        area: area(&sweep(rule, samples, &lambdas())),
        prompt_free_area: area(&singles),
    }
}

/// What each model scores and costs alone.
pub fn singles(samples: &Samples, cost: &[f32]) -> Vec<Point> {
    samples.mean_scores().into_iter().zip(cost).map(|(score, cost)| Point { score, cost: f64::from(*cost) }).collect()
}

fn oracle(samples: &Samples, cost: &[f32]) -> Point {
    let best = samples.scores().iter_rows().map(|scores| {
        (0..scores.len())
            .max_by(|a, b| scores[*a].total_cmp(&scores[*b]).then(cost[*b].total_cmp(&cost[*a])))
            .unwrap_or(0)
    });
    mean(best, samples, cost)
}

fn all_utilities(rule: &Rule, samples: &Samples) -> Vec<Vec<f32>> {
    let rows: Vec<&[f32]> = samples.embeddings().iter_rows().collect();
    rows.par_iter().map(|embedding| rule::utilities(rule, embedding)).collect()
}

fn mean(choices: impl Iterator<Item = usize>, samples: &Samples, cost: &[f32]) -> Point {
    let mut sum = Point { score: 0.0, cost: 0.0 };
    for (choice, scores) in choices.zip(samples.scores().iter_rows()) {
        sum.score += f64::from(scores[choice]);
        sum.cost += f64::from(cost[choice]);
    }
    let count = samples.prompts() as f64;
    Point { score: sum.score / count, cost: sum.cost / count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_routing::bundle::{Matrix, UniRoute};

    /// Four prompts in two clusters, three models.
    fn case() -> (Rule, Samples, Vec<Model>) {
        let matrix = |rows, columns, data: &[f32]| Matrix::new(rows, columns, data.to_vec()).unwrap();
        let rule = Rule::UniRoute(UniRoute {
            centroids: matrix(2, 2, &[1.0, 0.0, 0.0, 1.0]),
            errors: matrix(2, 3, &[0.5, 0.5, 0.0, 0.0, 0.5, 1.0]),
            cost: matrix(1, 3, &[0.0, 0.25, 1.0]),
        });
        let samples = Samples::new(
            matrix(4, 2, &[1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0]),
            matrix(4, 3, &[0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.5, 0.0, 0.0]),
        );
        let models = [("a", 0.0), ("b", 1.0), ("c", 4.0)];
        let models = models.map(|(name, price)| Model { name: name.to_owned(), price, unit: String::new() });
        (rule, samples.unwrap(), models.to_vec())
    }

    #[test]
    fn a_report_by_hand() {
        let (rule, samples, models) = case();
        let report = evaluate(&rule, 0.1, &samples, &models);
        // Cluster 0 goes to c (0 + 0.1 < 0.5), cluster 1 to a.
        assert_eq!(report.chosen, [2, 0, 2]);
        assert_eq!(report.router, Point { score: (1.0 + 1.0 + 1.0 + 0.5) / 4.0, cost: 0.5 });
        // b, a, a, a.
        assert_eq!(report.oracle, Point { score: 3.5 / 4.0, cost: 0.0625 });
        let means = [2.5 / 4.0, 2.0 / 4.0, 2.0 / 4.0];
        assert_eq!(report.random, Point { score: means.iter().sum::<f64>() / 3.0, cost: 1.25 / 3.0 });
        assert_eq!((report.best_single.model.as_str(), report.best_single.point.score), ("a", 0.625));
        assert_eq!(report.cheapest.model, "a");
        // a alone costs nothing and is the best single model.
        assert_eq!(report.prompt_free_area, 0.625);
        // From a everywhere (0, 0.625) to the router above (0.5, 0.875), then level.
        assert_eq!(report.area, 0.5 * (0.625 + 0.875) / 2.0 + 0.5 * 0.875);
    }

    #[test]
    fn a_large_weight_of_cost_takes_the_cheapest() {
        let (rule, samples, _) = case();
        assert_eq!(operate(&rule, &samples, 1000.0), Point { score: 0.625, cost: 0.0 });
        assert_eq!(sweep(&rule, &samples, &lambdas()).len(), 72);
    }
}
