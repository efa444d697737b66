//! An encoder as a neural network with gradients: the function of the secure program, on candle tensors.
//!
//! The tokens of a batch are rows, `[batch · length, hidden]`. Shorter texts are padded and masked. candle's fused LayerNorm
//! and softmax have no backward pass and would stop gradients without an error, so both are composed of other operations here.

mod blend;
mod heads;
mod limits;
mod parameters;
mod rounding;
#[cfg(test)]
mod tests;

pub(crate) use blend::{Former, Parabola};
pub(crate) use limits::Limits;
pub(crate) use parameters::Form;

use blend::{FormerTensors, mixed};
use blindroute_routing::bundle::{
    Activation, Attention, EncoderConfig, Layer, LayerNorm, LinearLayer, Norms, Pooling, Widths,
};
use candle_core::{D, DType, Result, Tensor, Var};
use heads::{Heads, MASKED};
use limits::Excess;
use parameters::{Affine, Norm, Parameter};
use rounding::{Grid, rounded};

/// A batch of texts as input of the encoder.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// `[batch · length, hidden]`: embedded tokens, and zeros for padding.
    pub(crate) input: Tensor,
    /// `[batch, length]`: 1 for tokens, 0 for padding.
    pub(crate) mask: Tensor,
}

impl Batch {
    fn shape(&self) -> Result<(usize, usize)> {
        self.mask.dims2()
    }
}

#[derive(Clone, Debug)]
struct Block {
    query: Affine,
    key: Affine,
    value: Affine,
    output: Affine,
    attention_norm: Norm,
    up: Affine,
    down: Affine,
    output_norm: Norm,
}

/// What [`observed`](NeuralEncoder::observed) sees of a layer.
struct Seen<'a> {
    norm: &'a Norm,
    heads: &'a Heads,
    /// The input of the norm after attention, centred.
    added: &'a Tensor,
    /// The input of the activation.
    inner: &'a Tensor,
}

type Observe<'a> = dyn FnMut(&Seen<'_>) -> Result<()> + 'a;

/// Statistics of a layer on a batch.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// By column, the mean of the keys.
    pub(crate) keys: Vec<f32>,
    /// By attention head, the line closest to weight times length as a function of the score less its mean over a row: its
    /// level and its slope.
    pub(crate) lines: Vec<(f64, f64)>,
    /// The mean over rows of the standard deviation at the norm after attention.
    pub(crate) deviation: f64,
    /// The input of the activation, one row per token.
    pub(crate) inner: Vec<Vec<f32>>,
}

/// What a network computes on a batch.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    /// The hidden states after every layer, each `[batch · length, hidden]`.
    pub(crate) hidden: Vec<Tensor>,
    /// How far values exceed the limits: the sum of ((|x| − limit)/limit)² where positive, over the number of tokens.
    pub(crate) excess: Option<Tensor>,
}

/// An encoder as a neural network, of a teacher or a student.
#[derive(Clone, Debug)]
pub(crate) struct NeuralEncoder {
    config: EncoderConfig,
    blocks: Vec<Block>,
    former: Vec<FormerTensors>,
    limits: Option<Limits>,
    /// The widths with which values and weights are rounded.
    widths: Option<Widths>,
}

impl NeuralEncoder {
    /// The encoder with these layers.
    pub(crate) fn new(config: &EncoderConfig, layers: &[Layer], form: &Form) -> Result<Self> {
        let block = |(index, layer): (usize, &Layer)| {
            let affine = |part: &str, linear: &LinearLayer| Affine::new(&format!("layer.{index}.{part}"), linear, form);
            let norm = |part: &str, norm: &LayerNorm| {
                Norm::new(&format!("layer.{index}.{part}"), norm, config.layer_norm_epsilon, form)
            };
            Ok(Block {
                query: affine("query", &layer.query)?,
                key: affine("key", &layer.key)?,
                value: affine("value", &layer.value)?,
                output: affine("output", &layer.output)?,
                attention_norm: norm("attention_norm", &layer.attention_norm)?,
                up: affine("up", &layer.up)?,
                down: affine("down", &layer.down)?,
                output_norm: norm("output_norm", &layer.output_norm)?,
            })
        };
        let blocks = layers.iter().enumerate().map(block).collect::<Result<_>>()?;
        Ok(Self { config: config.clone(), blocks, former: Vec::new(), limits: None, widths: None })
    }

    /// With what the weights computed before they were adapted to this program, one per layer, for blended passes.
    pub(crate) fn with_former(self, former: &[Former], form: &Form) -> Result<Self> {
        let former = former.iter().map(|former| FormerTensors::new(former, form.dtype, &form.device));
        Ok(Self { former: former.collect::<Result<_>>()?, ..self })
    }

    /// With limits, of which passes report the excess.
    pub(crate) fn within(self, limits: Limits) -> Self {
        Self { limits: Some(limits), ..self }
    }

    /// With the rounding of the secure program.
    pub(crate) fn rounding(self, widths: Widths) -> Self {
        Self { widths: Some(widths), ..self }
    }

