//! The figures of `bundles/README.md`: what quantising and the fast encoder cost, and how close the router's calls are.
//!
//! `cargo run --release -p blindroute-lab --example bundle_figures -- BUNDLE WEIGHTS TOKENIZER DATA EMBEDDINGS`:
//! the bundle, the published weights and tokenizer, the data set's folder, and the file that `blindroute train
//! --embeddings` kept for this bundle.

use std::{env::args, error::Error, path::Path, sync::Arc};

use blindroute_lab::{
    ClearEmbedder,
    data::{Dataset, Split},
    embed_dataset,
    embedder::Embedder,
    rule,
};
use blindroute_protocol::{Clear, Fixed, Output};
use blindroute_routing::{
    bundle::{Bundle, ImportOptions, Precision, Router, Rule},
    program::{ModelPlan, RouteInputs, RouteProgram, Task, weight_tensors},
    tokenizer::Tokenizer,
};
use rayon::prelude::*;

type Fault = Box<dyn Error + Send + Sync>;

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn summary(what: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    eprintln!("{what}: min {:.6} mean {mean:.6} median {:.6}", values[0], values[values.len() / 2]);
}

/// The largest, and how far the next one is below it.
fn lead(values: &[f32]) -> (usize, f64) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]).then(a.cmp(b)));
    (order[0], f64::from(values[order[0]]) - f64::from(values[order[1]]))
}

fn main() -> Result<(), Fault> {
    let args: Vec<String> = args().skip(1).collect();
    let [bundle, weights, tokenizer, data, cache] = args.as_slice() else {
        return Err("give BUNDLE WEIGHTS TOKENIZER DATA EMBEDDINGS".into());
    };
    let bundle = Bundle::open(Path::new(bundle))?.bundle;
    let parts = bundle.parts();
    let options = ImportOptions { precision: Precision::Exact, ..Default::default() };
    let exact = Bundle::from_safetensors(
        &std::fs::read(weights)?,
        parts.encoder.clone(),
        &std::fs::read(tokenizer)?,
        &options,
    )?;
    let dataset = Dataset::load(Path::new(data))?;
    let tokenizer = Tokenizer::from_json(&parts.tokenizer)?;
    let test = dataset.places(Split::Test);
    let prompts: Vec<Vec<u32>> = (test.iter().take(50))
        .map(|place| Ok(tokenizer.encode(&dataset.prompts()[*place].text)?.ids))
        .collect::<Result<_, Fault>>()?;
    let kept = ClearEmbedder::new(&bundle)?.embed(&prompts)?;
    let published = ClearEmbedder::new(&exact)?.embed(&prompts)?;
    summary(
        "cosine of this bundle's embeddings to those of the published weights, same program, 50 test prompts",
        kept.iter().zip(&published).map(|(a, b)| cosine(a, b)).collect(),
    );
    let length = |e: &Vec<f32>| e.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    summary("length of an embedding", kept.iter().map(length).collect());

    let embeddings = embed_dataset(&bundle, &dataset, Some(Path::new(cache)), &mut |_| ())?;
    let samples = dataset.samples(Split::Test, &embeddings)?;
    for router in &parts.routers {
        if let Rule::UniRoute(uniroute) = &router.rule {
            let mut near = Vec::new();
            let mut relative = Vec::new();
            let mut decisive = Vec::new();
            let burden = |cluster: usize| -> Vec<f32> {
                let errors = uniroute.errors.row(cluster).iter().zip(uniroute.cost.data());
                errors.map(|(error, cost)| -error - router.lambda * cost).collect()
            };
            for embedding in samples.embeddings().iter_rows() {
                let product = |c: &[f32]| c.iter().zip(embedding).map(|(a, b)| a * b).sum::<f32>();
                let products: Vec<f32> = uniroute.centroids.iter_rows().map(product).collect();
                let (nearest, margin) = lead(&products);
                near.push(margin);
                relative.push(margin / length(&embedding.to_vec()));
                // What flips the model is only a nearer centroid whose model is another.
                let model = lead(&burden(nearest)).0;
                let other = (0..products.len()).filter(|c| lead(&burden(*c)).0 != model);
                let rival = other.map(|c| products[c]).fold(f32::NEG_INFINITY, f32::max);
                decisive.push(f64::from(products[nearest] - rival) / length(&embedding.to_vec()));
            }
            let below = |values: &[f64], bound: f64| values.iter().filter(|value| **value < bound).count();
            for (what, values) in [
                ("nearest centroid's lead, e·c", &near),
                ("the same by the embedding's length", &relative),
                ("lead over centroids whose model is another, by length", &decisive),
            ] {
                let counts = [1e-4, 1e-3, 3e-3, 1e-2].map(|bound| format!("{} < {bound}", below(values, bound)));
                eprintln!("{}: {what}: {} of {}", router.name, counts.join(", "), values.len());
                summary("   ", values.clone());
            }
            for cluster in 0..uniroute.errors.rows() {
                let values = burden(cluster);
                let (model, margin) = lead(&values);
                eprintln!("  cluster {cluster}: {} by {margin:.6}", parts.models[model].name);
            }
        } else {
            let cost = rule::costs(&router.rule);
            let leads = samples.embeddings().iter_rows().map(|embedding| {
                let utilities = rule::utilities(&router.rule, embedding);
                lead(&utilities.iter().zip(cost).map(|(u, c)| u - router.lambda * c).collect::<Vec<_>>()).1
            });
            let leads: Vec<f64> = leads.collect();
            let below = |bound: f64| leads.iter().filter(|value| **value < bound).count();
            eprintln!(
                "{}: chosen model's lead: {} < 1e-4, {} < 1e-3, {} < 1e-2",
                router.name,
                below(1e-4),
                below(1e-3),
                below(1e-2)
            );
            summary("   ", leads.clone());
        }
    }
    fixed_point(&bundle, &dataset, &tokenizer)
}

