//! The transformer encoder (BERT layout, post-LayerNorm), with each choice of attention, activation, norms and pooling.
//!
//! Weights are folded when a bundle is split (see [`weights`](super::weights)): the gain and bias of a LayerNorm into
//! the linear layers after it, and 1/√d into queries and keys; the row mean is removed from every layer before a
//! LayerNorm. So a LayerNorm is only the division by the row's norm, and its affine part is needed only for the
//! residual.
//!
//! **Openings per layer**, with 2ReLU and ReLU:
//!
//! | tuning | attention | feed-forward network | two LayerNorms | sum |
//! |---|---|---|---|---|
//! | near | 10 | 4 | 6 each | 26 |
//! | lean | 7 | 3 | 4 each | 18 |
//! | middle | 6 | 3 | 4 each | 17 |
//! | far | 5 | 2 | 4 each | 15 |
//!
//! With near tuning GELU takes one more and softmax 3·⌈log₂ T⌉ + 1 more; attention by ReLU alone takes two fewer,
//! squares two fewer, and leaving out the norm after attention four fewer. With far tuning attention by ReLU alone
//! saves none, squares one or none, and the norm two.

use super::plan::{
    ACTIVATION, EncoderPlan, FRACTION, INPUT, LAST, NARROW, PRODUCT, RULE_FRACTION, SCORE_RANGE, SCORES, find,
};
use crate::bundle::{Activation, Attention, Norms, Pooling};
use blindroute_protocol::gates::{self, Scaling, SignWindow, Target, Wide};
use blindroute_protocol::{
    Error, Interpreter, Machine, Masked, RingWord, Share, Structure, Tuning, WeightId, WeightSpec,
};

/// The bits of a score that 2ReLU compares.
const TWO_RELU_WINDOW: SignWindow = SignWindow { range: SCORE_RANGE, digits: 4 };
/// Pre-activations of the feed-forward network are below 2^7 in magnitude. ReLU compares 12 bits of them.
const INNER: SignWindow = SignWindow { range: 7, digits: 3 };
/// Fraction bits of scores. 2ReLU compares all of them, and the powers of softmax use no more.
const SCORE_FRACTION: u32 = 8;
/// Fraction bits of softmax's numerators, the largest of which is between a quarter and a half.
const SOFTMAX_FRACTION: u32 = 11;
/// Fraction bits of the sums of attention weights.
const SUM_FRACTION: u32 = 12;
/// Fraction bits of the reciprocals of those sums.
const RECIPROCAL_FRACTION: u32 = 20;
/// The most fraction bits of the products with the values before they are normalised.
const CONTEXT_FRACTION: u32 = 13;
/// Added to the row sums of 2ReLU, so that a row without a positive score is defined. Training must add the same value.
pub const ROW_OFFSET: f64 = 0.01;
/// The divisor of attention by ReLU alone. It is about the sum of a row, so that training can start from an encoder
/// that divides by the sum itself. It is folded into the weights.
pub const RELU_DIVISOR: f64 = 16.0;
/// The form of activations that enter a layer.
const LAYER: Target = Target { bits: NARROW, fraction: ACTIVATION };

/// The encoder's inputs, in shares, for a batch of B prompts.
pub(super) struct EncoderInputs<I: Interpreter> {
    /// `[B, T, hidden]`: embedded tokens.
    pub(super) tokens: Share<I, u64>,
    /// `[B, T, 1]`: their means, of [`PRODUCT`] fraction bits.
    pub(super) means: Share<I, u32>,
    /// `[B, 1, T]`: 0 for tokens, a large negative number for padding, of twice [`ACTIVATION`] fraction bits.
    pub(super) padding: Share<I, u32>,
    /// `[B, 1, T]`: 1/length for tokens, 0 for padding; for mean pooling only. Their ring has no room for much larger
    /// values: in a wide ring a client could multiply the last activations by any number.
    pub(super) pooling: Option<Share<I, u32>>,
    /// The digits of λ. The encoder does not use them; they are opened together with its inputs.
    pub(super) digits: Option<Share<I, u32>>,
}

