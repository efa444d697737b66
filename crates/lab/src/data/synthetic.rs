//! Synthetic samples and encoders for tests.

use crate::data::{Dataset, Prompt, Samples, Split};
use crate::encoders::Embedded;
use blindroute_routing::bundle::{
    Activation, Attention, Bundle, BundleParts, EmbeddingTables, EncoderConfig, Layer, LayerNorm, LinearLayer, Matrix,
    Model,
};
use blindroute_testkit::tokenizer_json;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Train, validation and test samples of `topics` topics in 32 dimensions, and the costs of `models` models. Model m
/// answers the topics t with t mod `models` = m, and one other topic in four.
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

/// Prompts with these embeddings and no tokens.
pub(crate) fn without_text(embeddings: Matrix) -> Embedded {
    let places = vec![0; embeddings.rows()];
    Embedded::new(embeddings, vec![Vec::new()], places)
}

/// A bundle with a synthetic encoder and no routers, a data set with the prompts and models of [`synthetic`], and the prompts with
/// their embeddings.
pub(crate) fn synthetic_pool(topics: usize, models: usize) -> (Bundle, Dataset, Embedded) {
    let (train, valid, test, cost) = synthetic(topics, models);
    let splits = [(Split::Train, &train), (Split::Valid, &valid), (Split::Test, &test)];
    let prompts = splits.iter().flat_map(|(split, samples)| {
        (0..samples.prompts()).map(move |index| Prompt {
            id: format!("{split} {index}"),
            text: "a".to_owned(),
            source: String::new(),
            split: *split,
        })
    });
    let joined = |of: fn(&Samples) -> &Matrix| {
        let data: Vec<f32> = splits.iter().flat_map(|(_, samples)| of(samples).data().to_vec()).collect();
        let columns = of(&train).columns();
        Matrix::new(data.len() / columns, columns, data).unwrap()
    };
    let model = |(index, cost): (usize, &f32)| Model {
        name: format!("model {index}"),
        price: f64::from(*cost),
        unit: "USD per 1M tokens".to_owned(),
    };
    let dataset = Dataset {
        models: cost.iter().enumerate().map(model).collect(),
        prompts: prompts.collect(),
        scores: joined(Samples::scores),
        query_costs: None,
    };
    (small_encoder_of(32, Attention::TwoRelu, Activation::Relu), dataset, without_text(joined(Samples::embeddings)))
}

/// A synthetic encoder with two layers of width 8 and a vocabulary of 24 tokens, in a bundle without routers.
pub(crate) fn small_encoder(attention: Attention, activation: Activation) -> Bundle {
    small_encoder_of(8, attention, activation)
}

/// The same encoder with another width.
pub(crate) fn small_encoder_of(hidden: usize, attention: Attention, activation: Activation) -> Bundle {
    let mut draws = ChaCha8Rng::seed_from_u64(5);
    let config = EncoderConfig {
        layers: 2,
        hidden,
        heads: 2,
        ffn: 16,
        vocabulary: 24,
        segments: 1,
        max_tokens: 32,
        attention,
        activation,
        ..EncoderConfig::minilm()
    };
    let mut matrix = |rows: usize, columns: usize, around: f32, size: f32| {
        let data = (0..rows * columns).map(|_| around + size * (draws.next_u32() as f32 / u32::MAX as f32 - 0.5));
        Matrix::new(rows, columns, data.collect()).unwrap()
    };
    let mut norm = || LayerNorm { gain: matrix(1, hidden, 1.0, 0.6), bias: matrix(1, hidden, 0.0, 0.6) };
    let norms: Vec<LayerNorm> = (0..5).map(|_| norm()).collect();
    let mut linear = |inputs: usize, outputs: usize| LinearLayer {
        weight: matrix(inputs, outputs, 0.0, 2.0),
        bias: matrix(1, outputs, 0.0, 0.5),
    };
    let layers = (0..2).map(|index| Layer {
        query: linear(hidden, hidden),
        key: linear(hidden, hidden),
        value: linear(hidden, hidden),
        output: linear(hidden, hidden),
        attention_norm: norms[2 * index].clone(),
        up: linear(hidden, 16),
        down: linear(16, hidden),
        output_norm: norms[2 * index + 1].clone(),
    });
    let layers = layers.collect();
    let letters: Vec<String> = (b'a'..b'u').map(|letter| char::from(letter).to_string()).collect();
    let special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"];
    let tokenizer = tokenizer_json(special.into_iter().chain(letters.iter().map(String::as_str))).into_bytes();
    let embedding = EmbeddingTables {
        token: matrix(24, hidden, 0.0, 2.0),
        position: matrix(32, hidden, 0.0, 1.0),
        segment: matrix(1, hidden, 0.0, 1.0),
        norm: norms[4].clone(),
    };
    let (models, routers, origin) = (Vec::new(), Vec::new(), "encoder: made up".to_owned());
    Bundle::new(BundleParts { encoder: config, tokenizer, embedding, layers, models, routers, pool: None, origin })
        .unwrap()
}
