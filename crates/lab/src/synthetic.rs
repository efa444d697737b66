//! Made-up samples with a known structure, for tests.

use blindroute_routing::bundle::Matrix;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use crate::Samples;

/// Train, validation and test samples of `topics` topics in 32 dimensions, and the costs of `models` models. Model m
/// answers the topics that leave m when divided by the number of models, and one other topic in four.
pub(crate) fn synthetic(topics: usize, models: usize) -> (Samples, Samples, Samples, Vec<f32>) {
    let mut draws = ChaCha8Rng::seed_from_u64(11);
    let mut normal = move || (0..4).map(|_| draws.next_u32() as f32 / u32::MAX as f32 - 0.5).sum::<f32>();
    let centres: Vec<Vec<f32>> = (0..topics).map(|_| (0..32).map(|_| normal()).collect()).collect();
    let mut split = |prompts: usize| {
        let mut embeddings = Vec::new();
        let mut scores = Vec::new();
        for prompt in 0..prompts {
            let topic = prompt % topics;
            embeddings.extend(centres[topic].iter().map(|centre| centre + 0.3 * normal()));
            for model in 0..models {
                let knows = topic % models == model || (topic * 7 + model * 3).is_multiple_of(4);
                scores.push(if knows == (normal().abs() < 0.9) { 1.0 } else { 0.0 });
            }
        }
        let embeddings = Matrix::new(prompts, 32, embeddings).unwrap();
        Samples::new(embeddings, Matrix::new(prompts, models, scores).unwrap()).unwrap()
    };
    let cost = (0..models).map(|model| (model + 1) as f32 / models as f32).collect();
    (split(400), split(160), split(200), cost)
}
