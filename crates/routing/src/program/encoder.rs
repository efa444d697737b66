//! The transformer encoder (BERT layout, post-LayerNorm), in all four variants of the papers.
//!
//! Weights are folded when a bundle is split (see [`weights`](super::weights)): the gain and bias of a LayerNorm go into
//! the linear layers after it, 1/√d into the queries, and the row mean out of every layer before a LayerNorm. So a
//! LayerNorm is only the division by the row's norm, and the affine part is needed for the residual alone.
//!
//! **Openings** a layer: 2relu attention 8, feed-forward network with ReLU 4, two LayerNorms 5 each: 22. GELU takes one
//! more, softmax 3·⌈log₂ T⌉ + 1 more.

use super::plan::{EncoderPlan, FRACTION, HEAD_FRACTION, PRODUCT, find};
use crate::bundle::{Activation, Attention, Pooling};
use blindroute_protocol::gates::{self, WIDE_RING, Wide};
use blindroute_protocol::{Error, Interpreter, Machine, Masked, Share, Structure, WeightId, WeightSpec};

/// Ring of attention's sums and products with the values.
const ATTENTION_RING: u32 = 40;
/// |attention score| is below 2^9, the padding's bias included.
const SCORE_RANGE: u32 = 9;
/// Digits of a ReLU's comparison: a resolution of 2^(range − 20).
const RELU_DIGITS: u32 = 5;
/// |pre-activation| of the feed-forward network is below 2^8.
const FFN_RANGE: u32 = 8;
/// Added to 2ReLU's row sum, so that a row without a positive score is defined.
pub(super) const ROW_OFFSET: f64 = 0.01;

/// The encoder's inputs, in shares.
pub(super) struct EncoderInputs<I: Interpreter> {
    /// `[1, T, hidden]`: embedded tokens.
    pub(super) tokens: Share<I, u64>,
    /// `[1, T, 1]`: their means, of [`PRODUCT`] fraction bits.
    pub(super) means: Share<I, u64>,
    /// `[1, 1, T]`: 0 for tokens, a large negative number for padding, of [`PRODUCT`] fraction bits.
    pub(super) padding: Share<I, u64>,
    /// `[1, 1, T]`: 1/length for tokens, 0 for padding; mean pooling only.
    pub(super) pooling: Option<Share<I, u64>>,
}

pub(super) struct Encoder<'a> {
    pub(super) plan: &'a EncoderPlan,
    pub(super) specs: &'a [WeightSpec],
}

