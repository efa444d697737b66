//! `full` chooses what `local` chooses, on real prompts.
//!
//! The two hundred prompts of the acceptance run take minutes in release:
//! `cargo test --release -p blindroute --test agreement -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use blindroute_placement::{Placement, PrivateRouter, Programs, Request};
use blindroute_routing::bundle::{Bundle, Rule};
use blindroute_routing::program::Task;
use std::path::Path;
use std::time::Instant;

/// A prompt of the test split. Its text is not printed.
struct Prompt {
    id: String,
    text: String,
}

/// The first `count` prompts of the test split, or nothing where the data is not.
fn prompts(count: usize) -> Option<Vec<Prompt>> {
    let path = blindroute_testkit::shared_data()?.join("routing/ulab_llmrouter/prompts.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let field = |value: &serde_json::Value, name: &str| value[name].as_str().unwrap().to_owned();
    let test = lines.filter(|value| value["split"] == "test");
    let found: Vec<_> = test.map(|value| Prompt { id: field(&value, "id"), text: field(&value, "prompt") }).collect();
    assert!(found.len() >= count, "{} prompts in the test split", found.len());
    // Spread over the split, which is sorted by source.
    let step = found.len() / count;
    Some(found.into_iter().step_by(step).take(count).collect())
}

fn router(bundle: &Bundle) -> PrivateRouter {
    PrivateRouter::with_children(
        bundle,
        &Programs { executable: env!("CARGO_BIN_EXE_blindroute").into(), scene: None },
        &|_| {},
    )
    .unwrap()
}

fn bundle() -> Bundle {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/default.blindroute");
    Bundle::open(&path).unwrap().bundle
}

fn request(placement: Placement) -> Request {
    Request { placement, router: None, lambda: None }
}

/// How close the clear decision was: differences of the best two centroids' products and of the best two burdens.
fn margins(bundle: &Bundle, router: &PrivateRouter, prompt: &str) -> (f32, f32) {
    let tokens = router.tokens(prompt).unwrap();
    let bucket = tokens.bucket();
    let inputs = router.encoder_inputs(&tokens.ids, bucket).unwrap();
    let (embedding, _) = router.clear(Task::Embed { bucket }, inputs.tensors).unwrap();
    let embedding: Vec<f32> = embedding.values.concat().into_iter().map(|x| x as f32).collect();
    let Rule::UniRoute(rule) = &bundle.router(None).unwrap().rule else { panic!("the default router is UniRoute") };
    let lambda = bundle.router(None).unwrap().lambda;
    let products = rule.centroids.iter_rows().map(|row| row.iter().zip(&embedding).map(|(a, b)| a * b).sum::<f32>());
    let products: Vec<f32> = products.collect();
    let nearest = (0..products.len()).max_by(|a, b| products[*a].total_cmp(&products[*b])).unwrap();
    let burdens = rule.errors.row(nearest).iter().zip(rule.cost.data()).map(|(error, cost)| -(error + lambda * cost));
    (gap(products.clone()), gap(burdens.collect()))
}

/// The largest less the second largest.
fn gap(mut values: Vec<f32>) -> f32 {
    values.sort_by(|a, b| b.total_cmp(a));
    values[0] - values[1]
}

/// Routes all of them both ways; the prompts that differ are printed with their margins.
fn agree(prompts: &[Prompt]) -> usize {
    let bundle = bundle();
    let router = router(&bundle);
    let started = Instant::now();
    let (mut same, mut online) = (0, Vec::new());
    for prompt in prompts {
        let full = router.route(&prompt.text, &request(Placement::Full)).unwrap();
        let local = router.route(&prompt.text, &request(Placement::Local)).unwrap();
        online.push((full.bucket.unwrap(), full.ms.online, full.ms.offline));
        if full.model == local.model {
            same += 1;
        } else {
            let (centroid, burden) = margins(&bundle, &router, &prompt.text);
            println!(
                "{} differs: full {}, local {}; margin of the nearest centroid {centroid:.6}, of the burden {burden:.6}",
                prompt.id, full.model, local.model
            );
        }
    }
    println!("{same} of {} agree, in {:.0} s", prompts.len(), started.elapsed().as_secs_f64());
    for bucket in [32, 64, 128, 256] {
        let median = |part: &dyn Fn(&(usize, f64, f64)) -> f64| {
            let mut times: Vec<f64> = online.iter().filter(|ran| ran.0 == bucket).map(part).collect();
            times.sort_by(f64::total_cmp);
            (times.len(), times.get(times.len() / 2).copied().unwrap_or_default())
        };
        let ((count, online), (_, offline)) = (median(&|ran| ran.1), median(&|ran| ran.2));
        println!("bucket {bucket}: {count} prompts, median online {online:.0} ms, offline {offline:.0} ms");
    }
    println!("{:?}", router.peak_memory());
    same
}

#[test]
fn full_and_local_choose_the_same_model() {
    let Some(mut prompts) = prompts(200) else { return };
    // The shortest, to be quick, and one that fills the largest bucket.
    prompts.sort_by_key(|prompt| prompt.text.len());
    let longest = prompts.pop().unwrap();
    prompts.truncate(5);
    prompts.push(longest);
    assert!(agree(&prompts) + 1 >= prompts.len(), "the test on 200 prompts says more");
}

#[test]
#[ignore = "minutes in release, far more in debug: see the head of this file"]
fn agreement_on_200_prompts() {
    let Some(prompts) = prompts(200) else { return };
    let same = agree(&prompts);
    assert!(same * 100 >= prompts.len() * 99, "{same} of {}", prompts.len());
}