/// The result of the encoder.
pub(super) struct Encoded<I: Interpreter> {
    /// `[B, 1, hidden]`, not yet opened. It has [`RULE_FRACTION`] fraction bits after truncation by [`FRACTION`].
    pub(super) embedding: Share<I, u64>,
    /// The digits of the inputs, opened.
    pub(super) digits: Option<Masked<I, u32>>,
}

pub(super) struct Encoder<'a> {
    pub(super) plan: &'a EncoderPlan,
    pub(super) specs: &'a [WeightSpec],
}

/// Whether queries, keys and values take one more opening to stay in narrow words, see [`Encoder::heads`].
fn extends_heads<I: Interpreter>(machine: &Machine<I>) -> bool {
    machine.tuning() == Tuning::Near
}

/// A product in [`NARROW`], truncated by `shift` to a layer's input and extended to [`NARROW`] again. Two openings. Its
/// integers must be below 2^30.
fn reopened<I: Interpreter>(
    machine: &mut Machine<I>,
    product: Share<I, u32>,
    shift: u32,
) -> Result<Masked<I, u32>, Error> {
    let product = machine.truncate_reduce(product, shift)?;
    let product = machine.open(product)?;
    let extended = machine.extend::<u32, u32>(&product, 0, NARROW)?;
    machine.open(extended)
}

