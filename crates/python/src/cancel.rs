//! Cancelling from Python.

use blindroute_lab::Stop;
use blindroute_runtime::Cancel;
use pyo3::prelude::*;
use std::time::Duration;

/// Ends what was begun with it: when it is told to, or after a time.
#[pyclass(name = "Cancel", module = "blindroute._engine", frozen)]
pub(crate) struct PyCancel {
    pub(crate) cancel: Cancel,
    timed: bool,
}

impl PyCancel {
    /// By which the lab's work ends with it.
    pub(crate) fn stop(&self) -> Stop {
        let cancel = self.cancel.clone();
        Stop::when(move || cancel.is_cancelled())
    }
}

#[pymethods]
impl PyCancel {
    /// Cancels by itself after so many seconds, if some are given.
    #[new]
    #[pyo3(signature = (seconds=None))]
    fn new(seconds: Option<f64>) -> PyResult<Self> {
        let Some(seconds) = seconds else { return Ok(Self { cancel: Cancel::default(), timed: false }) };
        let time = Duration::try_from_secs_f64(seconds).map_err(|_| {
            pyo3::exceptions::PyValueError::new_err(format!(
                "timeout is {seconds}, expected a number of seconds from 0; None waits as long as it takes"
            ))
        })?;
        Ok(Self { cancel: Cancel::after(time), timed: true })
    }

    /// Cancels what is running, and all that is asked for with this from now on.
    fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Whether it was cancelled, or its time is up.
    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Whether it has a time.
    fn is_timed(&self) -> bool {
        self.timed
    }
}
