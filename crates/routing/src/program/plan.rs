//! What is public about a bundle: shapes, and the secret weights that follow from them.

use super::task::MOST_RANKED;
use crate::bundle::{
    Activation, Attention, Bundle, BundleError, EncoderConfig, Norms, PoolShape, Pooling, RuleShape, Widths,
};
use crate::lexical::Lexical;
use crate::tokenizer::BUCKETS;
use blindroute_protocol::{Error, WeightId, WeightKind, WeightSpec};
use serde::{Deserialize, Serialize};

/// Fraction bits of the encoder's activations.
pub(super) const ACTIVATION: u32 = 9;
/// Fraction bits of the encoder's weights.
pub(super) const FRACTION: u32 = 12;
/// Fraction bits of a product of the two.
pub(super) const PRODUCT: u32 = ACTIVATION + FRACTION;
/// Fraction bits of the last activations, which become the embedding.
pub(super) const LAST: u32 = 12;
/// Fraction bits of the pooling weights.
pub(super) const POOLING: u32 = 16;
/// Ring of the pooling weights as the client shares them: room for 1, and two bits for extension. Whatever a client shares
/// in it is a number from −4 to 4.
pub(super) const POOLING_RING: u32 = POOLING + 3;
/// Ring of activations and layers: room for 2^10 in a product.
pub(super) const NARROW: u32 = 32;
/// Ring of the attention's input, queries, keys and values in tunings that open them once: after the truncation of the
/// product by the weights' fraction, [`NARROW`] must be left for the next product.
pub(super) const INPUT: u32 = NARROW + FRACTION;
/// |attention score| is below 2^this, the padding's bias included.
pub(super) const SCORE_RANGE: u32 = 8;
/// Ring of the scores.
pub(super) const SCORES: u32 = SCORE_RANGE + 2 + 2 * ACTIVATION;
/// Fraction bits of the embedding and of the rules' weights: more than elsewhere, because scores of candidates can be close.
pub(super) const RULE_FRACTION: u32 = 16;
/// Fraction bits of their products.
pub(super) const RULE_PRODUCT: u32 = 2 * RULE_FRACTION;

/// The encoder's public shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncoderPlan {
    /// Transformer layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward network.
    pub ffn: usize,
    /// How attention weights are made.
    pub attention: Attention,
    /// The feed-forward network's activation.
    pub activation: Activation,
    /// Where LayerNorm is applied.
    #[serde(default, skip_serializing_if = "Norms::is_default")]
    pub norms: Norms,
    /// How the rows of all tokens become one embedding.
    pub pooling: Pooling,
    /// The rings of an encoder with linear attention.
    #[serde(default, skip_serializing_if = "Widths::is_default")]
    pub widths: Widths,
}

/// A router's public shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouterPlan {
    /// Its name in the bundle.
    pub name: String,
    /// The lexical features that its rule reads beside the embedding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lexical: Option<Lexical>,
    /// How it decides; named `head` on the wire and in files.
    #[serde(rename = "head")]
    pub rule: RuleShape,
}

/// What is public about a bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BundlePlan {
    /// The encoder.
    pub encoder: EncoderPlan,
    /// Candidate models.
    pub models: usize,
    /// The routers; the first is the default.
    pub routers: Vec<RouterPlan>,
    /// The nested pool of classifiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolShape>,
}

impl BundlePlan {
    /// The plan of a bundle.
    pub fn of(bundle: &Bundle) -> Self {
        let parts = bundle.parts();
        let config = &parts.encoder;
        Self {
            encoder: EncoderPlan::of(config),
            models: parts.models.len(),
            routers: (parts.routers.iter())
                .map(|router| RouterPlan {
                    name: router.name.clone(),
                    lexical: router.lexical,
                    rule: RuleShape::of(&router.rule),
                })
                .collect(),
            pool: parts.pool.as_ref().map(PoolShape::of),
        }
    }

