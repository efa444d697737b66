//! Routers: prompts in, models out; texts in, labels out.

use crate::answer::PyAnswer;
use crate::bundle::PyBundle;
use crate::cancel::PyCancel;
use crate::fault;
use crate::interrupt::interruptible;
use crate::options::{option, parsed, word};
use crate::process::enter;
use blindroute_placement::{
    ClassifyOptions, ClientConfig, Placement, PlacementError, Policy, PrivateRouter, Retry, RouteOptions,
    SessionRequest, Text, UnknownText,
};
use blindroute_runtime::Cancel;
use blindroute_runtime::config::Configuration;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Routes prompts and classifies texts.
#[pyclass(name = "Router", module = "blindroute._engine", frozen)]
pub(crate) struct PyRouter {
    /// None once it is closed.
    router: RwLock<Option<Arc<PrivateRouter>>>,
}

impl PyRouter {
    fn new(router: PrivateRouter) -> Self {
        Self { router: RwLock::new(Some(Arc::new(router))) }
    }

    fn started(py: Python<'_>, router: Result<PrivateRouter, PlacementError>) -> PyResult<Self> {
        router.map(Self::new).map_err(|error| fault::placement(py, &error))
    }

    /// The router, unless it was closed.
    fn open(&self, py: Python<'_>) -> PyResult<Arc<PrivateRouter>> {
        enter(py)?;
        let router = self.router.read().unwrap_or_else(PoisonError::into_inner).clone();
        router.ok_or_else(|| fault::input(py, "closed", &"the router was closed; make another one"))
    }
}

#[pymethods]
impl PyRouter {
    /// A router without servers: placement `local` only.
    #[staticmethod]
    fn local(py: Python<'_>, bundle: &PyBundle) -> PyResult<Self> {
        enter(py)?;
        let router = py.detach(|| PrivateRouter::local(&bundle.bundle));
        Self::started(py, router.map(|router| router.named(bundle.name.clone())))
    }

    /// A router whose dealer and servers are threads of this process.
    #[staticmethod]
    fn in_process(py: Python<'_>, bundle: &PyBundle, patience: f64, scores: bool) -> PyResult<Self> {
        enter(py)?;
        let patience = retry(py, patience)?;
        let start = if scores { PrivateRouter::in_process_with_scores } else { PrivateRouter::in_process };
        let router = py.detach(|| start(&bundle.bundle));
        Self::started(py, router.map(|router| router.named(bundle.name.clone()).with_patience(patience)))
    }

    /// A router of the servers that these configurations name.
    #[staticmethod]
    fn connect(py: Python<'_>, configs: Vec<PathBuf>, bundle: Option<&PyBundle>, patience: f64) -> PyResult<Self> {
        enter(py)?;
        let patience = retry(py, patience)?;
        let router = py.detach(|| {
            let load = |path: &PathBuf| ClientConfig::load(path).map(|loaded| loaded.config);
            let configs = configs.iter().map(load).collect::<Result<Vec<_>, _>>()?;
            let router = PrivateRouter::connect_all(&configs)?.with_patience(patience);
            match bundle {
                Some(bundle) => router.with_bundle(&bundle.bundle),
                None => Ok(router),
            }
        });
        Self::started(py, router)
    }

    /// Routes one prompt.
    fn route(&self, py: Python<'_>, prompt: &str, options: Given, cancel: Option<&PyCancel>) -> PyResult<PyAnswer> {
        let router = self.open(py)?;
        let options = route_options(py, options)?;
        let cancel = cancel.map_or_else(Cancel::default, |cancel| cancel.cancel.clone());
        let work = || router.route_cancellable(prompt, &options, &cancel);
        let report = match options.placement {
            // It takes milliseconds, and asks nobody.
            Placement::Local => py.detach(work),
            _ => interruptible(py, &cancel, work)?,
        };
        report.map(PyAnswer::from).map_err(|error| fault::placement(py, &error))
    }

    /// How many seconds one route takes in the library alone: what `scripts/python_overhead.py` compares with.
    fn time_route(&self, py: Python<'_>, prompt: &str, options: Given) -> PyResult<f64> {
        let router = self.open(py)?;
        let options = route_options(py, options)?;
        let (report, took) = py.detach(|| {
            let began = Instant::now();
            (router.route(prompt, &options), began.elapsed())
        });
        report.map(|_| took.as_secs_f64()).map_err(|error| fault::placement(py, &error))
    }

    /// Routes several prompts: of each its answer, or an exception.
    fn route_batch(
        &self,
        py: Python<'_>,
        prompts: Vec<String>,
        options: Given,
        cancel: &PyCancel,
    ) -> PyResult<Vec<Py<PyAny>>> {
        let router = self.open(py)?;
        let options = route_options(py, options)?;
        let texts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        let work = || router.route_batch_cancellable(&texts, &options, &cancel.cancel);
        let answers = interruptible(py, &cancel.cancel, work)?;
        each(py, answers)
    }

