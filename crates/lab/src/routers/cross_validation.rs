//! Cross-validation: settings are chosen, and routers compared with the prompt-blind hull, by what routers choose for prompts
//! that they were not trained on.
//!
//! The prompts of the train and valid splits are divided into folds. Prompts with equal embeddings are in one fold, because an
//! encoder that reads the first tokens of few-shot prompts gives many of them the same embedding. For each fold a router is
//! trained on the others and predicts the utilities of this one. Several seeds repeat this with other folds and other random
//! draws of the training.

use crate::Stop;
use crate::data::Samples;
use crate::evaluation::{self, Bootstrap, Estimate, Outcomes, rule};
use crate::routers::{TrainError, draws};
use blindroute_routing::bundle::Rule;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// Per prompt one utility per model, without cost.
pub(crate) type Utilities = Vec<Vec<f32>>;

/// How training validates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validation {
    /// The number of folds, at least 2.
    pub folds: usize,
    /// The number of seeds, at least 1.
    pub seeds: usize,
}

impl Validation {
    /// The same with no more folds than there are different embeddings.
    pub(crate) fn within(self, samples: &Samples) -> Result<Self, TrainError> {
        if self.folds < 2 || self.seeds < 1 {
            return Err(TrainError::Options {
                what: "number of folds or seeds",
                hint: "give 2 folds and 1 seed at least",
            });
        }
        match alike(samples).len() {
            0 | 1 => Err(TrainError::Folds),
            different => Ok(Self { folds: self.folds.min(different), ..self }),
        }
    }
}

/// The places of the prompts of each embedding.
fn alike(samples: &Samples) -> BTreeMap<Vec<u32>, Vec<usize>> {
    let mut alike: BTreeMap<Vec<u32>, Vec<usize>> = BTreeMap::new();
    for (place, embedding) in samples.embeddings().iter_rows().enumerate() {
        alike.entry(embedding.iter().map(|x| x.to_bits()).collect()).or_default().push(place);
    }
    alike
}

/// Which fold each prompt is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folds {
    of: Vec<usize>,
    count: usize,
}

impl Folds {
    /// Random folds, as equal in size as prompts with equal embeddings allow.
    pub(crate) fn new(samples: &Samples, count: usize, seed: u64) -> Self {
        let mut groups: Vec<Vec<usize>> = alike(samples).into_values().collect();
        groups.sort_unstable();
        let mut draws = ChaCha8Rng::seed_from_u64(seed);
        draws::shuffle(&mut groups, &mut draws);
        // Large groups first, each to the fold with the fewest prompts so far.
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        let (mut of, mut sizes) = (vec![0; samples.prompts()], vec![0; count]);
        for group in groups {
            let fold = (0..count).min_by_key(|fold| sizes[*fold]).unwrap_or_default();
            sizes[fold] += group.len();
            group.iter().for_each(|place| of[*place] = fold);
        }
        Self { of, count }
    }

    /// The places of a fold's prompts.
    pub(crate) fn held(&self, fold: usize) -> Vec<usize> {
        (0..self.of.len()).filter(|place| self.of[*place] == fold).collect()
    }

    /// The places of all other prompts.
    pub(crate) fn rest(&self, fold: usize) -> Vec<usize> {
        (0..self.of.len()).filter(|place| self.of[*place] != fold).collect()
    }

