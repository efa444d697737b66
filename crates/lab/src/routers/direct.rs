//! Training a direct router: ridge regression predicts each model's score from the embedding.
//!
//! The penalty is chosen by cross-validation: the largest one within one standard error of the best. Products use the kernels of
//! `nalgebra`, which differ between processors in the last bits of f64. The stored f32 numbers rarely differ.

use crate::Stop;
use crate::data::Samples;
use crate::data::samples::cost_row;
use crate::routers::cross_validation::{Choice, Folds, Validation, choose};
use crate::routers::mixture;
use crate::routers::ridge::Normal;
use crate::routers::verdict::{Ending, Fit};
use crate::routers::{LambdaRule, TrainError};
use blindroute_routing::bundle::{Direct, Matrix, Rule};
use nalgebra::DMatrix;
use serde::Serialize;

/// The penalties to try.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Penalties, relative to the mean square of the inputs.
    pub penalties: Vec<f64>,
    /// How the default weight of cost is chosen.
    pub lambda: LambdaRule,
    /// How settings are compared.
    pub validation: Validation,
    /// Whether to mix the router with the prompt-blind hull until it is not worse.
    pub mixture: bool,
    /// The seed of the folds.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            penalties: vec![0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0],
            lambda: LambdaRule::default(),
            validation: Validation { folds: 5, seeds: 3 },
            mixture: false,
            seed: 0,
        }
    }
}

/// One penalty that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The penalty.
    pub penalty: f64,
    /// The mean area on the folds of all seeds.
    pub area: f64,
}

/// A trained router, and the trials that led to it.
pub type Fitted = Fit<Direct, Trial>;

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
    // A large penalty makes a simple router.
    let mut penalties = options.penalties.clone();
    penalties.sort_by(|a, b| b.total_cmp(a));
    let fit = |samples: &Samples| routers(samples, cost, &penalties, stop);
    let mut rules = |rest: &Samples, _: u64| Ok(fit(rest)?.into_iter().map(Rule::Direct).collect());
    let keep = |_: &Samples, _: &Folds, utilities| Ok(utilities);
    let Choice { place, areas, utilities, .. } =
        choose((samples, cost), (validation, options.seed), &mut rules, &keep, on_fold, stop)?;
    let mut router = fit(samples)?.swap_remove(place);
    let tried: Vec<Trial> =
        penalties.iter().zip(&areas).map(|(penalty, area)| Trial { penalty: *penalty, area: *area }).collect();
    let ending = Ending { validation, lambda: options.lambda, mixture: options.mixture };
    let verdict = ending.verdict(samples, cost, utilities, stop)?;
    mixture::mix_direct(&mut router, &samples.mean_scores(), verdict.share);
    Ok(Fitted { router, verdict, chosen: tried[place], tried })
}

/// A router for each penalty.
fn routers(samples: &Samples, cost: &[f32], penalties: &[f64], stop: &Stop) -> Result<Vec<Direct>, TrainError> {
    let scores = samples.scores();
    let outputs = scores.data().iter().map(|score| f64::from(*score));
    let outputs = DMatrix::from_row_iterator(scores.rows(), scores.columns(), outputs);
    let normal = Normal::new(samples, &outputs, true, stop)?;
    let router = |penalty: &f64| {
        stop.check()?;
        let fit = normal.fit(*penalty)?;
        Ok(Direct {
            weight: Matrix::from_fn(fit.weight.nrows(), fit.weight.ncols(), |row, column| {
                fit.weight[(row, column)] as f32
            }),
            bias: Matrix::from_fn(1, fit.bias.len(), |_, column| fit.bias[column] as f32),
            cost: cost_row(cost),
        })
    };
    penalties.iter().map(router).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::synthetic;
    use crate::evaluation;

    #[test]
    fn it_beats_every_single_model() {
        let (samples, _, test, cost) = synthetic(8, 5);
        let options = Options { validation: Validation { folds: 4, seeds: 2 }, ..Default::default() };
        let mut folds = Vec::new();
        let fitted =
            train(&samples, &cost, &options, &mut |done, all| folds.push((done, all)), &Stop::never()).unwrap();
        assert_eq!((folds.len(), folds.last()), (8, Some(&(8, 8))));
        assert_eq!((fitted.tried.len(), fitted.tried[0].penalty), (13, 1000.0));
        assert!(fitted.verdict.validated.is_sure() && fitted.verdict.validated.deviation.is_some());
        let point = evaluation::operate(&Rule::Direct(fitted.router), &test, 0.0);
        let best_single = test.mean_scores().into_iter().fold(0.0, f64::max);
        assert!(point.score > best_single + 0.2, "{point:?} against {best_single}");
        let none = Options { penalties: vec![], ..options };
        assert!(
            train(&samples, &cost, &none, &mut |_, _| (), &Stop::never())
                .unwrap_err()
                .to_string()
                .contains("no setting")
        );
    }

    /// Embeddings that say nothing of the outcomes: the guard sees it, and the mixture is the prompt-blind hull.
    #[test]
    fn a_router_without_knowledge_is_not_sure_and_its_mixture_is_safe() {
        let (samples, _, _, cost) = synthetic(8, 5);
        let noise = |row: usize, column: usize| ((row * 7919 + column * 104_729) % 1009) as f32 / 1009.0 - 0.5;
        let blind = Matrix::from_fn(samples.prompts(), 32, noise);
        let blind = Samples::new(blind, samples.scores().clone()).unwrap();
        let options =
            Options { penalties: vec![0.001], validation: Validation { folds: 4, seeds: 1 }, ..Default::default() };
        let fitted = train(&blind, &cost, &options, &mut |_, _| (), &Stop::never()).unwrap();
        assert!(!fitted.verdict.validated.is_sure() && fitted.verdict.share == 1.0);
        let mixed =
            train(&blind, &cost, &Options { mixture: true, ..options }, &mut |_, _| (), &Stop::never()).unwrap();
        assert!(mixed.verdict.share < 1.0, "{:?}", mixed.verdict.share);
        assert!(mixed.verdict.validated.above_hull.value > fitted.verdict.validated.above_hull.value);
        let largest = |router: &Direct| router.weight.data().iter().fold(0.0f32, |most, x| most.max(x.abs()));
        assert!(largest(&mixed.router) < largest(&fitted.router));
    }
}
