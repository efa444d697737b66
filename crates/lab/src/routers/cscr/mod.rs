//! CSCR (arXiv 2508.12491): a projection of prompt embeddings into the space of the models' descriptors.
//!
//! The encoder is frozen. The projection is two matrices with a ReLU between them and no bias. It is trained on embeddings
//! with the Cost-Spectrum InfoNCE loss ([`Spectrum`]). This is stage (a) of PPRoute's Algorithm 1 on a teacher's embeddings,
//! and stage (c) on a student's, where training can start from the teacher's projection ([`Options::start`]).
//!
//! The authors keep the models with the largest similarities, and compare similarity − λ·cost. On data that its settings were not
//! chosen for, that rule can be far worse than ignoring the prompt: the search excludes a cheap model that answers as well, and a
//! difference in similarity is no difference in score. So similarities are mapped to scores: a rising line per model predicts
//! the score, and all models are compared. The published rule remains an option ([`Options::search`]).
//!
//! The authors train for two passes over 10^5 prompts. Our tables have 10^3 to 10^4 prompts, so more passes are tried. Settings are
//! chosen by cross-validation: the simplest one within one standard error of the best.
//!
//! Descriptors are [outcome fingerprints](Probe), because a table of outcomes does not give access to the models. Descriptors
//! measured from the models' log-probabilities ([`fingerprint`](crate::routers::fingerprint)) can be used instead.

use crate::Stop;
use crate::data::vector::unit_rows;
use crate::data::{Samples, TableError};
use crate::routers::cross_validation::{Choice, Folds, Utilities, Validation, choose};
use crate::routers::mixture;
use crate::routers::verdict::{Ending, Fit};
use crate::routers::{LambdaRule, TrainError};
use blindroute_routing::bundle::{Cscr, Matrix, Rule};
use serde::Serialize;

mod descriptors;
mod loss;
mod projection;
mod score_lines;

pub use descriptors::Probe;
pub(crate) use loss::Bands;
pub use loss::Spectrum;
pub(crate) use projection::project;

use projection::ProjectionTraining;

/// The combinations to try, and how to train.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Constants of the loss to try.
    pub spectra: Vec<Spectrum>,
    /// Widths of [outcome fingerprints](Probe) to try.
    pub widths: Vec<usize>,
    /// The published rule: how many models the search keeps. Then similarities are compared themselves.
    /// Numbers above the pool's size mean the whole pool.
    pub search: Option<usize>,
    /// Descriptors to use instead, `[M, D]`. Then `widths` is not used.
    pub descriptors: Option<Matrix>,
    /// A router whose projection and descriptors training starts from: stage (c) of PPRoute's Algorithm 1. Then `widths` and
    /// `descriptors` are not used. The folds of the validation start from random weights all the same, because the given projection
    /// has learned from the prompts that they hold out.
    pub start: Option<Box<Cscr>>,
    /// The maximum number of passes. Fewer are tried too.
    pub passes: usize,
    /// Prompts per step.
    pub batch: usize,
    /// The largest learning rate.
    pub rate: f64,
    /// The seed of all random draws.
    pub seed: u64,
    /// How the default weight of cost is chosen.
    pub lambda: LambdaRule,
    /// How settings are compared. Every fold trains projections of its own.
    pub validation: Validation,
    /// Whether to mix the router with the prompt-blind hull until it is not worse.
    pub mixture: bool,
}

impl Default for Options {
    /// The authors' constants.
    fn default() -> Self {
        Self {
            spectra: vec![Spectrum::default()],
            widths: vec![16, 64],
            search: None,
            descriptors: None,
            start: None,
            passes: 16,
            batch: 64,
            rate: 5e-4,
            seed: 0,
            lambda: LambdaRule::default(),
            validation: Validation { folds: 4, seeds: 1 },
            mixture: false,
        }
    }
}

/// One combination that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The constants of the loss.
    #[serde(flatten)]
    pub spectrum: Spectrum,
    /// The width of the descriptors.
    pub descriptor: usize,
    /// The number of passes.
    pub passes: usize,
    /// The mean area on the folds.
    pub area: f64,
}

/// A trained router, and the trials that led to it.
pub type Fitted = Fit<Cscr, Trial>;

