//! Encoders with attention over all pairs of tokens: softmax and 2ReLU.

use super::{Encoded, Encoder, defer_all, take_all};
use crate::bundle::{Attention, Norms, Pooling};
use crate::program::plan::{ACTIVATION, FRACTION, INPUT, LAST, NARROW, RULE_FRACTION, SCORE_RANGE, SCORES};
use blindroute_protocol::gates::{self, Scaling, SignWindow, Target, Wide};
use blindroute_protocol::{Error, Interpreter, Machine, Masked, Share, Structure, Tuning};

/// Pre-activations of the feed-forward network are below 2^7 in magnitude. ReLU compares 12 bits of them.
const INNER: SignWindow = SignWindow { range: 7, digits: 3 };
/// The form of activations that enter a layer.
const LAYER: Target = Target { bits: NARROW, fraction: ACTIVATION };
/// The bits of a score that 2ReLU compares.
const TWO_RELU_WINDOW: SignWindow = SignWindow { range: SCORE_RANGE, digits: 4 };
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
/// The inputs of an encoder with attention over all pairs of tokens, in shares, for a batch of B prompts.
pub(in crate::program) struct ScoredInputs<I: Interpreter> {
    /// `[B, T, hidden]`: embedded tokens.
    pub(in crate::program) tokens: Share<I, u64>,
    /// `[B, T, 1]`: their means, of [`PRODUCT`] fraction bits.
    pub(in crate::program) means: Share<I, u32>,
    /// `[B, 1, T]`: 0 for tokens, a large negative number for padding, of twice [`ACTIVATION`] fraction bits.
    pub(in crate::program) padding: Share<I, u32>,
    /// `[B, 1, T]`: 1/length for tokens, 0 for padding; for mean pooling only. Their ring has no room for much larger
    /// values: in a wide ring a client could multiply the last activations by any number.
    pub(in crate::program) pooling: Option<Share<I, u32>>,
    /// What the encoder does not use, but is opened together with its inputs.
    pub(in crate::program) beside: Vec<Share<I, u32>>,
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
    /// The embeddings of the prompts.
    pub(in crate::program) fn run_scored<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        inputs: ScoredInputs<I>,
    ) -> Result<Encoded<I>, Error> {
        let beside = defer_all(machine, inputs.beside)?;
        let weights = inputs.pooling.map(|share| machine.defer(share)).transpose()?;
        // Every attention head of a prompt has the padding of that prompt.
        let padding = inputs.padding.restructure(&Structure::RepeatMatrices(self.plan.heads));
        let tokens = machine.defer(inputs.tokens)?;
        machine.exchange()?;
        let mut x = machine.take(tokens)?;
        let weights = weights.map(|pending| machine.take(pending)).transpose()?;
        let beside = take_all(machine, beside)?;
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
            let sum = self.affine(machine, &context, None, (layer, "out"))?.add(&residual)?;
            let inner = match self.plan.norms {
                Norms::Both => {
                    let inner = gates::layer_norm::<I, u32, u64>(machine, sum, LAYER)?;
                    machine.to_word::<u64, u32>(&inner)?
                }
                Norms::Output => reopened(machine, sum, FRACTION)?,
            };
            let widened = self.affine(machine, &inner, None, (layer, "up"))?;
            let widened = machine.truncate_reduce(widened, FRACTION)?;
            let widened = machine.open(widened)?;
            let activated = self.activate(machine, &widened, INNER, LAYER)?;
            let residual = self.residual(machine, &inner, layer, "ffn")?;
            let sum = self.affine(machine, &activated, None, (layer, "down"))?.add(&residual)?;
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
                let pooled = machine.truncate_to(pooled, RULE_FRACTION)?;
                machine.open(pooled)?
            }
            (Pooling::Cls, None) => x.restructure(&Structure::Rows(0, 1)).raise(RULE_FRACTION - LAST),
            _ => {
                return Err(Error::Program(
                    "the inputs have no pooling weights, or have them without mean pooling".into(),
                ));
            }
        };
        Ok(Encoded { embedding: self.embedding(machine, &pooled)?, beside, outside: None })
    }

    /// softmax or 2ReLU of (QKᵀ/√d + padding), times V, for all attention heads of all prompts at once.
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
        let (weights, offset, range) = machine.with_large(|machine| match self.plan.attention {
            Attention::TwoRelu => {
                let target = Target { bits: NARROW, fraction: SCORE_FRACTION };
                let weights = gates::relu::<I, u32, u32>(machine, &scores, TWO_RELU_WINDOW, target)?;
                Ok((weights, ROW_OFFSET, Wide { low: -3, high: 13, fraction: SUM_FRACTION }))
            }
            Attention::Softmax => {
                let target = Target { bits: NARROW, fraction: SOFTMAX_FRACTION };
                let weights = gates::softmax_numerators::<I, u32, u32>(machine, &scores, target)?;
                Ok((weights, 0.0, Wide { low: -2, high: 8, fraction: SUM_FRACTION }))
            }
            Attention::Linear => Err(Error::Program("linear attention has no scores".into())),
        })?;
        let sums = weights.restructure(&Structure::SumColumns);
        let sums = sums.raise(SUM_FRACTION - weights.form().fraction);
        let weights = machine.defer(weights)?;
        let sums = machine.open(sums)?;
        let weights = machine.take(weights)?;
        let product = machine.matmul(&weights, &values)?;
        let fraction = product.form().fraction.min(CONTEXT_FRACTION);
        let product = machine.truncate_to(product, fraction)?;
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
            let qkv = self.affine(machine, &x, None, (layer, "qkv.narrow"))?;
            let qkv = machine.truncate_reduce(qkv, FRACTION)?;
            let qkv = machine.open(qkv)?;
            let both = machine.extend::<u32, u32>(&qkv.restructure(&columns(0, 2)), 0, SCORES)?;
            let values = machine.extend::<u32, u32>(&qkv.restructure(&columns(2, 1)), 0, NARROW)?;
            let both = machine.defer(both)?;
            let values = machine.open(values)?;
            (machine.take(both)?, values)
        } else {
            let qkv = self.affine(machine, x, None, (layer, "qkv"))?;
            let qkv = machine.truncate_reduce(qkv, FRACTION)?;
            let qkv = machine.open(qkv)?;
            let qkv = machine.to_word::<u64, u32>(&qkv)?;
            (qkv.restructure(&columns(0, 2)).narrowed(SCORES), qkv.restructure(&columns(2, 1)))
        };
        let split = Structure::SplitHeads(heads);
        let of_both = |index: usize| both.restructure(&columns(index, 1)).restructure(&split);
        Ok([of_both(0), of_both(1), values.restructure(&split)])
    }
}
