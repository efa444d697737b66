//! Baselines that need no training: the oracle, random models, single models.

use super::measures::{best_single, cheapest};
use super::{Choices, Curve, Group, Outcomes, Run};
use blindroute_routing::bundle::Model;

/// The name of the curve of the prompt-blind hull.
pub const HULL: &str = "prompt-blind hull";
/// The name of the curve of the oracle.
pub const ORACLE: &str = "oracle";

/// The baselines that do not see the prompt, and the oracle. `models` is the pool in the order of the outcomes.
pub fn references(outcomes: &Outcomes, models: &[Model], lambdas: &[f32]) -> Vec<Curve> {
    let singles = outcomes.singles(None);
    let baseline = |name: String, run: Run| Curve { name, group: Group::Baseline, lambda: None, runs: vec![run] };
    let always = |what: &str, model: usize| {
        let odds = (0..models.len()).map(|other| if other == model { 1.0 } else { 0.0 }).collect();
        baseline(format!("{what} ({})", models[model].name), Run::Odds(vec![odds]))
    };
    vec![
        baseline(ORACLE.to_owned(), oracle(outcomes, lambdas)),
        baseline(HULL.to_owned(), Run::Hull),
        always("best single", best_single(&singles)),
        always("cheapest", cheapest(&singles)),
        baseline("random".to_owned(), random(models.len())),
    ]
}

/// For each prompt and weight of cost, the model with the largest actual score − λ·cost; on ties the cheapest.
pub fn oracle(outcomes: &Outcomes, lambdas: &[f32]) -> Run {
    let best = |prompt: usize, lambda: f64| {
        let value = |model: usize| {
            let outcome = outcomes.outcome(prompt, model);
            let cost = outcomes.mean(&outcome, 1.0).cost;
            (outcome.score - lambda * cost, cost)
        };
        let mut best = (0, value(0));
        for model in 1..outcomes.models() {
            let value = value(model);
            if value.0 > best.1.0 || (value.0 == best.1.0 && value.1 < best.1.1) {
                best = (model, value);
            }
        }
        best.0
    };
    let choose = |lambda: f32| (0..outcomes.prompts()).map(|prompt| best(prompt, f64::from(lambda))).collect();
    Run::Choices(lambdas.iter().map(|lambda| Choices { lambda: *lambda, models: choose(*lambda) }).collect())
}

/// A random model, all with equal probability.
pub fn random(models: usize) -> Run {
    Run::Odds(vec![vec![1.0 / models as f64; models]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::points;
    use blindroute_routing::bundle::Matrix;

    #[test]
    fn references_by_hand() {
        let scores = Matrix::new(2, 3, vec![0.0, 1.0, 1.0, 0.5, 0.5, 1.0]).unwrap();
        let outcomes = Outcomes::by_price(scores, &[0.25, 0.5, 1.0]).unwrap();
        let models = ["a", "b", "c"].map(|name| Model { name: name.to_owned(), price: 1.0, unit: String::new() });
        let found = references(&outcomes, &models, &[0.0, 1.0, 9.0]);
        let of = |name: &str| {
            let curve = found.iter().find(|curve| curve.name == name).unwrap();
            points(&curve.runs[0], &outcomes).iter().map(|point| (point.score, point.cost)).collect::<Vec<_>>()
        };
        // b and c; b and a (0.5 − 0.25 against 1 − 1); a and a.
        assert_eq!(of(ORACLE), [(1.0, 0.75), (0.75, 0.375), (0.25, 0.25)]);
        // (0.25, 0.25), (0.5, 0.75), (1.0, 1.0): no point is below the line between its neighbours.
        assert_eq!(of(HULL), [(0.25, 0.25), (0.75, 0.5), (1.0, 1.0)]);
        assert_eq!((of("best single (c)"), of("cheapest (a)")), (vec![(1.0, 1.0)], vec![(0.25, 0.25)]));
        let random = of("random")[0];
        assert!((random.0 - 2.0 / 3.0).abs() < 1e-12 && (random.1 - 1.75 / 3.0).abs() < 1e-12);
        // Costs per query: b answers the first prompt at no cost.
        let scores = Matrix::new(1, 2, vec![1.0, 1.0]).unwrap();
        let by_query = Outcomes::by_query(scores, Matrix::new(1, 2, vec![2.0, 0.0]).unwrap()).unwrap();
        assert_eq!(points(&oracle(&by_query, &[0.0]), &by_query)[0].cost, 0.0);
    }
}
