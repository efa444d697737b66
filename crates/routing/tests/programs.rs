//! The programs on a small made-up bundle: what the parties compute is what the clear interpreter and a plain search
//! compute, and what it costs is what the meter says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use blindroute_protocol::{Clear, Meter, Output, Program, Shape, Tensor, Tuning};
use blindroute_routing::bundle::{
    Activation, Attention, Bundle, BundleParts, Cscr, Direct, EmbeddingTables, EncoderConfig, Layer, LayerNorm, Linear,
    Matrix, Model, Pooling, Router, Rule, UniRoute,
};
use blindroute_routing::program::{
    EncoderPlan, HeadPlan, ModelPlan, Network, RouteInputs, RouteProgram, RouterPlan, SelectMethod, SelectProgram,
    Task, head_inputs, weight_tensors,
};
use blindroute_testkit::{TestWorld, generator};
use std::sync::Arc;
use std::time::Duration;

const HIDDEN: usize = 64;
const FFN: usize = 128;
const MODELS: usize = 7;
const VOCABULARY: usize = 15;

fn tokenizer() -> Vec<u8> {
    let tokens =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "ab", "##a", "##b", "!", "[", "]", "se", "##p"];
    let vocabulary: serde_json::Map<_, _> =
        tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id.into())).collect();
    serde_json::json!({
        "version": "1.0", "added_tokens": [], "truncation": null, "padding": null,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 20, "vocab": vocabulary},
    })
    .to_string()
    .into_bytes()
}

/// Rows of unit length.
fn unit(matrix: &Matrix) -> Matrix {
    let norms: Vec<f32> = matrix.iter_rows().map(|row| row.iter().map(|x| x * x).sum::<f32>().sqrt()).collect();
    Matrix::from_fn(matrix.rows(), matrix.columns(), |row, column| matrix.row(row)[column] / norms[row])
}

/// A bundle whose weights have the size of a real encoder's.
fn bundle(attention: Attention, activation: Activation, pooling: Pooling) -> Bundle {
    let mut next = generator(2026);
    let mut random = |rows: usize, columns: usize, centre: f64, size: f64| {
        let data = (0..rows * columns).map(|_| (centre + size * next()) as f32).collect();
        Matrix::new(rows, columns, data).unwrap()
    };
    // Uniform in ±√3 has deviation 1.
    let scale = |inputs: usize| 1.7 / (inputs as f64).sqrt();
    let encoder = EncoderConfig {
        layers: 2,
        hidden: HIDDEN,
        heads: 4,
        ffn: FFN,
        vocabulary: VOCABULARY,
        segments: 2,
        max_tokens: 64,
        attention,
        activation,
        pooling,
        ..EncoderConfig::minilm()
    };
    let mut layers = Vec::new();
    for _ in 0..2 {
        let mut linear = |inputs, outputs| Linear {
            weight: random(inputs, outputs, 0.0, scale(inputs)),
            bias: random(1, outputs, 0.0, 0.2),
        };
        let (query, key, value, output) =
            (linear(HIDDEN, HIDDEN), linear(HIDDEN, HIDDEN), linear(HIDDEN, HIDDEN), linear(HIDDEN, HIDDEN));
        let (up, down) = (linear(HIDDEN, FFN), linear(FFN, HIDDEN));
        let mut norm = || LayerNorm { gain: random(1, HIDDEN, 0.9, 0.3), bias: random(1, HIDDEN, 0.0, 0.2) };
        let (attention_norm, output_norm) = (norm(), norm());
        layers.push(Layer { query, key, value, output, attention_norm, up, down, output_norm });
    }
    let embedding = EmbeddingTables {
        token: random(VOCABULARY, HIDDEN, 0.0, 0.1),
        position: random(64, HIDDEN, 0.0, 0.05),
        segment: random(2, HIDDEN, 0.0, 0.05),
        norm: LayerNorm { gain: random(1, HIDDEN, 0.9, 0.3), bias: random(1, HIDDEN, 0.0, 0.2) },
    };
    let cost = Matrix::new(1, MODELS, vec![0.02, 1.0, 0.3, 0.05, 0.6, 0.1, 0.45]).unwrap();
    let uniroute = UniRoute {
        centroids: unit(&random(5, HIDDEN, 0.0, 1.0)),
        errors: random(5, MODELS, 0.5, 0.5),
        cost: cost.clone(),
    };
    let cscr = Cscr {
        w1: random(HIDDEN, 48, 0.0, scale(HIDDEN)),
        w2: random(48, 16, 0.0, scale(48)),
        descriptors: unit(&random(MODELS, 16, 0.0, 1.0)),
        cost: cost.clone(),
        keep: 3,
    };
    let direct =
        Direct { weight: random(HIDDEN, MODELS, 0.0, 0.1), bias: random(1, MODELS, 0.5, 0.3), cost: cost.clone() };
    let router = |name: &str, rule| Router { name: name.to_owned(), lambda: 0.5, rule };
    let model = |index: usize| Model { name: format!("m{index}"), price: index as f64, unit: "USD".to_owned() };
    Bundle::new(BundleParts {
        encoder,
        tokenizer: tokenizer(),
        embedding,
        layers,
        models: (0..MODELS).map(model).collect(),
        routers: vec![
            router("uniroute", Rule::UniRoute(uniroute)),
            router("cscr", Rule::Cscr(cscr)),
            router("direct", Rule::Direct(direct)),
        ],
        origin: "made up for a test".to_owned(),
    })
    .unwrap()
}

