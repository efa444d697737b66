//! Gradient boosting: many small regression trees, each fitted to what those before it leave over.
//!
//! All models share the trees: a leaf has one value per model, and a split lowers the squared error of all models together. So a pool
//! of a hundred models takes as many trees as one model. Trees read the principal components of embeddings in bins, because single
//! coordinates of an embedding mean little. Each tree sees a random part of the prompts and components. The mean prediction of several
//! ensembles counts, which differ in their seeds.
//!
//! There is no crate for this: those with a permissive licence and recent releases fit one output at a time, and so one ensemble per
//! model.

use super::folds::{Predictions, choose, mean};
use crate::data::Samples;
use crate::evaluation::{self, Run};
use crate::routers::{TrainError, draws};
use crate::{Stop, Stopped};
use features::Features;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use std::sync::Arc;
use tree::{Growth, Targets, Tree};

mod features;
mod tree;

/// How to train. Every depth is tried with every shrinkage; the number of trees is chosen too.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Depths of the trees to try.
    pub depths: Vec<usize>,
    /// Numbers of prompts with residual 0 that each leaf has more, to try.
    pub shrinkages: Vec<f32>,
    /// The largest number of trees.
    pub trees: usize,
    /// The number of trees after which predictions are measured.
    pub step: usize,
    /// The share of a tree's values that counts.
    pub rate: f32,
    /// The number of principal components.
    pub components: usize,
    /// The share of the prompts, and of the components, that each tree sees.
    pub part: f64,
    /// The number of ensembles whose predictions are averaged.
    pub ensembles: usize,
    /// The seed of all random draws.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            depths: vec![2, 4],
            shrinkages: vec![30.0],
            trees: 400,
            step: 20,
            rate: 0.05,
            components: 64,
            part: 0.3,
            ensembles: 4,
            seed: 0,
        }
    }
}

/// A trained ensemble.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The depth of the trees.
    pub depth: usize,
    /// The number of prompts with residual 0 that each leaf has more.
    pub shrinkage: f32,
    /// The number of trees.
    pub trees: usize,
    /// The area in the cross-validation, of one ensemble.
    pub area: f64,
    ensembles: Vec<Ensemble>,
    cost: Vec<f32>,
}

/// Trains on `samples`, and chooses its settings in a cross-validation on them. `cost` is
/// [`relative_costs`](crate::data::relative_costs) of the pool.
pub fn train(samples: &Samples, cost: &[f32], options: &Options, stop: &Stop) -> Result<Fitted, TrainError> {
    samples.check(samples, cost)?;
    if [options.components, options.step, options.ensembles].contains(&0)
        || !(options.part > 0.0 && options.part <= 1.0)
    {
        let hint = "components, step and ensembles must be at least 1, part above 0 and at most 1";
        return Err(TrainError::Options { what: "size of zero", hint });
    }
    let settings: Vec<(usize, f32)> = options
        .depths
        .iter()
        .flat_map(|depth| options.shrinkages.iter().map(|shrinkage| (*depth, *shrinkage)))
        .collect();
    let stages: Vec<usize> = (1..=options.trees / options.step).map(|stage| stage * options.step).collect();
    // All settings at once, since they read the same components, which take longer to find than trees to grow where prompts are few.
    let held_out = |_: usize, train: &Samples, held: &Samples| {
        let options = &Options { trees: stages.last().copied().unwrap_or_default(), ..options.clone() };
        let features = Arc::new(Features::new(train.embeddings(), options.components));
        let predict = |settings: &(usize, f32)| {
            Ok(Ensemble::fit((train, &features), *settings, options, stop)?.predict(held, &stages))
        };
        Ok(settings.par_iter().map(predict).collect::<Result<Vec<_>, Stopped>>()?.concat())
    };
    let chosen = choose(samples, cost, usize::from(!settings.is_empty()), options.seed, held_out)?;
    let hint = "give at least one depth, one shrinkage, and as many trees as a step has";
    let chosen = chosen.ok_or(TrainError::Options { what: "combination", hint })?;
    let (depth, shrinkage) = settings[chosen.stage / stages.len()];
    let trees = stages[chosen.stage % stages.len()];
    let features = Arc::new(Features::new(samples.embeddings(), options.components));
    let fit = |ensemble: u64| {
        let seed = options.seed.wrapping_add(ensemble);
        Ensemble::fit((samples, &features), (depth, shrinkage), &Options { trees, seed, ..options.clone() }, stop)
    };
    let ensembles = (0..options.ensembles as u64).map(fit).collect::<Result<_, _>>()?;
    Ok(Fitted { depth, shrinkage, trees, area: chosen.area, ensembles, cost: cost.to_vec() })
}

impl Fitted {
    /// The choice for each prompt with each weight of cost.
    ///
    /// # Panics
    /// If the embeddings have another width than those of the training.
    pub fn run(&self, samples: &Samples, lambdas: &[f32]) -> Run {
        let predicted = self.ensembles.iter().map(|ensemble| ensemble.predict(samples, &[self.trees]).remove(0));
        evaluation::run_of_utilities(&mean(&predicted.collect::<Vec<_>>()), &self.cost, lambdas)
    }
}