    /// The number of folds.
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

/// A router per setting for samples and a seed, always in the same order of settings: from simple to complex.
pub(crate) type FitAll<'a> = dyn FnMut(&Samples, u64) -> Result<Vec<Rule>, TrainError> + 'a;

/// What is done with the utilities of all folds before they are compared.
pub(crate) type Adjust<'a> = dyn Fn(&Samples, &Folds, Utilities) -> Result<Utilities, TrainError> + Sync + 'a;

/// The setting that cross-validation chose.
pub(crate) struct Choice {
    /// Its place among the settings.
    pub(crate) place: usize,
    /// The mean area of every setting.
    pub(crate) areas: Vec<f64>,
    /// What the folds' routers of the chosen setting predict, adjusted, per seed.
    pub(crate) utilities: Vec<Utilities>,
    /// The same without the adjustment.
    pub(crate) unadjusted: Vec<Utilities>,
}

/// Chooses a setting: the [`simplest`] near the best over all folds and seeds. Calls `on_fold` after each fold.
pub(crate) fn choose(
    (samples, cost): (&Samples, &[f32]),
    (validation, seed): (Validation, u64),
    fit: &mut FitAll<'_>,
    adjust: &Adjust<'_>,
    on_fold: &mut dyn FnMut(usize, usize),
    stop: &Stop,
) -> Result<Choice, TrainError> {
    let mut scored: Vec<Vec<f64>> = Vec::new();
    let mut unadjusted: Vec<Vec<Utilities>> = Vec::new();
    let mut partitions = Vec::new();
    for number in 0..validation.seeds {
        let seed = seed + number as u64;
        let folds = Folds::new(samples, validation.folds, seed);
        let mut done = number * validation.folds;
        let mut fit_and_tell = |rest: &Samples| {
            let rules = fit(rest, seed)?;
            done += 1;
            on_fold(done, validation.seeds * validation.folds);
            Ok(rules)
        };
        let found = out_of_fold(samples, &folds, &mut fit_and_tell, stop)?;
        scored.resize(found.len(), Vec::new());
        for (scored, utilities) in scored.iter_mut().zip(&found) {
            stop.check()?;
            scored.extend(areas(samples, cost, &folds, &adjust(samples, &folds, utilities.clone())?)?);
        }
        unadjusted.push(found);
        partitions.push(folds);
    }
    let place = simplest(&scored);
    let none = TrainError::Options { what: "setting", hint: "give at least one of each option" };
    if scored.is_empty() {
        return Err(none);
    }
    let unadjusted: Vec<Utilities> = unadjusted.iter_mut().map(|settings| settings.swap_remove(place)).collect();
    let adjusted =
        unadjusted.iter().zip(&partitions).map(|(utilities, folds)| adjust(samples, folds, utilities.clone()));
    let utilities = adjusted.collect::<Result<_, _>>()?;
    Ok(Choice { place, areas: scored.iter().map(|areas| mean(areas)).collect(), utilities, unadjusted })
}

/// The utilities of every prompt by the routers that have not seen it, for each setting. `fit` gives a router per setting, always
/// in the same order.
fn out_of_fold(
    samples: &Samples,
    folds: &Folds,
    fit: &mut dyn FnMut(&Samples) -> Result<Vec<Rule>, TrainError>,
    stop: &Stop,
) -> Result<Vec<Utilities>, TrainError> {
    let mut settings: Vec<Utilities> = Vec::new();
    for fold in 0..folds.count() {
        let held = folds.held(fold);
        let rules = fit(&samples.only(&folds.rest(fold)))?;
        settings.resize(rules.len(), vec![Vec::new(); samples.prompts()]);
        for (utilities, rule) in settings.iter_mut().zip(&rules) {
            stop.check()?;
            let found: Utilities =
                held.par_iter().map(|place| rule::utilities(rule, samples.embeddings().row(*place))).collect();
            held.iter().zip(found).for_each(|(place, row)| utilities[*place] = row);
        }
    }
    Ok(settings)
}

/// The area below the hull on each fold.
fn areas(samples: &Samples, cost: &[f32], folds: &Folds, utilities: &Utilities) -> Result<Vec<f64>, TrainError> {
    let area = |fold: usize| {
        let held = folds.held(fold);
        let outcomes = Outcomes::of_samples(&samples.only(&held), cost)?;
        let utilities: Utilities = held.iter().map(|place| utilities[*place].clone()).collect();
        let run = evaluation::run_of_utilities(&utilities, cost, &evaluation::lambdas());
        Ok(evaluation::hull_area(&evaluation::points(&run, &outcomes)))
    };
    (0..folds.count()).into_par_iter().map(area).collect()
}

/// The simplest setting within one standard error of the best: the first one (settings go from simple to complex) that is worse
/// than the best by no more than the standard error of the difference. `areas` has one list per setting, with an entry per
/// fold and seed. The differences are paired, because folds differ more than settings do.
fn simplest(areas: &[Vec<f64>]) -> usize {
    let best = (0..areas.len())
        .fold(0, |best, setting| if mean(&areas[setting]) > mean(&areas[best]) { setting } else { best });
    let near = |setting: &usize| {
        let lost: Vec<f64> = areas[best].iter().zip(&areas[*setting]).map(|(best, area)| best - area).collect();
        mean(&lost) <= deviation(&lost) / (lost.len() as f64).sqrt()
    };
    (0..best).find(near).unwrap_or(best)
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The sample standard deviation; 0 for fewer than two values.
pub(crate) fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / values.len().saturating_sub(1).max(1) as f64).sqrt()
}