    /// Classifies texts, each with its second one if the task takes pairs: of each its answer, or an exception.
    fn classify_batch(
        &self,
        py: Python<'_>,
        texts: Vec<(String, Option<String>)>,
        options: &Bound<'_, PyDict>,
        cancel: &PyCancel,
    ) -> PyResult<Vec<Py<PyAny>>> {
        let router = self.open(py)?;
        let options = classify_options(options)?;
        let texts: Vec<Text<'_>> = texts.iter().map(|(text, text2)| Text { text, text2: text2.as_deref() }).collect();
        let work = || router.classify_batch_cancellable(&texts, &options, &cancel.cancel);
        let answers = interruptible(py, &cancel.cancel, work)?;
        each(py, answers)
    }

    /// Keeps so many sessions ready for prompts like this one, and waits until they are or it is cancelled; says whether they are.
    fn keep_ready(
        &self,
        py: Python<'_>,
        prompt: &str,
        options: Given,
        count: usize,
        cancel: &PyCancel,
    ) -> PyResult<bool> {
        let router = self.open(py)?;
        let options = route_options(py, options)?;
        let ready = interruptible(py, &cancel.cancel, || -> Result<bool, PlacementError> {
            let Some(task) = router.task(prompt, &options)? else {
                return Err(PlacementError::NeedsServers { placement: "full" });
            };
            let request = SessionRequest::new(task);
            router.keep_ready(request, count)?;
            loop {
                let (ready, ended) = (router.wait_ready(request, LOOK), cancel.cancel.is_cancelled());
                if ready || ended {
                    return Ok(ready);
                }
            }
        })?;
        ready.map_err(|error| fault::placement(py, &error))
    }

    /// How many pairs of servers it asks; 0 if it has none.
    #[getter]
    fn pairs(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.open(py)?.pairs())
    }

    /// Ends the parties that it started, once no route is running. Closing twice is no error.
    fn close(&self, py: Python<'_>) {
        // Nobody runs in a fork whose end could be waited for.
        if enter(py).is_ok() {
            let router = self.router.write().unwrap_or_else(PoisonError::into_inner).take();
            py.detach(|| drop(router));
        }
    }
}

/// How often a wait for ready sessions looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(50);

fn each<T: Into<PyAnswer>>(
    py: Python<'_>,
    answers: Result<Vec<Result<T, PlacementError>>, PlacementError>,
) -> PyResult<Vec<Py<PyAny>>> {
    let answers = answers.map_err(|error| fault::placement(py, &error))?;
    let one = |answer: Result<T, PlacementError>| match answer {
        Ok(report) => Ok(Py::new(py, report.into())?.into_any()),
        Err(error) => Ok(fault::placement(py, &error).into_value(py).into_any()),
    };
    answers.into_iter().map(one).collect()
}

fn retry(py: Python<'_>, seconds: f64) -> PyResult<Retry> {
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| {
        fault::input(py, "patience", &format!("patience is {seconds}, expected a number of seconds from 0"))
    })?;
    Ok(Retry::within(time))
}

/// Placement, weight, router, how many models are ranked, and the model for what is unknown, of which a share is.
type Given = (PyBackedStr, Option<f32>, Option<String>, usize, Option<(f64, String)>);

fn route_options(py: Python<'_>, (placement, weight, router, ranked, unknown): Given) -> PyResult<RouteOptions> {
    let mut options = RouteOptions::default();
    options.placement = parsed(py, "placement", &placement, "\"local\", \"head\" or \"full\"")?;
    options.router = router;
    options.lambda = weight;
    options.unknown_text = unknown.map(|(share, model)| UnknownText { share, model });
    options.ranking = ranked;
    Ok(options)
}

fn classify_options(given: &Bound<'_, PyDict>) -> PyResult<ClassifyOptions> {
    let mut options = ClassifyOptions::default();
    options.placement = word(given, "placement", "\"local\" or \"full\"")?.unwrap_or(Placement::Full);
    options.task = option(given, "task")?;
    options.scores = option(given, "scores")?.unwrap_or(false);
    options.depth = option(given, "depth")?;
    options.capacities = option(given, "capacities")?;
    options.batch = option(given, "batch")?.unwrap_or(options.batch);
    options.policy = match option::<String>(given, "policy")?.as_deref() {
        None | Some("hidden") => Policy::Hidden,
        Some("open") => Policy::Open,
        Some(found) => {
            let message = format!("policy is {found:?}, expected \"hidden\" or \"open\"");
            return Err(fault::input(given.py(), "policy", &message));
        }
    };
    Ok(options)
}
