//! How far values exceed what the rings of the secure program hold.

use super::Batch;
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
}
