//! Encoders with linear attention: O = Q′·(K′ᵀV)/n with Q′ = \[Q, 1\] and K′ = \[K, 1\], of n tokens.
//!
//! No matrix has an element for each pair of tokens, so the cost grows with the bucket. **Padding is zero**: a column
//! that is one for tokens and zero for padding, the *presence*, carries every bias, so the rows of padding stay zero
//! through every layer, and no mask is multiplied in.
//!
//! **Openings per layer**, with squares and one norm, whatever the tuning: queries, keys and values; K′ᵀV, twice (the
//! second time over n); the context, twice; the sum after attention; the input and the value of the squares; and the four of
//! a LayerNorm. So 12, of which the second ones only widen a ring: a product that is truncated needs a ring as much wider,
//! and so do its factors.
//!
//! **Values beyond their ranges** leave rows whose norms are not those of any text: the norms count them, and the client learns
//! whether there are any (`any_outside`), in the openings of the rest.
//!
//! **Shapes** Q, K, V `[B · heads, T, d]`, K′ᵀV `[B · heads, d + 1, d]`. **Security** that of the operations; the length is
//! shared, and every prompt of a bucket takes the same messages. **Error** stochastic rounding to the fraction bits of the
//! bundle's widths at every opening; values must stay in their ranges. **Source** linear attention, Katharopoulos et al.,
//! ICML'20. **Differs from the source** in that 1 + score stands for a positive feature map, so that it is a polynomial.

use super::{Encoded, Encoder, defer_all, take_all};
use crate::bundle::{Activation, Norms, Pooling};
use crate::program::plan::{LAST, POOLING, RULE_FRACTION};
use blindroute_protocol::gates::{self, SignWindow, Target};
use blindroute_protocol::{Error, Interpreter, Machine, Masked, RingWord, Shape, Share, Structure};

/// Fraction bits of K′ᵀV over the bucket T; K′ᵀV itself has log₂ T fewer, in the same integers.
const SUMS: u32 = 13;
/// Fraction bits of T/n, by which it is multiplied then.
const INVERSE: u32 = 8;
/// At minus this, GELU and its approximation are zero.
const VANISHED: i64 = 8;

/// The inputs of an encoder with linear attention, in shares, for a batch of B prompts.
pub(in crate::program) struct LinearInputs<I: Interpreter, A: RingWord> {
    /// `[B, T, hidden]`: embedded tokens, and zeros for padding.
    pub(in crate::program) tokens: Share<I, u64>,
    /// `[B, T, 1]`: their means, as products have them, in the ring and word of the sum after attention.
    pub(in crate::program) means: Share<I, A>,
    /// `[B, T, 1]`: the integer 1 for tokens, 0 for padding.
    pub(in crate::program) presence: Share<I, u64>,
    /// `[B, 1, 1]`: one over the number of tokens. Its ring has no room for much larger values: in a wide ring a client could
    /// multiply the last activations by any number.
    pub(in crate::program) inverse: Share<I, u32>,
    /// What the encoder does not use, but is opened together with its inputs.
    pub(in crate::program) beside: Vec<Share<I, u32>>,
}

/// What all layers take besides their input.
pub(in crate::program) struct Prompt<I: Interpreter> {
    pub(super) presence: Masked<I, u64>,
    pub(super) inverse: Masked<I, u32>,
}

/// The rows of each prompt that were outside the range of a norm, so far.
struct Outside<I: Interpreter> {
    /// `[B, 1, 1]`.
    count: Option<Share<I, u128>>,
}

/// A batch of prompts between two layers. `A` is the word of the sum after attention.
pub(in crate::program) struct Under<I: Interpreter, A: RingWord> {
    /// What enters the next layer, `[B, T, hidden]`.
    pub(super) x: Masked<I, u64>,
    pub(super) prompt: Prompt<I>,
    outside: Outside<I>,
    /// The next layer.
    layer: usize,
    /// The residual of the first layer. It is the input itself; the client knows it, so the client sends its means.
    first: Option<Share<I, A>>,
}

/// Prompts before the first layer, and what was opened beside them.
pub(in crate::program) type Begun<I, A> = (Under<I, A>, Vec<Masked<I, u32>>);

impl<I: Interpreter, A: RingWord> Under<I, A> {
    /// Prompts that come from elsewhere, before this layer.
    pub(super) fn new(x: Masked<I, u64>, prompt: Prompt<I>, layer: usize) -> Self {
        Self { x, prompt, outside: Outside { count: None }, layer, first: None }
    }

