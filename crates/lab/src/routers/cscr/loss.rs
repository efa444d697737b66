//! Cost-Spectrum InfoNCE (arXiv 2508.12491).
//!
//! Models fall into bands of cost, by percentile. In each band b of temperature τ_b = τ_min + α · (the band's mean cost),
//! with s_m the similarity of query and descriptor and y_m a model's score on the prompt, the loss is
//! −log Σ_(m in b) y_m·exp(s_m / τ_b) / Σ_m exp((s_m − γ·cost_m) / τ_b). It is averaged over the prompts for which a model of
//! the band has a score above 0, and over the bands. Costs here go from 0 for the cheapest model of the pool to 1 for the most
//! expensive.
//!
//! In the paper y is 0 or 1. Our tables also have scores between, which count here as a fraction of a positive.

use candle_core::{D, DType, Device, Result, Tensor};

/// The constants of the loss.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Spectrum {
    /// The number of bands of cost.
    pub bands: usize,
    /// τ_min.
    pub temperature: f64,
    /// α.
    pub slope: f64,
    /// γ.
    pub penalty: f64,
}

impl Default for Spectrum {
    /// The authors' values.
    fn default() -> Self {
        Self { bands: 5, temperature: 0.05, slope: 0.25, penalty: 0.2 }
    }
}

/// The bands of a pool.
#[derive(Clone, Debug)]
pub(crate) struct Bands {
    /// For each band that has a model: τ_b, and `[1, M]` with 1 for the band's models.
    bands: Vec<(f64, Tensor)>,
    /// γ·cost, `[1, M]`.
    penalty: Tensor,
}

impl Bands {
    pub(crate) fn new(cost: &[f32], spectrum: &Spectrum, dtype: DType, device: &Device) -> Result<Self> {
        let cost = stretched(cost);
        let mut sorted = cost.clone();
        sorted.sort_by(f64::total_cmp);
        let edges: Vec<f64> =
            (1..spectrum.bands).map(|edge| percentile(&sorted, edge as f64 / spectrum.bands as f64)).collect();
        let band = |cost: f64| edges.iter().filter(|edge| cost > **edge).count();
        let mut bands = Vec::new();
        for index in 0..spectrum.bands.max(1) {
            let members: Vec<f64> = cost.iter().map(|cost| f64::from(u8::from(band(*cost) == index))).collect();
            let count: f64 = members.iter().sum();
            if count > 0.0 {
                let mean = members.iter().zip(&cost).map(|(member, cost)| member * cost).sum::<f64>() / count;
                let members = Tensor::new(members.as_slice(), device)?.to_dtype(dtype)?.unsqueeze(0)?;
                bands.push((spectrum.temperature + spectrum.slope * mean, members));
            }
        }
        let penalty: Vec<f64> = cost.iter().map(|cost| spectrum.penalty * cost).collect();
        Ok(Self { bands, penalty: Tensor::new(penalty.as_slice(), device)?.to_dtype(dtype)?.unsqueeze(0)? })
    }

    /// The loss for similarities `[B, M]` and scores `[B, M]`.
    pub(crate) fn loss(&self, similarities: &Tensor, scores: &Tensor) -> Result<Tensor> {
        let mut sum = Tensor::zeros((), similarities.dtype(), similarities.device())?;
        for (temperature, members) in &self.bands {
            let positive = scores.broadcast_mul(members)?;
            // Prompts on which every model of the band scores 0 say nothing about the band.
            let mass = positive.sum_keepdim(D::Minus1)?;
            let counted = mass.gt(0.0)?.to_dtype(scores.dtype())?;
            let count = counted.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
            if count == 0.0 {
                continue;
            }
            let scaled = (similarities / *temperature)?;
            // Subtracting the maximum avoids overflow and does not change the ratio.
            let largest = scaled.max_keepdim(D::Minus1)?.detach();
            let above = (scaled.broadcast_sub(&largest)?.exp()? * positive)?.sum_keepdim(D::Minus1)?;
            let penalised = (similarities.broadcast_sub(&self.penalty)? / *temperature)?;
            let below = penalised.broadcast_sub(&largest)?.exp()?.sum_keepdim(D::Minus1)?;
            // Where nothing is counted, this takes the logarithm of 1.
            let above = (above + (1.0 - &counted)?)?.log()?;
            let terms = ((below.log()? - above)? * &counted)?;
            sum = (sum + (terms.sum_all()? / count)?)?;
        }
        sum / self.bands.len().max(1) as f64
    }
}

