//! Mixtures of a router with the prompt-blind hull.
//!
//! A mixture moves the utilities that a router predicts towards the mean scores of the models by a share: only a prompt with a large
//! predicted lead is then sent elsewhere than the hull sends it. The share is folded into the rule's numbers, so a mixture is a
//! router of the same shapes and the same secure program. With nothing left of the router's own predictions it chooses what the
//! hull's corners choose, and is exactly as good.

use crate::Stop;
use crate::data::Samples;
use crate::routers::TrainError;
use crate::routers::cross_validation::{CrossValidated, Utilities, Validation};
use blindroute_routing::bundle::{Direct, Matrix, ScoreLines, UniRoute};

/// The shares of the router's own predictions to try, from all to nothing.
const SHARES: [f32; 7] = [1.0, 0.75, 0.5, 0.35, 0.2, 0.1, 0.0];

/// The largest share of the router's own predictions with which cross-validation does not put the mixture below the prompt-blind
/// hull: the lower end of the interval is not below zero. Utilities are those of the folds, one list per seed.
pub(crate) fn choose_share(
    samples: &Samples,
    cost: &[f32],
    validation: Validation,
    utilities: &[Utilities],
    stop: &Stop,
) -> Result<(f32, Vec<Utilities>, CrossValidated), TrainError> {
    let means: Vec<f32> = samples.mean_scores().iter().map(|mean| *mean as f32).collect();
    let mut last = None;
    for share in SHARES {
        let mixed: Vec<Utilities> = utilities.iter().map(|seed| moved(seed, &means, share)).collect();
        let found = CrossValidated::of(samples, cost, validation, &mixed, stop)?;
        let safe = found.lower_end().is_some_and(|low| low >= 0.0);
        last = Some((share, mixed, found));
        if safe {
            break;
        }
    }
    last.ok_or(TrainError::Options { what: "share", hint: "report this" })
}

fn moved(utilities: &Utilities, means: &[f32], share: f32) -> Utilities {
    let row = |row: &Vec<f32>| row.iter().zip(means).map(|(utility, mean)| toward(*utility, *mean, share)).collect();
    utilities.iter().map(row).collect()
}

fn toward(value: f32, mean: f32, share: f32) -> f32 {
    // All of it without rounding.
    if share == 1.0 { value } else { mean + share * (value - mean) }
}

/// Leaves a share of what a UniRoute router predicts. `means` are the models' mean scores.
pub(crate) fn mix_uniroute(rule: &mut UniRoute, means: &[f64], share: f32) {
    rule.errors = each(&rule.errors, means, |error, mean| toward(error, 1.0 - mean, share));
}

/// Leaves a share of what a direct router predicts.
pub(crate) fn mix_direct(rule: &mut Direct, means: &[f64], share: f32) {
    rule.weight = each(&rule.weight, means, |value, _| share * value);
    rule.bias = each(&rule.bias, means, |value, mean| toward(value, mean, share));
}

/// Leaves a share of what a CSCR router with score lines predicts.
pub(crate) fn mix_score_lines(score_lines: &mut ScoreLines, means: &[f64], share: f32) {
    score_lines.slope = each(&score_lines.slope, means, |value, _| share * value);
    score_lines.offset = each(&score_lines.offset, means, |value, mean| toward(value, mean, share));
}

/// Each entry, changed by what is given for its model's mean.
fn each(matrix: &Matrix, means: &[f64], of: impl Fn(f32, f32) -> f32) -> Matrix {
    Matrix::from_fn(matrix.rows(), matrix.columns(), |row, model| of(matrix.row(row)[model], means[model] as f32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::synthetic;
    use crate::evaluation::rule::utilities;
    use blindroute_routing::bundle::{Cscr, Rule};

    fn mixed(mut rule: Rule, means: &[f64], share: f32) -> Rule {
        match &mut rule {
            Rule::UniRoute(rule) => mix_uniroute(rule, means, share),
            Rule::Direct(rule) => mix_direct(rule, means, share),
            Rule::Cscr(rule) => mix_score_lines(rule.score_lines.as_mut().unwrap(), means, share),
            Rule::Mlp(_) | Rule::Neighbours(_) => unreachable!("not trained here, so not mixed"),
        }
        rule
    }

    fn matrix(rows: usize, columns: usize, data: &[f32]) -> Matrix {
        Matrix::new(rows, columns, data.to_vec()).unwrap()
    }

    #[test]
    fn a_mixture_of_each_rule_predicts_between_router_and_means() {
        let cost = matrix(1, 2, &[0.5, 1.0]);
        let identity = matrix(2, 2, &[1.0, 0.0, 0.0, 1.0]);
        let rules = [
            Rule::UniRoute(UniRoute {
                clusterings: 2,
                centroids: matrix(4, 2, &[1.0, 0.0, 0.0, 1.0, 0.6, 0.8, 0.8, -0.6]),
                errors: matrix(4, 2, &[0.1, 0.9, 0.8, 0.2, 0.5, 0.3, 0.4, 0.6]),
                cost: cost.clone(),
            }),
            Rule::Direct(Direct { weight: identity.clone(), bias: matrix(1, 2, &[0.1, 0.2]), cost: cost.clone() }),
            Rule::Cscr(Cscr {
                w1: identity.clone(),
                w2: identity.clone(),
                descriptors: identity,
                cost,
                keep: 2,
                score_lines: Some(Box::new(ScoreLines {
                    slope: matrix(1, 2, &[0.5, 0.2]),
                    offset: matrix(1, 2, &[0.3, 0.4]),
                })),
            }),
        ];
        for rule in rules {
            let (embedding, means) = ([0.9, 0.4], [0.7, 0.45]);
            let own = utilities(&rule, &embedding);
            let offset = if matches!(rule, Rule::UniRoute(_)) { 1.0 } else { 0.0 };
            for share in SHARES {
                let found = utilities(&mixed(rule.clone(), &means, share), &embedding);
                for model in 0..2 {
                    // UniRoute's utility is the score less 1.
                    let expected = toward(own[model] + offset, means[model] as f32, share) - offset;
                    assert!((found[model] - expected).abs() < 1e-6, "{share}: {found:?}, {expected}");
                }
            }
        }
    }

    /// Noise gets no share, so that the mixture is the hull; knowledge keeps all.
    #[test]
    fn the_share_falls_until_the_mixture_is_safe() {
        let (train, _, _, cost) = synthetic(8, 5);
        let validation = Validation { folds: 5, seeds: 1 };
        let noise: Utilities = (0..train.prompts())
            .map(|place| (0..5).map(|model| ((place * 31 + model * 17) % 23) as f32 / 23.0).collect())
            .collect();
        let (share, _, found) = choose_share(&train, &cost, validation, &[noise], &Stop::never()).unwrap();
        assert!(found.lower_end().unwrap() >= 0.0 && share < 0.5, "{share}, {found:?}");
        let knows: Utilities = train.scores().iter_rows().map(<[f32]>::to_vec).collect();
        assert_eq!(choose_share(&train, &cost, validation, &[knows], &Stop::never()).unwrap().0, 1.0);
        let anti: Utilities = train.scores().iter_rows().map(|row| row.iter().map(|x| 1.0 - x).collect()).collect();
        let (share, _, found) = choose_share(&train, &cost, validation, &[anti], &Stop::never()).unwrap();
        assert_eq!((share, found.above_hull.value), (0.0, Some(0.0)));
    }
}
