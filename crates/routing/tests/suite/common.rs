//! A small made-up bundle, its programs and prompts for it.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use blindroute_protocol::{Clear, Kept, Output, Tensor};
use blindroute_routing::bundle::{
    Activation, Attention, Bundle, BundleParts, Cscr, Direct, EmbeddingTables, EncoderConfig, HiddenLayer, Layer,
    LayerNorm, LinearLayer, Matrix, Mlp, Model, Neighbours, Norms, Pooling, Router, Rule, RuleShape, ScoreLines,
    UniRoute, Widths,
};
use blindroute_routing::program::{
    BundlePlan, EncoderPlan, RouteInputs, RouteProgram, RouterPlan, Work, weight_tensors,
};
use blindroute_testkit::{Run, TOKENS, TestWorld, generator, tokenizer_json};
use std::sync::Arc;

pub const HIDDEN: usize = 64;
pub const FFN: usize = 128;
pub const MODELS: usize = 7;
pub const VOCABULARY: usize = TOKENS.len();

/// Rows of unit length.
pub fn unit(matrix: &Matrix) -> Matrix {
    let norms: Vec<f32> = matrix.iter_rows().map(|row| row.iter().map(|x| x * x).sum::<f32>().sqrt()).collect();
    Matrix::from_fn(matrix.rows(), matrix.columns(), |row, column| matrix.row(row)[column] / norms[row])
}

