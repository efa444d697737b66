//! Measuring routers beside baselines.

use super::data::PyDataSet;
use super::matrix::doubles;
use super::{Hears, embedding, faults};
use crate::bundle::{PyBundle, tell};
use crate::cancel::PyCancel;
use crate::interrupt::interruptible;
use crate::options::{option, word};
use crate::process::enter;
use blindroute_console::date::today;
use blindroute_lab::comparison::{ComparisonError, Options, Side, check_names, check_pool, measure};
use blindroute_lab::data::Split;
use blindroute_lab::evaluation::{Bootstrap, Evaluation, Group};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::path::PathBuf;

/// The results of routers and baselines on a split.
#[pyclass(name = "Evaluation", module = "blindroute._engine", frozen)]
pub(crate) struct PyEvaluation(Evaluation);

/// Name, group, and per point the weight of cost (NaN for none), cost and score, 64-bit numbers.
type Points<'py> = (&'static str, String, [Bound<'py, PyBytes>; 3]);

#[pymethods]
impl PyEvaluation {
    /// All of it as JSON, as `blindroute eval --json` prints it.
    fn json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// The table for a terminal.
    fn text(&self) -> String {
        self.0.to_text()
    }

    /// One line per method, comma-separated.
    fn csv(&self) -> String {
        self.0.to_csv()
    }

    /// A page with charts.
    fn html(&self) -> String {
        self.0.to_html()
    }

    /// The points of each curve: group, name and numbers.
    fn points<'py>(&self, py: Python<'py>) -> Vec<Points<'py>> {
        let of = |row: &blindroute_lab::evaluation::Row| {
            let lambda = |point: &blindroute_lab::evaluation::CurvePoint| point.lambda.map_or(f64::NAN, f64::from);
            let numbers = [
                doubles(py, row.points.iter().map(lambda)),
                doubles(py, row.points.iter().map(|point| point.point.cost)),
                doubles(py, row.points.iter().map(|point| point.point.score)),
            ];
            (row.group.name(), row.name.clone(), numbers)
        };
        self.0.rows.iter().map(of).collect()
    }
}

/// Measures routers of `bundles`, the private ones and the originals, on a data set. `hears` is told how many prompts are embedded, and
/// how many curves are made.
#[pyfunction]
pub(crate) fn evaluate(
    py: Python<'_>,
    data: &PyDataSet,
    bundles: (Vec<Py<PyBundle>>, Vec<Py<PyBundle>>),
    options: &Bound<'_, PyDict>,
    cancel: &PyCancel,
    hears: Hears,
) -> PyResult<PyEvaluation> {
    enter(py)?;
    let ((bundles, originals), (on_embedding, on_curves)) = (bundles, hears);
    let bootstrap = Bootstrap::default();
    let given = Options {
        split: word(options, "split", "\"train\", \"valid\" or \"test\"")?.unwrap_or(Split::Test),
        routers: option(options, "routers")?.unwrap_or_default(),
        bootstrap: Bootstrap {
            resamples: option(options, "bootstrap")?.unwrap_or(bootstrap.resamples),
            seed: option(options, "seed")?.unwrap_or(bootstrap.seed),
        },
        data: data.name.clone(),
        date: Some(today()),
        source: option(options, "source")?,
    };
    let files: [Option<PathBuf>; 2] = [option(options, "embeddings")?, option(options, "embeddings_original")?];
    let of = |group: Group, bundles: Vec<Py<PyBundle>>| {
        let opened = bundles.iter().map(|bundle| bundle.get());
        opened.map(|PyBundle { bundle, name }| (group, (**bundle).clone(), name.clone())).collect::<Vec<_>>()
    };
    let opened = [of(Group::Private, bundles), of(Group::Original, originals)].concat();
    let stop = cancel.stop();
    let work = || -> Result<Evaluation, ComparisonError> {
        // Checked before minutes are spent on embeddings.
        for (_, bundle, name) in &opened {
            check_pool(bundle, data.set.models(), &format!("the bundle {name}"))?;
        }
        check_names(&given.routers, opened.iter().map(|(_, bundle, _)| bundle))?;
        let mut sides = Vec::new();
        for (group, bundle, _) in opened {
            let file = files[usize::from(group == Group::Original)].as_deref();
            let mut on_event = |event| embedding(event, on_embedding.as_ref());
            sides.push(Side::embed((group, bundle), &data.set, file, &mut on_event, &stop)?);
        }
        let mut on_step = |done, all| {
            if let Some(progress) = &on_curves {
                tell(progress, (done, all));
            }
        };
        measure(&data.set, &sides, &given, &mut on_step, &stop)
    };
    let found = interruptible(py, &cancel.cancel, work)?;
    found.map(PyEvaluation).map_err(|error| faults::comparison(py, &cancel.cancel, &error))
}
