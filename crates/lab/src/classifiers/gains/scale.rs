//! Features and targets of mean 0 and deviation 1.

use super::units;
use blindroute_routing::bundle::{LinearLayer, Matrix};

/// The mean and the deviation of each column of features.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::classifiers) struct Scale {
    pub(in crate::classifiers) means: Vec<f32>,
    pub(in crate::classifiers) deviations: Vec<f32>,
}

impl Scale {
    pub(in crate::classifiers) fn of(features: &Matrix) -> Self {
        let (mut means, mut deviations) = (Vec::new(), Vec::new());
        for column in features.transposed().iter_rows() {
            let (mean, deviation) = mean_and_deviation(column);
            means.push(mean);
            deviations.push(deviation.max(1e-4));
        }
        Self { means, deviations }
    }

    /// These rows of features, standardised.
    pub(super) fn apply(&self, features: &Matrix, rows: &[usize]) -> Matrix {
        let of = |row: usize, column: usize| {
            (features.row(rows[row])[column] - self.means[column]) / self.deviations[column]
        };
        Matrix::from_fn(rows.len(), features.columns(), of)
    }

    /// The layer for features that are not standardised.
    pub(in crate::classifiers) fn folded(&self, layer: &LinearLayer) -> LinearLayer {
        let (rows, columns) = layer.weight.shape();
        let weight = Matrix::from_fn(rows, columns, |row, unit| layer.weight.row(row)[unit] / self.deviations[row]);
        let shift = self.shift(&weight);
        let bias = Matrix::from_fn(1, columns, |_, unit| layer.bias.data()[unit] - shift[unit]);
        LinearLayer { weight, bias }
    }

    /// The layer for standardised features: the inverse of [`Self::folded`].
    pub(in crate::classifiers) fn unfolded(&self, layer: &LinearLayer) -> LinearLayer {
        let (rows, columns) = layer.weight.shape();
        let shift = self.shift(&layer.weight);
        LinearLayer {
            weight: Matrix::from_fn(rows, columns, |row, unit| layer.weight.row(row)[unit] * self.deviations[row]),
            bias: Matrix::from_fn(1, columns, |_, unit| layer.bias.data()[unit] + shift[unit]),
        }
    }

    /// What a weight for features that are not standardised gives for the means.
    fn shift(&self, weight: &Matrix) -> Vec<f32> {
        let bias = Matrix::from_fn(1, weight.columns(), |_, _| 0.0);
        units(&LinearLayer { weight: weight.clone(), bias }, &self.means)
    }
}

fn mean_and_deviation(values: &[f32]) -> (f32, f32) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    let variance = values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
    (mean as f32, variance.sqrt() as f32)
}

pub(super) fn standardised(values: &[f32]) -> Vec<f32> {
    let (mean, deviation) = mean_and_deviation(values);
    values.iter().map(|x| (x - mean) / deviation.max(1e-6)).collect()
}
