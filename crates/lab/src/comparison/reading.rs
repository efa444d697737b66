//! The baselines that read prompts.

use super::{ComparisonError, Options};
use crate::data::Dataset;
use crate::evaluation::{Curve, Group, Run, lambdas, run_of};
use crate::routers::baselines::{boosting, knn, mlp};
use crate::routers::direct;
use crate::{Stop, Stopped};
use blindroute_routing::bundle::{Matrix, Rule};

/// The curves of k-NN, MLP, boosting and ridge regression, fitted on train and valid. Calls `step` after each.
pub(super) fn baselines(
    dataset: &Dataset,
    embeddings: &Matrix,
    options: &Options,
    step: &mut dyn FnMut() -> Result<(), Stopped>,
    stop: &Stop,
) -> Result<[Curve; 4], ComparisonError> {
    let both = dataset.tuning_samples(embeddings)?;
    let samples = dataset.samples(options.split, embeddings)?;
    let (cost, seed, lambdas) = (dataset.relative_costs(), options.bootstrap.seed, lambdas());
    let curve = |name: String, run: Run| Curve { name, group: Group::Baseline, lambda: None, runs: vec![run] };

    let found = knn::train(&both, &cost, &knn::Options { seed, ..Default::default() }, stop)?;
    let near = curve(format!("k-NN (k = {})", found.neighbours), found.run(&samples, &lambdas, stop)?);
    step()?;
    let options = direct::Options { seed, ..Default::default() };
    let found = direct::train(&both, &cost, &options, &mut |_, _| (), stop)?;
    let run = run_of(&Rule::Direct(found.router), &samples, &lambdas);
    let ridge = curve(format!("ridge (penalty {})", found.chosen.penalty), run);
    step()?;
    let found = mlp::train(&both, &cost, &mlp::Options { seed, ..Default::default() }, stop)?;
    let network = curve(format!("MLP (width {})", found.settings.width), found.run(&samples, &lambdas)?);
    step()?;
    let found = boosting::train(&both, &cost, &boosting::Options { seed, ..Default::default() }, stop)?;
    let boosted = curve(format!("boosting ({} trees)", found.trees), found.run(&samples, &lambdas));
    step()?;
    Ok([near, network, boosted, ridge])
}
