//! An encoder as a neural network with gradients: the function of the secure program, on candle tensors.
//!
//! The tokens of a batch are rows, `[batch · length, hidden]`. Shorter texts are padded and masked. candle's fused LayerNorm
//! and softmax have no backward pass and would stop gradients without an error, so both are composed of other operations here.

use crate::routers::tensors;
use blindroute_routing::bundle::{
    Activation, Attention, EncoderConfig, Layer, LayerNorm, LinearLayer, Matrix, Norms, Pooling,
};
use blindroute_routing::program::{RELU_DIVISOR, ROW_OFFSET};
use candle_core::{D, DType, Device, Result, Tensor, Var};

/// Added to the score of a padded key, so that its weight is zero in every kind of attention.
const MASKED: f64 = -1e4;

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

/// How the weights are stored.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    /// Whether they are variables. Then states carry gradients.
    pub(crate) trained: bool,
    /// f32, or f64 for checks of gradients.
    pub(crate) dtype: DType,
    /// The device.
    pub(crate) device: Device,
    /// If set, the matrices are used as they will be stored: rounded to this number of bits, with one scale per column.
    /// Gradients pass as if the matrices were not rounded (the straight-through estimator).
    pub(crate) bits: Option<u8>,
}

/// A weight or bias.
#[derive(Clone, Debug)]
struct Parameter {
    name: String,
    value: Tensor,
    /// The variable with the same storage, if training may change it.
    variable: Option<Var>,
}

impl Parameter {
    fn new(name: String, matrix: &Matrix, form: &Form) -> Result<Self> {
        let value = tensors::tensor(matrix, &form.device)?.to_dtype(form.dtype)?;
        if !form.trained {
            return Ok(Self { name, value, variable: None });
        }
        let variable = Var::from_tensor(&value)?;
        Ok(Self { name, value: variable.as_tensor().clone(), variable: Some(variable) })
    }

    fn matrix(&self) -> Result<Matrix> {
        tensors::matrix(&self.value)
    }
}

#[derive(Clone, Debug)]
struct Affine {
    weight: Parameter,
    bias: Parameter,
    bits: Option<u8>,
}

