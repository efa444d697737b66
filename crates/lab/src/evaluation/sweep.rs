//! From a router's rule to its choices and points.

use super::curve::Tally;
use super::measures::{best_single, cheapest};
use super::{Choices, Outcomes, Point, Run, hull_area, reference};
use crate::data::Samples;
use crate::evaluation::rule;
use blindroute_routing::bundle::{Model, Rule};
use rayon::prelude::*;
use serde::Serialize;

/// The weights of cost of a router's curve: 0, and ten per decade from 0.0001 to 1000.
pub fn lambdas() -> Vec<f32> {
    std::iter::once(0.0).chain((0..=70).map(|step| 10f64.powf(-4.0 + f64::from(step) / 10.0) as f32)).collect()
}

/// The choice of a rule for each prompt with each weight of cost.
///
/// # Panics
/// If the rule is not for the samples' embeddings.
pub fn run_of(rule: &Rule, samples: &Samples, lambdas: &[f32]) -> Run {
    run_of_utilities(&utilities_of(rule, samples), rule::costs(rule), lambdas)
}

fn utilities_of(rule: &Rule, samples: &Samples) -> Vec<Vec<f32>> {
    let rows: Vec<&[f32]> = samples.embeddings().iter_rows().collect();
    rows.par_iter().map(|embedding| rule::utilities(rule, embedding)).collect()
}

/// The choices with each weight of cost by these utilities: per prompt one utility per model, without cost.
pub fn run_of_utilities(utilities: &[Vec<f32>], cost: &[f32], lambdas: &[f32]) -> Run {
    let choose = |lambda: f32| utilities.iter().map(|utilities| rule::best(utilities, cost, lambda)).collect();
    Run::Choices(lambdas.iter().map(|lambda| Choices { lambda: *lambda, models: choose(*lambda) }).collect())
}

/// The points of a run, in the order of the run.
pub fn points(run: &Run, outcomes: &Outcomes) -> Vec<Point> {
    Tally::new(run, outcomes).points(outcomes, &outcomes.singles(None), None)
}

/// The score and cost of a rule with each weight of cost.
///
/// # Panics
/// If the rule is not for the samples' models and embeddings.
pub fn sweep(rule: &Rule, samples: &Samples, lambdas: &[f32]) -> Vec<Point> {
    sweep_of_utilities(&utilities_of(rule, samples), rule::costs(rule), samples, lambdas)
}

/// The score and cost with each weight of cost by these utilities, one row per prompt.
///
/// # Panics
/// If the utilities or costs are not for the samples' prompts and models.
pub fn sweep_of_utilities(utilities: &[Vec<f32>], cost: &[f32], samples: &Samples, lambdas: &[f32]) -> Vec<Point> {
    points(&run_of_utilities(utilities, cost, lambdas), &outcomes(samples, cost))
}

/// The score and cost of a rule with one weight of cost.
///
/// # Panics
/// If the rule is not for the samples' models and embeddings.
pub fn operate(rule: &Rule, samples: &Samples, lambda: f32) -> Point {
    sweep(rule, samples, &[lambda])[0]
}

/// The score and cost of each model alone. `cost` counts only if the samples have no cost of each answer.
///
/// # Panics
/// If the costs are not those of the samples' models.
pub fn singles(samples: &Samples, cost: &[f32]) -> Vec<Point> {
    outcomes(samples, cost).singles(None)
}

#[allow(
    clippy::expect_used,
    reason = "samples and rules are checked when they are made; a mismatch is an error of the caller"
)]
fn outcomes(samples: &Samples, cost: &[f32]) -> Outcomes {
    Outcomes::of_samples(samples, cost).expect("the rule is for the samples' models")
}

/// The results of a router at its default weight of cost on a split, and those of baselines. Training returns it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The number of prompts.
    pub prompts: usize,
    /// The weight of cost of [`Self::router`].
    pub lambda: f32,
    /// The router.
    pub router: Point,
    /// The number of prompts per model, in the pool's order.
    pub chosen: Vec<usize>,
    /// For each prompt the cheapest of the models that score best: no router can score more.
    pub oracle: Point,
    /// A random model: expected score and cost.
    pub random: Point,
    /// The one model with the best mean score.
    pub best_single: Single,
    /// The cheapest model; on ties the better one.
    pub cheapest: Single,
    /// [`hull_area`] of the router over [`lambdas`].
    pub area: f64,
    /// [`hull_area`] of the single models, which is also that of the best random mixtures of models.
    pub prompt_free_area: f64,
}

/// A single model for every prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Single {
    /// The model.
    pub model: String,
    /// Its score and cost.
    #[serde(flatten)]
    pub point: Point,
}

