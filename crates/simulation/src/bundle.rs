//! A small bundle in two versions, texts, and the model of each in the clear: what every private answer is compared with.
//!
//! The private program rounds, so a text whose two best models are close could get either of them and nothing would be wrong. Each
//! model's score is computed here in floating point from the embedding, and texts whose best model leads by less than [`MARGIN`] are left
//! out. Rounding moves a score by less than a hundredth of that.

use crate::draw::Draw;
use anyhow::{Context, ensure};
use blindroute_placement::{Measurement, Placement, PrivateRouter, RouteOptions, default_bundle};
use blindroute_routing::bundle::{Bundle, BundleParts, Direct, LayerNorm, Matrix, Router, Rule};
use blindroute_routing::program::embedding;
use blindroute_testkit::tokenizer_json;

/// By how much a text's best score leads.
pub(crate) const MARGIN: f32 = 0.1;

/// Stands in each text, and must be found nowhere at the parties.
pub(crate) const CANARY: &str = "zebracanary";

/// Texts over which scores are balanced.
const SAMPLE: usize = 32;

const SPECIAL: [(&str, usize); 5] = [("[PAD]", 0), ("[UNK]", 100), ("[CLS]", 101), ("[SEP]", 102), ("[MASK]", 103)];

const WORDS: [&str; 32] = [
    "river", "stone", "write", "sort", "list", "money", "water", "green", "train", "number", "proof", "music",
    "doctor", "engine", "letter", "garden", "window", "market", "island", "theory", "summer", "copper", "planet",
    "forest", "string", "matrix", "kitchen", "bridge", "answer", "silver", "animal", "history",
];

/// A text, and what it is routed to.
#[derive(Clone, Debug)]
pub struct Text {
    /// The text. It holds `CANARY`.
    pub text: String,
    /// The name of its model, by each version of the bundle.
    pub models: [String; 2],
    /// By how much those models lead at least.
    pub margin: f32,
}

/// The bundles and the texts.
#[derive(Debug)]
pub struct Reference {
    /// Two versions of a bundle, whole. They have the same encoder and the same models, and another router each.
    pub bundles: [Bundle; 2],
    /// The texts, those of two buckets.
    pub texts: Vec<Text>,
}

impl Reference {
    /// The text of this number, over and over.
    pub(crate) fn text(&self, number: usize) -> &Text {
        &self.texts[number % self.texts.len()]
    }

    /// The bundles, and this many texts.
    ///
    /// # Errors
    /// If the default bundle cannot be read, or too few texts have a margin.
    pub fn new(count: usize) -> anyhow::Result<Self> {
        let bundles = [balanced(small_bundle(7)?)?, balanced(small_bundle(8)?)?];
        let routers = [PrivateRouter::local(&bundles[0])?, PrivateRouter::local(&bundles[1])?];
        let mut draw = Draw::seeded(21);
        let mut texts = Vec::new();
        for candidate in 0..40 * count {
            if texts.len() == count {
                return Ok(Self { bundles, texts });
            }
            // One in eight is of the next bucket.
            let count = if candidate % 8 == 7 { draw.between(32, 50) } else { draw.between(2, 20) };
            let text = words(&mut draw, count);
            let of = |version: usize| best(&routers[version], &bundles[version], &text);
            let [(first, margin), (second, other)] = [of(0)?, of(1)?];
            let (models, margin) = ([first, second], margin.min(other));
            for (router, model) in routers.iter().zip(&models) {
                let told = router.route(&text, &options().with_placement(Placement::Local))?.model;
                ensure!(told == *model, "the clear interpreter chose {told}, the scores say {model}");
            }
            if margin >= MARGIN {
                texts.push(Text { text, models, margin });
            }
        }
        anyhow::bail!("only {} of {count} texts have a margin of {MARGIN}", texts.len())
    }
}

/// With which all texts are routed: the text alone decides.
#[must_use]
pub(crate) fn options() -> RouteOptions {
    RouteOptions::default().with_lambda(0.0)
}

/// The best model of a text, and by how much it leads.
fn best(router: &PrivateRouter, bundle: &Bundle, text: &str) -> anyhow::Result<(String, f32)> {
    let mut scores: Vec<(f32, usize)> = scores(router, bundle, text)?.into_iter().zip(0..).collect();
    scores.sort_by(|one, other| other.0.total_cmp(&one.0));
    let [(first, model), (second, _), ..] = scores.as_slice() else { anyhow::bail!("the pool has one model") };
    Ok((bundle.parts().models[*model].name.clone(), first - second))
}