    /// How many rows of each prompt were outside the range of a norm since this was last asked; none before the first norm.
    pub(super) fn take_outside(&mut self) -> Option<Share<I, u128>> {
        self.outside.count.take()
    }
}

impl Encoder<'_> {
    /// The embeddings of the prompts.
    pub(in crate::program) fn run_linear<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        inputs: LinearInputs<I, A>,
    ) -> Result<Encoded<I>, Error> {
        let (mut under, beside) = self.begin_linear(machine, inputs)?;
        self.run_layers(machine, &mut under, self.plan.layers - 1)?;
        let pooled = self.last_pooled(machine, &mut under)?;
        let embedding = self.embedding(machine, &pooled)?;
        Ok(Encoded { embedding, beside, outside: under.outside.count })
    }

    /// Opens the inputs. One opening.
    pub(in crate::program) fn begin_linear<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        inputs: LinearInputs<I, A>,
    ) -> Result<Begun<I, A>, Error> {
        let beside = defer_all(machine, inputs.beside)?;
        let presence = machine.defer(inputs.presence)?;
        let inverse = machine.defer(inputs.inverse)?;
        let x = machine.open(inputs.tokens)?;
        let prompt = Prompt { presence: machine.take(presence)?, inverse: machine.take(inverse)? };
        let beside = take_all(machine, beside)?;
        let first = self.after_attention::<I, A>(machine, &x)?;
        let residual = machine.share_of(&first)?.raise(self.plan.widths.weights).subtract(&inputs.means)?;
        Ok((Under { first: Some(residual), ..Under::new(x, prompt, 0) }, beside))
    }

    /// Prompts that were left with the servers before layer `layer`: what enters it, presence and inverse lengths. One opening.
    pub(in crate::program) fn continue_linear<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        x: Share<I, u64>,
        (presence, inverse): (Share<I, u64>, Share<I, u32>),
        layer: usize,
    ) -> Result<Under<I, A>, Error> {
        let presence = machine.defer(presence)?;
        let inverse = machine.defer(inverse)?;
        let x = machine.open(x)?;
        let prompt = Prompt { presence: machine.take(presence)?, inverse: machine.take(inverse)? };
        Ok(Under::new(x, prompt, layer))
    }

    /// Leaves prompts with the servers, for [`continue_linear`](Self::continue_linear). No opening.
    pub(super) fn keep<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        under: &Under<I, A>,
    ) -> Result<(), Error> {
        let x = machine.share_of(&under.x)?;
        machine.keep(x)?;
        let presence = machine.share_of(&under.prompt.presence)?;
        machine.keep(presence)?;
        let inverse = machine.share_of(&under.prompt.inverse)?;
        machine.keep(inverse)
    }

    /// Runs all layers before this one, which are not the last.
    pub(in crate::program) fn run_layers<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        under: &mut Under<I, A>,
        before: usize,
    ) -> Result<(), Error> {
        while under.layer < before {
            let sum = self.linear_layer(machine, under)?;
            let widths = &self.plan.widths;
            let target = Target { bits: widths.layer_ring(under.x.form().shape.rows), fraction: widths.layer };
            under.x = self.linear_norm(machine, sum, target, &mut under.outside)?;
        }
        Ok(())
    }

    /// Runs the last layer, and pools its rows. They are opened only as the sum of each prompt.
    pub(super) fn last_pooled<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        under: &mut Under<I, A>,
    ) -> Result<Masked<I, u64>, Error> {
        let sum = self.linear_layer(machine, under)?;
        match self.plan.pooling {
            Pooling::Cls => self.first_row(machine, sum, &mut under.outside),
            Pooling::Mean => self.mean_row(machine, sum, under),
        }
    }

    /// What enters a layer, in the ring of the sum after attention.
    fn after_attention<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        x: &Masked<I, u64>,
    ) -> Result<Masked<I, A>, Error> {
        machine.to_word(&x.clone().narrowed(self.plan.widths.after_attention_ring()))
    }

    /// The next layer up to its last norm.
    pub(super) fn linear_layer<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        under: &mut Under<I, A>,
    ) -> Result<Share<I, u32>, Error> {
        let Under { x, prompt, outside, layer: next, first } = under;
        let layer = *next;
        *next += 1;
        let residual = match first.take() {
            Some(first) => first,
            None => {
                let narrow = self.after_attention::<I, A>(machine, x)?;
                self.residual(machine, &narrow, layer, "attention")?
            }
        };
        let presence = Some(&prompt.presence);
        let widths = &self.plan.widths;
        let context = self.linear_attention::<I, A>(machine, x, prompt, layer)?;
        let sum = self.affine(machine, &context, presence, (layer, "out"))?.add(&residual)?;
        let inner = match self.plan.norms {
            Norms::Both => {
                let target = Target { bits: widths.sum_ring(), fraction: widths.layer };
                let normed = self.linear_norm(machine, sum.narrowed(widths.sum_ring()), target, outside)?;
                machine.to_word::<u64, u32>(&normed)?
            }
            Norms::Output => {
                let sum = machine.truncate_reduce(sum, widths.weights)?;
                let sum = machine.share_to_word::<A, u32>(sum)?;
                machine.open(sum)?
            }
        };
        let activated = self.linear_feed_forward(machine, &inner, prompt, layer)?;
        let residual = self.residual(machine, &inner, layer, "ffn")?;
        let sum = self.affine(machine, &activated, presence, (layer, "down"))?;
        sum.raise_ring(widths.layer - widths.activated)?.add(&residual)
    }

    /// A LayerNorm, opened, which counts its rows outside the range.
    fn linear_norm<I: Interpreter, W: RingWord>(
        &self,
        machine: &mut Machine<I>,
        sum: Share<I, W>,
        target: Target,
        outside: &mut Outside<I>,
    ) -> Result<Masked<I, u64>, Error> {
        let rows = self.linear_norm_shares::<I, W, u64>(machine, sum, target, outside)?;
        let rows = machine.truncate_to(rows, target.fraction)?;
        machine.open(rows)
    }

    /// The same before its last opening.
    fn linear_norm_shares<I: Interpreter, W: RingWord, V: RingWord>(
        &self,
        machine: &mut Machine<I>,
        sum: Share<I, W>,
        target: Target,
        outside: &mut Outside<I>,
    ) -> Result<Share<I, V>, Error> {
        let widths = &self.plan.widths;
        let normalised = gates::layer_norm_within(machine, sum, target, (widths.norm_low, widths.norm_high))?;
        let count = normalised.outside.restructure(&Structure::SumRows);
        outside.count = Some(match outside.count.take() {
            Some(before) => before.add(&count)?,
            None => count,
        });
        Ok(normalised.rows)
    }

    /// The feed-forward network up to its activation, opened.
    fn linear_feed_forward<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        x: &Masked<I, u32>,
        prompt: &Prompt<I>,
        layer: usize,
    ) -> Result<Masked<I, u32>, Error> {
        let widths = &self.plan.widths;
        let mut inner = self.affine(machine, x, Some(&prompt.presence), (layer, "up"))?;
        if self.plan.activation == Activation::Gelu {
            // Of the activations only GELU's approximation is not zero at zero, but it is where GELU itself is.
            let presence = machine.to_word::<u64, u32>(&prompt.presence.clone().narrowed(inner.form().bits))?;
            let lifted = machine.share_of(&presence)?.scale(VANISHED).raise(inner.form().fraction);
            inner = machine.add_constant(inner.add(&lifted)?, -VANISHED as f64)?;
        }
        let inner = machine.truncate_to(inner, widths.inner)?.narrowed(widths.inner_ring());
        let inner = machine.open(inner)?;
        let window = SignWindow { range: widths.inner_range, digits: 3.min((widths.inner + widths.inner_range) / 4) };
        let target = Target { bits: widths.sum_ring() - (widths.layer - widths.activated), fraction: widths.activated };
        self.activate(machine, &inner, window, target)
    }

    /// The context of all attention heads, in the ring of its product.
    fn linear_attention<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        x: &Masked<I, u64>,
        prompt: &Prompt<I>,
        layer: usize,
    ) -> Result<Masked<I, A>, Error> {
        let (hidden, heads, widths) = (self.plan.hidden, self.plan.heads, &self.plan.widths);
        let bucket = x.form().shape.rows;
        let qkv = self.affine(machine, x, Some(&prompt.presence), (layer, "qkv"))?;
        let qkv = machine.truncate_to(qkv, widths.heads)?;
        // Each in the ring of its product.
        let columns = |start: usize, count: usize| Structure::Columns(start * hidden, count * hidden);
        let queries = qkv.restructure(&columns(0, 1)).narrowed(widths.context_ring());
        let queries = machine.share_to_word::<u64, u32>(queries)?;
        let queries = machine.defer(queries)?;
        let both = qkv.restructure(&columns(1, 2)).narrowed(widths.values_ring(bucket));
        let both = machine.share_to_word::<u64, u32>(both)?;
        let both = machine.open(both)?;
        let queries = machine.take(queries)?.restructure(&Structure::SplitHeads(heads));
        let part = |index: usize| both.restructure(&columns(index, 1)).restructure(&Structure::SplitHeads(heads));
        let presence = machine.to_word::<u64, u32>(&prompt.presence.clone().narrowed(32))?;
        let presence = presence.restructure(&Structure::RepeatMatrices(heads)).raise(widths.heads);
        let keys = part(0).beside(&presence)?.restructure(&Structure::Transpose);
        let sums = machine.matmul(&keys, &part(1))?;
        let means = self.over_length(machine, sums, bucket, prompt)?;
        let context = machine.matmul(&queries.beside(&presence)?, &means)?;
        let context = machine.truncate_to(context, widths.layer)?;
        let context = machine.open(context.restructure(&Structure::MergeHeads(heads)))?;
        let context = machine.extend::<u32, A>(&context, 0, widths.after_attention_ring())?;
        machine.open(context)
    }

    /// K′ᵀV over the number of tokens, in the ring of its product. Two openings.
    fn over_length<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        sums: Share<I, u32>,
        bucket: usize,
        prompt: &Prompt<I>,
    ) -> Result<Masked<I, u32>, Error> {
        let shape = sums.form().shape;
        let length = bucket.ilog2();
        let sums = machine.truncate_to(sums, SUMS - length)?;
        let sums = machine.open(sums)?;
        // One row per matrix, for one factor per row.
        let rows = Structure::Reshape(Shape::new(shape.batch, 1, shape.rows * shape.columns));
        let inverse = prompt.inverse.restructure(&Structure::RepeatMatrices(self.plan.heads));
        let widths = &self.plan.widths;
        let ring = widths.context_ring() + SUMS + INVERSE - widths.means;
        let factor = (&inverse, POOLING - INVERSE - length);
        let means = machine.product_extended::<u32, u32, u64>((&sums.restructure(&rows), 0), factor, ring)?;
        let means = machine.truncate_to(means, widths.means)?;
        let means = machine.share_to_word::<u64, u32>(means)?;
        machine.open(means.restructure(&Structure::Reshape(shape)))
    }

    /// The first row of each prompt after the last layer.
    fn first_row<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        sum: Share<I, u32>,
        outside: &mut Outside<I>,
    ) -> Result<Masked<I, u64>, Error> {
        // Later steps truncate further, so what is left of the last activations needs a wide ring.
        let target = Target { bits: 64, fraction: LAST };
        let rows = self.linear_norm_shares::<I, u32, u128>(machine, sum, target, outside)?;
        let row = machine.truncate_to(rows.restructure(&Structure::Rows(0, 1)), LAST)?;
        let row = machine.open(row)?;
        Ok(machine.to_word::<u128, u64>(&row)?.raise(RULE_FRACTION - LAST))
    }

    /// The mean of the rows of each prompt after the last layer.
    pub(super) fn mean_row<I: Interpreter, A: RingWord>(
        &self,
        machine: &mut Machine<I>,
        sum: Share<I, u32>,
        under: &mut Under<I, A>,
    ) -> Result<Masked<I, u64>, Error> {
        // A sum of rows, whose elements are below √hidden, is opened in a ring that just holds it: the rows have many elements,
        // and the sum few, which are extended for their product.
        let range = self.plan.hidden.ilog2() / 2 + 2 + sum.form().shape.rows.ilog2();
        let target = Target { bits: LAST + range + 2, fraction: LAST };
        let rows = self.linear_norm_shares::<I, u32, u64>(machine, sum, target, &mut under.outside)?;
        let row = machine.truncate_to(rows.restructure(&Structure::SumRows), LAST)?;
        let row = machine.open(row)?;
        self.over_tokens(machine, &row, &under.prompt)
    }

    /// Sums of rows over the number of tokens, opened.
    pub(super) fn over_tokens<I: Interpreter>(
        &self,
        machine: &mut Machine<I>,
        sums: &Masked<I, u64>,
        prompt: &Prompt<I>,
    ) -> Result<Masked<I, u64>, Error> {
        let mean = machine.product_extended::<u64, u32, u64>((sums, 0), (&prompt.inverse, 0), 64)?;
        let mean = machine.truncate_to(mean, RULE_FRACTION)?;
        machine.open(mean)
    }
}
