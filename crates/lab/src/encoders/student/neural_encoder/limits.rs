//! How far values exceed what the rings of the secure program hold.

use super::Batch;
use blindroute_routing::bundle::Widths;
use candle_core::{Result, Tensor};

/// What training of a polynomial keeps its values below, so that they stay in the rings of the secure program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    /// Queries, keys and values.
    pub(crate) heads: f64,
    /// What leaves the attention heads.
    pub(crate) context: f64,
    /// The sums with the residual.
    pub(crate) residual: f64,
    /// The input of the activation.
    pub(crate) inner: f64,
    /// What has ranges of its own besides, if that counts.
    pub(crate) ranges: Option<Ranges>,
}

/// Limits of what follows from the other values, so that training need not keep it in its ranges, but a choice of widths must.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ranges {
    /// K′ᵀV/n.
    means: f64,
    /// The squared norms of rows before the last LayerNorm of a layer, from the first to the second.
    norms: (f64, f64),
}

impl Limits {
    /// With the limits of the other ranges of these widths: half of each.
    pub(crate) fn with_ranges(self, widths: &Widths) -> Self {
        let power = |bits: u32| f64::from(bits).exp2();
        let norms = (2.0 * power(widths.norm_low), power(widths.norm_high) / 2.0);
        Self { ranges: Some(Ranges { means: power(widths.mean_range) / 2.0, norms }), ..self }
    }
}

/// The excess of the tensors of a pass, see [`Pass::excess`].
pub(super) struct Excess {
    pub(super) limits: Limits,
    pub(super) sum: Tensor,
    /// `[batch · length, 1]`: one over the number of tokens for tokens, 0 for padding.
    shares: Tensor,
}

impl Excess {
    pub(super) fn new(limits: Limits, batch: &Batch) -> Result<Self> {
        let mask = batch.mask.reshape(((), 1))?;
        let shares = mask.broadcast_div(&mask.sum_all()?)?;
        Ok(Self { limits, sum: Tensor::zeros((), mask.dtype(), mask.device())?, shares })
    }

    /// Adds that of `[batch · length, columns]`.
    pub(super) fn add(&mut self, x: &Tensor, limit: f64) -> Result<()> {
        let beyond = ((x.abs()? / limit)? - 1.0)?.relu()?.sqr()?;
        self.sum = (&self.sum + self.shares.t()?.matmul(&beyond)?.sum_all()?)?;
        Ok(())
    }

    /// Adds that of K′ᵀV/n, `[batch, heads, rows, columns]`: the mean over texts.
    pub(super) fn add_means(&mut self, means: &Tensor, ranges: &Ranges) -> Result<()> {
        let beyond = ((means.abs()? / ranges.means)? - 1.0)?.relu()?.sqr()?;
        self.sum = (&self.sum + (beyond.sum_all()? / means.dim(0)? as f64)?)?;
        Ok(())
    }

    /// Adds that of the squared norms of `[batch · length, columns]`.
    pub(super) fn add_norms(&mut self, x: &Tensor, ranges: &Ranges) -> Result<()> {
        let ((low, high), norms) = (ranges.norms, x.sqr()?.sum_keepdim(1)?);
        let above = ((&norms / high)? - 1.0)?.relu()?.sqr()?;
        let below = ((norms / -low)? + 1.0)?.relu()?.sqr()?;
        self.sum = (&self.sum + self.shares.t()?.matmul(&(above + below)?)?.sum_all()?)?;
        Ok(())
    }
}
