//! CSCR (arXiv 2508.12491): a projection of prompt embeddings into the space of the models' descriptors.
//!
//! The encoder is frozen. The projection is two matrices with a ReLU between them and no bias. It is trained on embeddings
//! with the Cost-Spectrum InfoNCE loss ([`Spectrum`]). This is stage (a) of PPRoute's Algorithm 1 on a teacher's embeddings,
//! and stage (c) on a student's, where training can start from the teacher's projection ([`Options::start`]).
//!
//! The authors train for two passes over 10^5 prompts. Our tables have 10^3 to 10^4 prompts, so training runs more passes
//! while the area on the validation split grows, and keeps the best projection.
//!
//! Descriptors are [outcome fingerprints](Probe), because a table of outcomes does not give access to the models. Descriptors
//! measured from the models' log-probabilities ([`fingerprint`](crate::routers::fingerprint)) can be used instead.

use crate::data::vector::unit_rows;
use crate::data::{Samples, TableError};
use crate::evaluation::{self, Point};
use crate::routers::{LambdaRule, TrainError, choose_lambda};
use blindroute_routing::bundle::{Cscr, Matrix, Rule};
use serde::Serialize;

mod descriptors;
mod loss;
mod projection;

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
    /// Numbers of models that the search keeps, to try. Numbers above the pool's size mean the whole pool.
    pub keep: Vec<usize>,
    /// Descriptors to use instead, `[M, D]`. Then `widths` is not used.
    pub descriptors: Option<Matrix>,
    /// A router whose projection and descriptors training starts from: stage (c) of PPRoute's Algorithm 1. Then `widths` and
    /// `descriptors` are not used.
    pub start: Option<Box<Cscr>>,
    /// The maximum number of passes over the train split.
    pub passes: usize,
    /// Prompts per step.
    pub batch: usize,
    /// The largest learning rate.
    pub rate: f64,
    /// The seed of all random draws.
    pub seed: u64,
    /// How the default weight of cost is chosen.
    pub lambda: LambdaRule,
}

impl Default for Options {
    /// The authors' constants, and a grid around them.
    fn default() -> Self {
        let spectrum = Spectrum::default();
        Self {
            spectra: vec![
                spectrum,
                Spectrum { penalty: 0.0, ..spectrum },
                Spectrum { temperature: 0.1, ..spectrum },
                Spectrum { temperature: 0.02, slope: 0.1, ..spectrum },
            ],
            widths: vec![16, 64],
            keep: vec![4, 8, usize::MAX],
            descriptors: None,
            start: None,
            passes: 24,
            batch: 64,
            rate: 5e-4,
            seed: 0,
            lambda: LambdaRule::default(),
        }
    }
}

/// One combination that was tried, at its best pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The constants of the loss.
    #[serde(flatten)]
    pub spectrum: Spectrum,
    /// The width of the descriptors.
    pub descriptor: usize,
    /// How many models the search keeps.
    pub keep: usize,
    /// The number of passes; 0 for a start that no pass improved.
    pub passes: usize,
    /// The area on the validation split.
    pub area: f64,
}

/// A trained router, and the trials that led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The router.
    pub router: Cscr,
    /// The default weight of cost.
    pub lambda: f32,
    /// Score and cost at that weight on the validation split.
    pub valid: Point,
    /// The combination that won.
    pub chosen: Trial,
    /// All combinations that were tried, in order.
    pub tried: Vec<Trial>,
    /// The reference for descriptors of models that are added later; none if descriptors were given.
    pub probe: Option<Probe>,
}