    /// The layers in the form of a bundle.
    pub(crate) fn layers(&self) -> Result<Vec<Layer>> {
        let layer = |block: &Block| {
            Ok(Layer {
                query: block.query.linear()?,
                key: block.key.linear()?,
                value: block.value.linear()?,
                output: block.output.linear()?,
                attention_norm: block.attention_norm.layer_norm()?,
                up: block.up.linear()?,
                down: block.down.linear()?,
                output_norm: block.output_norm.layer_norm()?,
            })
        };
        self.blocks.iter().map(layer).collect()
    }

    /// Every variable with its name, in a fixed order; empty if the weights are fixed.
    pub(crate) fn parameters(&self) -> Vec<(String, Var)> {
        let parameters = self.blocks.iter().flat_map(|block| {
            let affine = [&block.query, &block.key, &block.value, &block.output, &block.up, &block.down];
            let norms = [&block.attention_norm, &block.output_norm];
            let affine = affine.into_iter().flat_map(|affine| [&affine.weight, &affine.bias]);
            affine.chain(norms.into_iter().flat_map(|norm| [&norm.gain, &norm.bias]))
        });
        let variable = |parameter: &Parameter| Some((parameter.name.clone(), parameter.variable.clone()?));
        parameters.filter_map(variable).collect()
    }

    /// Everything on a batch, `share` of it as the former encoder computed it.
    pub(crate) fn pass(&self, batch: &Batch, share: f64) -> Result<Pass> {
        self.run(batch, share, None)
    }

    /// Statistics of each layer over real tokens, from which [`adapt`](super::start::adapt) chooses a student's start.
    pub(crate) fn observed(&self, batch: &Batch) -> Result<Vec<Observed>> {
        let mask = batch.mask.reshape(((), 1))?;
        let sum = |tensor: &Tensor| tensor.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>();
        let tokens = sum(&mask)?;
        let real: Vec<bool> =
            mask.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?.iter().map(|m: &f32| *m > 0.0).collect();
        let mut found = Vec::with_capacity(self.blocks.len());
        self.run(
            batch,
            0.0,
            Some(&mut |seen| {
                let Seen { norm, heads, added, inner } = seen;
                let inner = inner.to_dtype(DType::F32)?.to_vec2::<f32>()?;
                let keys = heads.keys.broadcast_mul(&heads.mask)?.sum((0, 2))?.flatten_all()?;
                found.push(Observed {
                    keys: (keys / (tokens * self.root()))?.to_dtype(DType::F32)?.to_vec1()?,
                    lines: heads.lines(self.config.attention)?,
                    deviation: sum(&norm.deviations(added)?.broadcast_mul(&mask)?)? / tokens,
                    inner: inner.into_iter().zip(&real).filter_map(|(row, real)| real.then_some(row)).collect(),
                });
                Ok(())
            }),
        )?;
        Ok(found)
    }

    /// The factor of queries and of keys.
    fn root(&self) -> f64 {
        (self.config.heads as f64 / self.config.hidden as f64).powf(0.25)
    }

    /// The number of fraction bits that a value is rounded to, if any.
    fn fraction(&self, of: fn(&Widths) -> u32) -> Option<u32> {
        self.widths.as_ref().map(of)
    }

