//! The weight of cost for a user's own prompts.

use super::matrix::{Table, matrix};
use super::{embedding, faults};
use crate::bundle::PyBundle;
use crate::cancel::PyCancel;
use crate::fault;
use crate::interrupt::interruptible;
use crate::options::option;
use crate::process::enter;
use blindroute_lab::comparison::calibrate_bundle;
use blindroute_lab::evaluation::Bootstrap;
use blindroute_lab::evaluation::calibrate::{Calibration, Options, Target, UserPrompts};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;

/// Finds the weight of cost for these prompts; the calibration as the JSON of its file. `hears` is told how many prompts are
/// embedded.
#[pyfunction]
pub(crate) fn calibrate(
    py: Python<'_>,
    given: (Vec<String>, Option<Table>),
    bundle: &PyBundle,
    options: &Bound<'_, PyDict>,
    cancel: &PyCancel,
    hears: Option<Py<PyAny>>,
) -> PyResult<String> {
    enter(py)?;
    let (prompts, scores) = given;
    let target = match (option(options, "cost")?, option(options, "score")?) {
        (Some(cost), None) => Target::Cost(cost),
        (None, Some(score)) => Target::Score(score),
        _ => return Err(fault::input(py, "target", &"give one target: a cost or a score")),
    };
    let bootstrap = Bootstrap {
        resamples: option(options, "bootstrap")?.unwrap_or(Bootstrap::default().resamples),
        seed: option(options, "seed")?.unwrap_or_default(),
    };
    let calibration = Options { target, tolerance: option(options, "tolerance")?.unwrap_or(0.05), bootstrap };
    let router: Option<String> = option(options, "router")?;
    let scores = scores.map(|scores| matrix(py, scores, "scores")).transpose()?;
    let user = UserPrompts::new(prompts, scores, &bundle.bundle.parts().models);
    let user = user.map_err(|error| fault::input(py, "data", &error))?;
    let stop = cancel.stop();
    let found = interruptible(py, &cancel.cancel, || {
        let mut on_event = |event| embedding(event, hears.as_ref());
        calibrate_bundle(&bundle.bundle, router.as_deref(), &user, &calibration, &mut on_event, &stop)
    })?;
    let found = found.map_err(|error| faults::comparison(py, &cancel.cancel, &error))?;
    Ok(serde_json::to_string_pretty(&found).unwrap_or_default())
}

/// Reads the file of a calibration, and returns it as JSON.
#[pyfunction]
pub(crate) fn read_calibration(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    let found = Calibration::open(&path).map_err(|error| fault::input(py, "calibration", &error))?;
    Ok(serde_json::to_string_pretty(&found).unwrap_or_default())
}

/// Checks that a calibration, as JSON of its file, is for a router of this bundle.
#[pyfunction]
pub(crate) fn check_calibration(py: Python<'_>, json: &str, bundle: &PyBundle, router: Option<&str>) -> PyResult<()> {
    let wrong = |error: &dyn std::fmt::Display| fault::input(py, "calibration", error);
    let found: Calibration = serde_json::from_str(json).map_err(|error| wrong(&error))?;
    let router = bundle.bundle.router(router).map_err(|error| fault::bundle(py, &error))?;
    found.check(&router.name, &bundle.bundle.parts().models).map_err(|error| wrong(&error))
}
