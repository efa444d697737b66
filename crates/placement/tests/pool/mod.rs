//! A bundle with a small pool of classifiers.
// Each test binary uses its part.
#![allow(unreachable_pub, dead_code)]

use blindroute_placement::default_bundle;
use blindroute_routing::bundle::{Bundle, Classifier, ClassifierPool, ClassifierTask, Gain, LinearLayer, Matrix};

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

/// The gain beyond which texts of the first task go on in the open.
pub const THRESHOLD: f32 = 0.0;

/// Two layers of the default encoder with exits after both. The weights are numbers that look random.
pub fn pool_bundle() -> Bundle {
    let mut parts = default_bundle().unwrap().into_parts();
    parts.layers.truncate(2);
    parts.encoder.layers = 2;
    let hidden = parts.encoder.hidden;
    let mut state = 7_u64;
    let mut linear = |outputs: usize| {
        let mut random = |rows: usize| {
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * 0.25
            };
            Matrix::new(rows, outputs, (0..rows * outputs).map(|_| next()).collect()).unwrap()
        };
        LinearLayer { weight: random(hidden), bias: random(1) }
    };
    let mut classifier = |name: &str, labels: &[&str], pair| Classifier {
        task: ClassifierTask {
            name: name.to_owned(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            pair,
            capacities: vec![0.5],
            thresholds: if pair { Vec::new() } else { vec![THRESHOLD] },
        },
        heads: vec![linear(labels.len()), linear(labels.len())],
        gains: vec![Gain::Quadratic(linear(4))],
    };
    let tasks =
        vec![classifier("topic", &["city", "code", "car", "water"], false), classifier("same", &["yes", "no"], true)];
    parts.pool = Some(ClassifierPool { exits: vec![1, 2], tasks });
    Bundle::new(parts).unwrap()
}
