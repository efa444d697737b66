//! Checks that a tensor's numbers can be stored and shared without being ruined.

use super::error::ImportError;
use crate::bundle::matrix::{Axis, Matrix};

/// Numbers of this magnitude are refused: the ring of a product has room for 2^10 (see [`crate::program`]). The largest
/// number of all-MiniLM-L6-v2 is 7.9.
const MOST: f32 = 1024.0;

/// The most that rounding may change a row or column, relative to the median norm of the rows or columns of its tensor.
/// A single number of 1e30, or of 1,000 among numbers of 0.05, sets a scale at which all others round to 0. With the
/// default precision, rounding changes all-MiniLM-L6-v2 by at most 0.10 (`encoder.layer.0.output.dense.weight`).
const MOST_CHANGED: f64 = 0.5;

/// An error if a number is not finite, or too large for the rings.
pub(super) fn check(name: &str, matrix: &Matrix) -> Result<(), ImportError> {
    if matrix.data().iter().any(|value| !value.is_finite()) {
        return Err(ImportError::NotFinite { name: name.to_owned() });
    }
    if matrix.data().iter().any(|value| value.abs() >= MOST) {
        return Err(ImportError::TooLarge { name: name.to_owned(), most: MOST });
    }
    Ok(())
}

/// The matrix in steps of `bits` bits.
///
/// # Errors
/// If a row or column would lose most of its numbers.
pub(super) fn quantised(name: &str, matrix: &Matrix, axis: Axis, bits: u8) -> Result<Matrix, ImportError> {
    let rounded = matrix.quantised(axis, bits);
    let lanes = match axis {
        Axis::Rows => matrix.rows(),
        Axis::Columns => matrix.columns(),
    };
    let (mut changed, mut weight) = (vec![0f64; lanes], vec![0f64; lanes]);
    for (index, (exact, rounded)) in matrix.data().iter().zip(rounded.data()).enumerate() {
        let lane = match axis {
            Axis::Rows => index / matrix.columns(),
            Axis::Columns => index % matrix.columns(),
        };
        changed[lane] += (f64::from(*exact) - f64::from(*rounded)).powi(2);
        weight[lane] += f64::from(*exact).powi(2);
    }
    // Rows of unused tokens are zero and must not affect the median.
    weight.retain(|square| *square > 0.0);
    weight.sort_unstable_by(f64::total_cmp);
    let bound = MOST_CHANGED.powi(2) * weight.get(weight.len() / 2).copied().unwrap_or(0.0);
    match changed.iter().position(|changed| *changed > bound) {
        // A column of this matrix is a row in the published file, whose shape is [outputs, inputs].
        Some(lane) => Err(ImportError::Rounding { name: name.to_owned(), channel: format!("row {lane}"), bits }),
        None => Ok(rounded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(outlier: f32) -> Matrix {
        Matrix::from_fn(64, 8, |row, column| match (row, column) {
            (5, 3) => outlier,
            _ => 0.05 * ((row * 8 + column) as f32 * 0.7).sin(),
        })
    }

    #[test]
    fn an_outlier_that_would_erase_its_channel_is_refused() {
        for outlier in [0.05, 1.0, 5.0] {
            check("w", &sample(outlier)).unwrap();
            quantised("w", &sample(outlier), Axis::Columns, 10).unwrap();
        }
        check("w", &sample(1000.0)).unwrap();
        let error = quantised("w", &sample(1000.0), Axis::Columns, 10).unwrap_err().to_string();
        assert!(error.contains("\"w\"") && error.contains("row 3 to 10 bits"), "{error}");
        let error = quantised("w", &sample(100.0), Axis::Rows, 7).unwrap_err().to_string();
        assert!(error.contains("row 5 to 7 bits"), "{error}");
        for outlier in [1024.0, -1e30] {
            assert!(matches!(check("w", &sample(outlier)), Err(ImportError::TooLarge { .. })));
        }
        for outlier in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(matches!(check("w", &sample(outlier)), Err(ImportError::NotFinite { .. })));
        }
    }

    #[test]
    fn rows_of_zeros_and_small_rows_are_kept() {
        let table = Matrix::from_fn(64, 8, |row, column| match row {
            0 => 0.0,
            1 => 1e-6 * column as f32,
            _ => 0.05 * ((row * 8 + column) as f32 * 0.7).sin(),
        });
        quantised("table", &table, Axis::Rows, 7).unwrap();
        quantised("zero", &Matrix::from_fn(4, 4, |_, _| 0.0), Axis::Rows, 7).unwrap();
    }
}
