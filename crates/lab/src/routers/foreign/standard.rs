//! Standardised inputs.

use super::error::ForeignError;
use super::table::{Table, check_list, dot};

/// The least scale. Private embeddings are rounded to 2^−17, so what a smaller scale enlarges is noise.
const LEAST_SCALE: f64 = 1e-5;

/// What standardises the embedding in front of a rule: `(e − mean) / scale`, column by column. It is folded into the rule's weights,
/// exactly but for rounding, so the program of the rule is the same with it and without.
#[derive(Clone, Debug, PartialEq)]
pub struct Standard {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Standard {
    /// A standardisation of so many columns.
    ///
    /// # Errors
    /// If the lists have different lengths, or a scale is less than 0.00001.
    pub fn new(mean: Vec<f64>, scale: Vec<f64>) -> Result<Self, ForeignError> {
        check_list("mean", &mean, scale.len())?;
        check_list("scale", &scale, mean.len())?;
        match scale.iter().find(|scale| **scale < LEAST_SCALE) {
            Some(&found) => Err(ForeignError::Number {
                what: "scale",
                found,
                expected: "at least 0.00001: a column that changes less holds rounding noise only; fit on embeddings rounded to 6 decimal \
                           places (numpy's round(6)), which makes it constant, and a StandardScaler leaves it as it is",
            }),
            None => Ok(Self { mean, scale }),
        }
    }

    /// Makes `rows·x + offsets` of standardised inputs x a function of the inputs themselves.
    pub(super) fn fold(&self, rows: &mut Table, offsets: &mut [f64]) -> Result<(), ForeignError> {
        rows.expect_columns("table behind the standardisation", self.mean.len())?;
        for (row, offset) in rows.iter_rows_mut().zip(offsets) {
            row.iter_mut().zip(&self.scale).for_each(|(x, scale)| *x /= scale);
            *offset -= dot(row, &self.mean);
        }
        Ok(())
    }
}
