//! The rival that learns how much larger the probability of the true label is at the last exit than at its own. Only the order of
//! gains counts, so it is learned up to a factor and a constant.

use super::folds::cross_fitted;
use super::pieces::Pieces;
use super::scale::{Scale, standardised};
use super::{Found, quadratic_of};
use crate::classifiers::ClassifierError;
use crate::classifiers::quadratic::{UNITS, excess, quadratic_form};
use crate::routers::draws::weight;
use crate::routers::optimiser::AdamW;
use crate::routers::tensors;
use blindroute_routing::bundle::{LinearLayer, Matrix};
use candle_core::{Device, Result, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The numbers of steps to try.
const STEPS: [usize; 5] = [10, 25, 50, 100, 200];
pub(super) const RATE: f64 = 0.01;
pub(super) const DECAY: f64 = 1.0;
/// All units start at this value, around which a difference of squares is almost a line.
const OFFSET: f64 = 0.5;

/// The gain for these targets, and what gains that had not seen a text say of it.
pub(super) fn fit(
    features: &Matrix,
    target: &[f32],
    seed: u64,
    name: &str,
    pieces: &mut Pieces<'_>,
) -> std::result::Result<Found, ClassifierError> {
    let target = standardised(target);
    let scale = Scale::of(features);
    let mut held_out = vec![vec![0.0f32; target.len()]; STEPS.len()];
    let folded = |matrices: &[Matrix]| {
        let layer = LinearLayer { weight: matrices[0].clone(), bias: matrices[1].clone() };
        scale.folded(&layer)
    };
    let mut train = |rows: &[usize]| {
        let y: Vec<f32> = rows.iter().map(|row| target[*row]).collect();
        descend(&scale.apply(features, rows), y, seed)
    };
    let mut judge = |choice: usize, matrices: &[Matrix], unseen: &[usize]| {
        let units = folded(matrices);
        let error = |row: &usize| {
            held_out[choice][*row] = quadratic_of(&units, features.row(*row));
            f64::from(held_out[choice][*row] - target[*row]).powi(2)
        };
        unseen.iter().map(error).sum()
    };
    let (matrices, best) = cross_fitted(pieces, name, (target.len(), STEPS.len()), &mut train, &mut judge)?;
    Ok(Found { units: folded(&matrices), held_out: held_out.swap_remove(best) })
}

/// The first weight and bias of a gain on standardised features.
pub(in crate::classifiers) fn first(hidden: usize, seed: u64) -> Result<(Tensor, Tensor)> {
    let weight = weight(hidden, UNITS, hidden, &mut ChaCha8Rng::seed_from_u64(seed))?;
    let bias = Tensor::ones((1, UNITS), weight.dtype(), &Device::Cpu)?;
    Ok(((weight.as_detached_tensor() * 0.1)?, (bias * OFFSET)?))
}

/// The weight and the bias after each number of [`STEPS`].
fn descend(x: &Matrix, y: Vec<f32>, seed: u64) -> Result<Vec<Matrix>> {
    let device = Device::Cpu;
    let (x, y) = (tensors::tensor(x, &device)?, Tensor::from_vec(y, (x.rows(), 1), &device)?);
    let (weight, bias) = first(x.dim(1)?, seed)?;
    let (weight, bias) = (Var::from_tensor(&weight)?, Var::from_tensor(&bias)?);
    let named = vec![("weight".to_owned(), weight.clone()), ("bias".to_owned(), bias.clone())];
    let mut optimiser = AdamW::new(named, DECAY)?;
    let mut found = Vec::new();
    for count in STEPS {
        while optimiser.steps < count {
            let loss = loss(&x, &y, weight.as_tensor(), bias.as_tensor())?;
            optimiser.step(&loss.backward()?, RATE)?;
        }
        found.extend([tensors::matrix(&weight)?, tensors::matrix(&bias)?]);
    }
    Ok(found)
}

/// The mean square error of gains, `[rows, 1]` targets, and the penalty of large units.
pub(in crate::classifiers) fn loss(x: &Tensor, y: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let units = x.matmul(weight)?.broadcast_add(bias)?;
    let error = (quadratic_form(&units)? - y)?.sqr()?.mean_all()?;
    error + excess(&units)?
}
