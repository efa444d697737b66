//! Tables of numbers as training programs keep them.

use super::error::ForeignError;
use blindroute_routing::bundle::Matrix;

/// A table of f64, row by row, all of whose entries are finite.
#[derive(Clone, PartialEq)]
pub struct Table {
    rows: usize,
    columns: usize,
    data: Vec<f64>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({} × {})", self.rows, self.columns)
    }
}

impl Table {
    /// A table of so many rows; `what` names it in errors.
    ///
    /// # Errors
    /// If the data has another length, is empty, or holds a number that is not finite.
    pub fn new(what: &'static str, (rows, columns): (usize, usize), data: Vec<f64>) -> Result<Self, ForeignError> {
        if rows.checked_mul(columns) != Some(data.len()) || data.is_empty() {
            let expected = format!("a table of {} numbers and at least one", data.len());
            return Err(ForeignError::Shape { what, found: (rows, columns), expected });
        }
        if let Some(&found) = data.iter().find(|x| !x.is_finite()) {
            return Err(ForeignError::Number { what, found, expected: "finite numbers" });
        }
        Ok(Self { rows, columns, data })
    }

    /// (rows, columns).
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn iter_rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.data.chunks_exact(self.columns)
    }

    pub(super) fn iter_rows_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [f64]> {
        self.data.chunks_exact_mut(self.columns)
    }

    pub(super) fn transposed(&self) -> Self {
        let (rows, columns) = (self.columns, self.rows);
        let data = (0..rows * columns).map(|at| self.data[at % columns * rows + at / columns]).collect();
        Self { rows, columns, data }
    }

    pub(super) fn map(self, change: impl Fn(f64) -> f64) -> Self {
        Self { data: self.data.into_iter().map(change).collect(), ..self }
    }

    /// Its entries as a bundle keeps them.
    pub(super) fn matrix(&self) -> Matrix {
        Matrix::from_fn(self.rows, self.columns, |row, column| self.data[row * self.columns + column] as f32)
    }

    /// Checks that it has so many columns.
    pub(super) fn expect_columns(&self, what: &'static str, columns: usize) -> Result<(), ForeignError> {
        if self.columns == columns {
            return Ok(());
        }
        Err(ForeignError::Shape { what, found: self.shape(), expected: format!("{columns} columns") })
    }
}

/// Checks that a list has this length and finite numbers.
pub(super) fn check_list(what: &'static str, list: &[f64], expected: usize) -> Result<(), ForeignError> {
    if list.len() != expected {
        return Err(ForeignError::Length { what, found: list.len(), expected });
    }
    match list.iter().find(|x| !x.is_finite()) {
        Some(&found) => Err(ForeignError::Number { what, found, expected: "finite numbers" }),
        None => Ok(()),
    }
}

/// A list as one row.
pub(super) fn row(list: &[f64]) -> Matrix {
    Matrix::from_fn(1, list.len(), |_, column| list[column] as f32)
}

/// a·b.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
