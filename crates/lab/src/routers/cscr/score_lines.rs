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

/// The lines on these prompts, by their similarities to each model.
pub(super) fn fit(samples: &Samples, similarities: &Utilities, places: &[usize]) -> ScoreLines {
    let models = samples.models();
    let count = places.len().max(1) as f64;
    let pairs = |model: usize| {
        places
            .iter()
            .map(move |place| (f64::from(similarities[*place][model]), f64::from(samples.scores().row(*place)[model])))
    };
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
    ScoreLines {
        slope: Matrix::from_fn(1, models, |_, model| slopes[model] as f32),
        offset: Matrix::from_fn(1, models, |_, model| (means[model].1 - slopes[model] * means[model].0) as f32),
    }
}

/// The scores that each fold's similarities predict, by the lines of the other folds.
pub(super) fn predicted(samples: &Samples, folds: &Folds, similarities: Utilities) -> Result<Utilities, TrainError> {
    let mut scores = similarities.clone();
    for fold in 0..folds.count() {
        let ScoreLines { slope, offset } = fit(samples, &similarities, &folds.rest(fold));
        for place in folds.held(fold) {
            let lines = slope.data().iter().zip(offset.data());
            scores[place].iter_mut().zip(lines).for_each(|(score, (slope, offset))| *score = offset + slope * *score);
        }
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 prompts: model 0's score is a line of its similarity, model 1's does not depend on it, model 2's falls with it.
    fn case() -> (Samples, Utilities) {
        let x = |row: usize| (row % 20) as f32 / 20.0;
        let scores = Matrix::from_fn(200, 3, |row, model| match model {
            0 => 0.2 + 0.5 * x(row),
            1 => f32::from(u8::from(row / 20 % 2 == 0)),
            _ => 0.9 - 0.4 * x(row),
        });
        let samples = Samples::new(Matrix::from_fn(200, 1, |row, _| row as f32), scores).unwrap();
        (samples, (0..200).map(|row| vec![x(row); 3]).collect())
    }

    #[test]
    fn lines_by_hand() {
        let (samples, similarities) = case();
        let all: Vec<usize> = (0..200).collect();
        let found = fit(&samples, &similarities, &all);
        // The common slope is (0.5 + 0 − 0.4) / 3; it counts as 100 prompts beside 200.
        let common = 0.1 / 3.0;
        let drawn = |own: f64| ((2.0 * own + common) / 3.0).max(0.0) as f32;
        for (model, own) in [0.5, 0.0, -0.4].into_iter().enumerate() {
            let (slope, offset) = (found.slope.data()[model], found.offset.data()[model]);
            assert!((slope - drawn(own)).abs() < 1e-5, "model {model}: {slope}, {}", drawn(own));
            // Every line goes through the means.
            let mean = samples.mean_scores()[model] as f32;
            assert!((offset + slope * 0.475 - mean).abs() < 1e-5, "model {model}");
        }
        assert_eq!(found.slope.data()[2], 0.0, "a line never falls");
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
            let expected = line.offset.data()[0] + line.slope.data()[0] * similarities[place][0];
            assert!((found[place][0] - expected).abs() < 1e-6);
        }
    }
}