/// Trains on the samples. `cost` is [`relative_costs`](crate::data::relative_costs) of the pool. Calls `on_fold` after each fold with
/// the number of folds that are done and of all.
pub fn train(
    samples: &Samples,
    cost: &[f32],
    options: &Options,
    on_fold: &mut dyn FnMut(usize, usize),
    stop: &Stop,
) -> Result<Fitted, TrainError> {
    samples.check(samples, cost)?;
    let validation = options.validation.within(samples)?;
    check(options, samples.models())?;
    let mut rules = |rest: &Samples, seed: u64| {
        let all = candidates((rest, cost), options, None, seed, stop)?;
        Ok(all.into_iter().map(|(_, router)| Rule::Cscr(router)).collect())
    };
    let adjust = |samples: &Samples, folds: &Folds, similarities: Utilities| match options.search {
        Some(_) => Ok(similarities),
        None => score_lines::predicted(samples, folds, similarities),
    };
    let Choice { place, areas, utilities, unadjusted } =
        choose((samples, cost), (validation, options.seed), &mut rules, &adjust, on_fold, stop)?;
    let mut all = candidates((samples, cost), options, options.start.as_deref(), options.seed, stop)?;
    let tried: Vec<Trial> = all.iter().zip(&areas).map(|((trial, _), area)| Trial { area: *area, ..*trial }).collect();
    let mut router = all.swap_remove(place).1;
    let ending = Ending { validation, lambda: options.lambda, mixture: options.mixture };
    let verdict = ending.verdict(samples, cost, utilities, stop)?;
    if options.search.is_none() {
        let places: Vec<usize> = (0..samples.prompts()).collect();
        let mut lines = score_lines::fit(samples, &unadjusted[0], &places);
        mixture::mix_score_lines(&mut lines, &samples.mean_scores(), verdict.share);
        router.score_lines = Some(Box::new(lines));
    }
    Ok(Fitted { router, verdict, chosen: tried[place], tried })
}

fn check(options: &Options, models: usize) -> Result<(), TrainError> {
    if options.search == Some(0) || options.passes == 0 || options.batch == 0 {
        let hint = "the search's number of models, passes and batch must be at least 1";
        return Err(TrainError::Options { what: "size of zero", hint });
    }
    if options.search.is_some() && options.mixture {
        let hint = "a mixture needs predicted scores: train without a search";
        return Err(TrainError::Options { what: "mixture with a search", hint });
    }
    if options.widths.iter().any(|width| *width < 2) {
        let hint = "an outcome fingerprint has one coordinate for strength and at least one for a cluster";
        return Err(TrainError::Options { what: "width below 2", hint });
    }
    match given(options) {
        Some(given) if given.rows() != models => {
            let (found, expected) = (given.rows(), models);
            Err(TableError::Shape { what: "the number of descriptors", found, expected }.into())
        }
        _ => Ok(()),
    }
}

/// The descriptors that the options give.
fn given(options: &Options) -> Option<&Matrix> {
    options.start.as_ref().map(|start| &start.descriptors).or(options.descriptors.as_ref())
}

/// A router of each combination, from simple to complex: narrow descriptors before wide ones, then few passes before many.
fn candidates(
    (samples, cost): (&Samples, &[f32]),
    options: &Options,
    start: Option<&Cscr>,
    seed: u64,
    stop: &Stop,
) -> Result<Vec<(Trial, Cscr)>, TrainError> {
    let fingerprints = match given(options) {
        Some(given) => vec![unit_rows(given)],
        None => {
            let of = |width: &usize| Probe::new(samples, *width, options.seed, stop)?.descriptors(samples, stop);
            options.widths.iter().map(of).collect::<Result<_, TrainError>>()?
        }
    };
    let keep = options.search.unwrap_or(usize::MAX).min(samples.models());
    let mut all = Vec::new();
    for descriptors in &fingerprints {
        for spectrum in &options.spectra {
            let mut projection =
                ProjectionTraining::new((samples, cost), (descriptors, spectrum), options, start, seed)?;
            for pass in 1..=options.passes {
                projection.pass(pass, stop)?;
                if is_offered(pass, options.passes) {
                    let router = Cscr { keep, ..projection.router(samples, descriptors, cost)? };
                    let descriptor = descriptors.columns();
                    all.push((Trial { spectrum: *spectrum, descriptor, passes: pass, area: 0.0 }, router));
                }
            }
        }
    }
    all.sort_by_key(|(trial, _)| (trial.descriptor, trial.passes));
    Ok(all)
}