/// Trains on `train` and chooses on `valid`. `cost` is [`relative_costs`](crate::data::relative_costs) of the pool. Calls
/// `on_trial` after each trial.
pub fn train(
    train: &Samples,
    valid: &Samples,
    cost: &[f32],
    options: &Options,
    on_trial: &mut dyn FnMut(&Trial),
) -> Result<Fitted, TrainError> {
    train.check(valid, cost)?;
    if options.keep.contains(&0) || options.passes == 0 || options.batch == 0 {
        let hint = "keep, passes and batch must be at least 1";
        return Err(TrainError::Options { what: "size of zero", hint });
    }
    if options.widths.iter().any(|width| *width < 2) {
        let hint = "an outcome fingerprint has one coordinate for strength and at least one for a cluster";
        return Err(TrainError::Options { what: "width below 2", hint });
    }
    let given = options.start.as_ref().map(|start| &start.descriptors).or(options.descriptors.as_ref());
    let fingerprints: Vec<(Matrix, Option<Probe>)> = match given {
        Some(given) if given.rows() == train.models() => vec![(unit_rows(given), None)],
        Some(given) => {
            let (found, expected) = (given.rows(), train.models());
            return Err(TableError::Shape { what: "the number of descriptors", found, expected }.into());
        }
        None => (options.widths.iter())
            .map(|width| {
                let probe = Probe::new(train, *width, options.seed)?;
                Ok((probe.descriptors(train)?, Some(probe)))
            })
            .collect::<Result<_, TrainError>>()?,
    };
    let mut best: Option<(Trial, Cscr, Option<&Probe>)> = None;
    let mut tried = Vec::new();
    for (descriptors, probe) in &fingerprints {
        for spectrum in &options.spectra {
            let Some((trial, router)) = fit(train, valid, cost, descriptors, spectrum, options)? else { continue };
            on_trial(&trial);
            tried.push(trial);
            if best.as_ref().is_none_or(|(best, ..)| trial.area > best.area) {
                best = Some((trial, router, probe.as_ref()));
            }
        }
    }
    let hint = "give at least one width, one set of loss constants and one number of models to keep";
    let (chosen, router, probe) = best.ok_or(TrainError::Options { what: "combination", hint })?;
    let (lambda, valid) = choose_lambda(&Rule::Cscr(router.clone()), valid, options.lambda);
    Ok(Fitted { router, probe: probe.cloned(), lambda, valid, chosen, tried })
}