/// What cross-validation says of a router.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CrossValidated {
    /// The number of folds.
    pub folds: usize,
    /// The number of seeds.
    pub seeds: usize,
    /// The area below the hull of what the folds' routers choose, mean over the seeds.
    pub area: f64,
    /// The standard deviation of the area over the seeds; none for one seed.
    pub deviation: Option<f64>,
    /// The area of the prompt-blind hull on the same prompts.
    pub prompt_free_area: f64,
    /// How much the router is above the prompt-blind hull, with the interval for other prompts, for the first seed.
    pub above_hull: Estimate,
}

impl CrossValidated {
    /// Of these utilities, one list per seed.
    pub(crate) fn of(
        samples: &Samples,
        cost: &[f32],
        validation: Validation,
        utilities: &[Utilities],
        stop: &Stop,
    ) -> Result<Self, TrainError> {
        let outcomes = Outcomes::of_samples(samples, cost)?;
        let area = |utilities: &Utilities| {
            let run = evaluation::run_of_utilities(utilities, cost, &evaluation::lambdas());
            evaluation::hull_area(&evaluation::points(&run, &outcomes))
        };
        let areas: Vec<f64> = utilities.iter().map(area).collect();
        let first = utilities.first().ok_or(TrainError::Options { what: "seed", hint: "give one at least" })?;
        let lambdas = evaluation::lambdas();
        Ok(Self {
            folds: validation.folds,
            seeds: utilities.len(),
            area: mean(&areas),
            deviation: (areas.len() > 1).then(|| deviation(&areas)),
            prompt_free_area: evaluation::hull_area(&evaluation::singles(samples, cost)),
            above_hull: evaluation::against_hull(first, cost, &lambdas, &outcomes, Bootstrap::default(), stop)?,
        })
    }

    /// Whether the router is better than the prompt-blind hull for nearly all samples of such prompts: the lower end of the
    /// interval is above zero.
    pub fn is_sure(&self) -> bool {
        self.lower_end().is_some_and(|low| low > 0.0)
    }

