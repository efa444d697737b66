//! The bundle that the repository ships: that it reads, and that its encoder is the real one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::Path;

use blindroute_lab::{
    ClearEmbedder,
    data::Dataset,
    embedder::{Embedder, embed_all},
    relative_costs, rule,
};
use blindroute_routing::{
    bundle::{Activation, Attention, Bundle, Pooling},
    tokenizer::Tokenizer,
};
use blindroute_testkit::shared_data;

fn bundle() -> Bundle {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/default.blindroute");
    let read = Bundle::open(&path).expect("the default bundle reads");
    assert!(read.unknown.is_empty(), "{:?}", read.unknown);
    read.bundle
}

#[test]
fn it_holds_what_its_page_says() {
    let bundle = bundle();
    let parts = bundle.parts();
    let encoder = &parts.encoder;
    assert_eq!(
        (encoder.attention, encoder.activation, encoder.pooling),
        (Attention::TwoRelu, Activation::Relu, Pooling::Mean)
    );
    assert!(parts.embedding.token.is_quantised() && parts.layers.iter().all(|layer| layer.up.weight.is_quantised()));
    assert_eq!(parts.models.len(), 9);
    assert_eq!(parts.routers.iter().map(|router| router.kind()).collect::<Vec<_>>(), ["uniroute", "direct", "cscr"]);
    assert_eq!(bundle.router(None).unwrap().name, "uniroute");
    for router in &parts.routers {
        assert_eq!(router.cost().data(), relative_costs(&parts.models));
        // The secure heads' range.
        assert!(router.lambda < 16.0);
        assert!(parts.origin.contains(&format!("router {}: ", router.name)));
    }
    assert!(parts.origin.contains("Apache-2.0") && parts.origin.contains("MIT"));
    let size = bundle.write().unwrap().len();
    assert!(size < 26_000_000, "{size}");
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/README.md")).unwrap();
    assert!(page.contains(&bundle.digest().to_string()), "bundles/README.md names another digest");
}

#[test]
fn different_prompts_go_to_different_models() {
    let bundle = bundle();
    let parts = bundle.parts();
    let prompts = [
        "Natalia sold clips to 48 of her friends in April, and then half as many in May. How many did she sell?",
        "Who wrote the novel Moby-Dick?",
        "Write a Python function that returns the n-th Fibonacci number.",
        "Which of these is a chemical change? A) melting ice B) rusting iron C) cutting paper",
        "The trophy does not fit in the suitcase because it is too big. What is too big?",
    ];
    let tokenizer = Tokenizer::from_json(&parts.tokenizer).unwrap();
    let embedder = ClearEmbedder::new(&bundle).unwrap();
    let embeddings = embed_all(prompts, &tokenizer, &embedder, 8, &mut |_| ()).unwrap();
    for router in &parts.routers {
        let mut chosen: Vec<usize> =
            embeddings.iter_rows().map(|row| rule::choose(&router.rule, row, router.lambda)).collect();
        chosen.sort_unstable();
        chosen.dedup();
        assert!(chosen.len() > 1, "{} sends all to {}", router.name, parts.models[chosen[0]].name);
    }
}

#[test]
fn its_models_are_the_data_sets() {
    let Some(data) = shared_data() else { return };
    let dataset = Dataset::load(&data.join("routing/ulab_llmrouter")).unwrap();
    assert_eq!(bundle().parts().models, dataset.models());
}

/// The stored weights in the real model's program, against what the real model answers.
#[test]
fn its_weights_are_those_of_the_real_encoder() {
    let Some(data) = shared_data() else { return };
    let mut parts = bundle().into_parts();
    parts.encoder.attention = Attention::Softmax;
    parts.encoder.activation = Activation::Gelu;
    let embedder = ClearEmbedder::new(&Bundle::new(parts).unwrap()).unwrap();
    let reference = std::fs::read_to_string(data.join("reference/minilm.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        reference.lines().take(50).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 50);
    let tokens: Vec<Vec<u32>> =
        lines.iter().map(|line| serde_json::from_value(line["token_ids"].clone()).unwrap()).collect();
    let found = embedder.embed(&tokens).unwrap();
    let mut least: f64 = 1.0;
    for (found, line) in found.iter().zip(&lines) {
        let expected: Vec<f32> = serde_json::from_value(line["mean"].clone()).unwrap();
        least = least.min(cosine(found, &expected));
    }
    println!("least cosine {least:.6}");
    assert!(least >= 0.999, "{least}");
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
