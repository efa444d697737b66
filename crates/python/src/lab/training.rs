//! Training routers.

use super::data::PyDataSet;
use super::{Hears, embedding, faults};
use crate::bundle::{PyBundle, tell};
use crate::cancel::PyCancel;
use crate::fault;
use crate::interrupt::interruptible;
use crate::options::{option, parsed};
use crate::process::enter;
use blindroute_lab::data::Dataset;
use blindroute_lab::routers::fingerprint::Fingerprints;
use blindroute_lab::routers::{
    BestReading, LambdaRule, Method, StartFrom, TrainBestError, TrainEvent, TrainReport, Training, Validation, cscr,
    direct, train_best, uniroute,
};
use blindroute_routing::tokenizer::Window;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::sync::Arc;

/// A trained router: the bundle with it, the report as JSON and in lines, and what was left out of the bundle.
type Trained = (PyBundle, String, String, Vec<String>);

/// Trains a router on a data set: `method` is its kind and options. `hears` is told how many prompts and folds are done.
#[pyfunction]
pub(crate) fn train(
    py: Python<'_>,
    data: &PyDataSet,
    bundle: &PyBundle,
    method: (String, Bound<'_, PyDict>),
    cancel: &PyCancel,
    hears: Hears,
) -> PyResult<Trained> {
    enter(py)?;
    let ((kind, options), (on_embedding, on_folds)) = (method, hears);
    let options = &options;
    let method = method_of(&kind, options, &data.set)?;
    let (name, source): (Option<String>, Option<String>) = (option(options, "name")?, option(options, "source")?);
    let windows: Vec<String> = option(options, "window")?.unwrap_or_default();
    let expected = "\"head\", \"tail\" or \"both\"";
    let windows = windows.iter().map(|window| parsed(py, "window", window, expected));
    let windows = windows.collect::<PyResult<Vec<Window>>>()?;
    let lexical: Vec<f32> = option(options, "lexical")?.unwrap_or_default();
    let embeddings: Option<PathBuf> = option(options, "embeddings")?;
    let fine_tune: Option<String> = option(options, "fine_tune")?;
    let other: Option<Py<PyBundle>> = option(options, "fine_tune_from")?;
    let other = other.map(|other| Arc::clone(&other.get().bundle));
    let training = Training {
        name: name.as_deref(),
        source: source.as_deref().unwrap_or(&data.name),
        method: &method,
        start: fine_tune.as_deref().map(|router| StartFrom { router, bundle: other.as_deref() }),
        windows: &windows,
        lexical: &lexical,
        embeddings: embeddings.as_deref(),
    };
    let (start, stop) = ((*bundle.bundle).clone(), cancel.stop());
    let work = || -> Result<(BestReading, String, String), TrainBestError> {
        let mut on_event = |event| match (event, &on_folds) {
            (TrainEvent::Embedding(event), _) => embedding(event, on_embedding.as_ref()),
            (TrainEvent::Folds { done, all }, Some(progress)) if all > 0 => tell(progress, (done, all)),
            _ => (),
        };
        let best = train_best(start, &data.set, &training, &mut on_event, &stop)?;
        let report = TrainReport::new(&best, &data.set)?;
        let (json, text) = (serde_json::to_string(&report).unwrap_or_default(), report.to_text());
        Ok((best, json, text))
    };
    let found = interruptible(py, &cancel.cancel, work)?;
    let (best, json, text) = found.map_err(|error| faults::training(py, &cancel.cancel, &error))?;
    let window = best.chosen.window;
    let left_out = (best.other_window.iter())
        .map(|router| format!("the router {router} was trained with another window than {window} and is left out"))
        .chain(
            best.trained
                .dropped
                .iter()
                .map(|router| format!("the router {router} was for other models and is left out")),
        );
    let left_out = left_out.collect();
    Ok((PyBundle::new(best.trained.bundle, best.name), json, text, left_out))
}

/// The kind of router and its options; what is not given is as the lab has it.
fn method_of(kind: &str, given: &Bound<'_, PyDict>, data: &Dataset) -> PyResult<Method> {
    let py = given.py();
    let seed = option(given, "seed")?.unwrap_or_default();
    let mixture = option(given, "mixture")?.unwrap_or_default();
    let lambda = match option(given, "alpha")? {
        Some(alpha) => LambdaRule::Utility { alpha },
        None => LambdaRule::MatchBestSingle { slack: option(given, "slack")?.unwrap_or_default() },
    };
    let validation = |default: Validation| -> PyResult<Validation> {
        let (folds, seeds) = (option(given, "folds")?, option(given, "validations")?);
        Ok(Validation { folds: folds.unwrap_or(default.folds), seeds: seeds.unwrap_or(default.seeds) })
    };
    Ok(match kind {
        "uniroute" => {
            let mut options = uniroute::Options { seed, mixture, lambda, ..Default::default() };
            options.validation = validation(options.validation)?;
            options.clusters = option(given, "k")?.unwrap_or(options.clusters);
            options.clusterings = option(given, "clusterings")?.unwrap_or(options.clusterings);
            options.smoothing = option(given, "smoothing")?.unwrap_or(options.smoothing);
            options.map = match option::<String>(given, "map")?.as_deref() {
                None | Some("kmeans") => uniroute::Map::KMeans,
                Some("learned") => uniroute::Map::Learned,
                Some(found) => {
                    let message = format!("map is {found:?}, expected \"kmeans\" or \"learned\"");
                    return Err(fault::input(py, "map", &message));
                }
            };
            Method::UniRoute(options)
        }
        "direct" => {
            let mut options = direct::Options { seed, mixture, lambda, ..Default::default() };
            options.validation = validation(options.validation)?;
            options.penalties = option(given, "penalty")?.unwrap_or(options.penalties);
            Method::Direct(options)
        }
        "cscr" => {
            let mut options =
                cscr::Options { seed, mixture, lambda, search: option(given, "k")?, ..Default::default() };
            options.validation = validation(options.validation)?;
            options.widths = option(given, "descriptor")?.unwrap_or(options.widths);
            options.passes = option(given, "passes")?.unwrap_or(options.passes);
            options.rate = option(given, "rate")?.unwrap_or(options.rate);
            if let Some(path) = option::<PathBuf>(given, "descriptors")? {
                let wrong = |error| fault::input(py, "descriptors", &error);
                let fingerprints = Fingerprints::read(&path).map_err(|error| wrong(error.to_string()))?;
                let found = fingerprints.descriptors(data.models()).map_err(|error| wrong(error.to_string()))?;
                options.descriptors = Some(found);
            }
            Method::Cscr(options)
        }
        other => return Err(fault::input(py, "kind", &format!("there is no kind of router {other:?}"))),
    })
}
