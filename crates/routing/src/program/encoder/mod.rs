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
//! With near tuning GELU takes one more and softmax 3·⌈log₂ T⌉ + 1 more; squares take two fewer, and leaving out the norm
//! after attention four fewer. With far tuning squares save one or none, and the norm two. Linear attention with squares
//! and one norm takes 12, whatever the tuning: see [`linear`].

use super::plan::{EncoderPlan, FRACTION, PRODUCT, RULE_FRACTION, find};
use crate::bundle::Activation;
use blindroute_protocol::gates::{self, SignWindow, Target};
use blindroute_protocol::{Error, Interpreter, Machine, Masked, Pending, RingWord, Share, WeightId, WeightSpec};

mod exits;
mod linear;
mod scored;

pub(super) use exits::{Classified, Depths};
pub(super) use linear::LinearInputs;
pub use scored::ROW_OFFSET;
pub(super) use scored::ScoredInputs;

/// The result of the encoder.
pub(super) struct Encoded<I: Interpreter> {
    /// `[B, 1, hidden]`, not yet opened. It has [`RULE_FRACTION`] fraction bits after truncation by [`FRACTION`].
    pub(super) embedding: Share<I, u64>,
    /// What was opened beside the inputs.
    pub(super) beside: Vec<Masked<I, u32>>,
    /// With linear attention, how many rows of each prompt are outside the range of a norm.
    pub(super) outside: Option<Share<I, u128>>,
}

/// Lets shares leave with the next exchange.
fn defer_all<I: Interpreter>(
    machine: &mut Machine<I>,
    shares: Vec<Share<I, u32>>,
) -> Result<Vec<Pending<I, u32>>, Error> {
    shares.into_iter().map(|share| machine.defer(share)).collect()
}

/// Deferred shares after their exchange.
fn take_all<I: Interpreter>(
    machine: &mut Machine<I>,
    pending: Vec<Pending<I, u32>>,
) -> Result<Vec<Masked<I, u32>>, Error> {
    pending.into_iter().map(|pending| machine.take(pending)).collect()
}

pub(super) struct Encoder<'a> {
    pub(super) plan: &'a EncoderPlan,
    pub(super) specs: &'a [WeightSpec],
}

impl Encoder<'_> {
    fn weight(&self, layer: usize, part: &str) -> Result<WeightId, Error> {
        find(self.specs, &format!("layer.{layer}.{part}"))
    }

    /// x·W + b. With the presence of tokens, b is a row of W: x·W + b for a token, 0 for padding.
    fn affine<I: Interpreter, W: RingWord>(
        &self,
        machine: &mut Machine<I>,
        x: &Masked<I, W>,
        presence: Option<&Masked<I, u64>>,
        (layer, part): (usize, &str),
    ) -> Result<Share<I, W>, Error> {
        if let Some(presence) = presence {
            let presence = machine.to_word::<u64, W>(&presence.clone().narrowed(x.form().bits))?;
            return machine.linear(&x.beside(&presence.raise(x.form().fraction))?, self.weight(layer, part)?);
        }
        let product = machine.linear(x, self.weight(layer, part)?)?;
        let bias = machine.bias(self.weight(layer, &format!("{part}.bias"))?, PRODUCT)?;
        product.add(&bias)
    }

    /// The residual x∘gain. Its bias is included in the layer's bias. Its row mean is subtracted, but with linear attention: a
    /// student learns to do without, and weights of the size gain/hidden would need more fraction bits than all others.
    fn residual<I: Interpreter, W: RingWord>(
        &self,
        machine: &mut Machine<I>,
        x: &Masked<I, W>,
        layer: usize,
        part: &str,
    ) -> Result<Share<I, W>, Error> {
        let scaled = machine.scale_columns(x, self.weight(layer, &format!("{part}_gain"))?)?;
        if self.plan.carries_biases() {
            return Ok(scaled);
        }
        let mean = machine.linear(x, self.weight(layer, &format!("{part}_mean"))?)?;
        scaled.subtract(&mean)
    }

    /// The embedding of what is left of a prompt's last rows.
    fn embedding<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        pooled: &Masked<I, u64>,
    ) -> Result<Share<I, u64>, Error> {
        let scaled = machine.scale_columns(pooled, find(self.specs, "embedding.gain")?)?;
        let bias = machine.bias(find(self.specs, "embedding.bias")?, RULE_FRACTION + FRACTION)?;
        scaled.add(&bias)
    }

    /// The activation of the feed-forward network, opened.
    fn activate<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        inner: &Masked<I, u32>,
        window: SignWindow,
        target: Target,
    ) -> Result<Masked<I, u32>, Error> {
        let activated = match self.plan.activation {
            Activation::Relu => gates::relu(machine, inner, window, target)?,
            Activation::Gelu => gates::gelu(machine, inner, target)?,
            Activation::Square => return gates::square(machine, inner, target),
        };
        machine.open(activated)
    }
}