impl Encoder<'_> {
    fn weight(&self, layer: usize, part: &str) -> Result<WeightId, Error> {
        find(self.specs, &format!("layer.{layer}.{part}"))
    }

    /// x·W + b.
    fn affine<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        x: &Masked<I, u64>,
        layer: usize,
        part: &str,
    ) -> Result<Share<I, u64>, Error> {
        let product = machine.linear(x, self.weight(layer, part)?)?;
        let bias = machine.bias(self.weight(layer, &format!("{part}.bias"))?, PRODUCT)?;
        product.add(&bias)
    }

    /// The residual x∘gain, less its row mean; its bias is in the layer's.
    fn residual<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        x: &Masked<I, u64>,
        layer: usize,
        part: &str,
    ) -> Result<Share<I, u64>, Error> {
        let scaled = machine.scale_columns(x, self.weight(layer, &format!("{part}_gain"))?)?;
        let mean = machine.linear(x, self.weight(layer, &format!("{part}_mean"))?)?;
        scaled.subtract(&mean)
    }

    /// The embedding, `[1, 1, hidden]`, of [`HEAD_FRACTION`] fraction bits, not yet opened (to be cut by [`FRACTION`]).
    pub(super) fn run<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        inputs: EncoderInputs<I>,
    ) -> Result<Share<I, u64>, Error> {
        // The first residual is the input itself; it is public to the client, so the client sends its means.
        let weights = inputs.pooling.map(|share| machine.defer(share)).transpose()?;
        let tokens = machine.defer(inputs.tokens)?;
        machine.exchange()?;
        let mut x = machine.take(tokens)?;
        let weights = weights.map(|pending| machine.take(pending)).transpose()?;
        let mut first = Some(machine.share_of(&x)?.raise(PRODUCT - FRACTION).subtract(&inputs.means)?);
        for layer in 0..self.plan.layers {
            let context = self.attention(machine, &x, &inputs.padding, layer)?;
            let residual = match first.take() {
                Some(residual) => residual,
                None => self.residual(machine, &x, layer, "attention")?,
            };
            let sum = self.affine(machine, &context, layer, "out")?.add(&residual)?;
            x = gates::layer_norm(machine, sum)?;
            let inner = self.feed_forward(machine, &x, layer)?;
            let residual = self.residual(machine, &x, layer, "ffn")?;
            let sum = self.affine(machine, &inner, layer, "down")?.add(&residual)?;
            x = gates::layer_norm(machine, sum)?;
        }
        let pooled = match (self.plan.pooling, weights) {
            (Pooling::Mean, Some(weights)) => {
                let pooled = machine.matmul(&weights, &x)?;
                let pooled = machine.open(pooled)?;
                let fraction = pooled.form().fraction;
                machine.truncate(&pooled, fraction - HEAD_FRACTION)?
            }
            (Pooling::Cls, None) => x.restructure(&Structure::Rows(0, 1)).raise(HEAD_FRACTION - FRACTION),
            _ => return Err(Error::Program("pooling weights go with mean pooling".into())),
        };
        let scaled = machine.scale_columns(&pooled, find(self.specs, "embedding.gain")?)?;
        let bias = machine.bias(find(self.specs, "embedding.bias")?, HEAD_FRACTION + FRACTION)?;
        scaled.add(&bias)
    }

    /// softmax or 2ReLU of (QKᵀ/√d + padding), times V, for all heads at once; normalised after the product.
    fn attention<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        x: &Masked<I, u64>,
        padding: &Share<I, u64>,
        layer: usize,
    ) -> Result<Masked<I, u64>, Error> {
        let (hidden, heads) = (self.plan.hidden, self.plan.heads);
        let qkv = self.affine(machine, x, layer, "qkv")?;
        let qkv = machine.open(qkv)?;
        let qkv = machine.truncate(&qkv, FRACTION)?;
        let part = |index: usize| {
            qkv.restructure(&Structure::Columns(index * hidden, hidden)).restructure(&Structure::SplitHeads(heads))
        };
        let (queries, keys, values) = (part(0), part(1), part(2));
        let scores = machine.matmul_transposed(&queries, &keys)?.add(padding)?;
        let scores = machine.open(scores)?;
        let (weights, offset) = match self.plan.attention {
            Attention::TwoRelu => {
                let scores = machine.truncate(&scores, FRACTION)?;
                (gates::relu(machine, &scores, SCORE_RANGE, RELU_DIGITS)?.narrowed(ATTENTION_RING), ROW_OFFSET)
            }
            Attention::Softmax => {
                let scores = machine.truncate(&scores, FRACTION + 2)?;
                (gates::softmax_numerators(machine, &scores, ATTENTION_RING)?, 0.0)
            }
        };
        let sums = weights.restructure(&Structure::SumColumns);
        let weights = machine.defer(weights)?;
        let sums = machine.open(sums)?;
        let weights = machine.take(weights)?;
        let product = machine.matmul(&weights, &values)?.narrowed(ATTENTION_RING);
        let product = machine.defer(product)?;
        let range = Wide { low: if offset > 0.0 { -3 } else { 0 }, high: 13, fraction: FRACTION };
        let factor = gates::reciprocal(machine, &sums, offset, &range)?;
        let product = machine.take(product)?;
        let copy = machine.extend::<u64, u128>(&product, PRODUCT - FRACTION, WIDE_RING)?;
        let copy = machine.defer(copy)?;
        let context = gates::scale_rows(machine, copy, factor, FRACTION)?;
        Ok(context.restructure(&Structure::MergeHeads))
    }

    /// The feed-forward network up to its activation, opened.
    fn feed_forward<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        x: &Masked<I, u64>,
        layer: usize,
    ) -> Result<Masked<I, u64>, Error> {
        let inner = self.affine(machine, x, layer, "up")?;
        let inner = machine.open(inner)?;
        let activated = match self.plan.activation {
            Activation::Relu => {
                let inner = machine.truncate(&inner, FRACTION)?;
                gates::relu(machine, &inner, FFN_RANGE, RELU_DIGITS)?
            }
            Activation::Gelu => {
                let inner = machine.truncate(&inner, FRACTION + 2)?;
                gates::gelu(machine, &inner, 64)?
            }
        };
        machine.open(activated)
    }
}
