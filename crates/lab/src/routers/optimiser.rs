//! AdamW with a cosine schedule. Its whole state can be stored, so that a resumed training gives the same result as an
//! uninterrupted one.

use candle_core::backprop::GradStore;
use candle_core::{DType, Result, Tensor, Var};

/// The usual constants (Loshchilov and Hutter, 2019).
const MEAN_DECAY: f64 = 0.9;
const SQUARE_DECAY: f64 = 0.999;
const EPSILON: f64 = 1e-8;
/// The largest length of a gradient. Longer ones are scaled down: early batches of an untrained student have large gradients.
const LONGEST: f64 = 1.0;

/// A variable with its running means.
#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) name: String,
    pub(crate) value: Var,
    pub(crate) mean: Tensor,
    pub(crate) square: Tensor,
}

/// The optimiser.
#[derive(Debug)]
pub(crate) struct AdamW {
    pub(crate) tracked: Vec<Tracked>,
    /// The number of steps so far.
    pub(crate) steps: usize,
    decay: f64,
}

impl AdamW {
    pub(crate) fn new(parameters: Vec<(String, Var)>, decay: f64) -> Result<Self> {
        let track = |(name, value): (String, Var)| {
            let (mean, square) = (value.zeros_like()?, value.zeros_like()?);
            Ok(Tracked { name, value, mean, square })
        };
        Ok(Self { tracked: parameters.into_iter().map(track).collect::<Result<_>>()?, steps: 0, decay })
    }

    /// One step along the negative gradients at this rate. Variables without a gradient do not change.
    pub(crate) fn step(&mut self, gradients: &GradStore, rate: f64) -> Result<()> {
        self.steps += 1;
        let scale = self.clipping(gradients)?;
        let mean_left = 1.0 - MEAN_DECAY.powf(self.steps as f64);
        let square_left = 1.0 - SQUARE_DECAY.powf(self.steps as f64);
        for tracked in &mut self.tracked {
            let Some(gradient) = gradients.get(tracked.value.as_tensor()) else { continue };
            let gradient = (gradient * scale)?;
            tracked.mean = ((&tracked.mean * MEAN_DECAY)? + (&gradient * (1.0 - MEAN_DECAY))?)?.detach();
            tracked.square = ((&tracked.square * SQUARE_DECAY)? + (gradient.sqr()? * (1.0 - SQUARE_DECAY))?)?.detach();
            let deviation = ((&tracked.square / square_left)?.sqrt()? + EPSILON)?;
            let move_by = ((&tracked.mean * (rate / mean_left))? / deviation)?;
            let kept = (tracked.value.as_detached_tensor() * (1.0 - rate * self.decay))?;
            tracked.value.set(&(kept - move_by)?)?;
        }
        Ok(())
    }

    /// The factor that limits the length of all gradients together to [`LONGEST`].
    fn clipping(&self, gradients: &GradStore) -> Result<f64> {
        let mut sum = 0.0;
        for tracked in &self.tracked {
            if let Some(gradient) = gradients.get(tracked.value.as_tensor()) {
                sum += gradient.sqr()?.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
            }
        }
        let length = sum.sqrt();
        Ok(if length > LONGEST { LONGEST / length } else { 1.0 })
    }
}

/// The rate of a step: linear growth over the first twentieth of the steps, then half a cosine down to a hundredth of `peak`.
pub(crate) fn rate(step: usize, steps: usize, peak: f64) -> f64 {
    let warm = (steps / 20).max(1);
    if step < warm {
        return peak * (step + 1) as f64 / warm as f64;
    }
    let done = (step - warm) as f64 / (steps - warm).max(1) as f64;
    peak * (0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()))
}
