//! Rules that were trained by other programs.

use crate::bundle::PyBundle;
use crate::fault::{self, Kind};
use crate::process::enter;
use blindroute_lab::routers::foreign::{
    self, Factorisation, ForeignError, ForeignRule, Metric, NewForeign, Standard, Table,
};
use blindroute_routing::bundle::Matrix;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

/// Numbers of 64 bits in the order of this machine, rows and columns.
type Numbers = (PyBackedBytes, (usize, usize));
/// Means and scales.
type Scaler = Option<(PyBackedBytes, PyBackedBytes)>;

/// A rule of a router that was trained elsewhere.
#[pyclass(name = "Rule", module = "blindroute._engine", frozen)]
pub(crate) struct PyRule {
    rule: ForeignRule,
}

#[pymethods]
impl PyRule {
    /// The kind of rule in the bundle.
    #[getter]
    fn kind(&self) -> &'static str {
        self.rule.kind()
    }

    /// How many models it scores.
    #[getter]
    fn models(&self) -> usize {
        self.rule.models()
    }

    /// The width of the embeddings that it reads.
    #[getter]
    fn inputs(&self) -> usize {
        self.rule.inputs()
    }

    fn __repr__(&self) -> String {
        format!("<blindroute rule {}, {} inputs, {} models>", self.kind(), self.inputs(), self.models())
    }
}

/// Linear scores.
#[pyfunction]
pub(crate) fn rule_linear(py: Python<'_>, weight: Numbers, bias: PyBackedBytes, scaler: Scaler) -> PyResult<PyRule> {
    made(py, || foreign::from_linear(table("weight", &weight)?, doubles(&bias), standard(scaler)?.as_ref()))
}

/// A network: weight and bias of each layer.
#[pyfunction]
pub(crate) fn rule_mlp(py: Python<'_>, layers: Vec<(Numbers, PyBackedBytes)>, scaler: Scaler) -> PyResult<PyRule> {
    made(py, || {
        let layers = layers.iter().map(|(weight, bias)| Ok((table("layer", weight)?, doubles(bias))));
        foreign::from_mlp(layers.collect::<Result<_, ForeignError>>()?, standard(scaler)?.as_ref())
    })
}

/// The nearest stored prompts.
#[pyfunction]
pub(crate) fn rule_neighbours(
    py: Python<'_>,
    stored: Numbers,
    outcomes: Numbers,
    keep: usize,
    cosine: bool,
    scaler: Scaler,
) -> PyResult<PyRule> {
    let metric = if cosine { Metric::Cosine } else { Metric::Euclidean };
    made(py, || {
        let (stored, outcomes) = (table("table of stored prompts", &stored)?, table("table of outcomes", &outcomes)?);
        foreign::from_neighbours(stored, &outcomes, keep, metric, standard(scaler)?.as_ref())
    })
}

/// RouteLLM's matrix factorisation.
#[pyfunction]
pub(crate) fn rule_routellm_mf(
    py: Python<'_>,
    models: Numbers,
    projection: Option<Numbers>,
    classifier: PyBackedBytes,
    places: Vec<usize>,
    threshold: Option<(usize, f64)>,
) -> PyResult<PyRule> {
    made(py, || {
        let tables = Factorisation {
            models: table("P.weight", &models)?,
            projection: projection.map(|projection| table("projection", &projection)).transpose()?,
            classifier: doubles(&classifier),
        };
        foreign::from_routellm_mf(&tables, &places, threshold)
    })
}

/// The bundle with one router more: name and source, rule, λ and whether it is the default. `samples` are embeddings as 32-bit floats.
#[pyfunction]
pub(crate) fn with_router(
    py: Python<'_>,
    bundle: &PyBundle,
    names: (String, String),
    rule: &PyRule,
    settings: (f32, bool),
    samples: Option<Numbers>,
) -> PyResult<PyBundle> {
    enter(py)?;
    let (name, source) = (names.0.as_str(), names.1.as_str());
    let rule = rule.rule.clone();
    let added = py.detach(|| {
        let samples = samples.map(|(bytes, (rows, columns))| {
            let numbers = doubles(&bytes);
            Matrix::from_fn(rows, columns, |row, column| {
                numbers.get(row * columns + column).copied().unwrap_or(0.0) as f32
            })
        });
        let new = NewForeign { name, source, rule, lambda: settings.0, lexical: None, is_default: settings.1 };
        foreign::add((*bundle.bundle).clone(), new, samples.as_ref())
    });
    let bundle_name = bundle.name.clone();
    added.map(|added| PyBundle::new(added, bundle_name)).map_err(|error| fault_of(py, &error))
}

/// Makes a rule with the interpreter released.
fn made(py: Python<'_>, make: impl Send + FnOnce() -> Result<ForeignRule, ForeignError>) -> PyResult<PyRule> {
    py.detach(make).map(|rule| PyRule { rule }).map_err(|error| fault_of(py, &error))
}

fn fault_of(py: Python<'_>, error: &ForeignError) -> PyErr {
    match error {
        ForeignError::Bundle(error) => fault::bundle(py, error),
        ForeignError::Range { .. } => fault::input(py, "range", error),
        ForeignError::Tokens(_) | ForeignError::Embed(_) => fault::exception(py, Kind::Other, "embedding", error),
        _ => fault::input(py, "rule", error),
    }
}

fn table(what: &'static str, (numbers, shape): &Numbers) -> Result<Table, ForeignError> {
    Table::new(what, *shape, doubles(numbers))
}

fn standard(scaler: Scaler) -> Result<Option<Standard>, ForeignError> {
    scaler.map(|(mean, scale)| Standard::new(doubles(&mean), doubles(&scale))).transpose()
}

fn doubles(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks::<8>().0.iter().map(|number| f64::from_ne_bytes(*number)).collect()
}
