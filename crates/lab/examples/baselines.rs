//! Measures the baselines of `blindroute eval` on the valid split, fitted on train, and on the test split, fitted on train and valid.
//!
//! `cargo run --release -p blindroute-lab --example baselines -- BUNDLE DATA EMBEDDINGS`: a bundle with an encoder, a data set and a
//! file for the embeddings.
#![allow(clippy::print_stdout)]

use blindroute_lab::Stop;
use blindroute_lab::data::{Dataset, Samples, Split};
use blindroute_lab::encoders::embed_dataset;
use blindroute_lab::evaluation::{Outcomes, Run, audc, hull_area, lambdas, points};
use blindroute_lab::routers::baselines::{boosting, knn, mlp};
use blindroute_routing::bundle::Bundle;
use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [bundle, data, embeddings] = &arguments[..] else {
        return Err("expected BUNDLE DATA EMBEDDINGS".into());
    };
    let bundle = Bundle::open(bundle)?.bundle;
    let dataset = Dataset::load(data)?;
    let embedded = embed_dataset(&bundle, &dataset, Some(embeddings), &mut |_| (), &Stop::never())?;
    let split = |split| dataset.samples(split, embedded.embeddings());
    let (train, valid, test) = (split(Split::Train)?, split(Split::Valid)?, split(Split::Test)?);
    let both = train.joined(&valid)?;
    println!("{}: AUDC, hull area", data.display());
    for (name, fitted_on, measured_on) in [("valid", &train, &valid), ("test", &both, &test)] {
        measure(name, fitted_on, measured_on, &dataset.relative_costs())?;
    }
    Ok(())
}

fn measure(split: &str, samples: &Samples, on: &Samples, cost: &[f32]) -> Result<(), Box<dyn Error>> {
    let outcomes = Outcomes::of_samples(on, cost)?;
    let print = |name: &str, run: &Run, area: f64, since: Instant| {
        let points = points(run, &outcomes);
        let (audc, hull) = (audc(&points), hull_area(&points));
        let seconds = since.elapsed().as_secs_f64();
        println!("  {split}  {name:<54} {audc:.4}  {hull:.4}  (held out {area:.4}, {seconds:.1} s)");
    };
    let hull = points(&Run::Hull, &outcomes);
    println!("  {split}  {:<54} {:.4}  {:.4}", "prompt-blind hull", audc(&hull), hull_area(&hull));
    let since = Instant::now();
    let near = knn::train(samples, cost, &knn::Options::default(), &Stop::never())?;
    print(
        &format!("k-NN (k = {}, prior {})", near.neighbours, near.prior),
        &near.run(on, &lambdas(), &Stop::never())?,
        near.area,
        since,
    );
    let since = Instant::now();
    let boosted = boosting::train(samples, cost, &boosting::Options::default(), &Stop::never())?;
    let name = format!("boosting ({} trees of depth {})", boosted.trees, boosted.depth);
    print(&name, &boosted.run(on, &lambdas()), boosted.area, since);
    let since = Instant::now();
    let network = mlp::train(samples, cost, &mlp::Options::default(), &Stop::never())?;
    let mlp::Settings { width, decay, dropout } = network.settings;
    let name = format!("MLP ({} passes, width {width}, decay {decay}, dropout {dropout})", network.passes);
    print(&name, &network.run(on, &lambdas())?, network.area, since);
    Ok(())
}
