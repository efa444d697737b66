//! Answers: the report of one route or classification.

use blindroute_placement::{ClassifyReport, RouteReport};
use pyo3::prelude::*;
use serde::Serialize;

/// What came of one prompt or text. Its report is written as JSON only if somebody reads more of it than the name.
#[pyclass(name = "Answer", module = "blindroute._engine", frozen)]
pub(crate) struct PyAnswer(Report);

#[derive(Serialize)]
#[serde(untagged)]
enum Report {
    Route(RouteReport),
    Label(ClassifyReport),
}

impl From<RouteReport> for PyAnswer {
    fn from(report: RouteReport) -> Self {
        Self(Report::Route(report))
    }
}

impl From<ClassifyReport> for PyAnswer {
    fn from(report: ClassifyReport) -> Self {
        Self(Report::Label(report))
    }
}

#[pymethods]
impl PyAnswer {
    /// The name of the model, or the label.
    #[getter]
    fn name(&self) -> &str {
        match &self.0 {
            Report::Route(report) => &report.model,
            Report::Label(report) => &report.label,
        }
    }

    /// The whole report.
    fn json(&self) -> String {
        // Reports have string keys and finite numbers only, so that it always succeeds.
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}