/// What tests need of a bundle.
struct World {
    bundle: Bundle,
    plan: Arc<ModelPlan>,
    weights: Vec<Tensor<f32>>,
}

impl World {
    fn new(attention: Attention, activation: Activation, pooling: Pooling) -> Self {
        let bundle = bundle(attention, activation, pooling);
        let plan = Arc::new(ModelPlan::of(&bundle));
        let weights = weight_tensors(&bundle, &plan).unwrap();
        Self { bundle, plan, weights }
    }

    fn program(&self, task: Task) -> RouteProgram {
        RouteProgram::new(Arc::clone(&self.plan), task).unwrap()
    }

    fn inputs(&self, ids: &[u32], bucket: usize) -> RouteInputs {
        let parts = self.bundle.parts();
        RouteInputs::embed(&parts.embedding, &parts.encoder, ids, bucket).unwrap()
    }

    fn clear(&self, task: Task, inputs: Vec<Tensor<f32>>) -> Output {
        Clear::run(&self.program(task), &self.weights, inputs).unwrap()
    }

    /// By the parties; the ledger must be the forecast.
    fn private(&self, seed: u64, task: Task, inputs: &[Tensor<f32>]) -> Output {
        let run = TestWorld::seeded(seed).run(&self.program(task), &self.weights, inputs).unwrap();
        for server in run.servers {
            assert_eq!(server.openings, run.forecast.openings);
            assert_eq!(server.opening_bytes, run.forecast.opening_bytes);
        }
        assert_eq!(run.material_bytes, run.forecast.material_bytes);
        run.output
    }
}

