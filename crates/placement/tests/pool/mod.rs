//! A bundle with a small pool of classifiers.
// Each test binary uses its part.
#![allow(unreachable_pub, dead_code)]

use blindroute_placement::default_bundle;
use blindroute_routing::bundle::{
    Bundle, Classifier, ClassifierPool, ClassifierTask, Gain, LayerNorm, LinearLayer, Matrix,
};

/// Texts of one bucket.
pub const TEXTS: [&str; 12] = [
    "What is the capital of France?",
    "Write a Python function that returns the n-th Fibonacci number.",
    "She sold the blue car yesterday.",
    "Is water wet",
    "A river runs through the old town",
    "The compiler says that a semicolon is missing",
    "Two trains leave at noon",
    "Translate good morning into Thai",
    "How deep is the sea",
    "Sort a list of names",
    "A red bicycle for sale",
    "Where do swallows go in winter",
];

/// The gain beyond which texts of the first task go on in the open. No gain of [`TEXTS`] is within 0.1 of it; the servers' rounding has a
/// standard deviation of about 0.02 there.
pub const THRESHOLD: f32 = 0.37;

/// The labels of the first task.
pub const LABELS: [&str; 4] = ["city", "code", "car", "water"];

fn owned(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|label| (*label).to_owned()).collect()
}

/// Layers of weights that look random.
fn linear(inputs: usize, mut state: u64) -> impl FnMut(usize) -> LinearLayer {
    move |outputs| {
        let mut random = |rows: usize| {
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * 0.25
            };
            Matrix::new(rows, outputs, (0..rows * outputs).map(|_| next()).collect()).unwrap()
        };
        LinearLayer { weight: random(inputs), bias: random(1) }
    }
}

/// One layer of half the width, with the task `topic` for these labels. Texts whose gain there exceeds the threshold go on to a larger
/// encoder.
pub fn narrow_bundle(labels: &[&str], threshold: f32) -> Bundle {
    let mut parts = default_bundle().unwrap().into_parts();
    let config = &mut parts.encoder;
    (config.layers, config.hidden, config.heads, config.ffn) = (1, config.hidden / 2, config.heads / 2, config.ffn / 3);
    let (hidden, ffn) = (config.hidden, config.ffn);
    let corner = |matrix: &mut Matrix, rows: usize, columns: usize| {
        *matrix = Matrix::from_fn(rows, columns, |row, column| matrix.row(row)[column]);
    };
    let norm = |norm: &mut LayerNorm| {
        corner(&mut norm.gain, 1, hidden);
        corner(&mut norm.bias, 1, hidden);
    };
    let tables = &mut parts.embedding;
    for table in [&mut tables.token, &mut tables.position, &mut tables.segment] {
        let rows = table.rows();
        corner(table, rows, hidden);
    }
    norm(&mut tables.norm);
    parts.layers.truncate(1);
    let layer = &mut parts.layers[0];
    norm(&mut layer.attention_norm);
    norm(&mut layer.output_norm);
    for (part, inputs, outputs) in [
        (&mut layer.query, hidden, hidden),
        (&mut layer.key, hidden, hidden),
        (&mut layer.value, hidden, hidden),
        (&mut layer.output, hidden, hidden),
        (&mut layer.up, hidden, ffn),
        (&mut layer.down, ffn, hidden),
    ] {
        corner(&mut part.weight, inputs, outputs);
        corner(&mut part.bias, 1, outputs);
    }
    parts.routers.clear();
    parts.models.clear();
    let mut linear = linear(hidden, 3);
    let task = ClassifierTask {
        name: "topic".to_owned(),
        labels: owned(labels),
        pair: false,
        capacities: Vec::new(),
        thresholds: vec![threshold],
    };
    let classifier = Classifier { task, heads: vec![linear(labels.len())], gains: vec![Gain::Quadratic(linear(4))] };
    parts.pool = Some(ClassifierPool { exits: vec![1], tasks: vec![classifier] });
    Bundle::new(parts).unwrap()
}

/// Two layers of the default encoder with exits after both. The weights are numbers that look random.
pub fn pool_bundle() -> Bundle {
    let mut parts = default_bundle().unwrap().into_parts();
    parts.layers.truncate(2);
    parts.encoder.layers = 2;
    let hidden = parts.encoder.hidden;
    let mut linear = linear(hidden, 7);
    let mut classifier = |name: &str, labels: &[&str], pair| Classifier {
        task: ClassifierTask {
            name: name.to_owned(),
            labels: owned(labels),
            pair,
            capacities: vec![0.5],
            thresholds: if pair { Vec::new() } else { vec![THRESHOLD] },
        },
        heads: vec![linear(labels.len()), linear(labels.len())],
        gains: vec![Gain::Quadratic(linear(4))],
    };
    let tasks = vec![classifier("topic", &LABELS, false), classifier("same", &["yes", "no"], true)];
    parts.pool = Some(ClassifierPool { exits: vec![1, 2], tasks });
    Bundle::new(parts).unwrap()
}
