//! The process: forks, and its log.

use crate::fault;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// The process in which the engine began; 0 before that.
static BEGAN_IN: AtomicU32 = AtomicU32::new(0);

/// Notes that the engine begins here, if it had not begun.
///
/// # Errors
/// If it began in another process, of which this one is a fork: the threads that compute and talk to servers are not in a fork, and
/// state from which randomness comes would be there twice.
pub(crate) fn enter(py: Python<'_>) -> PyResult<()> {
    let here = std::process::id();
    let began = match BEGAN_IN.compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => here,
        Err(began) => began,
    };
    if began == here { Ok(()) } else { Err(fault::forked(py, began, here)) }
}

/// Writes the engine's log to stderr from now on: warnings, with 1 progress of sessions too, with 2 everything. A second call changes
/// nothing. No log line holds a prompt.
#[pyfunction]
#[pyo3(signature = (verbosity=0))]
pub(crate) fn log(verbosity: u8) {
    blindroute_console::logging::start(verbosity);
}