/// Token ids of a prompt of this length.
fn prompt(length: usize, seed: u64) -> Vec<u32> {
    let mut next = generator(seed);
    (0..length).map(|place| if place == 0 { 2 } else { 5 + ((next() + 1.0) * 5.0) as u32 % 10 }).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn every_variant_gives_the_clear_embedding() {
    for attention in [Attention::Softmax, Attention::TwoRelu] {
        for activation in [Activation::Gelu, Activation::Relu] {
            for pooling in [Pooling::Mean, Pooling::Cls] {
                let world = World::new(attention, activation, pooling);
                for length in [1, 5, 32] {
                    let task = Task::Embed { bucket: 32 };
                    let inputs = world.inputs(&prompt(length, 1), 32).tensors;
                    let private = world.private(length as u64, task, &inputs);
                    let clear = world.clear(task, inputs);
                    let cosine = cosine(&private.values[0], &clear.values[0]);
                    assert!(cosine >= 0.999, "{attention} {activation} {pooling} of {length} tokens: cosine {cosine}");
                }
            }
        }
    }
}

#[test]
fn padding_and_bucket_make_no_difference() {
    for attention in [Attention::Softmax, Attention::TwoRelu] {
        let world = World::new(attention, Activation::Relu, Pooling::Mean);
        let ids = prompt(7, 3);
        let task = Task::Embed { bucket: 32 };
        let inputs = world.inputs(&ids, 32).tensors;
        let plain = world.private(1, task, &inputs);
        // Rows of padding hold another prompt's tokens.
        let mut other = world.inputs(&prompt(32, 9), 32).tensors;
        for (tensor, original) in other.iter_mut().zip(&inputs).take(2) {
            let width = original.shape().columns;
            tensor.data_mut()[..7 * width].copy_from_slice(&original.data()[..7 * width]);
        }
        other[2..].clone_from_slice(&inputs[2..]);
        let private = world.private(2, task, &other);
        let cosine_padding = cosine(&plain.values[0], &private.values[0]);
        let larger = world.private(3, Task::Embed { bucket: 64 }, &world.inputs(&ids, 64).tensors);
        let cosine_bucket = cosine(&plain.values[0], &larger.values[0]);
        assert!(cosine_padding > 0.9999 && cosine_bucket > 0.9999, "{attention}: {cosine_padding} {cosine_bucket}");
    }
}

/// x · W.
fn times(x: &[f32], weight: &Matrix) -> Vec<f32> {
    let mut sums = vec![0.0f32; weight.columns()];
    for (x, row) in x.iter().zip(weight.iter_rows()) {
        sums.iter_mut().zip(row).for_each(|(sum, w)| *sum += x * w);
    }
    sums
}

/// The index of the largest, and by how much it leads.
fn largest(values: &[f32]) -> (usize, f32) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    (order[0], order.get(1).map_or(f32::INFINITY, |&second| values[order[0]] - values[second]))
}

/// The rule in plain f32: the model, and the smallest margin of a decision on the way.
fn choose(rule: &Rule, embedding: &[f32], lambda: f32) -> (usize, f32) {
    let less = |score: &[f32], cost: &Matrix| -> Vec<f32> {
        score.iter().zip(cost.data()).map(|(score, cost)| score - lambda * cost).collect()
    };
    match rule {
        Rule::UniRoute(rule) => {
            let (cluster, first) = largest(&times(embedding, &rule.centroids.transposed()));
            let success: Vec<f32> = rule.errors.row(cluster).iter().map(|error| -error).collect();
            let (model, second) = largest(&less(&success, &rule.cost));
            (model, first.min(second))
        }
        Rule::Cscr(rule) => {
            let inner: Vec<f32> = times(embedding, &rule.w1).into_iter().map(|x| x.max(0.0)).collect();
            let query = times(&inner, &rule.w2);
            let norm = query.iter().map(|x| x * x).sum::<f32>().sqrt();
            let query: Vec<f32> = query.into_iter().map(|x| x / norm).collect();
            let similarity = times(&query, &rule.descriptors.transposed());
            let mut order: Vec<usize> = (0..similarity.len()).collect();
            order.sort_by(|&a, &b| similarity[b].total_cmp(&similarity[a]));
            let first = similarity[order[rule.keep - 1]] - similarity[order[rule.keep]];
            let alive: Vec<f32> = less(&similarity, &rule.cost)
                .into_iter()
                .enumerate()
                .map(|(index, score)| if order[..rule.keep].contains(&index) { score } else { f32::NEG_INFINITY })
                .collect();
            let (model, second) = largest(&alive);
            (model, first.min(second))
        }
        Rule::Direct(rule) => {
            let score: Vec<f32> =
                times(embedding, &rule.weight).iter().zip(rule.bias.data()).map(|(score, bias)| score + bias).collect();
            largest(&less(&score, &rule.cost))
        }
    }
}

fn one_hot(output: &Output) -> Option<usize> {
    let bits = &output.bits[0];
    (bits.iter().filter(|&&bit| bit).count() == 1).then(|| bits.iter().position(|&bit| bit)).flatten()
}

