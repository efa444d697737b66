//! Training a direct router: ridge regression predicts each model's score from the embedding.
//!
//! The penalty is the one with the largest [`evaluation::hull_area`] on the validation split. Products use the kernels of
//! `nalgebra`, which differ between processors in the last bits of f64. The stored f32 numbers rarely differ.

use crate::data::Samples;
use crate::data::samples::cost_row;
use crate::evaluation::{self, Point};
use crate::routers::ridge::Normal;
use crate::routers::{LambdaRule, TrainError, choose_lambda};
use blindroute_routing::bundle::{Direct, Matrix, Rule};
use nalgebra::DMatrix;

/// The penalties to try.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Penalties, relative to the mean square of the inputs.
    pub penalties: Vec<f64>,
    /// How the default weight of cost is chosen.
    pub lambda: LambdaRule,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            penalties: vec![0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0],
            lambda: LambdaRule::default(),
        }
    }
}

/// A trained router.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The router.
    pub router: Direct,
    /// The default weight of cost.
    pub lambda: f32,
    /// Score and cost at that weight on the validation split.
    pub valid: Point,
    /// The penalty that won.
    pub penalty: f64,
    /// The area on the validation split.
    pub area: f64,
}

/// Trains on `train` and chooses on `valid`. `cost` is [`relative_costs`](crate::data::relative_costs) of the pool.
pub fn train(train: &Samples, valid: &Samples, cost: &[f32], options: &Options) -> Result<Fitted, TrainError> {
    train.check(valid, cost)?;
    let scores = train.scores();
    let outputs = DMatrix::from_row_iterator(
        scores.rows(),
        scores.columns(),
        scores.data().iter().map(|score| f64::from(*score)),
    );
    let normal = Normal::new(train, &outputs, true);
    let mut best: Option<(f64, f64, Direct)> = None;
    for &penalty in &options.penalties {
        let fit = normal.fit(penalty)?;
        let router = Direct {
            weight: Matrix::from_fn(fit.weight.nrows(), fit.weight.ncols(), |row, column| {
                fit.weight[(row, column)] as f32
            }),
            bias: Matrix::from_fn(1, fit.bias.len(), |_, column| fit.bias[column] as f32),
            cost: cost_row(cost),
        };
        let area =
            evaluation::hull_area(&evaluation::sweep(&Rule::Direct(router.clone()), valid, &evaluation::lambdas()));
        if best.as_ref().is_none_or(|(best, ..)| area > *best) {
            best = Some((area, penalty, router));
        }
    }
    let (area, penalty, router) =
        best.ok_or(TrainError::Options { what: "penalty", hint: "give at least one, of 0 or more" })?;
    let (lambda, valid) = choose_lambda(&Rule::Direct(router.clone()), valid, options.lambda);
    Ok(Fitted { router, lambda, valid, penalty, area })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::synthetic;

    #[test]
    fn it_beats_every_single_model() {
        let (train_split, valid, test, cost) = synthetic(8, 5);
        let fitted = train(&train_split, &valid, &cost, &Options::default()).unwrap();
        let point = evaluation::operate(&Rule::Direct(fitted.router), &test, 0.0);
        let best_single = test.mean_scores().into_iter().fold(0.0, f64::max);
        assert!(point.score > best_single + 0.2, "{point:?} against {best_single}");
        assert!(train(&train_split, &valid, &cost, &Options { penalties: vec![], ..Default::default() }).is_err());
    }
}
