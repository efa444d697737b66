//! Cross-validation: how good predictions of scores are on prompts that were not used to make them.

use crate::data::Samples;
use crate::evaluation::{self, Outcomes};
use crate::routers::TrainError;
use crate::routers::cross_validation::{Folds, Validation};
use rayon::prelude::*;

/// One predicted score per prompt and model.
pub(super) type Predictions = Vec<Vec<f32>>;

/// The number of folds.
const FOLDS: usize = 4;
/// The number of held-out predictions that are enough to compare settings. A small set is divided into folds several times, because
/// the area of one division depends on which prompts happen to be together.
const ENOUGH: usize = 4000;
/// The largest number of divisions.
const DIVISIONS: usize = 4;

/// The settings that predict best, and how well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chosen {
    /// The index of the settings.
    pub(super) settings: usize,
    /// The index of the stage.
    pub(super) stage: usize,
    /// The [`evaluation::hull_area`] of the held-out predictions, the mean over the divisions.
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
    let divisions = (ENOUGH / samples.prompts()).clamp(1, DIVISIONS);
    let Validation { folds, .. } = Validation { folds: FOLDS, seeds: divisions }.within(samples)?;
    let divide = |division: u64| {
        let parts = Folds::new(samples, folds, seed.wrapping_add(division));
        (0..parts.count()).map(|fold| parts.held(fold)).collect()
    };
    let divided: Vec<Vec<Vec<usize>>> = (0..divisions as u64).map(divide).collect();
    let tasks: Vec<(usize, usize)> =
        (0..settings).flat_map(|settings| (0..divisions).map(move |division| (settings, division))).collect();
    let areas = (tasks.par_iter())
        .map(|(settings, division)| {
            let folds = &divided[*division];
            let held_out = (0..folds.len()).map(|fold| {
                let rest = folds.iter().enumerate().filter(|(other, _)| *other != fold);
                let train: Vec<usize> = rest.flat_map(|(_, places)| places).copied().collect();
                predict(*settings, &samples.only(&train), &samples.only(&folds[fold]))
            });
            let held_out = held_out.collect::<Result<Vec<_>, TrainError>>()?;
            let of_stage = |stage: usize| area(&together(folds, &held_out, stage), cost, &outcomes);
            Ok((0..held_out[0].len()).map(of_stage).collect::<Vec<f64>>())
        })
        .collect::<Result<Vec<_>, TrainError>>()?;
    let mut best: Option<Chosen> = None;
    for (settings, areas) in areas.chunks(divisions).enumerate() {
        for stage in 0..areas[0].len() {
            let area = areas.iter().map(|areas| areas[stage]).sum::<f64>() / divisions as f64;
            if best.is_none_or(|best| area > best.area) {
                best = Some(Chosen { settings, stage, area });
            }
        }
    }
    Ok(best)
}

/// The predictions of all folds after one stage, in the order of the samples.
fn together(folds: &[Vec<usize>], held_out: &[Vec<Predictions>], stage: usize) -> Predictions {
    let mut predicted: Predictions = vec![Vec::new(); folds.iter().map(Vec::len).sum()];
    for (places, stages) in folds.iter().zip(held_out) {
        places.iter().zip(&stages[stage]).for_each(|(place, row)| predicted[*place].clone_from(row));
    }
    predicted
}

/// The mean of predictions for the same prompts.
pub(super) fn mean(all: &[Predictions]) -> Predictions {
    let of = |row: usize, column: usize| all.iter().map(|one| one[row][column]).sum::<f32>() / all.len() as f32;
    let width = |row: &Vec<f32>| row.len();
    let rows = all.first().map_or(&[][..], |first| first.as_slice()).iter().map(width).enumerate();
    rows.map(|(row, width)| (0..width).map(|column| of(row, column)).collect()).collect()
}

fn area(predicted: &Predictions, cost: &[f32], outcomes: &Outcomes) -> f64 {
    let run = evaluation::run_of_utilities(predicted, cost, &evaluation::lambdas());
    evaluation::hull_area(&evaluation::points(&run, outcomes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_routing::bundle::Matrix;

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

    #[test]
    fn small_sets_are_divided_several_times() {
        let calls = |prompts: usize| {
            let scores = Matrix::from_fn(prompts, 2, |_, model| model as f32);
            let samples = Samples::new(Matrix::from_fn(prompts, 1, |row, _| row as f32), scores).unwrap();
            let count = std::sync::atomic::AtomicUsize::new(0);
            let predict = |_: usize, _: &Samples, held: &Samples| {
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok(vec![vec![vec![0.0, 1.0]; held.prompts()]])
            };
            choose(&samples, &[1.0, 1.0], 1, 0, predict).unwrap();
            count.into_inner()
        };
        assert_eq!([100, 1500, 5000].map(calls), [4 * 4, 2 * 4, 4]);
    }
}