/// The best projection of one training, over its passes and the numbers of models to keep.
fn fit(
    train: &Samples,
    valid: &Samples,
    cost: &[f32],
    descriptors: &Matrix,
    spectrum: &Spectrum,
    options: &Options,
) -> Result<Option<(Trial, Cscr)>, TrainError> {
    let mut projection = ProjectionTraining::new(train, cost, descriptors, spectrum, options)?;
    let mut best: Option<(Trial, Cscr)> = None;
    let mut keeps: Vec<usize> = options.keep.iter().map(|keep| (*keep).min(train.models())).collect();
    keeps.dedup();
    // A projection that training starts from may be the best one.
    let first = usize::from(options.start.is_none());
    for pass in first..=options.passes {
        if pass > 0 {
            projection.pass(pass)?;
        }
        let whole = projection.router(train, descriptors, cost)?;
        for keep in &keeps {
            let router = Cscr { keep: *keep, ..whole.clone() };
            let area =
                evaluation::hull_area(&evaluation::sweep(&Rule::Cscr(router.clone()), valid, &evaluation::lambdas()));
            if best.as_ref().is_none_or(|(best, _)| area > best.area) {
                let descriptor = descriptors.columns();
                best = Some((Trial { spectrum: *spectrum, descriptor, keep: *keep, passes: pass, area }, router));
            }
        }
        // Six passes without a gain: the projection has started to overfit the train split.
        if best.as_ref().is_some_and(|(best, _)| pass >= best.passes + 6) {
            break;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::samples::cost_row;
    use crate::data::synthetic::synthetic;
    use crate::data::vector::dot;
    use crate::evaluation::rule::choose;

    fn quick() -> Options {
        Options { spectra: vec![Spectrum::default()], widths: vec![8], passes: 12, rate: 3e-3, ..Default::default() }
    }

    #[test]
    fn prompts_go_to_their_specialists() {
        let (train_split, valid, test, cost) = synthetic(8, 6);
        let mut told = 0;
        let fitted = train(&train_split, &valid, &cost, &quick(), &mut |_| told += 1).unwrap();
        assert_eq!((told, fitted.tried.len()), (1, 1));
        let router = &fitted.router;
        assert_eq!((router.w1.shape(), router.w2.shape(), router.descriptors.shape()), ((32, 32), (32, 8), (6, 8)));
        assert!(router.descriptors.iter_rows().all(|row| (dot(row, row) - 1.0).abs() < 1e-5));
        let rule = Rule::Cscr(router.clone());
        let area = evaluation::hull_area(&evaluation::sweep(&rule, &test, &evaluation::lambdas()));
        let hull = evaluation::hull_area(&evaluation::singles(&test, &cost));
        assert!(area > hull + 0.1, "{area} against {hull}");
        let differs = |row| {
            let embedding = test.embeddings().row(row);
            choose(&rule, embedding, 5.0) != choose(&rule, embedding, 0.0)
        };
        assert!((0..200).any(differs));
        let again = train(&train_split, &valid, &cost, &quick(), &mut |_| ()).unwrap();
        assert_eq!(again, fitted);
    }

    /// A model that was left out of training joins with its descriptor and price, and is chosen where it is right.
    #[test]
    fn a_model_joins_without_training() {
        let (train_split, valid, test, cost) = synthetic(8, 6);
        let (mut right, mut wrong) = (Share::default(), Share::default());
        for model in 0..6 {
            let without = |samples: &Samples| {
                let scores = samples.scores();
                let old = |column: usize| column + usize::from(column >= model);
                let left = Matrix::from_fn(scores.rows(), 5, |row, column| scores.row(row)[old(column)]);
                Samples::new(samples.embeddings().clone(), left).unwrap()
            };
            let rest: Vec<f32> = (0..6).filter(|other| *other != model).map(|other| cost[other]).collect();
            let fitted = train(&without(&train_split), &without(&valid), &rest, &quick(), &mut |_| ()).unwrap();
            let scores: Vec<f32> = train_split.scores().iter_rows().map(|row| row[model]).collect();
            let new = fitted.probe.unwrap().descriptor(train_split.embeddings(), &scores).unwrap();
            let old = &fitted.router.descriptors;
            let descriptors = Matrix::from_fn(6, old.columns(), |row, column| match row {
                _ if row == model => new[column],
                _ => old.row(row - usize::from(row > model))[column],
            });
            let joined = Rule::Cscr(Cscr { descriptors, cost: cost_row(&cost), keep: 6, ..fitted.router });
            for (embedding, scores) in test.embeddings().iter_rows().zip(test.scores().iter_rows()) {
                let share = if scores[model] > 0.5 { &mut right } else { &mut wrong };
                share.add(choose(&joined, embedding, 0.0) == model);
            }
        }
        assert!(right.mean() > 1.5 * wrong.mean(), "{} and {}", right.mean(), wrong.mean());
    }

    #[derive(Default)]
    struct Share(f64, f64);

    impl Share {
        fn add(&mut self, counted: bool) {
            self.0 += f64::from(u8::from(counted));
            self.1 += 1.0;
        }

        fn mean(&self) -> f64 {
            self.0 / self.1
        }
    }

    /// Stage (c): the projection of another encoder is a better start than none.
    #[test]
    fn training_continues_from_a_given_projection() {
        let (train_split, valid, _, cost) = synthetic(8, 6);
        let first = train(&train_split, &valid, &cost, &quick(), &mut |_| ()).unwrap();
        let few = Options { passes: 1, rate: 1e-4, ..quick() };
        let fresh = train(&train_split, &valid, &cost, &few, &mut |_| ()).unwrap();
        let on = Options { start: Some(Box::new(first.router.clone())), ..few };
        let tuned = train(&train_split, &valid, &cost, &on, &mut |_| ()).unwrap();
        assert!(tuned.chosen.area > fresh.chosen.area + 0.05, "{:?}, {:?}", tuned.chosen, fresh.chosen);
        // It was the best of its own passes, and is tried unchanged.
        assert!(tuned.chosen.area >= first.chosen.area, "{:?}, {:?}", tuned.chosen, first.chosen);
        assert_eq!((tuned.router.descriptors.clone(), tuned.probe), (first.router.descriptors, None));
        let narrow = Cscr { w1: Matrix::from_fn(16, 16, |_, _| 1.0), ..tuned.router };
        let fault = train(&train_split, &valid, &cost, &Options { start: Some(Box::new(narrow)), ..on }, &mut |_| ())
            .unwrap_err();
        assert!(fault.to_string().contains("projection to start from is 16, expected 32"), "{fault}");
    }

    #[test]
    fn impossible_options_are_refused() {
        let (train_split, valid, _, cost) = synthetic(4, 3);
        let fault =
            |options: Options| train(&train_split, &valid, &cost, &options, &mut |_| ()).unwrap_err().to_string();
        assert!(fault(Options { keep: vec![0], ..quick() }).contains("at least 1"));
        assert!(fault(Options { widths: vec![], ..quick() }).contains("no combination"));
        assert!(fault(Options { widths: vec![8, 1], ..quick() }).contains("width below 2"));
        let descriptors = Some(Matrix::from_fn(2, 4, |_, _| 1.0));
        assert!(fault(Options { descriptors, ..quick() }).contains("the number of descriptors is 2, expected 3"));
        assert!(train(&train_split, &valid, &cost[1..], &quick(), &mut |_| ()).is_err());
    }
}