impl Affine {
    fn new(name: &str, linear: &LinearLayer, form: &Form) -> Result<Self> {
        Ok(Self {
            weight: Parameter::new(format!("{name}.weight"), &linear.weight, form)?,
            bias: Parameter::new(format!("{name}.bias"), &linear.bias, form)?,
            bits: form.bits,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.used()?)? + rows(x, &self.bias.value)?
    }

    /// The weight as it is used (see [`Form::bits`]), rounded in the same way as by [`Matrix::quantised`].
    fn used(&self) -> Result<Tensor> {
        let Some(bits) = self.bits else { return Ok(self.weight.value.clone()) };
        let exact = self.weight.value.detach();
        let most = f64::from((1u32 << (bits - 1)) - 1);
        let scale = (exact.abs()?.max_keepdim(0)? / most)?.maximum(f64::from(f32::MIN_POSITIVE))?;
        let rounded = exact.broadcast_div(&scale)?.round()?.broadcast_mul(&scale)?;
        &self.weight.value + (rounded - exact)?
    }

    fn linear(&self) -> Result<LinearLayer> {
        Ok(LinearLayer { weight: self.weight.matrix()?, bias: self.bias.matrix()? })
    }
}

#[derive(Clone, Debug)]
struct Norm {
    gain: Parameter,
    bias: Parameter,
    epsilon: f64,
}

impl Norm {
    fn new(name: &str, norm: &LayerNorm, epsilon: f32, form: &Form) -> Result<Self> {
        Ok(Self {
            gain: Parameter::new(format!("{name}.gain"), &norm.gain, form)?,
            bias: Parameter::new(format!("{name}.bias"), &norm.bias, form)?,
            epsilon: f64::from(epsilon),
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        self.scaled(&centred.broadcast_div(&self.deviations(&centred)?)?)
    }

    /// The same without the division by the standard deviation.
    fn forward_undivided(&self, x: &Tensor) -> Result<Tensor> {
        self.scaled(&x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?)
    }

    /// The standard deviations of rows whose mean is zero.
    fn deviations(&self, centred: &Tensor) -> Result<Tensor> {
        (centred.sqr()?.mean_keepdim(D::Minus1)? + self.epsilon)?.sqrt()
    }

    fn scaled(&self, x: &Tensor) -> Result<Tensor> {
        x.broadcast_mul(&self.gain.value)? + rows(x, &self.bias.value)?
    }

    fn layer_norm(&self) -> Result<LayerNorm> {
        Ok(LayerNorm { gain: self.gain.matrix()?, bias: self.bias.matrix()? })
    }
}

/// A row repeated for every row of `x`, as a product with ones. Its gradient is then a product too; the gradient of a broadcast
/// is a slow sum over rows.
fn rows(x: &Tensor, row: &Tensor) -> Result<Tensor> {
    Tensor::ones((x.dim(0)?, 1), x.dtype(), x.device())?.matmul(row)
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

/// Called per layer with the norm after attention, the attention scores, the input of the norm, and the input of the activation.
type Observe<'a> = dyn FnMut(&Norm, &Tensor, &Tensor, &Tensor) -> Result<()> + 'a;

/// Statistics of a layer on a batch.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// The mean over rows of the sum of positive scores.
    pub(crate) row_sum: f64,
    /// The mean over rows of the standard deviation at the norm after attention.
    pub(crate) deviation: f64,
    /// The input of the activation, one row per token.
    pub(crate) inner: Vec<Vec<f32>>,
}

/// An encoder as a neural network, of a teacher or a student.
#[derive(Clone, Debug)]
pub(crate) struct NeuralEncoder {
    config: EncoderConfig,
    blocks: Vec<Block>,
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
        Ok(Self { config: config.clone(), blocks })
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

    /// The hidden states after every layer, each `[batch · length, hidden]`.
    pub(crate) fn hidden(&self, batch: &Batch) -> Result<Vec<Tensor>> {
        self.run(batch, None)
    }

    /// Statistics of each layer over real tokens, from which [`adapt`](super::start::adapt) chooses a student's start.
    pub(crate) fn observed(&self, batch: &Batch) -> Result<Vec<Observed>> {
        let (count, length) = batch.shape()?;
        let mask = batch.mask.reshape(((), 1))?;
        let rows = batch.mask.reshape((count, 1, length, 1))?;
        let sum = |tensor: &Tensor| tensor.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>();
        let tokens = sum(&mask)?;
        let real: Vec<bool> =
            mask.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?.iter().map(|m: &f32| *m > 0.0).collect();
        let mut found = Vec::with_capacity(self.blocks.len());
        self.run(
            batch,
            Some(&mut |norm, scores, added, inner| {
                let positive = scores.relu()?.sum_keepdim(D::Minus1)?;
                let centred = added.broadcast_sub(&added.mean_keepdim(D::Minus1)?)?;
                let inner = inner.to_dtype(DType::F32)?.to_vec2::<f32>()?;
                found.push(Observed {
                    row_sum: sum(&positive.broadcast_mul(&rows)?)? / (tokens * self.config.heads as f64),
                    deviation: sum(&norm.deviations(&centred)?.broadcast_mul(&mask)?)? / tokens,
                    inner: inner.into_iter().zip(&real).filter_map(|(row, real)| real.then_some(row)).collect(),
                });
                Ok(())
            }),
        )?;
        Ok(found)
    }

    fn run(&self, batch: &Batch, mut observe: Option<&mut Observe>) -> Result<Vec<Tensor>> {
        let (count, length) = batch.shape()?;
        let bias = ((1.0 - &batch.mask)? * MASKED)?.reshape((count, 1, 1, length))?;
        let mut x = batch.input.clone();
        let mut states = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (context, scores) = self.attention(block, &x, &bias, (count, length))?;
            let sum = (block.output.forward(&context)? + &x)?;
            let inner = match self.config.norms {
                Norms::Both => block.attention_norm.forward(&sum)?,
                Norms::Output => block.attention_norm.forward_undivided(&sum)?,
            };
            let widened = block.up.forward(&inner)?;
            if let Some(observe) = observe.as_mut() {
                observe(&block.attention_norm, &scores, &sum, &widened)?;
            }
            let activated = self.activation(&widened)?;
            x = block.output_norm.forward(&(block.down.forward(&activated)? + &inner)?)?;
            states.push(x.clone());
        }
        Ok(states)
    }

    /// The context and the attention scores.
    fn attention(&self, block: &Block, x: &Tensor, bias: &Tensor, shape: (usize, usize)) -> Result<(Tensor, Tensor)> {
        let (count, length) = shape;
        let (hidden, heads) = (self.config.hidden, self.config.heads);
        let split =
            |tensor: Tensor| tensor.reshape((count, length, heads, hidden / heads))?.transpose(1, 2)?.contiguous();
        let queries = split((block.query.forward(x)? * (heads as f64 / hidden as f64).sqrt())?)?;
        let keys = split(block.key.forward(x)?)?;
        let values = split(block.value.forward(x)?)?;
        let scores = queries.matmul(&keys.t()?)?.broadcast_add(bias)?;
        // Normalised after the product, as in the secure program: there are fewer numbers to divide.
        let context = match self.config.attention {
            Attention::Softmax => {
                let powers = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
                powers.matmul(&values)?.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?
            }
            Attention::TwoRelu => {
                let positive = scores.relu()?;
                positive.matmul(&values)?.broadcast_div(&(positive.sum_keepdim(D::Minus1)? + ROW_OFFSET)?)?
            }
            Attention::Relu => (scores.relu()?.matmul(&values)? / RELU_DIVISOR)?,
        };
        Ok((context.transpose(1, 2)?.contiguous()?.reshape((count * length, hidden))?, scores))
    }

    fn activation(&self, x: &Tensor) -> Result<Tensor> {
        match self.config.activation {
            Activation::Gelu => x.gelu_erf(),
            Activation::Relu => x.relu(),
            Activation::Square => x.sqr(),
        }
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
