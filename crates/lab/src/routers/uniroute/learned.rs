//! UniRoute's LearnedMap (arXiv 2502.08773): a prompt's share in each cluster is a softmax of products with the centroids,
//! and the centroids are trained so that the mixture of the clusters' errors predicts each model's outcome.

use crate::Stop;
use crate::data::Samples;
use crate::data::vector::unit;
use crate::routers::optimiser::{AdamW, rate};
use crate::routers::{TrainError, draws, tensors};
use blindroute_routing::bundle::Matrix;
use candle_core::{D, Device, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Weight of the error over the whole split in the errors that the map is trained with, so that no error is exactly 0 or 1.
pub(super) const SMOOTHING: f32 = 10.0;
/// Passes over the train split.
const PASSES: usize = 20;
/// A map is returned after every this many passes.
const OFFERED_EVERY: usize = 5;
const BATCH: usize = 64;
const RATE: f64 = 3e-3;
/// The factor of products of unit vectors in the softmax. At first a prompt belongs partly to several clusters.
const SHARPNESS: f64 = 20.0;
/// The smallest distance of predictions from 0 and 1.
const MARGIN: f64 = 1e-4;

/// Trained maps, each with its number of passes: centroids `[K, hidden]`, scaled so that the longest has length 1.
pub(super) fn maps(
    train: &Samples,
    centroids: &Matrix,
    errors: &Matrix,
    seed: u64,
    stop: &Stop,
) -> Result<Vec<(usize, Matrix)>, TrainError> {
    let device = Device::Cpu;
    let tensor = |matrix: &Matrix| tensors::tensor(matrix, &device);
    let points: Vec<Vec<f32>> = train.embeddings().iter_rows().map(unit).collect();
    let points = Tensor::from_vec(points.concat(), train.embeddings().shape(), &device)?;
    let (scores, errors) = (tensor(train.scores())?, tensor(errors)?);
    let map = Var::from_tensor(&tensor(centroids)?)?;
    let mut optimiser = AdamW::new(vec![("map".to_owned(), map.clone())], 0.0)?;
    let mut order: Vec<u32> = (0..train.prompts() as u32).collect();
    let steps = PASSES * order.len().div_ceil(BATCH);
    let mut offered = Vec::new();
    for pass in 1..=PASSES {
        let mut draws = ChaCha8Rng::seed_from_u64(seed);
        draws.set_stream(pass as u64);
        draws::shuffle(&mut order, &mut draws);
        for batch in order.chunks(BATCH) {
            stop.check()?;
            let places = Tensor::new(batch, &device)?;
            let (points, scores) = (points.index_select(&places, 0)?, scores.index_select(&places, 0)?);
            let loss = loss(&points, &scores, map.as_tensor(), &errors)?;
            optimiser.step(&loss.backward()?, rate(optimiser.steps, steps, RATE))?;
        }
        if pass.is_multiple_of(OFFERED_EVERY) {
            offered.push((pass, scaled(&map)?));
        }
    }
    Ok(offered)
}

/// The mean cross-entropy of the outcomes `[B, M]` and the predictions of the mixture of clusters.
fn loss(points: &Tensor, scores: &Tensor, map: &Tensor, errors: &Tensor) -> candle_core::Result<Tensor> {
    let products = (points.matmul(&map.t()?)? * SHARPNESS)?;
    let powers = products.broadcast_sub(&products.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let shares = powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?;
    let wrong = (shares.matmul(errors)? * (1.0 - 2.0 * MARGIN))?;
    let wrong = (wrong + MARGIN)?;
    let right = (1.0 - &wrong)?;
    let missed = ((1.0 - scores)? * wrong.log()?)?;
    ((scores * right.log()?)? + missed)?.mean_all()?.neg()
}

/// The map scaled so that the longest centroid has length 1, the maximum in the secure program. Scaling does not change which
/// centroid is nearest.
fn scaled(map: &Var) -> candle_core::Result<Matrix> {
    let map = tensors::matrix(map.as_tensor())?;
    let square = |row: &[f32]| row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    let longest = map.iter_rows().map(square).fold(0.0, f64::max).sqrt().max(f64::MIN_POSITIVE);
    Ok(Matrix::from_fn(map.rows(), map.columns(), |row, column| (f64::from(map.row(row)[column]) / longest) as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_equal_slopes() {
        let tensor = |rows: usize, columns: usize, seed: usize| {
            let data: Vec<f64> = (0..rows * columns).map(|i| ((i * 7 + seed) % 11) as f64 / 11.0 - 0.4).collect();
            Tensor::from_vec(data, (rows, columns), &Device::Cpu).unwrap()
        };
        let (points, scores) = (tensor(5, 3, 1), tensor(5, 2, 2).abs().unwrap());
        let errors = tensor(4, 2, 3).abs().unwrap();
        let values: Vec<f64> = tensor(4, 3, 4).flatten_all().unwrap().to_vec1().unwrap();
        let map = Var::from_tensor(&tensor(4, 3, 4)).unwrap();
        let gradients = loss(&points, &scores, map.as_tensor(), &errors).unwrap().backward().unwrap();
        let gradient: Vec<f64> = gradients.get(map.as_tensor()).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        for index in 0..12 {
            let at = |shift: f64| {
                let mut values = values.clone();
                values[index] += shift;
                let map = Tensor::from_vec(values, (4, 3), &Device::Cpu).unwrap();
                loss(&points, &scores, &map, &errors).unwrap().to_scalar::<f64>().unwrap()
            };
            let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
            assert!((slope - gradient[index]).abs() < 1e-6, "{slope}, {}", gradient[index]);
        }
    }
}
