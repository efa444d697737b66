//! Options from Python: a dictionary, in which what is not given is absent or `None`.

use crate::fault;
use pyo3::conversion::FromPyObjectOwned;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::str::FromStr;

/// The value of an option, if it is given and not `None`.
pub(crate) fn option<'py, T: FromPyObjectOwned<'py>>(options: &Bound<'py, PyDict>, name: &str) -> PyResult<Option<T>> {
    match options.get_item(name)? {
        Some(value) if !value.is_none() => value.extract::<T>().map(Some).map_err(Into::into),
        _ => Ok(None),
    }
}

/// The value of an option that is one of a few words.
pub(crate) fn word<T: FromStr>(options: &Bound<'_, PyDict>, name: &str, expected: &str) -> PyResult<Option<T>> {
    let found: Option<String> = option(options, name)?;
    found.map(|found| parsed(options.py(), name, &found, expected)).transpose()
}

/// A word as what it means; `name` and `expected` are for the error.
pub(crate) fn parsed<T: FromStr>(py: Python<'_>, name: &str, found: &str, expected: &str) -> PyResult<T> {
    let message = || format!("{name} is {found:?}, expected {expected}");
    found.parse().map_err(|_| fault::input(py, name, &message()))
}
