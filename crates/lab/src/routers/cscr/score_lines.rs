//! From similarities to scores.
//!
//! The contrastive loss brings a prompt near the descriptors of models that answer it. It says nothing about how a difference in
//! similarity compares with one in cost, nor whether the cheap model far from a prompt might answer it as well. So a rule that weighs
//! similarities against costs can be worse than one that ignores the prompt. The score lines, one rising line per model, are fitted by
//! least squares on prompts that the projection was not trained on: where similarities predict nothing, the line is level at the
//! model's mean score, and the router is the prompt-blind hull.
//!
//! A model's slope is drawn towards the slope of all models together, as by some prompts more.

use crate::data::Samples;
use crate::routers::TrainError;
use crate::routers::cross_validation::{Folds, Utilities};
use blindroute_routing::bundle::{Matrix, ScoreLines};

/// The weight of the slope of all models in a model's slope, in prompts.
const WEIGHT: f64 = 100.0;
/// The largest slope: similarities differ by 2 at most, and the secure program needs scores in the tens.
const STEEPEST: f64 = 16.0;
/// Similarities with a smaller variance than this are equal: what is left is rounding.
const LEVEL: f64 = 1e-10;

/// What each value of a row is above the row's mean. The contrastive loss compares models for a prompt, so only these leads say
/// something: of similarities about the lead of scores.
fn leads(row: &[f32]) -> impl Iterator<Item = f64> {
    let mean = row.iter().map(|value| f64::from(*value)).sum::<f64>() / row.len().max(1) as f64;
    row.iter().map(move |value| f64::from(*value) - mean)
}

/// The lines on these prompts, by their similarities to each model.
pub(super) fn fit(samples: &Samples, similarities: &Utilities, places: &[usize]) -> ScoreLines {
    let models = samples.models();
    let count = places.len().max(1) as f64;
    let rows: Vec<Vec<(f64, f64)>> = (places.iter())
        .map(|place| leads(&similarities[*place]).zip(leads(samples.scores().row(*place))).collect())
        .collect();
    let pairs = |model: usize| rows.iter().map(move |row| row[model]);
    let score = |model: usize| places.iter().map(move |place| f64::from(samples.scores().row(*place)[model]));
    let means: Vec<(f64, f64)> = (0..models)
        .map(|model| pairs(model).fold((0.0, 0.0), |sum, (x, y)| (sum.0 + x / count, sum.1 + y / count)))
        .collect();
    // Σ (x − x̄)² and Σ (x − x̄)(y − ȳ) per model.
    let products: Vec<(f64, f64)> = (0..models)
        .map(|model| {
            let (x_mean, y_mean) = means[model];
            let product = |sum: (f64, f64), (x, y): (f64, f64)| {
                (sum.0 + (x - x_mean).powi(2), sum.1 + (x - x_mean) * (y - y_mean))
            };
            pairs(model).fold((0.0, 0.0), product)
        })
        .collect();
    let (squares, cross) = products.iter().fold((0.0, 0.0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
    let variance = squares / (models as f64 * count);
    let prior = WEIGHT * variance;
    let slope = |model: usize| {
        let (square, own) = products[model];
        if variance < LEVEL { 0.0 } else { ((own + prior * cross / squares) / (square + prior)).clamp(0.0, STEEPEST) }
    };
    let slopes: Vec<f64> = (0..models).map(slope).collect();
    // Every line goes through the means of the lead and of the score itself.
    let offset = |model: usize| score(model).sum::<f64>() / count - slopes[model] * means[model].0;
    ScoreLines {
        slope: Matrix::from_fn(1, models, |_, model| slopes[model] as f32),
        offset: Matrix::from_fn(1, models, |_, model| offset(model) as f32),
    }
}

/// The scores that each fold's similarities predict, by the lines of the other folds.
pub(super) fn predicted(samples: &Samples, folds: &Folds, similarities: Utilities) -> Result<Utilities, TrainError> {
    let mut scores = similarities.clone();
    for fold in 0..folds.count() {
        let ScoreLines { slope, offset } = fit(samples, &similarities, &folds.rest(fold));
        for place in folds.held(fold) {
            let lines = slope.data().iter().zip(offset.data());
            let predicted =
                leads(&similarities[place]).zip(lines).map(|(lead, (slope, offset))| offset + slope * lead as f32);
            scores[place] = predicted.collect();
        }
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 prompts: what model 0 scores above the mean is a line of what its similarity is above the mean; the other two share
    /// the rest, and differ by something that no similarity tells.
    fn case() -> (Samples, Utilities) {
        let x = |row: usize| (row % 20) as f32 / 20.0;
        let other = |row: usize| if (row / 20).is_multiple_of(2) { 0.2 } else { -0.2 };
        let scores = Matrix::from_fn(200, 3, |row, model| match model {
            0 => 0.3 + 0.5 * x(row),
            1 => 0.5 + other(row),
            _ => 0.4 - other(row),
        });
        let samples = Samples::new(Matrix::from_fn(200, 1, |row, _| row as f32), scores).unwrap();
        (samples, (0..200).map(|row| vec![x(row), 0.1, 0.1]).collect())
    }

    #[test]
    fn lines_by_hand() {
        let (samples, similarities) = case();
        let all: Vec<usize> = (0..200).collect();
        let found = fit(&samples, &similarities, &all);
        // The leads of similarity are 2/3, −1/3 and −1/3 of x less a constant, those of scores the same parts of 0.5 x, so each
        // model's own slope is 0.5, and so is the common one.
        for model in 0..3 {
            let slope = found.slope.data()[model];
            assert!((slope - 0.5).abs() < 1e-5, "model {model}: {slope}");
            // Every line goes through the means. The mean of x is 0.475.
            let mean = samples.mean_scores()[model] as f32;
            let lead = if model == 0 { 2.0 / 3.0 } else { -1.0 / 3.0 } * (0.475 - 0.1);
            assert!((found.offset.data()[model] + slope * lead - mean).abs() < 1e-5, "model {model}");
        }
        // Where the scores go against the similarities, the lines are level.
        let against: Utilities = similarities.iter().map(|row| row.iter().map(|x| -x).collect()).collect();
        assert_eq!(fit(&samples, &against, &all).slope.data(), [0.0; 3]);
    }

    #[test]
    fn equal_similarities_give_the_mean_scores() {
        let (samples, _) = case();
        let level: Utilities = vec![vec![0.3; 3]; 200];
        let found = fit(&samples, &level, &(0..200).collect::<Vec<_>>());
        assert_eq!(found.slope.data(), [0.0; 3]);
        let means = samples.mean_scores();
        assert!(found.offset.data().iter().zip(means).all(|(offset, mean)| (f64::from(*offset) - mean).abs() < 1e-6));
    }

    #[test]
    fn a_fold_gets_the_lines_of_the_others() {
        let (samples, similarities) = case();
        let folds = Folds::new(&samples, 4, 0);
        let found = predicted(&samples, &folds, similarities.clone()).unwrap();
        let held = folds.held(2);
        let line = fit(&samples, &similarities, &folds.rest(2));
        for place in held {
            let lead = similarities[place][0] - similarities[place].iter().sum::<f32>() / 3.0;
            let expected = line.offset.data()[0] + line.slope.data()[0] * lead;
            assert!((found[place][0] - expected).abs() < 1e-6);
        }
    }
}
