//! From the lab's errors to exceptions.

use crate::fault::{self, Kind};
use blindroute_lab::comparison::ComparisonError;
use blindroute_lab::data::DataError;
use blindroute_lab::encoders::DatasetEmbedError;
use blindroute_lab::evaluation::calibrate::CalibrateError;
use blindroute_lab::routers::{TrainBestError, TrainRouterError};
use blindroute_runtime::Cancel;
use pyo3::prelude::*;
use std::fmt::Display;

/// The exception of work that its caller may have ended.
fn of(py: Python<'_>, cancel: &Cancel, error: &dyn Display, (kind, code): (Kind, &str)) -> PyErr {
    match cancel.is_cancelled() {
        true => fault::exception(py, Kind::Cancelled, "cancelled", error),
        false => fault::exception(py, kind, code, error),
    }
}

pub(super) fn data(py: Python<'_>, error: &DataError) -> PyErr {
    let (kind, code) = match error {
        DataError::Io { .. } => (Kind::Input, "read"),
        DataError::Occupied { .. } => (Kind::Input, "occupied"),
        DataError::Write { .. } => (Kind::Other, "write"),
        _ => (Kind::Input, "data"),
    };
    fault::exception(py, kind, code, error)
}

pub(super) fn training(py: Python<'_>, cancel: &Cancel, error: &TrainBestError) -> PyErr {
    let kind = match error {
        TrainBestError::Embed(error) => embedding(error),
        TrainBestError::Bundle(_) | TrainBestError::Train(TrainRouterError::Bundle(_)) => (Kind::Bundle, "bundle"),
        TrainBestError::OtherModels { .. } => (Kind::Input, "other_models"),
        TrainBestError::OtherKind { .. } => (Kind::Input, "other_kind"),
        _ => (Kind::Input, "training"),
    };
    of(py, cancel, error, kind)
}

pub(super) fn comparison(py: Python<'_>, cancel: &Cancel, error: &ComparisonError) -> PyErr {
    let kind = match error {
        ComparisonError::Bundle(_) => (Kind::Bundle, "bundle"),
        ComparisonError::Embed(error) => embedding(error),
        ComparisonError::NoRouter { .. } => (Kind::Bundle, "no_router"),
        ComparisonError::OtherModels { .. } => (Kind::Input, "other_models"),
        ComparisonError::UnknownRouter { .. } => (Kind::Input, "router"),
        ComparisonError::Calibrate(CalibrateError::NotEnough { .. } | CalibrateError::TooFew { .. }) => {
            (Kind::Input, "not_enough_data")
        }
        ComparisonError::Calibrate(CalibrateError::OutOfReach { .. }) => (Kind::Input, "out_of_reach"),
        ComparisonError::Calibrate(_) => (Kind::Input, "calibration"),
        _ => (Kind::Input, "evaluation"),
    };
    of(py, cancel, error, kind)
}

fn embedding(error: &DatasetEmbedError) -> (Kind, &'static str) {
    match error {
        DatasetEmbedError::Bundle(_) => (Kind::Bundle, "bundle"),
        DatasetEmbedError::File(_) => (Kind::Input, "embeddings"),
        _ => (Kind::Input, "embedding"),
    }
}