/// The score of each model for a text, from the rule's own weights.
fn scores(router: &PrivateRouter, bundle: &Bundle, text: &str) -> anyhow::Result<Vec<f32>> {
    let tokens = router.tokens(text)?;
    let inputs = router.encoder_inputs(&tokens.ids, tokens.bucket())?.tensors;
    let (output, _) = router.clear(Measurement::Embed { bucket: tokens.bucket() }, inputs)?;
    let Some(Rule::Direct(Direct { weight, bias, .. })) = bundle.parts().routers.first().map(|router| &router.rule)
    else {
        anyhow::bail!("the bundle's first router is not a direct one");
    };
    let entries = embedding(&output);
    let score = |model: usize| {
        let products = entries.iter().enumerate().map(|(row, entry)| *entry as f32 * weight.row(row)[model]);
        products.sum::<f32>() + bias.row(0)[model]
    };
    Ok((0..weight.columns()).map(score).collect())
}

/// A text of a few words.
fn words(draw: &mut Draw, count: usize) -> String {
    let words: Vec<&str> = (0..count).map(|_| draw.one_of(WORDS)).collect();
    format!("{CANARY} {}", words.join(" "))
}

/// The same bundle with a bias that gives all models the same mean score: so that different texts have different models.
fn balanced(bundle: Bundle) -> anyhow::Result<Bundle> {
    let (router, mut draw) = (PrivateRouter::local(&bundle)?, Draw::seeded(3));
    let mut sums = vec![0.0; bundle.parts().models.len()];
    for _ in 0..SAMPLE {
        let count = draw.between(2, 20);
        let scores = scores(&router, &bundle, &words(&mut draw, count))?;
        sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score);
    }
    let mut parts = bundle.into_parts();
    if let Some(Router { rule: Rule::Direct(rule), .. }) = parts.routers.first_mut() {
        rule.bias = Matrix::from_fn(1, sums.len(), |_, model| -sums[model] / SAMPLE as f32);
    }
    Ok(Bundle::new(parts)?)
}

/// One layer of half the width, a vocabulary of a few words, and one router whose weights look random.
fn small_bundle(seed: u64) -> anyhow::Result<Bundle> {
    let mut parts = default_bundle()?.into_parts();
    narrow(&mut parts)?;
    let vocabulary: Vec<&str> = SPECIAL.iter().map(|(token, _)| *token).chain([CANARY]).chain(WORDS).collect();
    parts.tokenizer = tokenizer_json(vocabulary.iter().copied()).into_bytes();
    parts.encoder.vocabulary = vocabulary.len();
    let table = &parts.embedding.token;
    let row = |token: usize| SPECIAL.get(token).map_or(2000 + 97 * token, |(_, row)| *row);
    parts.embedding.token =
        Matrix::from_fn(vocabulary.len(), table.columns(), |token, column| table.row(row(token))[column]);
    parts.models.truncate(5);
    let (hidden, models) = (parts.encoder.hidden, parts.models.len());
    let mut draw = Draw::seeded(seed);
    let weights: Vec<f32> = (0..hidden * models).map(|_| draw.between(0, 2000) as f32 / 10_000.0 - 0.1).collect();
    let rule = Rule::Direct(Direct {
        weight: Matrix::new(hidden, models, weights).context("the weights have another number")?,
        bias: Matrix::from_fn(1, models, |_, _| 0.0),
        cost: Matrix::from_fn(1, models, |_, model| model as f32 / 10.0),
    });
    parts.routers = vec![Router { name: "direct".to_owned(), lambda: 0.0, lexical: None, rule }];
    parts.pool = None;
    Ok(Bundle::new(parts)?)
}

/// Keeps the first layer, and half of its width.
fn narrow(parts: &mut BundleParts) -> anyhow::Result<()> {
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
    let layer = parts.layers.first_mut().context("the default bundle has no layer")?;
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
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn texts_lead_by_their_margin_and_go_to_different_models() {
        let reference = Reference::new(16).unwrap();
        assert!(reference.texts.iter().all(|text| text.margin >= MARGIN && text.text.contains(CANARY)));
        let margins: Vec<f32> = reference.texts.iter().map(|text| text.margin).collect();
        for version in 0..2 {
            let models: BTreeSet<&str> = reference.texts.iter().map(|text| text.models[version].as_str()).collect();
            assert!(models.len() >= 3, "{models:?} {margins:?}");
        }
        assert!(reference.texts.iter().filter(|text| text.models[0] != text.models[1]).count() >= 8);
    }
}