#[test]
fn heads_choose_what_a_plain_search_chooses() {
    let world = World::new(Attention::TwoRelu, Activation::Relu, Pooling::Mean);
    let mut checked = 0;
    for (index, router) in world.bundle.parts().routers.iter().enumerate() {
        for seed in 0..12 {
            for lambda in [0.0, 0.5, 4.0] {
                let mut next = generator(seed);
                let embedding = Matrix::from_fn(1, HIDDEN, |_, column| ((column as f32 + 1.0) * 0.7).sin());
                let data = embedding.data().iter().map(|x| 0.3 * x + (next() * 1.5) as f32).collect();
                let embedding = Matrix::new(1, HIDDEN, data).unwrap();
                let (expected, margin) = choose(&router.rule, embedding.data(), lambda);
                let inputs = head_inputs(&embedding, lambda);
                let task = Task::Head { router: index };
                let found = world.private(seed, task, &inputs);
                if margin > 1e-3 {
                    checked += 1;
                    assert_eq!(one_hot(&found), Some(expected), "{} seed {seed}, λ = {lambda}", router.name);
                    assert_eq!(one_hot(&world.clear(task, inputs)), Some(expected));
                }
            }
        }
    }
    assert!(checked > 90, "only {checked} cases have a margin");
}

#[test]
fn whole_routes_choose_what_a_plain_search_chooses() {
    let world = World::new(Attention::TwoRelu, Activation::Relu, Pooling::Mean);
    let mut checked = 0;
    for (index, router) in world.bundle.parts().routers.iter().enumerate() {
        for (seed, lambda) in [(1, 0.0f32), (2, 0.5), (3, 4.0)] {
            let inputs = world.inputs(&prompt(4 + 9 * seed as usize, seed), 32);
            let embedding = world.clear(Task::Embed { bucket: 32 }, inputs.tensors.clone());
            let embedding: Vec<f32> = embedding.values[0].iter().map(|&x| x as f32).collect();
            let (expected, margin) = choose(&router.rule, &embedding, lambda);
            let task = Task::Route { router: index, bucket: 32 };
            let found = world.private(seed, task, &inputs.with_lambda(lambda));
            assert!(one_hot(&found).is_some());
            // The encoder's own rounding moves scores by some thousandths.
            if margin > 2e-2 {
                checked += 1;
                assert_eq!(one_hot(&found), Some(expected), "{} seed {seed}, λ = {lambda}", router.name);
            }
        }
    }
    assert!(checked >= 4, "only {checked} cases have a margin");
}

#[test]
fn a_route_through_the_real_encoder_takes_few_openings() {
    let plan = ModelPlan {
        encoder: EncoderPlan {
            layers: 6,
            hidden: 384,
            heads: 12,
            ffn: 1536,
            attention: Attention::TwoRelu,
            activation: Activation::Relu,
            pooling: Pooling::Mean,
        },
        models: 112,
        routers: vec![
            RouterPlan { name: "u".to_owned(), head: HeadPlan::UniRoute { clusters: 20 } },
            RouterPlan { name: "c".to_owned(), head: HeadPlan::Cscr { width: 512, descriptor: 128, keep: 4 } },
            RouterPlan { name: "d".to_owned(), head: HeadPlan::Direct },
        ],
    };
    let plan = Arc::new(plan);
    for (router, most) in [(0, 164), (1, 169), (2, 161)] {
        for bucket in [32, 64, 128, 256] {
            let task = Task::Route { router, bucket };
            let cost = Meter::cost(&RouteProgram::new(Arc::clone(&plan), task).unwrap()).unwrap();
            assert!(cost.openings <= most, "{} openings of router {router}", cost.openings);
        }
    }
}

