//! Ridge regression.

use crate::data::Samples;
use crate::routers::TrainError;
use crate::stop::{Stop, Stopped};
use nalgebra::{DMatrix, DVector};

/// Columns of a product between two looks at [`Stop`]. An embedding of usual width has two dozen such blocks.
const BLOCK: usize = 16;

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
    ///
    /// # Errors
    /// [`Stopped`] if it should end before.
    pub(crate) fn new(samples: &Samples, outputs: &DMatrix<f64>, centred: bool, stop: &Stop) -> Result<Self, Stopped> {
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
        Ok(Self { square: product(&x, &x, stop)?, cross: product(&x, &y, stop)?, input_mean, output_mean })
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

/// xᵀ·y in blocks of columns. Each entry is summed as in one piece, so the blocks do not change a bit of it; blocks of prompts would.
fn product(x: &DMatrix<f64>, y: &DMatrix<f64>, stop: &Stop) -> Result<DMatrix<f64>, Stopped> {
    let mut product = DMatrix::zeros(x.ncols(), y.ncols());
    for start in (0..y.ncols()).step_by(BLOCK) {
        stop.check()?;
        let width = BLOCK.min(y.ncols() - start);
        x.tr_mul_to(&y.columns(start, width), &mut product.columns_mut(start, width));
    }
    Ok(product)
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_routing::bundle::Matrix;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A number for each place, of no pattern.
    fn number(row: usize, column: usize) -> f32 {
        ((row * 31 + column * 17) % 23) as f32 / 7.0 - 1.3
    }

    #[test]
    fn the_products_can_be_stopped_between_blocks_which_change_no_bit() {
        let samples = Samples::new(Matrix::from_fn(50, 40, number), Matrix::from_fn(50, 20, |_, _| 0.0)).unwrap();
        let outputs = DMatrix::from_fn(50, 20, |row, column| f64::from(number(column, row)));
        let stopped_at = |most: usize| {
            let looks = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&looks);
            let stop = Stop::when(move || counted.fetch_add(1, Ordering::Relaxed) >= most);
            let normal = Normal::new(&samples, &outputs, false, &stop);
            (normal, looks.load(Ordering::Relaxed))
        };
        let (whole, looks) = stopped_at(usize::MAX);
        let whole = whole.unwrap();
        assert_eq!(looks, 3 + 2, "blocks of 40 inputs, and of 20 outputs");
        for most in 0..looks {
            let (stopped, seen) = stopped_at(most);
            assert!(stopped.is_err() && seen == most + 1, "{seen} looks, stopped at look {most}");
        }
        let x = DMatrix::from_fn(50, 40, |row, column| f64::from(number(row, column)));
        assert_eq!((whole.square, whole.cross), (x.tr_mul(&x), x.tr_mul(&outputs)));
    }

    #[test]
    fn a_line_is_found_and_the_penalty_shrinks_its_slope() {
        let x = [-1.0f32, 0.0, 1.0];
        let embeddings = Matrix::new(3, 1, x.to_vec()).unwrap();
        let samples = Samples::new(embeddings, Matrix::from_fn(3, 2, |_, _| 0.0)).unwrap();
        let y = DMatrix::from_row_slice(3, 1, &[1.0, 3.0, 5.0]);
        let normal = Normal::new(&samples, &y, true, &Stop::never()).unwrap();
        let fit = normal.fit(0.0).unwrap();
        assert!((fit.weight[0] - 2.0).abs() < 1e-12 && (fit.bias[0] - 3.0).abs() < 1e-12);
        // A penalty as large as the sum of squares halves the slope.
        let fit = normal.fit(1.0).unwrap();
        assert!((fit.weight[0] - 1.0).abs() < 1e-12 && (fit.bias[0] - 3.0).abs() < 1e-12);
    }

    #[test]
    fn no_data_and_no_penalty_is_an_error() {
        let samples = Samples::new(Matrix::from_fn(2, 1, |_, _| 0.0), Matrix::from_fn(2, 2, |_, _| 0.0)).unwrap();
        let normal = Normal::new(&samples, &DMatrix::zeros(2, 1), false, &Stop::never()).unwrap();
        assert!(matches!(normal.fit(0.0), Err(TrainError::Singular)));
        let outputs = DMatrix::from_element(2, 1, 0.5);
        let level = Normal::new(&samples, &outputs, true, &Stop::never()).unwrap().fit(0.1).unwrap();
        assert_eq!((level.weight[0], level.bias[0]), (0.0, 0.5));
    }
}
