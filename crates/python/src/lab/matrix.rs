//! Tables between Python and the lab.

use crate::fault;
use blindroute_routing::bundle::Matrix;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Numbers of 32 bits in the order of this machine, row by row, and the shape.
pub(super) type Table = (Vec<u8>, (usize, usize));

/// A table as the lab has them.
pub(super) fn matrix(py: Python<'_>, (bytes, (rows, columns)): Table, name: &str) -> PyResult<Matrix> {
    let numbers = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect();
    Matrix::new(rows, columns, numbers).ok_or_else(|| {
        let found = bytes.len() / 4;
        fault::input(py, "shape", &format!("{name} has {found} numbers, expected {rows} rows of {columns}"))
    })
}

/// Numbers of 64 bits as bytes.
pub(super) fn doubles<'py>(py: Python<'py>, numbers: impl IntoIterator<Item = f64>) -> Bound<'py, PyBytes> {
    let bytes: Vec<u8> = numbers.into_iter().flat_map(f64::to_ne_bytes).collect();
    PyBytes::new(py, &bytes)
}
