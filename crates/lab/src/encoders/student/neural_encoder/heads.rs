//! The attention heads of a layer.

use super::blend::FormerTensors;
use super::rounding::rounded;
use blindroute_routing::bundle::Attention;
use blindroute_routing::program::ROW_OFFSET;
use candle_core::{D, DType, Result, Tensor};

/// Added to the score of a padded key, so that its weight is zero in every kind of attention.
pub(super) const MASKED: f64 = -1e4;

/// `[batch, heads, length, d]` with a column of ones at the end.
fn with_one(of: &Tensor) -> Result<Tensor> {
    let (batch, heads, length, _) = of.dims4()?;
    Tensor::cat(&[of, &Tensor::ones((batch, heads, length, 1), of.dtype(), of.device())?], 3)
}

/// Queries and keys, each already over the fourth root of d, and values, each `[batch, heads, length, d]`, with what tells
/// tokens from padding.
pub(super) struct Heads {
    pub(super) queries: Tensor,
    pub(super) keys: Tensor,
    pub(super) values: Tensor,
    /// `[batch, 1, 1, length]`: 0 for tokens, [`MASKED`] for padding.
    pub(super) bias: Tensor,
    /// `[batch, 1, length, 1]`: 1 for tokens, 0 for padding.
    pub(super) mask: Tensor,
}

impl Heads {
    pub(super) fn scores(&self) -> Result<Tensor> {
        self.queries.matmul(&self.keys.t()?)?.broadcast_add(&self.bias)
    }

    /// The context, `[batch, heads, length, columns of the values]`; with linear attention, K′ᵀV/n is rounded to this number of
    /// fraction bits, if any.
    pub(super) fn context(&self, attention: Attention, means: Option<u32>) -> Result<Tensor> {
        let values = &self.values;
        // Normalised after the product, as in the secure program: there are fewer numbers to divide.
        match attention {
            Attention::Softmax => {
                let scores = self.scores()?;
                let powers = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
                powers.matmul(values)?.broadcast_div(&powers.sum_keepdim(D::Minus1)?)
            }
            Attention::TwoRelu => {
                let positive = self.scores()?.relu()?;
                positive.matmul(values)?.broadcast_div(&(positive.sum_keepdim(D::Minus1)? + ROW_OFFSET)?)
            }
            Attention::Linear => {
                // [Q, 1]·([K, 1]ᵀ·V)/n: no matrix of all pairs of tokens.
                with_one(&self.queries)?.matmul(&rounded(self.means()?, means)?)
            }
        }
    }

    /// K′ᵀV/n of linear attention, `[batch, heads, d + 1, d]`.
    pub(super) fn means(&self) -> Result<Tensor> {
        let values = self.values.broadcast_mul(&self.mask)?;
        let sums = with_one(&self.keys)?.t()?.contiguous()?.matmul(&values)?;
        sums.broadcast_div(&self.mask.sum_keepdim(2)?)
    }

    /// How an encoder whose scores were others by a factor computed the context, over another factor.
    pub(super) fn former_context(&self, former: &FormerTensors) -> Result<Tensor> {
        let queries = self.queries.broadcast_mul(&former.scores)?;
        let Self { keys, values, bias, mask, .. } = self;
        let (keys, values, bias, mask) = (keys.clone(), values.clone(), bias.clone(), mask.clone());
        Self { queries, keys, values, bias, mask }.context(former.attention, None)?.broadcast_div(&former.contexts)
    }

    /// Weight times length as a function of the score, see [`Observed::lines`].
    pub(super) fn lines(&self, attention: Attention) -> Result<Vec<(f64, f64)>> {
        let (batch, heads, length, _) = self.values.dims4()?;
        let (dtype, device) = (self.values.dtype(), self.values.device());
        // The context of the unit matrix is the weights.
        let values = Tensor::eye(length, dtype, device)?.broadcast_as((batch, heads, length, length))?.contiguous()?;
        let (queries, keys) = (self.queries.clone(), self.keys.clone());
        let unit = Self { queries, keys, values, bias: self.bias.clone(), mask: self.mask.clone() };
        let lengths = self.mask.sum_keepdim(2)?;
        let weights = unit.context(attention, None)?.broadcast_mul(&lengths)?;
        let pairs = self.mask.broadcast_mul(&self.mask.t()?)?;
        let scores = self.queries.matmul(&self.keys.t()?)?.broadcast_mul(&pairs)?;
        let means = scores.sum_keepdim(3)?.broadcast_div(&lengths)?;
        let centred = scores.broadcast_sub(&means)?.broadcast_mul(&pairs)?;
        let by_head = |of: Tensor| of.sum((0, 2, 3))?.to_dtype(DType::F64)?.to_vec1::<f64>();
        let products = by_head((&centred * &weights)?)?;
        let squares = by_head(centred.sqr()?)?;
        let sums = by_head(weights.broadcast_mul(&pairs)?)?;
        let count = pairs.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        let line = |head: usize| (sums[head] / count, products[head] / squares[head].max(f64::MIN_POSITIVE));
        Ok((0..heads).map(line).collect())
    }
}