/// How far fixed-point arithmetic moves embeddings, and to how many other models that leads, for every fifth prompt of the test
/// split.
fn fixed_point(bundle: &Bundle, dataset: &Dataset, tokenizer: &Tokenizer) -> Result<(), Fault> {
    let parts = bundle.parts();
    let plan = Arc::new(ModelPlan::of(bundle));
    let weights = weight_tensors(bundle, &plan)?;
    let places: Vec<usize> = dataset.places(Split::Test).into_iter().step_by(5).take(200).collect();
    let both = |place: &usize| -> Result<(f64, Vec<bool>), Fault> {
        let tokens = tokenizer.encode(&dataset.prompts()[*place].text)?;
        let bucket = tokens.bucket();
        let program = RouteProgram::new(Arc::clone(&plan), Task::Embed { bucket })?;
        let inputs = RouteInputs::embed(&parts.embedding, &parts.encoder, &tokens.ids, bucket)?.tensors;
        let (fixed, _) = Fixed::run(&program, &weights, &inputs)?;
        let clear = Clear::run(&program, &weights, inputs)?;
        let embedding = |output: &Output| output.values[0].iter().map(|value| *value as f32).collect::<Vec<_>>();
        let (fixed, clear) = (embedding(&fixed), embedding(&clear));
        let chosen = |router: &Router, embedding: &[f32]| rule::choose(&router.rule, embedding, router.lambda);
        let same = parts.routers.iter().map(|router| chosen(router, &fixed) == chosen(router, &clear)).collect();
        Ok((cosine(&fixed, &clear), same))
    };
    let rows: Vec<(f64, Vec<bool>)> = places.par_iter().map(both).collect::<Result<_, _>>()?;
    summary("cosine of fixed-point to clear embeddings", rows.iter().map(|row| row.0).collect());
    for (index, router) in parts.routers.iter().enumerate() {
        let other = rows.iter().filter(|row| !row.1[index]).count();
        eprintln!("{}: fixed point leads to another model for {other} of {} prompts", router.name, rows.len());
    }
    Ok(())
}
