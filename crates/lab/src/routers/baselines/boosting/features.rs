//! What the trees see of an embedding: its principal components, in bins.

use blindroute_routing::bundle::Matrix;
use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// The number of bins of a component. Each has about the same number of prompts.
pub(super) const BINS: usize = 32;

/// The directions in which embeddings vary most, and the bins of these components.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Features {
    mean: DVector<f64>,
    /// `[width of the embeddings, components]`.
    directions: DMatrix<f64>,
    /// Per component, the lower ends of all bins but the first.
    ends: Vec<Vec<f32>>,
}

impl Features {
    /// The components with the largest variance, at most `count` of them.
    pub(super) fn new(embeddings: &Matrix, count: usize) -> Self {
        let x = table(embeddings);
        let mean = x.row_mean().transpose();
        let mut centred = x;
        centred.row_iter_mut().for_each(|mut row| row -= mean.transpose());
        let found = SymmetricEigen::new(centred.tr_mul(&centred));
        let mut order: Vec<usize> = (0..found.eigenvalues.len()).collect();
        order.sort_by(|a, b| found.eigenvalues[*b].total_cmp(&found.eigenvalues[*a]));
        order.truncate(count);
        let directions = found.eigenvectors.select_columns(&order);
        let components = centred * &directions;
        let ends = components.column_iter().map(|column| ends(column.iter().map(|value| *value as f32).collect()));
        Self { mean, ends: ends.collect(), directions }
    }

    /// The number of components.
    pub(super) fn count(&self) -> usize {
        self.ends.len()
    }

    /// The bin of each prompt, per component.
    pub(super) fn bins(&self, embeddings: &Matrix) -> Vec<Vec<u8>> {
        let mut centred = table(embeddings);
        centred.row_iter_mut().for_each(|mut row| row -= self.mean.transpose());
        let components = centred * &self.directions;
        let bin = |value: &f64, ends: &[f32]| ends.partition_point(|end| *end <= *value as f32) as u8;
        let columns = components.column_iter().zip(&self.ends);
        columns.map(|(column, ends)| column.iter().map(|value| bin(value, ends)).collect()).collect()
    }
}

fn table(matrix: &Matrix) -> DMatrix<f64> {
    DMatrix::from_row_iterator(matrix.rows(), matrix.columns(), matrix.data().iter().map(|value| f64::from(*value)))
}

/// The lower ends of the bins but the first: quantiles, without repetitions.
fn ends(mut values: Vec<f32>) -> Vec<f32> {
    values.sort_by(f32::total_cmp);
    let mut ends: Vec<f32> = (1..BINS).map(|bin| values[bin * values.len() / BINS]).collect();
    ends.dedup();
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_binned_by_rank() {
        // Almost all variance is along (1, 1).
        let at = |row: usize| (row * 37 % 320) as f32;
        let embeddings =
            Matrix::from_fn(320, 2, |row, column| at(row) + 5.0 * column as f32 + (row % 3 * column) as f32);
        let features = Features::new(&embeddings, 1);
        assert_eq!(features.count(), 1);
        let bins = features.bins(&embeddings).remove(0);
        for bin in 0..BINS as u8 {
            let count = bins.iter().filter(|other| **other == bin).count();
            assert!((8..=12).contains(&count), "{count} of 320 in bin {bin}");
        }
        let mut order: Vec<usize> = (0..320).collect();
        order.sort_by(|a, b| at(*a).total_cmp(&at(*b)));
        let along: Vec<u8> = order.iter().map(|row| bins[*row]).collect();
        let backwards: Vec<u8> = along.iter().rev().copied().collect();
        let close = |bins: &[u8]| bins.windows(2).all(|pair| pair[1] + 1 >= pair[0]);
        assert!(close(&along) || close(&backwards), "{along:?}");
        // Beyond the ends are the outer bins.
        let beyond = features.bins(&Matrix::from_fn(2, 2, |row, _| if row == 0 { -1e6 } else { 1e6 })).remove(0);
        assert_eq!(beyond.iter().copied().map(usize::from).sum::<usize>(), BINS - 1);
    }

    #[test]
    fn equal_values_share_a_bin() {
        assert_eq!(ends(vec![1.0; 50]), [1.0]);
        assert!(ends((0..50).map(|x| (x / 25) as f32).collect()).len() <= 2);
    }
}