impl Encoder<'_> {
    fn weight(&self, layer: usize, part: &str) -> Result<WeightId, Error> {
        find(self.specs, &format!("layer.{layer}.{part}"))
    }

    /// x·W + b.
    fn affine<I: Interpreter, W: RingWord>(
        &self,
        machine: &mut Machine<I>,
        x: &Masked<I, W>,
        layer: usize,
        part: &str,
    ) -> Result<Share<I, W>, Error> {
        let product = machine.linear(x, self.weight(layer, part)?)?;
        let bias = machine.bias(self.weight(layer, &format!("{part}.bias"))?, PRODUCT)?;
        product.add(&bias)
    }

    /// The residual x∘gain minus its row mean. Its bias is included in the layer's bias.
    fn residual<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        x: &Masked<I, u32>,
        layer: usize,
        part: &str,
    ) -> Result<Share<I, u32>, Error> {
        let scaled = machine.scale_columns(x, self.weight(layer, &format!("{part}_gain"))?)?;
        let mean = machine.linear(x, self.weight(layer, &format!("{part}_mean"))?)?;
        scaled.subtract(&mean)
    }

    /// The embeddings of the prompts, and the digits of λ.
    pub(super) fn run<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        inputs: EncoderInputs<I>,
    ) -> Result<Encoded<I>, Error> {
        let digits = inputs.digits.map(|share| machine.defer(share)).transpose()?;
        let weights = inputs.pooling.map(|share| machine.defer(share)).transpose()?;
        // Every attention head of a prompt has the padding of that prompt.
        let padding = inputs.padding.restructure(&Structure::RepeatMatrices(self.plan.heads));
        let tokens = machine.defer(inputs.tokens)?;
        machine.exchange()?;
        let mut x = machine.take(tokens)?;
        let weights = weights.map(|pending| machine.take(pending)).transpose()?;
        let digits = digits.map(|pending| machine.take(pending)).transpose()?;
        // The first residual is the input itself. The client knows it, so the client sends its means.
        let narrow = machine.to_word::<u64, u32>(&x.clone().narrowed(NARROW))?;
        let first = machine.share_of(&narrow)?.raise(FRACTION).subtract(&inputs.means)?;
        let (mut residual, mut wide) = (Some(first), None);
        for layer in 0..self.plan.layers {
            let context = self.attention(machine, &x, &padding, layer)?;
            let residual = match residual.take() {
                Some(residual) => residual,
                None => {
                    let narrow = machine.to_word::<u64, u32>(&x.narrowed(NARROW))?;
                    self.residual(machine, &narrow, layer, "attention")?
                }
            };
            let sum = self.affine(machine, &context, layer, "out")?.add(&residual)?;
            let inner = match self.plan.norms {
                Norms::Both => {
                    let inner = gates::layer_norm::<I, u32, u64>(machine, sum, LAYER)?;
                    machine.to_word::<u64, u32>(&inner)?
                }
                Norms::Output => reopened(machine, sum, FRACTION)?,
            };
            let activated = self.feed_forward(machine, &inner, layer)?;
            let residual = self.residual(machine, &inner, layer, "ffn")?;
            let sum = self.affine(machine, &activated, layer, "down")?.add(&residual)?;
            x = if layer + 1 < self.plan.layers {
                let bits = if extends_heads(machine) { NARROW } else { INPUT };
                gates::layer_norm(machine, sum, Target { bits, fraction: ACTIVATION })?
            } else {
                // The pooling weights, in the ring of their product, are opened with the first opening of the norm.
                wide = match &weights {
                    Some(weights) => {
                        let weights = machine.extend::<u32, u64>(weights, 0, 64)?;
                        Some(machine.defer(weights)?)
                    }
                    None => None,
                };
                // Later steps truncate further, so the last activations have a wide ring, and their product an even
                // wider one.
                let last = gates::layer_norm::<I, u32, u128>(machine, sum, Target { bits: 64, fraction: LAST })?;
                machine.to_word::<u128, u64>(&last)?
            };
        }
        let pooled = match (self.plan.pooling, wide) {
            (Pooling::Mean, Some(weights)) => {
                let weights = machine.take(weights)?;
                let pooled = machine.matmul(&weights, &x)?;
                let fraction = pooled.form().fraction;
                let pooled = machine.truncate_reduce(pooled, fraction - RULE_FRACTION)?;
                machine.open(pooled)?
            }
            (Pooling::Cls, None) => x.restructure(&Structure::Rows(0, 1)).raise(RULE_FRACTION - LAST),
            _ => {
                return Err(Error::Program(
                    "the inputs have no pooling weights, or have them without mean pooling".into(),
                ));
            }
        };
        let scaled = machine.scale_columns(&pooled, find(self.specs, "embedding.gain")?)?;
        let bias = machine.bias(find(self.specs, "embedding.bias")?, RULE_FRACTION + FRACTION)?;
        Ok(Encoded { embedding: scaled.add(&bias)?, digits })
    }

    /// softmax, 2ReLU or ReLU of (QKᵀ/√d + padding), times V, for all attention heads of all prompts at once.
    /// Normalised after the product. The padding is `[B · heads, 1, T]`.
    fn attention<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        x: &Masked<I, u64>,
        padding: &Share<I, u32>,
        layer: usize,
    ) -> Result<Masked<I, u32>, Error> {
        let heads = self.plan.heads;
        let [queries, keys, values] = self.heads(machine, x, layer)?;
        let scores = machine.matmul_transposed(&queries, &keys)?.add(padding)?;
        let scores = machine.truncate_reduce(scores, 2 * ACTIVATION - SCORE_FRACTION)?;
        let scores = machine.open(scores)?;
        // The T×T matrices are the largest tensors.
        let weights = machine.with_large(|machine| match self.plan.attention {
            Attention::TwoRelu | Attention::Relu => {
                let target = Target { bits: NARROW, fraction: SCORE_FRACTION };
                gates::relu::<I, u32, u32>(machine, &scores, TWO_RELU_WINDOW, target)
            }
            Attention::Softmax => {
                let target = Target { bits: NARROW, fraction: SOFTMAX_FRACTION };
                gates::softmax_numerators::<I, u32, u32>(machine, &scores, target)
            }
        })?;
        let (offset, range) = match self.plan.attention {
            Attention::TwoRelu => (ROW_OFFSET, Wide { low: -3, high: 13, fraction: SUM_FRACTION }),
            Attention::Softmax => (0.0, Wide { low: -2, high: 8, fraction: SUM_FRACTION }),
            Attention::Relu => {
                let weights = machine.open(weights)?;
                let product = machine.matmul(&weights, &values)?;
                let shift = product.form().fraction - ACTIVATION;
                let context = reopened(machine, product, shift)?;
                return Ok(context.restructure(&Structure::MergeHeads(heads)));
            }
        };
        let sums = weights.restructure(&Structure::SumColumns);
        let sums = sums.raise(SUM_FRACTION - weights.form().fraction);
        let weights = machine.defer(weights)?;
        let sums = machine.open(sums)?;
        let weights = machine.take(weights)?;
        let product = machine.matmul(&weights, &values)?;
        let fraction = product.form().fraction.min(CONTEXT_FRACTION);
        let shift = product.form().fraction - fraction;
        let product = machine.truncate_reduce(product, shift)?;
        let product = machine.defer(product)?;
        let factor = gates::reciprocal(machine, &sums, offset, &range)?;
        let scaling = Scaling { value: fraction, factor: RECIPROCAL_FRACTION, target: LAYER };
        let context = gates::scale_deferred_rows::<I, u32, u64>(machine, product, factor, scaling)?;
        Ok(machine.to_word::<u64, u32>(&context)?.restructure(&Structure::MergeHeads(heads)))
    }

    /// Queries, keys and values of all attention heads, for products in the ring of the scores and in [`NARROW`].
    ///
    /// If they are opened once, their ring is wide, and so are the words of the product that makes them, which then
    /// takes half the time of all products. For near servers they are opened in a narrow ring, extended and opened
    /// again: one more opening, and a quarter of that time.
    fn heads<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        x: &Masked<I, u64>,
        layer: usize,
    ) -> Result<[Masked<I, u32>; 3], Error> {
        let (hidden, heads) = (self.plan.hidden, self.plan.heads);
        let columns = |start: usize, count: usize| Structure::Columns(start * hidden, count * hidden);
        let (both, values) = if extends_heads(machine) {
            let x = machine.to_word::<u64, u32>(&x.clone().narrowed(NARROW))?;
            let qkv = self.affine(machine, &x, layer, "qkv.narrow")?;
            let qkv = machine.truncate_reduce(qkv, FRACTION)?;
            let qkv = machine.open(qkv)?;
            let both = machine.extend::<u32, u32>(&qkv.restructure(&columns(0, 2)), 0, SCORES)?;
            let values = machine.extend::<u32, u32>(&qkv.restructure(&columns(2, 1)), 0, NARROW)?;
            let both = machine.defer(both)?;
            let values = machine.open(values)?;
            (machine.take(both)?, values)
        } else {
            let qkv = self.affine(machine, x, layer, "qkv")?;
            let qkv = machine.truncate_reduce(qkv, FRACTION)?;
            let qkv = machine.open(qkv)?;
            let qkv = machine.to_word::<u64, u32>(&qkv)?;
            (qkv.restructure(&columns(0, 2)).narrowed(SCORES), qkv.restructure(&columns(2, 1)))
        };
        let split = Structure::SplitHeads(heads);
        let of_both = |index: usize| both.restructure(&columns(index, 1)).restructure(&split);
        Ok([of_both(0), of_both(1), values.restructure(&split)])
    }

    /// The feed-forward network up to its activation, opened.
    fn feed_forward<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        x: &Masked<I, u32>,
        layer: usize,
    ) -> Result<Masked<I, u32>, Error> {
        let inner = self.affine(machine, x, layer, "up")?;
        let inner = machine.truncate_reduce(inner, FRACTION)?;
        let inner = machine.open(inner)?;
        let activated = match self.plan.activation {
            Activation::Relu => gates::relu(machine, &inner, INNER, LAYER)?,
            Activation::Gelu => gates::gelu(machine, &inner, LAYER)?,
            Activation::Square => {
                let squared = gates::square::<I, u32, u64>(machine, &inner, LAYER)?;
                return machine.to_word(&squared);
            }
        };
        machine.open(activated)
    }
}