/// Costs scaled to 0 for the smallest and 1 for the largest.
fn stretched(cost: &[f32]) -> Vec<f64> {
    let least = cost.iter().copied().fold(f32::INFINITY, f32::min);
    let most = cost.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    cost.iter().map(|cost| if most > least { f64::from((cost - least) / (most - least)) } else { 0.0 }).collect()
}

/// The value at this share of a sorted list, by linear interpolation.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    fn tensor<const ROWS: usize>(rows: &[[f64; 3]; ROWS]) -> Tensor {
        Tensor::new(rows, &Device::Cpu).unwrap()
    }

    #[test]
    fn by_hand() {
        // Two bands: models 0 and 1 cost 0 and 0.2, model 2 costs 1.
        let spectrum = Spectrum { bands: 2, temperature: 0.5, slope: 0.5, penalty: 0.4 };
        let bands = Bands::new(&[0.0, 0.1, 0.5], &spectrum, DType::F64, &Device::Cpu).unwrap();
        let temperatures: Vec<f64> = bands.bands.iter().map(|band| band.0).collect();
        assert!((temperatures[0] - 0.55).abs() < 1e-7 && (temperatures[1] - 1.0).abs() < 1e-7, "{temperatures:?}");
        let (s, y) = ([[0.3, -0.1, 0.9], [0.2, 0.4, -0.5]], [[1.0, 0.5, 1.0], [0.0, 1.0, 0.0]]);
        let found = bands.loss(&tensor(&s), &tensor(&y)).unwrap().to_scalar::<f64>().unwrap();
        let cost = [0.0, 0.2, 1.0];
        let term = |row: usize, members: &[usize], temperature: f64| {
            let above: f64 = members.iter().map(|m| y[row][*m] * (s[row][*m] / temperature).exp()).sum();
            let below: f64 = (0..3).map(|m| ((s[row][m] - 0.4 * cost[m]) / temperature).exp()).sum();
            -(above / below).ln()
        };
        // No model of the second band answers the second prompt.
        let expected = ((term(0, &[0, 1], 0.55) + term(1, &[0, 1], 0.55)) / 2.0 + term(0, &[2], 1.0)) / 2.0;
        assert!((found - expected).abs() < 1e-6, "{found}, {expected}");
    }

    #[test]
    fn equal_costs_make_one_band_and_no_answer_no_loss() {
        let bands = Bands::new(&[0.5, 0.5, 0.5], &Spectrum::default(), DType::F64, &Device::Cpu).unwrap();
        assert_eq!(bands.bands.len(), 1);
        let found = bands.loss(&tensor(&[[0.1, 0.2, 0.3]]), &tensor(&[[0.0; 3]])).unwrap();
        assert_eq!(found.to_scalar::<f64>().unwrap(), 0.0);
    }

    #[test]
    fn gradients_equal_slopes() {
        let bands = Bands::new(&[0.1, 0.4, 1.0], &Spectrum::default(), DType::F64, &Device::Cpu).unwrap();
        let scores = tensor(&[[1.0, 0.0, 0.5], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]);
        let values = [[0.5, 0.1, -0.3], [0.2, 0.9, 0.0], [-0.7, 0.3, 0.6]];
        let at = |values: &[[f64; 3]; 3]| bands.loss(&tensor(values), &scores).unwrap().to_scalar::<f64>().unwrap();
        let variable = Var::from_tensor(&tensor(&values)).unwrap();
        let gradients = bands.loss(variable.as_tensor(), &scores).unwrap().backward().unwrap();
        let gradient: Vec<Vec<f64>> = gradients.get(variable.as_tensor()).unwrap().to_vec2().unwrap();
        for row in 0..3 {
            for column in 0..3 {
                let shifted = |by: f64| {
                    let mut values = values;
                    values[row][column] += by;
                    at(&values)
                };
                let slope = (shifted(1e-6) - shifted(-1e-6)) / 2e-6;
                assert!((slope - gradient[row][column]).abs() < 1e-6, "{slope}, {}", gradient[row][column]);
            }
        }
    }
}