    /// The grid of weights that are folded with a norm's gain, if there is one, and a factor.
    fn grid<'a>(&self, (gain, factor): (Option<&'a Tensor>, f64)) -> Option<Grid<'a>> {
        self.fraction(|widths| widths.weights).map(|fraction| Grid { fraction, gain, factor })
    }

    fn run(&self, batch: &Batch, share: f64, mut observe: Option<&mut Observe>) -> Result<Pass> {
        let layer = self.fraction(|widths| widths.layer);
        let mut x = rounded(batch.input.clone(), layer)?;
        let mut excess = self.limits.map(|limits| Excess::new(limits, batch)).transpose()?;
        let mut hidden = Vec::with_capacity(self.blocks.len());
        for (index, block) in self.blocks.iter().enumerate() {
            let former = if share > 0.0 { self.former.get(index) } else { None };
            let before = index.checked_sub(1).map(|before| &self.blocks[before].output_norm);
            let heads = self.heads((block, before.map(|norm| &norm.gain.value)), &x, batch, excess.as_mut())?;
            let context = heads.context(self.config.attention, self.fraction(|widths| widths.means))?;
            let context = match former {
                Some(former) => mixed(share, heads.former_context(former)?, context)?,
                None => context,
            };
            let context = rounded(context.transpose(1, 2)?.contiguous()?.reshape(x.shape())?, layer)?;
            let added = self.centred(share, (&block.output, &context), (&x, before))?;
            let inner = match (self.config.norms, former.and_then(|former| former.deviation)) {
                (Norms::Both, _) => block.attention_norm.forward(&added, layer)?,
                (Norms::Output, None) => block.attention_norm.forward_undivided(&added, layer)?,
                (Norms::Output, Some(constant)) => block.attention_norm.forward_partly(&added, constant, share)?,
            };
            let folded = self.grid((Some(&block.attention_norm.gain.value), 1.0));
            let widened = rounded(block.up.forward(&inner, folded.as_ref())?, self.fraction(|widths| widths.inner))?;
            if let Some(observe) = observe.as_mut() {
                observe(&Seen { norm: &block.attention_norm, heads: &heads, added: &added, inner: &widened })?;
            }
            let activated = activation(self.config.activation, &widened)?;
            let activated = match former {
                Some(former) => {
                    let of = |x: &Tensor| activation(former.activation, x);
                    mixed(share, former.activated(&widened, of)?, activated)?
                }
                None => activated,
            };
            let activated = rounded(activated, self.fraction(|widths| widths.activated))?;
            let sum = self.centred(share, (&block.down, &activated), (&inner, Some(&block.attention_norm)))?;
            if let Some(excess) = excess.as_mut() {
                let limits = excess.limits;
                excess.add(&context, limits.context)?;
                excess.add(&inner, limits.residual)?;
                excess.add(&widened, limits.inner)?;
                excess.add(&sum, limits.residual)?;
                if let Some(ranges) = &limits.ranges {
                    excess.add_means(&heads.means()?, ranges)?;
                    excess.add_norms(&sum, ranges)?;
                }
            }
            // The servers sum the rows of the last norm before they round.
            x = block.output_norm.forward(&sum, layer.filter(|_| index + 1 < self.blocks.len()))?;
            hidden.push(x.clone());
        }
        Ok(Pass { hidden, excess: excess.map(|excess| excess.sum) })
    }

    /// The sum of what this part of a layer gives and of the residual, a norm's result, less the row means. With linear attention
    /// the program centres the part's weights and the biases, and does not subtract the residual's means, but those of the first
    /// residual, which the client knows, and those in the former encoder.
    fn centred(
        &self,
        share: f64,
        (part, x): (&Affine, &Tensor),
        (residual, norm): (&Tensor, Option<&Norm>),
    ) -> Result<Tensor> {
        if self.config.attention != Attention::Linear {
            let sum = (part.forward(x, None)? + residual)?;
            return sum.broadcast_sub(&sum.mean_keepdim(D::Minus1)?);
        }
        let sum = (part.forward_centred(x, self.fraction(|widths| widths.weights))? + residual)?;
        let means = residual.mean_keepdim(D::Minus1)?;
        let Some(norm) = norm else { return sum.broadcast_sub(&means) };
        let own = norm.bias.value.mean_keepdim(D::Minus1)?.broadcast_as(means.shape())?;
        sum.broadcast_sub(&mixed(share, means, own)?)
    }

    /// The attention heads of a layer, before which a LayerNorm has this gain.
    fn heads(
        &self,
        (block, before): (&Block, Option<&Tensor>),
        x: &Tensor,
        batch: &Batch,
        excess: Option<&mut Excess>,
    ) -> Result<Heads> {
        let (count, length) = batch.shape()?;
        let root = self.root();
        let [scaled, plain] = [root, 1.0].map(|factor| self.grid((before, factor)));
        let fraction = self.fraction(|widths| widths.heads);
        let (hidden, heads) = (self.config.hidden, self.config.heads);
        let split =
            |tensor: Tensor| tensor.reshape((count, length, heads, hidden / heads))?.transpose(1, 2)?.contiguous();
        let queries = block.query.forward(x, scaled.as_ref())?;
        let keys = block.key.forward(x, scaled.as_ref())?;
        let values = block.value.forward(x, plain.as_ref())?;
        if let Some(excess) = excess {
            let limit = excess.limits.heads;
            [&queries, &keys, &values].into_iter().try_for_each(|part| excess.add(part, limit))?;
        }
        Ok(Heads {
            queries: split(rounded((queries * root)?, fraction)?)?,
            keys: split(rounded((keys * root)?, fraction)?)?,
            values: split(rounded(values, fraction)?)?,
            bias: ((1.0 - &batch.mask)? * MASKED)?.reshape((count, 1, 1, length))?,
            mask: batch.mask.reshape((count, 1, length, 1))?,
        })
    }

    /// One embedding per text from the last hidden states, `[batch, hidden]`.
    pub(crate) fn pool(&self, last: &Tensor, batch: &Batch) -> Result<Tensor> {
        let (count, length) = batch.shape()?;
        let states = last.reshape((count, length, self.config.hidden))?;
        match self.config.pooling {
            Pooling::Cls => states.narrow(1, 0, 1)?.squeeze(1),
            Pooling::Mean => {
                let weights = batch.mask.broadcast_div(&batch.mask.sum_keepdim(1)?)?;
                weights.unsqueeze(1)?.matmul(&states)?.squeeze(1)
            }
        }
    }
}

fn activation(kind: Activation, x: &Tensor) -> Result<Tensor> {
    match kind {
        Activation::Gelu => x.gelu_erf(),
        Activation::Relu => x.relu(),
        Activation::Square => x.sqr(),
    }
}
