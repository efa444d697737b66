//! The matrices of bundles: f32 in memory, and f32 or whole steps of a few bits in the file.

use std::fmt;

/// A matrix of f32, stored row by row, which keeps the quantised form that it was read from.
///
/// An entry of a quantised matrix is `scale · q`, where `q` is a whole number of a few bits and there is one scale per
/// row or per column. The scales are kept, so writing the matrix again gives the same bytes.
///
/// `Debug` shows only the shape: most matrices of a bundle are the provider's secret.
#[derive(Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    data: Vec<f32>,
    pub(super) steps: Option<Steps>,
}

/// The quantised form of a matrix.
#[derive(Clone, PartialEq)]
pub(super) struct Steps {
    pub(super) axis: Axis,
    /// From 2 to 16. `q` is from −[`Self::most`] to [`Self::most`].
    pub(super) bits: u8,
    pub(super) scales: Vec<f32>,
}

impl Steps {
    pub(super) fn most(&self) -> i32 {
        (1 << (self.bits - 1)) - 1
    }
}

/// Along which axis the entries of a matrix share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// One scale per row: for a table whose rows are looked up.
    Rows,
    /// One scale per column: for the weight of `x·W`, whose columns are the output channels.
    Columns,
}

impl Matrix {
    /// A matrix of the given shape, or `None` if the data has another length.
    pub fn new(rows: usize, columns: usize, data: Vec<f32>) -> Option<Self> {
        (rows.checked_mul(columns) == Some(data.len())).then_some(Self { rows, columns, data, steps: None })
    }

    /// A matrix whose entry at (row, column) is given by a function.
    pub fn from_fn(rows: usize, columns: usize, entry: impl Fn(usize, usize) -> f32) -> Self {
        let data = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        Self { rows, columns, data: data.map(|(row, column)| entry(row, column)).collect(), steps: None }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// (rows, columns).
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// All entries, row by row.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// One row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.columns..(row + 1) * self.columns]
    }

    /// The rows, in order. A matrix without columns has none.
    pub fn iter_rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.data.chunks_exact(self.columns.max(1))
    }

    /// Consumes the matrix and returns its entries.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }

    /// The transposed matrix, no longer quantised.
    pub fn transposed(&self) -> Self {
        Self::from_fn(self.columns, self.rows, |row, column| self.data[column * self.columns + row])
    }

    /// The first `rows` rows, or all if there are fewer; no longer quantised.
    pub fn first_rows(&self, rows: usize) -> Self {
        let rows = rows.min(self.rows);
        Self { rows, columns: self.columns, data: self.data[..rows * self.columns].to_vec(), steps: None }
    }

    /// Whether it is quantised.
    pub fn is_quantised(&self) -> bool {
        self.steps.is_some()
    }

    /// The nearest matrix with steps of this many bits (limited to 2 to 16) and one scale per row or per column. The
    /// error of an entry is at most half of its scale, which is the largest magnitude of its row or column divided by
    /// 2^(bits − 1) − 1.
    ///
    /// A row or column becomes zero if it is so small that its scale is not a normal f32. It becomes NaN if it holds a
    /// number that is not finite, so that [`Bundle::new`](super::Bundle::new) refuses it.
    pub fn quantised(&self, axis: Axis, bits: u8) -> Self {
        let mut steps = Steps { axis, bits: bits.clamp(2, 16), scales: vec![0.0; self.lanes(axis)] };
        for (index, value) in self.data.iter().enumerate() {
            let largest = &mut steps.scales[self.lane(axis, index)];
            // f32::max ignores NaN on either side.
            *largest = if value.is_finite() && !largest.is_nan() { largest.max(value.abs()) } else { f32::NAN };
        }
        let most = steps.most() as f32;
        for scale in &mut steps.scales {
            *scale = if (*scale / most).is_normal() || scale.is_nan() { *scale / most } else { 0.0 };
        }
        Self::from_steps(self.rows, self.columns, self.to_steps(&steps).into_iter(), steps)
    }

    fn lanes(&self, axis: Axis) -> usize {
        match axis {
            Axis::Rows => self.rows,
            Axis::Columns => self.columns,
        }
    }

    fn lane(&self, axis: Axis, index: usize) -> usize {
        match axis {
            Axis::Rows => index / self.columns,
            Axis::Columns => index % self.columns,
        }
    }

    /// The whole numbers `q` of this matrix in the given form, in the order of its data.
    pub(super) fn to_steps(&self, steps: &Steps) -> Vec<i32> {
        let most = steps.most();
        let entries = self.data.iter().enumerate();
        entries
            .map(|(index, value)| match steps.scales[self.lane(steps.axis, index)] {
                0.0 => 0,
                scale => ((value / scale).round() as i32).clamp(-most, most),
            })
            .collect()
    }

    /// The matrix of these whole numbers. The caller must have checked the lengths.
    pub(super) fn from_steps(rows: usize, columns: usize, values: impl Iterator<Item = i32>, steps: Steps) -> Self {
        let mut data = Vec::with_capacity(rows * columns);
        let mut values = values.map(|value| value as f32);
        for row in 0..rows {
            match steps.axis {
                Axis::Rows => data.extend(values.by_ref().take(columns).map(|value| steps.scales[row] * value)),
                // The scales come first, so that zip does not take a value too many at the end of a row.
                Axis::Columns => data.extend(steps.scales.iter().zip(&mut values).map(|(scale, value)| scale * value)),
            }
        }
        Self { rows, columns, data, steps: Some(steps) }
    }
}

impl fmt::Debug for Matrix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Matrix({} × {})", self.rows, self.columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_shape_must_fit_its_data() {
        assert!(Matrix::new(2, 2, vec![0.0; 3]).is_none());
        assert!(Matrix::new(usize::MAX, 2, vec![]).is_none());
        let matrix = Matrix::from_fn(2, 3, |row, column| (10 * row + column) as f32);
        assert_eq!(matrix.row(1), [10.0, 11.0, 12.0]);
        assert_eq!(matrix.transposed().row(2), [2.0, 12.0]);
        assert_eq!(format!("{matrix:?}"), "Matrix(2 × 3)");
    }

    #[test]
    fn a_number_that_is_not_finite_stays_visible() {
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for axis in [Axis::Rows, Axis::Columns] {
                let entry = |row, column| if (row, column) == (0, 0) { number } else { 0.5 };
                let rounded = Matrix::from_fn(2, 2, entry).quantised(axis, 8);
                assert!(rounded.data()[0].is_nan());
                assert_eq!(rounded.row(1)[1], 0.5);
            }
        }
    }

    proptest! {
        #[test]
        fn quantising_has_an_error_of_half_a_scale_and_is_exact_the_second_time(
            data in prop::collection::vec(prop_oneof![-1e3f32..1e3, -1e-38f32..1e-38, Just(0.0)], 12),
            by_rows: bool,
            bits in 2u8..=16,
        ) {
            let axis = if by_rows { Axis::Rows } else { Axis::Columns };
            let matrix = Matrix::new(3, 4, data).unwrap();
            let quantised = matrix.quantised(axis, bits);
            let steps = quantised.steps.clone().unwrap();
            for index in 0..12 {
                let scale = steps.scales[matrix.lane(axis, index)];
                let error = (matrix.data[index] - quantised.data[index]).abs();
                let lost = steps.most() as f32 * f32::MIN_POSITIVE;
                prop_assert!(error <= scale * 0.5001 + matrix.data[index].abs() * 1e-6 + lost);
            }
            let values = quantised.to_steps(&steps);
            prop_assert_eq!(Matrix::from_steps(3, 4, values.into_iter(), steps), quantised);
        }
    }
}
