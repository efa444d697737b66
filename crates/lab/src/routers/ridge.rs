//! Ridge regression.

use crate::data::Samples;
use crate::routers::TrainError;
use nalgebra::{DMatrix, DVector};

/// y ≈ x·W + b, with a penalty on W.
pub(crate) struct Fit {
    /// `[inputs, outputs]`.
    pub(crate) weight: DMatrix<f64>,
    /// `[outputs]`.
    pub(crate) bias: DVector<f64>,
}

/// The products that all penalties share, so that many penalties need one pass over the data.
pub(crate) struct Normal {
    square: DMatrix<f64>,
    cross: DMatrix<f64>,
    input_mean: DVector<f64>,
    output_mean: DVector<f64>,
}

impl Normal {
    /// The products for outputs `[prompts, outputs]`. With `centred`, b is fitted too; without, it is zero.
    pub(crate) fn new(samples: &Samples, outputs: &DMatrix<f64>, centred: bool) -> Self {
        let embeddings = samples.embeddings();
        let mut x = DMatrix::from_row_iterator(
            embeddings.rows(),
            embeddings.columns(),
            embeddings.data().iter().map(|value| f64::from(*value)),
        );
        let mut y = outputs.clone();
        let mut input_mean = DVector::zeros(x.ncols());
        let mut output_mean = DVector::zeros(y.ncols());
        if centred {
            input_mean = x.row_mean().transpose();
            output_mean = y.row_mean().transpose();
            x.row_iter_mut().for_each(|mut row| row -= input_mean.transpose());
            y.row_iter_mut().for_each(|mut row| row -= output_mean.transpose());
        }
        Self { square: x.tr_mul(&x), cross: x.tr_mul(&y), input_mean, output_mean }
    }

    /// The fit under a penalty. The penalty is relative to the mean square of the inputs, so that a number has the same meaning
    /// for embeddings of any scale and splits of any size.
    pub(crate) fn fit(&self, penalty: f64) -> Result<Fit, TrainError> {
        let inputs = self.square.nrows();
        let mut square = self.square.clone();
        if penalty > 0.0 && self.square.trace() == 0.0 {
            // All inputs are equal: they predict nothing.
            return Ok(Fit { weight: DMatrix::zeros(inputs, self.cross.ncols()), bias: self.output_mean.clone() });
        }
        let added = penalty * self.square.trace() / inputs as f64;
        for index in 0..inputs {
            square[(index, index)] += added;
        }
        let weight = square.cholesky().ok_or(TrainError::Singular)?.solve(&self.cross);
        let bias = &self.output_mean - weight.tr_mul(&self.input_mean);
        Ok(Fit { weight, bias })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_routing::bundle::Matrix;

    #[test]
    fn a_line_is_found_and_the_penalty_shrinks_its_slope() {
        let x = [-1.0f32, 0.0, 1.0];
        let embeddings = Matrix::new(3, 1, x.to_vec()).unwrap();
        let samples = Samples::new(embeddings, Matrix::from_fn(3, 2, |_, _| 0.0)).unwrap();
        let y = DMatrix::from_row_slice(3, 1, &[1.0, 3.0, 5.0]);
        let normal = Normal::new(&samples, &y, true);
        let fit = normal.fit(0.0).unwrap();
        assert!((fit.weight[0] - 2.0).abs() < 1e-12 && (fit.bias[0] - 3.0).abs() < 1e-12);
        // A penalty as large as the sum of squares halves the slope.
        let fit = normal.fit(1.0).unwrap();
        assert!((fit.weight[0] - 1.0).abs() < 1e-12 && (fit.bias[0] - 3.0).abs() < 1e-12);
    }

    #[test]
    fn no_data_and_no_penalty_is_an_error() {
        let samples = Samples::new(Matrix::from_fn(2, 1, |_, _| 0.0), Matrix::from_fn(2, 2, |_, _| 0.0)).unwrap();
        let normal = Normal::new(&samples, &DMatrix::zeros(2, 1), false);
        assert!(matches!(normal.fit(0.0), Err(TrainError::Singular)));
        let level = Normal::new(&samples, &DMatrix::from_element(2, 1, 0.5), true).fit(0.1).unwrap();
        assert_eq!((level.weight[0], level.bias[0]), (0.0, 0.5));
    }
}
