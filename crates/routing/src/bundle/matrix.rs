//! The matrix that bundles hold: f32 in memory, f32 or int8 in the file.

use std::fmt;

/// A matrix of f32, row by row, which remembers the int8 form it came from.
///
/// A quantised matrix holds `scale · q` with `q` a whole number from −127 to 127 and one scale per row or per column;
/// since the scales are kept, writing it again gives the bytes it was read from.
///
/// `Debug` shows the shape only: most matrices of a bundle are the provider's secret.
#[derive(Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    data: Vec<f32>,
    pub(super) scales: Option<Scales>,
}

/// The scales of a quantised matrix.
#[derive(Clone, PartialEq)]
pub(super) enum Scales {
    /// One per row.
    Rows(Vec<f32>),
    /// One per column.
    Columns(Vec<f32>),
}

/// Along which axis a matrix shares its int8 scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// One scale per row: right for a table that is looked up by row.
    Rows,
    /// One scale per column: right for a weight of `x·W`, whose columns are the output channels.
    Columns,
}

impl Matrix {
    /// A matrix of the given shape, or `None` if the data has another length.
    pub fn new(rows: usize, columns: usize, data: Vec<f32>) -> Option<Self> {
        (rows.checked_mul(columns) == Some(data.len())).then_some(Self { rows, columns, data, scales: None })
    }

    /// A matrix whose entry at (row, column) is what the function says.
    pub fn from_fn(rows: usize, columns: usize, entry: impl Fn(usize, usize) -> f32) -> Self {
        let data = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        Self { rows, columns, data: data.map(|(row, column)| entry(row, column)).collect(), scales: None }
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

    /// The entries, given away.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }

    /// Rows and columns exchanged; no longer quantised.
    pub fn transposed(&self) -> Self {
        Self::from_fn(self.columns, self.rows, |row, column| self.data[column * self.columns + row])
    }

    /// The first `rows` rows (all, if there are no more); no longer quantised.
    pub fn first_rows(&self, rows: usize) -> Self {
        let rows = rows.min(self.rows);
        Self { rows, columns: self.columns, data: self.data[..rows * self.columns].to_vec(), scales: None }
    }

    /// Whether it came from int8.
    pub fn is_quantised(&self) -> bool {
        self.scales.is_some()
    }

    /// The nearest matrix that int8 with one scale per row or per column can hold. The error of an entry is at most
    /// half its scale, which is the largest magnitude of its row or column divided by 127.
    ///
    /// A row or column whose largest magnitude is below 127 times the smallest normal f32 becomes zero.
    pub fn quantised(&self, axis: Axis) -> Self {
        let mut largest = vec![0.0f32; self.lanes(axis)];
        for (index, value) in self.data.iter().enumerate() {
            let lane = &mut largest[self.lane(axis, index)];
            *lane = lane.max(value.abs());
        }
        let scales: Vec<f32> =
            largest.iter().map(|largest| largest / 127.0).map(|s| if s.is_normal() { s } else { 0.0 }).collect();
        let data = self.data.iter().enumerate().map(|(index, value)| {
            let scale = scales[self.lane(axis, index)];
            scale * steps(*value, scale)
        });
        let data = data.collect();
        let scales = match axis {
            Axis::Rows => Scales::Rows(scales),
            Axis::Columns => Scales::Columns(scales),
        };
        Self { rows: self.rows, columns: self.columns, data, scales: Some(scales) }
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

    /// The int8 steps of a quantised matrix, in the order of its data.
    pub(super) fn steps(&self, scales: &Scales) -> Vec<i8> {
        let (axis, scales) = scales.parts();
        self.data.iter().enumerate().map(|(index, value)| steps(*value, scales[self.lane(axis, index)]) as i8).collect()
    }

    /// The quantised matrix of these steps. The caller has checked the lengths.
    pub(super) fn from_steps(rows: usize, columns: usize, scales: Scales, steps: &[u8]) -> Self {
        let mut data = Vec::with_capacity(steps.len());
        for (row, steps) in steps.chunks_exact(columns.max(1)).enumerate() {
            match &scales {
                Scales::Rows(scales) => data.extend(steps.iter().map(|step| scales[row] * f32::from(*step as i8))),
                Scales::Columns(scales) => {
                    data.extend(steps.iter().zip(scales).map(|(step, scale)| scale * f32::from(*step as i8)))
                }
            }
        }
        Self { rows, columns, data, scales: Some(scales) }
    }
}

impl Scales {
    pub(super) fn parts(&self) -> (Axis, &[f32]) {
        match self {
            Self::Rows(scales) => (Axis::Rows, scales),
            Self::Columns(scales) => (Axis::Columns, scales),
        }
    }
}

fn steps(value: f32, scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { (value / scale).round().clamp(-127.0, 127.0) }
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

    proptest! {
        #[test]
        fn quantising_errs_by_half_a_scale_and_is_exact_the_second_time(
            data in prop::collection::vec(prop_oneof![-1e3f32..1e3, -1e-38f32..1e-38, Just(0.0)], 12),
            by_rows: bool,
        ) {
            let axis = if by_rows { Axis::Rows } else { Axis::Columns };
            let matrix = Matrix::new(3, 4, data).unwrap();
            let quantised = matrix.quantised(axis);
            let scales = quantised.scales.clone().unwrap();
            for index in 0..12 {
                let scale = scales.parts().1[matrix.lane(axis, index)];
                let error = (matrix.data[index] - quantised.data[index]).abs();
                prop_assert!(error <= scale * 0.5001 + 127.0 * f32::MIN_POSITIVE);
            }
            let steps: Vec<u8> = quantised.steps(&scales).iter().map(|step| *step as u8).collect();
            prop_assert_eq!(Matrix::from_steps(3, 4, scales, &steps), quantised);
        }
    }
}