/// The report of a router on a split. `models` is the pool, in the samples' order.
///
/// # Panics
/// If the rule, the samples and the models do not belong together.
pub fn report(rule: &Rule, lambda: f32, samples: &Samples, models: &[Model]) -> Report {
    report_of_utilities(&utilities_of(rule, samples), rule::costs(rule), lambda, samples, models)
}

/// The report of these utilities, one row per prompt and without cost, for instance of the folds of a cross-validation.
///
/// # Panics
/// If the utilities, the costs, the samples and the models do not belong together.
pub fn report_of_utilities(
    utilities: &[Vec<f32>],
    cost: &[f32],
    lambda: f32,
    samples: &Samples,
    models: &[Model],
) -> Report {
    assert_eq!(models.len(), samples.models());
    let outcomes = outcomes(samples, cost);
    let singles = outcomes.singles(None);
    let at_default = run_of_utilities(utilities, cost, &[lambda]);
    let mut chosen = vec![0; models.len()];
    if let Run::Choices(choices) = &at_default {
        choices[0].models.iter().for_each(|model| chosen[*model] += 1);
    }
    let single = |model: usize| Single { model: models[model].name.clone(), point: singles[model] };
    let point = |run: &Run| points(run, &outcomes)[0];
    Report {
        prompts: samples.prompts(),
        lambda,
        router: point(&at_default),
        chosen,
        oracle: point(&reference::oracle(&outcomes, &[0.0])),
        random: point(&reference::random(models.len())),
        best_single: single(best_single(&singles)),
        cheapest: single(cheapest(&singles)),
        area: hull_area(&points(&run_of_utilities(utilities, cost, &lambdas()), &outcomes)),
        prompt_free_area: hull_area(&singles),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_routing::bundle::{Matrix, UniRoute};

    /// Four prompts in two clusters, three models.
    fn case() -> (Rule, Samples, Vec<Model>) {
        let matrix = |rows, columns, data: &[f32]| Matrix::new(rows, columns, data.to_vec()).unwrap();
        let rule = Rule::UniRoute(UniRoute {
            clusterings: 1,
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
        let report = report(&rule, 0.1, &samples, &models);
        // Cluster 0 goes to c (0 + 0.1 < 0.5), cluster 1 to a.
        assert_eq!(report.chosen, [2, 0, 2]);
        assert_eq!(report.router, Point { score: (1.0 + 1.0 + 1.0 + 0.5) / 4.0, cost: 0.5 });
        // b, a, a, a.
        assert_eq!(report.oracle, Point { score: 3.5 / 4.0, cost: 0.0625 });
        let means = [2.5 / 4.0, 2.0 / 4.0, 2.0 / 4.0];
        let random = report.random;
        assert!(
            (random.score - means.iter().sum::<f64>() / 3.0).abs() < 1e-12 && (random.cost - 1.25 / 3.0).abs() < 1e-12
        );
        assert_eq!((report.best_single.model.as_str(), report.best_single.point.score), ("a", 0.625));
        assert_eq!(report.cheapest.model, "a");
        // a alone costs nothing and is the best single model.
        assert_eq!(report.prompt_free_area, 0.625);
        // From a everywhere (0, 0.625) to the router above (0.5, 0.875), then level.
        assert_eq!(report.area, 0.5 * (0.625 + 0.875) / 2.0 + 0.5 * 0.875);
    }

    /// Costs of answers change what choices cost, not what is chosen.
    #[test]
    fn costs_of_answers_replace_prices() {
        let (rule, samples, models) = case();
        let costs = Matrix::from_fn(4, 3, |prompt, model| (prompt * model) as f32);
        let found = report(&rule, 0.1, &samples.clone().with_costs(costs).unwrap(), &models);
        // The means are 0, 1.5 and 3. Prompts 0 and 1 go to c, for 0 and 2.
        assert_eq!(found.router, Point { score: (1.0 + 1.0 + 1.0 + 0.5) / 4.0, cost: 2.0 / 4.0 / 3.0 });
        assert_eq!(found.chosen, report(&rule, 0.1, &samples, &models).chosen);
        assert_eq!(found.cheapest.point, Point { score: 0.625, cost: 0.0 });
        // From (0, 0.625) to (1/6, 0.875), then level.
        assert!((found.area - ((0.625 + 0.875) / 12.0 + 0.875 * 5.0 / 6.0)).abs() < 1e-12, "{}", found.area);
        // b answers prompt 0 at no cost.
        assert_eq!(found.oracle, Point { score: 3.5 / 4.0, cost: 0.0 });
    }

    #[test]
    fn a_large_weight_of_cost_takes_the_cheapest() {
        let (rule, samples, _) = case();
        assert_eq!(operate(&rule, &samples, 1000.0), Point { score: 0.625, cost: 0.0 });
        assert_eq!(sweep(&rule, &samples, &lambdas()).len(), 72);
    }
}