#[test]
fn a_tuning_changes_openings_and_material_but_no_embedding() {
    for (attention, activation) in [(Attention::TwoRelu, Activation::Relu), (Attention::Softmax, Activation::Gelu)] {
        let world = World::new(attention, activation, Pooling::Mean);
        let task = Task::Embed { bucket: 32 };
        let inputs = world.inputs(&prompt(9, 4), 32).tensors;
        let clear = world.clear(task, inputs.clone());
        let mut costs = Vec::new();
        for tuning in Tuning::ALL {
            let program = world.program(task).with_tuning(tuning);
            let run = TestWorld::seeded(2).run(&program, &world.weights, &inputs).unwrap();
            let cosine = cosine(&run.output.values[0], &clear.values[0]);
            assert!(cosine >= 0.999, "{attention} {activation} {tuning:?}: cosine {cosine}");
            assert_eq!((run.servers[0].openings, run.material_bytes), {
                (run.forecast.openings, run.forecast.material_bytes)
            });
            costs.push(run.forecast);
        }
        assert!(costs.windows(2).all(|pair| pair[0].openings >= pair[1].openings), "{costs:?}");
        assert!(costs.windows(2).all(|pair| pair[0].material_bytes <= pair[1].material_bytes), "{costs:?}");
    }
}

#[test]
fn a_network_chooses_the_tuning() {
    let world = World::new(Attention::TwoRelu, Activation::Relu, Pooling::Mean);
    let task = Task::Route { router: 0, bucket: 32 };
    let choice = |micros: u64, megabits: f64| {
        Network { delay: Duration::from_micros(micros), megabits }.choose(&world.plan, task).unwrap()
    };
    assert_eq!(choice(0, 100_000.0), Tuning::Near);
    assert_ne!(choice(20_000, 400.0), Tuning::Near);
    assert_eq!(choice(10_000_000, 400.0), Tuning::Far);
}

#[test]
fn selection_is_within_the_budget() {
    let program = SelectProgram { candidates: 112, keep: 4, method: SelectMethod::default() };
    let cost = Meter::cost(&program).unwrap();
    assert!(cost.openings <= 12 && cost.opening_bytes <= 64 * 1024, "{cost:?}");
    let mut next = generator(3);
    let mut row = || Tensor::new(Shape::row(112), (0..112).map(|_| next() as f32).collect());
    let (similarity, score) = (row(), row());
    let mut order: Vec<usize> = (0..112).collect();
    order.sort_by(|&a, &b| similarity.data()[b].total_cmp(&similarity.data()[a]));
    let best = order[..4].iter().copied().max_by(|&a, &b| score.data()[a].total_cmp(&score.data()[b]));
    let run = TestWorld::seeded(1).run(&program, &[], &[similarity, score]).unwrap();
    assert_eq!(one_hot(&run.output), best);
    assert_eq!((run.servers[0].openings, run.servers[0].opening_bytes), (cost.openings, cost.opening_bytes));
    assert!(program.weights().is_empty());
}

#[test]
fn every_method_selects_the_same() {
    let (candidates, keep) = (112, 4);
    let mut next = generator(8);
    // Similarity falls with the distance from a place on the ring, so that the approximate search finds it too.
    let way = |i: usize| ((i + candidates - 74) % candidates) as f64;
    let falling: Vec<f32> = (0..candidates)
        .map(|i| (1.0 - way(i).min(1.1 * (candidates as f64 - way(i))) / candidates as f64) as f32)
        .collect();
    let score: Vec<f32> = (0..candidates).map(|_| next() as f32).collect();
    let tied = vec![0.5f32; candidates];
    for (similarity, score) in [(&falling, &score), (&falling, &tied), (&tied, &score), (&tied, &tied)] {
        let inputs = [similarity, score].map(|row| Tensor::new(Shape::row(candidates), row.clone()));
        let ours = SelectProgram { candidates, keep, method: SelectMethod::Unsorted };
        let ours = Clear::run(&ours, &[], inputs.to_vec()).unwrap();
        for method in SelectMethod::ALL {
            let program = SelectProgram { candidates, keep, method };
            program.check().unwrap();
            let clear = Clear::run(&program, &[], inputs.to_vec()).unwrap();
            let run = TestWorld::seeded(2).run(&program, &[], &inputs).unwrap();
            assert_eq!(one_hot(&run.output), one_hot(&clear), "{method}");
            // Where all are equal the graph leads nowhere.
            if similarity == &falling || !method.approximate() {
                assert_eq!(one_hot(&clear), one_hot(&ours), "{method}");
            }
        }
    }
    assert!(SelectProgram { candidates: 512, keep: 9, method: SelectMethod::BruteForce }.check().is_err());
    assert!("magic".parse::<SelectMethod>().is_err());
}
