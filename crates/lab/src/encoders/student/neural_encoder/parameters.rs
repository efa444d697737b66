//! The parts of a layer that training changes: linear layers and LayerNorms.

use super::rounding::{Grid, rounded};
use crate::routers::tensors;
use blindroute_routing::bundle::{LayerNorm, LinearLayer, Matrix};
use candle_core::{D, DType, Device, Result, Tensor, Var};

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
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) value: Tensor,
    /// The variable with the same storage, if training may change it.
    pub(super) variable: Option<Var>,
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
pub(super) struct Affine {
    pub(super) weight: Parameter,
    pub(super) bias: Parameter,
    bits: Option<u8>,
}

impl Affine {
    pub(super) fn new(name: &str, linear: &LinearLayer, form: &Form) -> Result<Self> {
        Ok(Self {
            weight: Parameter::new(format!("{name}.weight"), &linear.weight, form)?,
            bias: Parameter::new(format!("{name}.bias"), &linear.bias, form)?,
            bits: form.bits,
        })
    }

    /// x·W + b, with a weight that is on the grid after folding, if there is a grid.
    pub(super) fn forward(&self, x: &Tensor, grid: Option<&Grid<'_>>) -> Result<Tensor> {
        let weight = self.stored()?;
        let weight = match grid {
            Some(grid) => (&weight + grid.error(&weight.detach())?)?,
            None => weight,
        };
        x.matmul(&weight)? + rows(x, &self.bias.value)?
    }

    /// The same with rows whose mean is zero: of a weight and a bias that are centred, the weight then rounded to this number of
    /// fraction bits, if any.
    pub(super) fn forward_centred(&self, x: &Tensor, fraction: Option<u32>) -> Result<Tensor> {
        let centred = |of: &Tensor| of.broadcast_sub(&of.mean_keepdim(D::Minus1)?);
        let weight = rounded(centred(&self.stored()?)?, fraction)?;
        x.matmul(&weight)? + rows(x, &centred(&self.bias.value)?)?
    }

    /// The weight as it is stored (see [`Form::bits`]), rounded in the same way as by [`Matrix::quantised`].
    fn stored(&self) -> Result<Tensor> {
        let Some(bits) = self.bits else { return Ok(self.weight.value.clone()) };
        let exact = self.weight.value.detach();
        let most = f64::from((1u32 << (bits - 1)) - 1);
        let scale = (exact.abs()?.max_keepdim(0)? / most)?.maximum(f64::from(f32::MIN_POSITIVE))?;
        let rounded = exact.broadcast_div(&scale)?.round()?.broadcast_mul(&scale)?;
        &self.weight.value + (rounded - exact)?
    }

    pub(super) fn linear(&self) -> Result<LinearLayer> {
        Ok(LinearLayer { weight: self.weight.matrix()?, bias: self.bias.matrix()? })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Norm {
    pub(super) gain: Parameter,
    pub(super) bias: Parameter,
    epsilon: f64,
}

impl Norm {
    pub(super) fn new(name: &str, norm: &LayerNorm, epsilon: f32, form: &Form) -> Result<Self> {
        Ok(Self {
            gain: Parameter::new(format!("{name}.gain"), &norm.gain, form)?,
            bias: Parameter::new(format!("{name}.bias"), &norm.bias, form)?,
            epsilon: f64::from(epsilon),
        })
    }

    /// The norm of centred rows; before gain and bias they are rounded to this number of fraction bits, if any.
    pub(super) fn forward(&self, centred: &Tensor, fraction: Option<u32>) -> Result<Tensor> {
        self.scaled(&rounded(centred.broadcast_div(&self.deviations(centred)?)?, fraction)?)
    }

    /// The same without the division by the standard deviation.
    pub(super) fn forward_undivided(&self, centred: &Tensor, fraction: Option<u32>) -> Result<Tensor> {
        self.scaled(&rounded(centred.clone(), fraction)?)
    }

    /// The same divided by the standard deviation to the power of `share`, and by `constant` to the power of −`share`: from
    /// [`forward`](Self::forward) on weights that are larger by the constant to [`forward_undivided`](Self::forward_undivided).
    pub(super) fn forward_partly(&self, centred: &Tensor, constant: f64, share: f64) -> Result<Tensor> {
        let power = ((self.deviations(centred)? / constant)?.log()? * share)?.exp()?;
        self.scaled(&centred.broadcast_div(&power)?)
    }

    /// The standard deviations of rows whose mean is zero.
    pub(super) fn deviations(&self, centred: &Tensor) -> Result<Tensor> {
        (centred.sqr()?.mean_keepdim(D::Minus1)? + self.epsilon)?.sqrt()
    }

    fn scaled(&self, x: &Tensor) -> Result<Tensor> {
        x.broadcast_mul(&self.gain.value)? + rows(x, &self.bias.value)?
    }

    pub(super) fn layer_norm(&self) -> Result<LayerNorm> {
        Ok(LayerNorm { gain: self.gain.matrix()?, bias: self.bias.matrix()? })
    }
}

/// A row repeated for every row of `x`, as a product with ones. Its gradient is then a product too; the gradient of a broadcast
/// is a slow sum over rows.
fn rows(x: &Tensor, row: &Tensor) -> Result<Tensor> {
    Tensor::ones((x.dim(0)?, 1), x.dtype(), x.device())?.matmul(row)
}