    /// Checks that a plan that was read fits the encoder and pool that it came with, and has sizes that a bundle may have.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn check(&self, encoder: &EncoderConfig, models: usize, lambdas: usize) -> Result<(), BundleError> {
        let fits = self.encoder == EncoderPlan::of(encoder)
            && self.models == models
            && self.routers.len() == lambdas
            && lambdas <= 64
            && self.routers.iter().all(|router| {
                router.rule.problem(models).is_none()
                    && router.lexical.is_none_or(|lexical| lexical.problem().is_none())
            });
        let pool = self.pool.as_ref();
        let fits = fits && pool.is_none_or(|pool| pool.check(encoder).is_ok());
        let problem = || BundleError::Header("its plan does not fit its encoder and pool".to_owned());
        if fits { Ok(()) } else { Err(problem()) }
    }

    /// The index of the router of this name, or of the default.
    pub fn router(&self, name: Option<&str>) -> Option<usize> {
        match name {
            Some(name) => self.routers.iter().position(|router| router.name == name),
            None => (!self.routers.is_empty()).then_some(0),
        }
    }

    /// The secret weights, in the order of their ids: the encoder's, then each router's, then each task's.
    pub fn weights(&self) -> Vec<WeightSpec> {
        let mut specs = self.encoder.weights();
        for router in &self.routers {
            specs.extend(router.weights(self.encoder.hidden, self.models));
        }
        specs.extend(self.pool.iter().flat_map(|pool| pool.weights(self.encoder.hidden)));
        specs
    }
}

/// The id of a weight by its name.
///
/// # Errors
/// If the program has no weight of that name.
pub(super) fn find(specs: &[WeightSpec], name: &str) -> Result<WeightId, Error> {
    let at = specs.iter().position(|spec| spec.name == name);
    at.map(WeightId).ok_or_else(|| Error::Program(format!("there is no weight {name}")))
}

impl EncoderPlan {
    fn of(config: &EncoderConfig) -> Self {
        Self {
            layers: config.layers,
            hidden: config.hidden,
            heads: config.heads,
            ffn: config.ffn,
            attention: config.attention,
            activation: config.activation,
            norms: config.norms,
            pooling: config.pooling,
            widths: config.widths,
        }
    }

    /// Whether a column of the input that is one for tokens and zero for padding carries the biases.
    pub(super) fn carries_biases(&self) -> bool {
        self.attention == Attention::Linear
    }

    fn weights(&self) -> Vec<WeightSpec> {
        let (hidden, ffn) = (self.hidden, self.ffn);
        let mut specs = Vec::new();
        // With linear attention the biases are rows of the matrices, and the widths say which rings they need: those of the
        // largest bucket, for the products of smaller ones are in the rings of what they multiply.
        let linear = self.carries_biases();
        let row = usize::from(linear);
        let largest = BUCKETS.iter().copied().max().unwrap_or_default();
        let (fraction, input, after, sum) = if linear {
            let widths = &self.widths;
            // What enters a layer is in words of 64 bits, in which a weight of at most 32 would not be.
            let input = widths.layer_ring(largest).max(u32::BITS + 1);
            (widths.weights, input, widths.after_attention_ring(), widths.sum_ring())
        } else {
            (FRACTION, INPUT, NARROW, NARROW)
        };
        let mut matrix = |name: String, inner, columns, ring| {
            let kind = WeightKind::Matrix { inner, columns };
            specs.push(WeightSpec::new(name, kind, fraction).in_ring(ring));
        };
        for layer in 0..self.layers {
            matrix(format!("layer.{layer}.qkv"), hidden + row, 3 * hidden, input);
            if !linear {
                // The first for distant servers, this one for near ones: see `Encoder::heads`.
                matrix(format!("layer.{layer}.qkv.narrow"), hidden, 3 * hidden, NARROW);
            }
            matrix(format!("layer.{layer}.out"), hidden + row, hidden, after);
            matrix(format!("layer.{layer}.up"), hidden + row, ffn, sum);
            matrix(format!("layer.{layer}.down"), ffn + row, hidden, sum);
            // The mean of the residual's affine part, subtracted so that LayerNorm gets centred rows.
            if layer > 0 && !linear {
                matrix(format!("layer.{layer}.attention_mean"), hidden, 1, NARROW);
            }
            if !linear {
                matrix(format!("layer.{layer}.ffn_mean"), hidden, 1, NARROW);
            }
        }
        for layer in 0..self.layers {
            let mut bias = |part: &str, columns, ring| {
                let spec = WeightSpec::new(format!("layer.{layer}.{part}"), WeightKind::Bias(columns), PRODUCT);
                specs.push(spec.in_ring(ring));
            };
            if !linear {
                bias("qkv.bias", 3 * hidden, INPUT);
                bias("qkv.narrow.bias", 3 * hidden, NARROW);
                bias("out.bias", hidden, NARROW);
                bias("up.bias", ffn, NARROW);
                bias("down.bias", hidden, NARROW);
            }
            let mut gain = |part: &str, ring| {
                let spec = WeightSpec::new(format!("layer.{layer}.{part}"), WeightKind::Scale(hidden), fraction);
                specs.push(spec.in_ring(ring));
            };
            if layer > 0 {
                gain("attention_gain", after);
            }
            gain("ffn_gain", sum);
        }
        specs.push(WeightSpec::new("embedding.gain", WeightKind::Scale(hidden), FRACTION));
        specs.push(WeightSpec::new("embedding.bias", WeightKind::Bias(hidden), RULE_FRACTION + FRACTION));
        specs
    }
}