/// Whether the projection after this number of passes is tried: powers of two, and the last.
fn is_offered(pass: usize, passes: usize) -> bool {
    pass.is_power_of_two() || pass == passes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::synthetic;
    use crate::data::vector::dot;
    use crate::evaluation;
    use crate::evaluation::rule::choose as choose_model;

    fn quick() -> Options {
        let validation = Validation { folds: 3, seeds: 1 };
        Options { widths: vec![8], passes: 12, rate: 3e-3, validation, ..Default::default() }
    }

    #[test]
    fn prompts_go_to_their_specialists() {
        let (samples, _, test, cost) = synthetic(8, 6);
        let mut told = 0;
        let fitted = train(&samples, &cost, &quick(), &mut |_, _| told += 1, &Stop::never()).unwrap();
        assert_eq!(told, 3);
        assert_eq!(fitted.tried.iter().map(|trial| trial.passes).collect::<Vec<_>>(), [1, 2, 4, 8, 12]);
        assert!(fitted.verdict.validated.is_sure(), "{:?}", fitted.verdict.validated);
        let router = &fitted.router;
        assert_eq!((router.w1.shape(), router.w2.shape(), router.descriptors.shape()), ((32, 32), (32, 8), (6, 8)));
        assert!(router.descriptors.iter_rows().all(|row| (dot(row, row) - 1.0).abs() < 1e-5));
        let rule = Rule::Cscr(router.clone());
        let area = evaluation::hull_area(&evaluation::sweep(&rule, &test, &evaluation::lambdas()));
        let hull = evaluation::hull_area(&evaluation::singles(&test, &cost));
        assert!(area > hull + 0.1, "{area} against {hull}");
        let differs = |row| {
            let embedding = test.embeddings().row(row);
            choose_model(&rule, embedding, 5.0) != choose_model(&rule, embedding, 0.0)
        };
        assert!((0..200).any(differs));
        let again = train(&samples, &cost, &quick(), &mut |_, _| (), &Stop::never()).unwrap();
        assert_eq!(again, fitted);
    }

    /// Two models are near every prompt and dear; a cheap one answers as well and is far. The published search of two never tries
    /// it. Predicted scores do.
    #[test]
    fn the_cheap_good_model_is_not_excluded() {
        let (samples, _, test, _) = synthetic(8, 6);
        let good = |samples: &Samples| {
            let scores = samples.scores();
            // Model 5 answers four of five prompts of every kind.
            let score = |row: usize, model: usize| {
                if model == 5 { f32::from(u8::from(!row.is_multiple_of(5))) } else { scores.row(row)[model] }
            };
            Samples::new(samples.embeddings().clone(), Matrix::from_fn(scores.rows(), 6, score)).unwrap()
        };
        let (samples, test) = (good(&samples), good(&test));
        let cost = [1.0, 0.9, 0.8, 0.7, 0.6, 0.01];
        let descriptors = Some(Matrix::from_fn(6, 8, |model, column| f32::from(u8::from(model == column))));
        let of = |search| {
            let options = Options { descriptors: descriptors.clone(), search, ..quick() };
            let fitted = train(&samples, &cost, &options, &mut |_, _| (), &Stop::never()).unwrap();
            assert_eq!(fitted.router.score_lines.is_none(), search.is_some());
            let points = evaluation::sweep(&Rule::Cscr(fitted.router), &test, &evaluation::lambdas());
            evaluation::hull_area(&points)
        };
        let hull = evaluation::hull_area(&evaluation::singles(&test, &cost));
        let (published, predicted) = (of(Some(2)), of(None));
        assert!(predicted > hull - 0.005 && predicted > published + 0.02, "{predicted}, {published}, hull {hull}");
    }

    /// Stage (c): the projection of another encoder is a better start than none.
    #[test]
    fn training_continues_from_a_given_projection() {
        let (samples, _, test, cost) = synthetic(8, 6);
        let of = |options: &Options| train(&samples, &cost, options, &mut |_, _| (), &Stop::never()).unwrap();
        let first = of(&quick());
        let few = Options { passes: 1, rate: 1e-4, ..quick() };
        let fresh = of(&few);
        let on = Options { start: Some(Box::new(first.router.clone())), ..few };
        let tuned = of(&on);
        let area = |fitted: &Fitted| {
            let points = evaluation::sweep(&Rule::Cscr(fitted.router.clone()), &test, &evaluation::lambdas());
            evaluation::hull_area(&points)
        };
        assert!(area(&tuned) > area(&fresh) + 0.02, "{}, {}", area(&tuned), area(&fresh));
        // The folds do not start from it, because it has seen their prompts: one pass from random weights is all they have.
        assert_eq!(tuned.chosen.passes, 1);
        assert!(area(&tuned) > tuned.chosen.area + 0.05, "{}, {:?}", area(&tuned), tuned.chosen);
        assert_eq!(tuned.router.descriptors, first.router.descriptors);
        let narrow = Cscr { w1: Matrix::from_fn(16, 16, |_, _| 1.0), ..tuned.router };
        let fault =
            train(&samples, &cost, &Options { start: Some(Box::new(narrow)), ..on }, &mut |_, _| (), &Stop::never())
                .unwrap_err();
        assert!(fault.to_string().contains("projection to start from is 16, expected 32"), "{fault}");
    }

    #[test]
    fn impossible_options_are_refused() {
        let (samples, _, _, cost) = synthetic(4, 3);
        let fault = |options: Options| {
            train(&samples, &cost, &options, &mut |_, _| (), &Stop::never()).unwrap_err().to_string()
        };
        assert!(fault(Options { search: Some(0), ..quick() }).contains("at least 1"));
        assert!(fault(Options { search: Some(2), mixture: true, ..quick() }).contains("predicted scores"));
        assert!(fault(Options { widths: vec![], ..quick() }).contains("no setting"));
        assert!(fault(Options { widths: vec![8, 1], ..quick() }).contains("width below 2"));
        let descriptors = Some(Matrix::from_fn(2, 4, |_, _| 1.0));
        assert!(fault(Options { descriptors, ..quick() }).contains("the number of descriptors is 2, expected 3"));
        assert!(train(&samples, &cost[1..], &quick(), &mut |_, _| (), &Stop::never()).is_err());
    }
}