    pub(crate) fn lower_end(&self) -> Option<f64> {
        self.above_hull.interval.and_then(|interval| interval.low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::synthetic;
    use blindroute_routing::bundle::Matrix;

    #[test]
    fn folds_are_even_and_keep_equal_embeddings_together() {
        // 40 prompts: the first ten embeddings occur three times each.
        let embeddings = Matrix::from_fn(40, 1, |row, _| if row < 30 { (row % 10) as f32 } else { row as f32 });
        let samples = Samples::new(embeddings, Matrix::from_fn(40, 2, |_, _| 0.5)).unwrap();
        let folds = Folds::new(&samples, 4, 7);
        for fold in 0..4 {
            let (held, rest) = (folds.held(fold), folds.rest(fold));
            assert!((8..=12).contains(&held.len()), "{held:?}");
            assert_eq!(held.len() + rest.len(), 40);
            let value = |place: &usize| samples.embeddings().row(*place)[0];
            assert!(held.iter().all(|place| rest.iter().all(|other| value(place) != value(other))));
        }
        assert_ne!(folds, Folds::new(&samples, 4, 8));
        assert_eq!(folds, Folds::new(&samples, 4, 7));
        let validation = Validation { folds: 5, seeds: 1 };
        assert_eq!(validation.within(&samples.only(&[0, 10, 20, 1, 2])).unwrap().folds, 3);
        let fault = validation.within(&samples.only(&[0, 10, 20])).unwrap_err().to_string();
        assert!(fault.contains("all have the same embedding"), "{fault}");
    }

    #[test]
    fn the_simplest_setting_within_one_standard_error_wins() {
        // The best is the last; the second loses 0.01 ± 0.02/√4, the first 0.05 for sure.
        let best = vec![0.6, 0.7, 0.5, 0.8];
        let near = vec![0.57, 0.71, 0.47, 0.81];
        let far = best.iter().map(|area| area - 0.05).collect::<Vec<_>>();
        assert_eq!(simplest(&[far.clone(), near.clone(), best.clone()]), 1);
        assert_eq!(simplest(&[far.clone(), best.clone()]), 1);
        assert_eq!(simplest(&[best.clone(), far]), 0);
        assert_eq!(simplest(&[best.clone(), best]), 0);
    }

    #[test]
    fn a_prompt_is_never_predicted_by_a_router_that_saw_it() {
        let (train, ..) = synthetic(4, 3);
        let folds = Folds::new(&train, 5, 0);
        // The "router" predicts for every model whether the prompt's first coordinate was in its training.
        let mut sizes = Vec::new();
        let mut fit = |rest: &Samples| {
            sizes.push(rest.prompts());
            let seen = rest.embeddings().clone();
            let hidden = seen.columns();
            // Zero for what it has seen, by construction of a cluster per prompt.
            let rule = blindroute_routing::bundle::UniRoute {
                clusterings: 1,
                errors: Matrix::from_fn(seen.rows(), 3, |_, _| 1.0),
                centroids: Matrix::from_fn(seen.rows(), hidden, |row, column| seen.row(row)[column]),
                cost: Matrix::from_fn(1, 3, |_, _| 1.0),
            };
            Ok(vec![Rule::UniRoute(rule)])
        };
        let found = out_of_fold(&train, &folds, &mut fit, &Stop::never()).unwrap();
        assert_eq!(sizes.iter().sum::<usize>(), 4 * train.prompts());
        assert!(found[0].iter().all(|row| row.len() == 3));
        assert_eq!((0..5).map(|fold| folds.held(fold).len()).sum::<usize>(), train.prompts());
    }

    #[test]
    fn a_router_that_knows_nothing_is_not_sure() {
        let (train, _, _, cost) = synthetic(8, 5);
        let validation = Validation { folds: 5, seeds: 1 };
        let mean = train.mean_scores();
        let noise = |place: usize, model: usize| ((place * 31 + model * 17) % 23) as f32 / 23.0;
        let blind: Utilities = (0..train.prompts())
            .map(|place| mean.iter().enumerate().map(|(model, mean)| *mean as f32 + noise(place, model)).collect())
            .collect();
        let found = CrossValidated::of(&train, &cost, validation, &[blind], &Stop::never()).unwrap();
        assert!(!found.is_sure() && found.area < found.prompt_free_area, "{found:?}");
        let knows: Utilities = train.scores().iter_rows().map(<[f32]>::to_vec).collect();
        let found = CrossValidated::of(&train, &cost, validation, &[knows.clone(), knows], &Stop::never()).unwrap();
        assert!(found.is_sure() && found.deviation == Some(0.0), "{found:?}");
    }
}