/// A bundle whose weights have the size of a real encoder's.
pub fn bundle(attention: Attention, activation: Activation, pooling: Pooling) -> Bundle {
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
        widths: Widths::default(),
        ..EncoderConfig::minilm()
    };
    let mut layers = Vec::new();
    for _ in 0..2 {
        let mut linear = |inputs, outputs| LinearLayer {
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
    let routers = routers(&mut random);
    let model = |index: usize| Model { name: format!("m{index}"), price: index as f64, unit: "USD".to_owned() };
    Bundle::new(BundleParts {
        encoder,
        tokenizer: tokenizer_json(TOKENS).into_bytes(),
        embedding,
        layers,
        models: (0..MODELS).map(model).collect(),
        routers,
        pool: None,
        origin: "made up for a test".to_owned(),
    })
    .unwrap()
}

/// A router of each kind, one with several clusterings, one with score lines, networks with one and two hidden layers, and stored prompts
/// few enough to be compared at once and so many that they are searched in groups.
fn routers(random: &mut dyn FnMut(usize, usize, f64, f64) -> Matrix) -> Vec<Router> {
    let scale = |inputs: usize| 1.7 / (inputs as f64).sqrt();
    let cost = Matrix::new(1, MODELS, vec![0.02, 1.0, 0.3, 0.05, 0.6, 0.1, 0.45]).unwrap();
    let uniroute = UniRoute {
        clusterings: 1,
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
        score_lines: None,
    };
    let direct =
        Direct { weight: random(HIDDEN, MODELS, 0.0, 0.1), bias: random(1, MODELS, 0.5, 0.3), cost: cost.clone() };
    let several = UniRoute {
        clusterings: 3,
        centroids: unit(&random(12, HIDDEN, 0.0, 1.0)),
        errors: random(12, MODELS, 0.5, 0.5),
        cost: cost.clone(),
    };
    let score_lines = ScoreLines { slope: random(1, MODELS, 0.5, 0.4), offset: random(1, MODELS, 0.5, 0.3) };
    let predicts_scores = Cscr { keep: MODELS, score_lines: Some(Box::new(score_lines)), ..cscr.clone() };
    let mut hidden = |inputs, width| HiddenLayer {
        weight: random(inputs, width, 0.0, scale(inputs)),
        bias: random(1, width, 0.0, 0.3),
    };
    let (first, [below, above]) = (hidden(HIDDEN, 24), [hidden(HIDDEN, 20), hidden(20, 12)]);
    let mut network = |hidden: Vec<HiddenLayer>| {
        let width = hidden.last().map_or(0, |layer| layer.weight.columns());
        let (weight, bias) = (random(width, MODELS, 0.0, scale(width)), random(1, MODELS, 0.5, 0.3));
        Rule::Mlp(Mlp { hidden, weight, bias, cost: cost.clone() })
    };
    let (mlp, deep) = (network(vec![first]), network(vec![below, above]));
    let mut nearest = |count, keep| {
        let (stored, outcomes) = (random(count, HIDDEN, 0.0, 0.25), random(count, MODELS, 0.5, 0.5));
        let half = |row: usize| -stored.row(row).iter().map(|x| x * x).sum::<f32>() / 2.0;
        let offset = Matrix::from_fn(1, count, |_, row| half(row));
        Rule::Neighbours(Neighbours { stored, offset, outcomes, cost: cost.clone(), keep })
    };
    let (few, many) = (nearest(20, 3), nearest(150, 4));
    let router = |name: &str, rule| Router { name: name.to_owned(), lambda: 0.5, lexical: None, rule };
    vec![
        router("uniroute", Rule::UniRoute(uniroute)),
        router("cscr", Rule::Cscr(cscr)),
        router("direct", Rule::Direct(direct)),
        router("several", Rule::UniRoute(several)),
        router("predicting", Rule::Cscr(predicts_scores)),
        router("mlp", mlp),
        router("deep", deep),
        router("few", few),
        router("many", many),
    ]
}

/// The plan of an encoder of MiniLM's size with attention by 2ReLU, and of a router of each kind over 112 models.
pub fn real_plan() -> Arc<BundlePlan> {
    let encoder = EncoderPlan {
        layers: 6,
        hidden: 384,
        heads: 12,
        ffn: 1536,
        attention: Attention::TwoRelu,
        activation: Activation::Relu,
        norms: Norms::Both,
        pooling: Pooling::Mean,
        widths: Widths::default(),
    };
    let router = |name: &str, rule| RouterPlan { name: name.to_owned(), lexical: None, rule };
    let routers = vec![
        router("u", RuleShape::UniRoute { clusters: 20, clusterings: 1 }),
        router("c", RuleShape::Cscr { width: 512, descriptor: 128, keep: 4, predicts_scores: false }),
        router("d", RuleShape::Direct),
    ];
    Arc::new(BundlePlan { encoder, models: 112, routers, pool: None })
}

/// What tests need of a bundle.
pub struct World {
    pub bundle: Bundle,
    pub plan: Arc<BundlePlan>,
    pub weights: Vec<Tensor<f32>>,
}

impl World {
    pub fn new(attention: Attention, activation: Activation, pooling: Pooling) -> Self {
        Self::of(bundle(attention, activation, pooling))
    }

    /// A cheaper program: without the norm after attention.
    pub fn with_fewer_norms(attention: Attention, activation: Activation) -> Self {
        let mut parts = bundle(attention, activation, Pooling::Mean).into_parts();
        parts.encoder.norms = Norms::Output;
        Self::of(Bundle::new(parts).unwrap())
    }

    pub fn of(bundle: Bundle) -> Self {
        let plan = Arc::new(BundlePlan::of(&bundle));
        let weights = weight_tensors(&bundle, &plan).unwrap();
        Self { bundle, plan, weights }
    }

    pub fn program(&self, task: impl Into<Work>) -> RouteProgram {
        RouteProgram::new(Arc::clone(&self.plan), task).unwrap()
    }

    pub fn inputs(&self, ids: &[u32], bucket: usize) -> RouteInputs {
        let parts = self.bundle.parts();
        RouteInputs::embed(&parts.embedding, &parts.encoder, ids, bucket).unwrap()
    }

    pub fn clear(&self, task: impl Into<Work>, inputs: Vec<Tensor<f32>>) -> Output {
        Clear::run(&self.program(task), &self.weights, inputs).unwrap()
    }

    /// By the parties; the ledger must be the forecast.
    pub fn private(&self, seed: u64, task: impl Into<Work>, inputs: &[Tensor<f32>]) -> Output {
        self.run(seed, &self.program(task), inputs)
    }

    /// The same of a program with another tuning or batch.
    pub fn run(&self, seed: u64, program: &RouteProgram, inputs: &[Tensor<f32>]) -> Output {
        self.run_keeping(seed, program, inputs).0
    }

    /// The same with what the servers keep.
    pub fn run_keeping(&self, seed: u64, program: &RouteProgram, inputs: &[Tensor<f32>]) -> (Output, [Kept; 2]) {
        self.as_forecast(TestWorld::seeded(seed).run(program, &self.weights, inputs).unwrap())
    }

    /// The same of a program that continues with these texts of those that the servers kept.
    pub fn continue_keeping(
        &self,
        seed: u64,
        program: &RouteProgram,
        kept: [Kept; 2],
        places: &[usize],
    ) -> (Output, [Kept; 2]) {
        self.as_forecast(TestWorld::seeded(seed).run_continuing(program, &self.weights, kept, places).unwrap())
    }

    fn as_forecast(&self, run: Run) -> (Output, [Kept; 2]) {
        for server in run.servers {
            assert_eq!(server.openings, run.forecast.openings);
            assert_eq!(server.opening_bytes, run.forecast.opening_bytes);
        }
        assert_eq!(run.material_bytes, run.forecast.material_bytes);
        (run.output, run.kept)
    }
}

/// Token ids of a prompt of this length.
pub fn prompt(length: usize, seed: u64) -> Vec<u32> {
    let mut next = generator(seed);
    (0..length).map(|place| if place == 0 { 2 } else { 5 + ((next() + 1.0) * 5.0) as u32 % 10 }).collect()
}

pub fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

pub fn one_hot(output: &Output) -> Option<usize> {
    let bits = &output.bits[0];
    (bits.iter().filter(|&&bit| bit).count() == 1).then(|| bits.iter().position(|&bit| bit)).flatten()
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
pub fn choose(rule: &Rule, embedding: &[f32], lambda: f32) -> (usize, f32) {
    let (scores, first) = scores(rule, embedding, lambda);
    let (model, second) = largest(&scores);
    (model, first.min(second))
}

/// The best so many models in plain f32, the best first, and the smallest margin of a decision on the way.
pub fn rank(rule: &Rule, embedding: &[f32], lambda: f32, count: usize) -> (Vec<usize>, f32) {
    let (mut scores, mut margin) = scores(rule, embedding, lambda);
    let mut ranking = Vec::new();
    for _ in 0..count {
        let (model, ahead) = largest(&scores);
        margin = margin.min(ahead);
        scores[model] = f32::NEG_INFINITY;
        ranking.push(model);
    }
    (ranking, margin)
}

/// What the rule chooses the largest of, and the smallest margin of a decision before. Models that a search did not keep have
/// no score.
fn scores(rule: &Rule, embedding: &[f32], lambda: f32) -> (Vec<f32>, f32) {
    let less = |score: &[f32], cost: &Matrix| -> Vec<f32> {
        score.iter().zip(cost.data()).map(|(score, cost)| score - lambda * cost).collect()
    };
    match rule {
        Rule::UniRoute(rule) => {
            let products = times(embedding, &rule.centroids.transposed());
            let (mut success, mut first) = (vec![0.0; rule.cost.columns()], f32::INFINITY);
            for (clustering, products) in products.chunks(rule.clusters()).enumerate() {
                let (cluster, margin) = largest(products);
                first = first.min(margin);
                let errors = rule.errors.row(clustering * rule.clusters() + cluster);
                success.iter_mut().zip(errors).for_each(|(sum, error)| *sum -= error / rule.clusterings as f32);
            }
            (less(&success, &rule.cost), first)
        }
        Rule::Cscr(rule) => {
            let inner: Vec<f32> = times(embedding, &rule.w1).into_iter().map(|x| x.max(0.0)).collect();
            let query = times(&inner, &rule.w2);
            let norm = query.iter().map(|x| x * x).sum::<f32>().sqrt();
            let query: Vec<f32> = query.into_iter().map(|x| x / norm).collect();
            let similarity = times(&query, &rule.descriptors.transposed());
            if let Some(lines) = &rule.score_lines {
                let ScoreLines { slope, offset } = lines.as_ref();
                let mean = similarity.iter().sum::<f32>() / similarity.len() as f32;
                let predicted = slope.data().iter().zip(offset.data()).zip(&similarity);
                let scores: Vec<f32> = predicted.map(|((slope, offset), x)| offset + slope * (x - mean)).collect();
                return (less(&scores, &rule.cost), f32::INFINITY);
            }
            let mut order: Vec<usize> = (0..similarity.len()).collect();
            order.sort_by(|&a, &b| similarity[b].total_cmp(&similarity[a]));
            let first = similarity[order[rule.keep - 1]] - similarity[order[rule.keep]];
            let alive: Vec<f32> = less(&similarity, &rule.cost)
                .into_iter()
                .enumerate()
                .map(|(index, score)| if order[..rule.keep].contains(&index) { score } else { f32::NEG_INFINITY })
                .collect();
            (alive, first)
        }
        Rule::Direct(rule) => {
            let score: Vec<f32> =
                times(embedding, &rule.weight).iter().zip(rule.bias.data()).map(|(score, bias)| score + bias).collect();
            (less(&score, &rule.cost), f32::INFINITY)
        }
        Rule::Mlp(rule) => {
            let mut values = embedding.to_vec();
            for layer in &rule.hidden {
                let sums = times(&values, &layer.weight).into_iter().zip(layer.bias.data());
                values = sums.map(|(sum, bias)| (sum + bias).max(0.0)).collect();
            }
            let scores = times(&values, &rule.weight);
            let scores: Vec<f32> = scores.iter().zip(rule.bias.data()).map(|(score, bias)| score + bias).collect();
            (less(&scores, &rule.cost), f32::INFINITY)
        }
        Rule::Neighbours(rule) => {
            let products = times(embedding, &rule.stored.transposed()).into_iter().zip(rule.offset.data());
            let products: Vec<f32> = products.map(|(product, offset)| product + offset).collect();
            let mut order: Vec<usize> = (0..products.len()).collect();
            order.sort_by(|&a, &b| products[b].total_cmp(&products[a]));
            let first = products[order[rule.keep - 1]] - products[order[rule.keep]];
            let mut scores = vec![0.0; rule.outcomes.columns()];
            for &stored in &order[..rule.keep] {
                let outcomes = rule.outcomes.row(stored).iter();
                scores.iter_mut().zip(outcomes).for_each(|(sum, outcome)| *sum += outcome / rule.keep as f32);
            }
            (less(&scores, &rule.cost), first)
        }
    }
}
