//! Cross-validation: how good predictions of scores are on prompts that were not used to make them.

use crate::data::Samples;
use crate::evaluation::{self, Outcomes};
use crate::routers::{TrainError, draws};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;

/// One predicted score per prompt and model.
pub(super) type Predictions = Vec<Vec<f32>>;

/// The number of folds.
const FOLDS: usize = 4;

/// The settings that predict best, and how well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chosen {
    /// The index of the settings.
    pub(super) settings: usize,
    /// The index of the stage.
    pub(super) stage: usize,
    /// The [`evaluation::hull_area`] of the held-out predictions.
    pub(super) area: f64,
}

/// The best of `settings` and of the stages of their training.
///
/// `predict` trains on the first samples with the settings of an index, and predicts the scores of the second samples after each
/// stage. The held-out predictions of all folds together are measured as one router by [`evaluation::hull_area`], which covers every
/// weight of cost. On ties the first settings and the first stage win.
pub(super) fn choose(
    samples: &Samples,
    cost: &[f32],
    settings: usize,
    seed: u64,
    predict: impl Fn(usize, &Samples, &Samples) -> Result<Vec<Predictions>, TrainError> + Sync,
) -> Result<Option<Chosen>, TrainError> {
    let outcomes = Outcomes::of_samples(samples, cost)?;
    let places = places(samples.prompts(), seed);
    let tasks: Vec<(usize, usize)> =
        (0..settings).flat_map(|settings| (0..places.len()).map(move |fold| (settings, fold))).collect();
    let rest = |fold: usize| places.iter().enumerate().filter(move |(other, _)| *other != fold);
    let found = (tasks.par_iter())
        .map(|(settings, fold)| {
            let train: Vec<usize> = rest(*fold).flat_map(|(_, places)| places).copied().collect();
            predict(*settings, &samples.only(&train), &samples.only(&places[*fold]))
        })
        .collect::<Result<Vec<_>, TrainError>>()?;
    let mut best: Option<Chosen> = None;
    for (settings, folds) in found.chunks(places.len()).enumerate() {
        for stage in 0..folds[0].len() {
            let mut predicted: Predictions = vec![Vec::new(); samples.prompts()];
            for (places, stages) in places.iter().zip(folds) {
                places.iter().zip(&stages[stage]).for_each(|(place, row)| predicted[*place].clone_from(row));
            }
            let run = evaluation::run_of_utilities(&predicted, cost, &evaluation::lambdas());
            let area = evaluation::hull_area(&evaluation::points(&run, &outcomes));
            if best.is_none_or(|best| area > best.area) {
                best = Some(Chosen { settings, stage, area });
            }
        }
    }
    Ok(best)
}

/// The prompts of each fold. All have almost the same number, and none is empty.
fn places(prompts: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..prompts).collect();
    draws::shuffle(&mut order, &mut ChaCha8Rng::seed_from_u64(seed));
    let folds = FOLDS.min(prompts);
    (0..folds).map(|fold| order.iter().skip(fold).step_by(folds).copied().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_routing::bundle::Matrix;

    #[test]
    fn each_prompt_is_in_one_fold() {
        let mut all: Vec<usize> = places(11, 3).concat();
        assert!(places(11, 3).iter().all(|fold| (2..=3).contains(&fold.len())));
        assert_ne!(places(11, 3), places(11, 4));
        all.sort_unstable();
        assert_eq!(all, (0..11).collect::<Vec<_>>());
        assert_eq!(places(2, 0).len(), 2);
    }

    #[test]
    fn predictions_are_measured_on_prompts_that_were_left_out() {
        // The embedding is the prompt's number, so that a fold can be recognised.
        let scores = Matrix::from_fn(40, 2, |row, model| f32::from(u8::from(row % 2 == model)));
        let samples = Samples::new(Matrix::from_fn(40, 1, |row, _| row as f32), scores).unwrap();
        let predict = |settings: usize, train: &Samples, held: &Samples| {
            let known: Vec<f32> = train.embeddings().data().to_vec();
            assert_eq!(known.len() + held.prompts(), 40);
            assert!(held.embeddings().data().iter().all(|prompt| !known.contains(prompt)));
            // The second stage of the second settings knows the answers; the others prefer one model.
            let row = |scores: &[f32], stage: usize| match (settings, stage) {
                (1, 1) => scores.to_vec(),
                _ => vec![1.0, 0.0],
            };
            Ok((0..2).map(|stage| held.scores().iter_rows().map(|scores| row(scores, stage)).collect()).collect())
        };
        let found = choose(&samples, &[1.0, 1.0], 2, 0, predict).unwrap().unwrap();
        assert_eq!((found.settings, found.stage, found.area), (1, 1, 0.5));
        assert_eq!(choose(&samples, &[1.0, 1.0], 0, 0, predict).unwrap(), None);
        let first = choose(&samples, &[1.0, 1.0], 1, 0, predict).unwrap().unwrap();
        assert_eq!((first.settings, first.stage, first.area), (0, 0, 0.25));
    }
}
