//! Rounding as the secure program rounds, with gradients that pass as if nothing were rounded (the straight-through
//! estimator).
//!
//! The servers round what they open up or down at random, with the exact value as the mean; here it is rounded to nearest, so
//! that a training that continues from a checkpoint computes the same. A weight is rounded after folding, as when a bundle is
//! split ([`weight_tensors`](blindroute_routing::program::weight_tensors)).

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

/// The least gain of a LayerNorm's column through which a rounded weight is found again.
const LEAST_GAIN: f64 = 1e-6;

/// To nearest, to a number of fraction bits.
struct Nearest {
    fraction: u32,
}

impl CustomOp1 for Nearest {
    fn name(&self) -> &'static str {
        "round"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("rounding of a tensor that is not contiguous")
        };
        let unit = f64::from(self.fraction).exp2();
        let storage = match storage {
            CpuStorage::F32(values) => {
                let unit = unit as f32;
                CpuStorage::F32(values[start..end].iter().map(|x| (x * unit).round() / unit).collect())
            }
            CpuStorage::F64(values) => {
                CpuStorage::F64(values[start..end].iter().map(|x| (x * unit).round() / unit).collect())
            }
            _ => bail!("rounding of a tensor that is neither f32 nor f64"),
        };
        Ok((storage, layout.shape().clone()))
    }

    fn bwd(&self, _argument: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(gradient.clone()))
    }
}

/// Rounded to this number of fraction bits, if any.
pub(super) fn rounded(x: Tensor, fraction: Option<u32>) -> Result<Tensor> {
    match fraction {
        Some(fraction) => x.contiguous()?.apply_op1(Nearest { fraction }),
        None => Ok(x),
    }
}

/// The grid that a weight is on after folding.
pub(super) struct Grid<'a> {
    /// Its fraction bits.
    pub(super) fraction: u32,
    /// The gain of the LayerNorm before the layer, by row, if there is one.
    pub(super) gain: Option<&'a Tensor>,
    /// A factor of all elements.
    pub(super) factor: f64,
}

impl Grid<'_> {
    /// What to add to a weight, so that it is on the grid after folding. Without gradient.
    pub(super) fn error(&self, weight: &Tensor) -> Result<Tensor> {
        let error = |folded: &Tensor| rounded(folded.clone(), Some(self.fraction))? - folded;
        let Some(gain) = self.gain else { return error(&(weight * self.factor)?)? / self.factor };
        let factors = (gain.detach().t()? * self.factor)?;
        let negative = factors.lt(0.0)?.to_dtype(factors.dtype())?;
        let sign = (1.0 - (negative * 2.0)?)?;
        let factors = (factors.abs()?.maximum(LEAST_GAIN)? * sign)?;
        error(&weight.broadcast_mul(&factors)?)?.broadcast_div(&factors)
    }
}