impl RouterPlan {
    /// The full name of a weight of this router.
    pub(super) fn weight(&self, part: &str) -> String {
        format!("router.{}.{part}", self.name)
    }

    /// The number of lexical features.
    pub(super) fn features(&self) -> usize {
        self.lexical.map_or(0, |lexical| lexical.width())
    }

    /// The most models that an answer of this router names, of a pool of so many. A search names none that it did not keep.
    pub fn most_ranked(&self, models: usize) -> usize {
        let candidates = match self.rule {
            RuleShape::Cscr { keep, predicts_scores: false, .. } => keep.min(models),
            _ => models,
        };
        candidates.min(MOST_RANKED)
    }

    fn weights(&self, hidden: usize, models: usize) -> Vec<WeightSpec> {
        let inputs = hidden + self.features();
        let matrix = |part: &str, inner, columns, fraction| {
            WeightSpec::new(self.weight(part), WeightKind::Matrix { inner, columns }, fraction)
        };
        let bias = |part: &str, columns| WeightSpec::new(self.weight(part), WeightKind::Bias(columns), RULE_PRODUCT);
        let cost = matrix("cost", 1, models, RULE_FRACTION);
        match self.rule {
            RuleShape::UniRoute { clusters, clusterings } => vec![
                matrix("centroids", inputs, clusterings * clusters, RULE_FRACTION),
                matrix("errors", clusterings * clusters, models, RULE_PRODUCT),
                cost,
            ],
            RuleShape::Cscr { width, descriptor, predicts_scores, .. } => {
                let mut specs = vec![
                    matrix("w1", inputs, width, RULE_FRACTION),
                    matrix("w2", width, descriptor, RULE_FRACTION),
                    matrix("descriptors", descriptor, models, RULE_FRACTION),
                    cost,
                ];
                specs.extend(predicts_scores.then(|| bias("offset", models)));
                specs
            }
            RuleShape::Direct => vec![matrix("weight", inputs, models, RULE_FRACTION), bias("bias", models), cost],
            RuleShape::Mlp { width, second } => {
                let (mut specs, mut before) = (Vec::new(), inputs);
                for (layer, width) in (1..).zip(std::iter::once(width).chain(second)) {
                    specs.push(matrix(&format!("w{layer}"), before, width, RULE_FRACTION));
                    specs.push(bias(&format!("b{layer}"), width));
                    before = width;
                }
                specs.extend([matrix("weight", before, models, RULE_FRACTION), bias("bias", models), cost]);
                specs
            }
            RuleShape::Neighbours { stored, .. } => vec![
                matrix("stored", inputs, stored, RULE_FRACTION),
                bias("offset", stored),
                matrix("outcomes", stored, models, RULE_PRODUCT),
                cost,
            ],
        }
    }
}
