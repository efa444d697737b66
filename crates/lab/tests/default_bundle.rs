//! The bundles in the repository: they can be read, minilm has the weights of the original encoder, and the default bundle has a
//! good student of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use blindroute_lab::Stop;
use blindroute_lab::data::{Dataset, relative_costs};
use blindroute_lab::encoders::similarity::{correlation, read_pairs};
use blindroute_lab::encoders::{ClearEmbedder, Embedder, embed_all};
use blindroute_lab::evaluation::rule;
use blindroute_routing::bundle::{Activation, Attention, Bundle, Norms, Pooling};
use blindroute_testkit::shared_data;
use std::path::Path;

fn shipped(name: &str) -> Bundle {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../bundles/{name}.blindroute"));
    let read = Bundle::open(&path).expect("the shipped bundle reads");
    assert!(read.unknown.is_empty(), "{:?}", read.unknown);
    read.bundle
}

fn bundle() -> Bundle {
    shipped("default")
}

#[test]
fn bundles_match_their_page() {
    let program = |bundle: &Bundle| {
        let encoder = &bundle.parts().encoder;
        (encoder.attention, encoder.activation, encoder.pooling, encoder.layers)
    };
    let (student, teacher) = (bundle(), shipped("minilm"));
    assert_eq!(program(&teacher), (Attention::Softmax, Activation::Gelu, Pooling::Mean, 6));
    assert_eq!(program(&student), (Attention::Linear, Activation::Square, Pooling::Mean, LAYERS));
    assert_eq!(student.parts().encoder.norms, Norms::Output);
    matches_its_page(&student);
    matches_its_page(&teacher);
}

/// The number of layers of the default bundle's encoder.
const LAYERS: usize = 4;

fn matches_its_page(bundle: &Bundle) {
    let parts = bundle.parts();
    assert!(parts.embedding.token.is_quantised() && parts.layers.iter().all(|layer| layer.up.weight.is_quantised()));
    assert_eq!(parts.models.len(), 9);
    assert_eq!(parts.routers.iter().map(|router| router.kind()).collect::<Vec<_>>(), ["uniroute", "direct", "cscr"]);
    assert_eq!(bundle.router(None).unwrap().name, "uniroute");
    for router in &parts.routers {
        assert_eq!(router.cost().data(), relative_costs(&parts.models));
        // The range of the secure programs.
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
    let tokenizer = bundle.tokenizer().unwrap();
    let embedder = ClearEmbedder::new(&bundle).unwrap();
    let embedded = embed_all(prompts, &tokenizer, &embedder, &mut |_| (), &Stop::never()).unwrap();
    for router in &parts.routers {
        let inputs = embedded.inputs(&tokenizer, router.lexical);
        let mut chosen: Vec<usize> =
            inputs.iter_rows().map(|row| rule::choose(&router.rule, row, router.lambda)).collect();
        chosen.sort_unstable();
        chosen.dedup();
        assert!(chosen.len() > 1, "{} sends all to {}", router.name, parts.models[chosen[0]].name);
    }
}

#[test]
fn the_models_are_those_of_the_data_set() {
    let Some(data) = shared_data() else { return };
    let dataset = Dataset::load(&data.join("routing/ulab_llmrouter")).unwrap();
    assert_eq!(bundle().parts().models, dataset.models());
    assert_eq!(shipped("minilm").parts().models, dataset.models());
}

/// Token ids of prompts, and the original encoder's embeddings of them.
fn reference(data: &Path) -> (Vec<Vec<u32>>, Vec<Vec<f32>>) {
    let reference = std::fs::read_to_string(data.join("reference/minilm.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        reference.lines().take(50).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 50);
    let tokens = lines.iter().map(|line| serde_json::from_value(line["token_ids"].clone()).unwrap()).collect();
    let means = lines.iter().map(|line| serde_json::from_value(line["mean"].clone()).unwrap()).collect();
    (tokens, means)
}

/// The stored weights give the embeddings of the original encoder.
#[test]
fn minilm_has_the_weights_of_the_original_encoder() {
    let Some(data) = shared_data() else { return };
    let (tokens, expected) = reference(&data);
    let found = ClearEmbedder::new(&shipped("minilm")).unwrap().embed(&tokens, &Stop::never()).unwrap();
    let least = found.iter().zip(&expected).map(|(found, expected)| cosine(found, expected)).fold(1.0, f64::min);
    println!("least cosine {least:.6}");
    assert!(least >= 0.999, "{least}");
}

/// The student's embeddings are closer to the original than those of the original weights under the student's program, and they
/// show well which texts mean the same. Training has not seen these prompts and texts.
#[test]
fn the_student_is_a_good_one() {
    let Some(data) = shared_data() else { return };
    let (tokens, expected) = reference(&data);
    let nearness = |bundle: &Bundle| {
        let found = ClearEmbedder::new(bundle).unwrap().embed(&tokens, &Stop::never()).unwrap();
        found.iter().zip(&expected).map(|(found, expected)| cosine(found, expected)).sum::<f64>() / 50.0
    };
    let mut untrained = shipped("minilm").into_parts();
    (untrained.encoder.attention, untrained.encoder.activation) = (Attention::TwoRelu, Activation::Relu);
    let (mean, untrained) = (nearness(&bundle()), nearness(&Bundle::new(untrained).unwrap()));
    let pairs = read_pairs(&data.join("classification/stsb.test.jsonl")).unwrap();
    let spearman = correlation(&bundle(), &pairs, &mut |_| (), &Stop::never()).unwrap();
    println!("mean cosine {mean:.6}, of the untrained program {untrained:.6}; STS-B test {spearman:.4}");
    assert!(1.0 - mean < 0.5 * (1.0 - untrained), "{mean}, {untrained}");
    assert!(spearman >= 0.80, "{spearman}");
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