#[derive(Clone, Debug)]
struct Ensemble {
    features: Arc<Features>,
    mean: Vec<f32>,
    rate: f32,
    trees: Vec<Tree>,
}

impl Ensemble {
    /// Fits trees to samples, of whose embeddings these are the components.
    fn fit(
        (samples, features): (&Samples, &Arc<Features>),
        (depth, shrink): (usize, f32),
        options: &Options,
        stop: &Stop,
    ) -> Result<Self, Stopped> {
        let bins = features.bins(samples.embeddings());
        let mean: Vec<f32> = samples.mean_scores().iter().map(|mean| *mean as f32).collect();
        let mut draws = ChaCha8Rng::seed_from_u64(options.seed);
        let growth = Growth { depth, least: 5, shrink };
        let mut residuals: Vec<f32> = samples
            .scores()
            .iter_rows()
            .flat_map(|row| row.iter().zip(&mean).map(|(score, mean)| score - mean))
            .collect();
        let mut prompts: Vec<u32> = (0..samples.prompts() as u32).collect();
        let mut components: Vec<usize> = (0..features.count()).collect();
        let part = |of: usize| ((of as f64 * options.part).ceil() as usize).clamp(1, of);
        let mut ensemble =
            Self { features: Arc::clone(features), mean, rate: options.rate, trees: Vec::with_capacity(options.trees) };
        for _ in 0..options.trees {
            stop.check()?;
            draws::shuffle(&mut prompts, &mut draws);
            draws::shuffle(&mut components, &mut draws);
            let targets = Targets { bins: &bins, residuals: &residuals, models: samples.models() };
            // In the order of memory, which is faster.
            let mut seen = prompts[..part(prompts.len())].to_vec();
            seen.sort_unstable();
            let tree = Tree::grow(&targets, seen, &components[..part(components.len())], growth);
            for (prompt, row) in residuals.chunks_exact_mut(samples.models()).enumerate() {
                let values = tree.values(|component| bins[component][prompt]);
                row.iter_mut().zip(values).for_each(|(residual, value)| *residual -= options.rate * value);
            }
            ensemble.trees.push(tree);
        }
        Ok(ensemble)
    }

    /// The predicted scores with each of these numbers of trees.
    fn predict(&self, samples: &Samples, stages: &[usize]) -> Vec<Predictions> {
        let bins = self.features.bins(samples.embeddings());
        let mut predicted: Predictions = vec![self.mean.clone(); samples.prompts()];
        let mut found = Vec::with_capacity(stages.len());
        for (count, tree) in (1..).zip(&self.trees) {
            for (prompt, row) in predicted.iter_mut().enumerate() {
                let values = tree.values(|component| bins[component][prompt]);
                row.iter_mut().zip(values).for_each(|(sum, value)| *sum += self.rate * value);
            }
            if stages.contains(&count) {
                found.push(predicted.clone());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::synthetic;
    use crate::evaluation::Outcomes;

    #[test]
    fn it_beats_the_hull_and_is_reproducible() {
        let (train_split, _, test, cost) = synthetic(8, 5);
        let options = Options { trees: 60, components: 16, ..Default::default() };
        let fitted = train(&train_split, &cost, &options, &Stop::never()).unwrap();
        assert!(fitted.trees <= 60 && fitted.trees.is_multiple_of(20) && fitted.area > 0.0);
        let outcomes = Outcomes::of_samples(&test, &cost).unwrap();
        let run = fitted.run(&test, &evaluation::lambdas());
        let area = evaluation::hull_area(&evaluation::points(&run, &outcomes));
        let hull = evaluation::hull_area(&evaluation::singles(&test, &cost));
        assert!(area > hull + 0.1, "{area} against {hull}");
        let again = train(&train_split, &cost, &options, &Stop::never()).unwrap();
        assert_eq!(again.run(&test, &[0.1]), fitted.run(&test, &[0.1]));
        let other = train(&train_split, &cost, &Options { seed: 1, ..options }, &Stop::never()).unwrap();
        assert_ne!(other.run(&test, &evaluation::lambdas()), run);
    }

    #[test]
    fn impossible_options_are_refused() {
        let (train_split, _, _, cost) = synthetic(4, 3);
        let fault = |options: Options| train(&train_split, &cost, &options, &Stop::never()).unwrap_err().to_string();
        assert!(fault(Options { components: 0, ..Default::default() }).contains("at least 1"));
        assert!(fault(Options { part: 1.5, ..Default::default() }).contains("at most 1"));
        assert!(fault(Options { depths: vec![], ..Default::default() }).contains("no combination"));
        assert!(fault(Options { trees: 3, ..Default::default() }).contains("as many trees"));
    }
}
