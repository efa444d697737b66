//! Bundles.

use crate::cancel::PyCancel;
use crate::fault::{self, Kind};
use crate::interrupt::interruptible;
use crate::process::enter;
use blindroute_console::files::write_bundle;
use blindroute_lab::encoders::{ClearEmbedder, EmbedEvent, embed_all};
use blindroute_placement::default_bundle;
use blindroute_routing::bundle::Bundle;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use std::sync::Arc;

/// An encoder, its tokenizer, a pool of models, and routers.
#[pyclass(name = "Bundle", module = "blindroute._engine", frozen)]
pub(crate) struct PyBundle {
    pub(crate) bundle: Arc<Bundle>,
    /// What reports call it.
    pub(crate) name: String,
}

impl PyBundle {
    /// A bundle of this name.
    pub(crate) fn new(bundle: Bundle, name: impl Into<String>) -> Self {
        Self { bundle: Arc::new(bundle), name: name.into() }
    }
}

#[pymethods]
impl PyBundle {
    /// Reads a bundle from a file, or takes the one in this library; with the names of parts that this version does not know.
    #[staticmethod]
    #[pyo3(signature = (path=None))]
    fn load(py: Python<'_>, path: Option<PathBuf>) -> PyResult<(Self, Vec<String>)> {
        enter(py)?;
        let Some(path) = path else {
            let bundle = py.detach(default_bundle).map_err(|error| fault::bundle(py, &error))?;
            return Ok((Self::new(bundle, "default"), Vec::new()));
        };
        let read = py.detach(|| Bundle::open(&path));
        let read = read.map_err(|error| fault::bundle(py, &format!("bundle {}: {error}", path.display())))?;
        Ok((Self::new(read.bundle, path.display().to_string()), read.unknown))
    }

    /// Writes it, and returns the number of bytes.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<usize> {
        py.detach(|| write_bundle(&self.bundle, &path))
            .map_err(|error| fault::exception(py, Kind::Other, "write", &format!("{error:#}")))
    }

    /// Its contents without the weights, as JSON.
    fn summary(&self) -> String {
        blindroute_console::contents::summary(&self.bundle).to_string()
    }

    /// The same in lines for people.
    fn described(&self) -> String {
        blindroute_console::contents::described(&self.bundle)
    }

    /// The name in reports.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Embeds prompts with its encoder, in the clear. The numbers as `f32` in the order of this machine, and how many there are of each
    /// prompt. `progress` hears how many of how many different prompts are done.
    fn embed<'py>(
        &self,
        py: Python<'py>,
        prompts: Vec<String>,
        cancel: &PyCancel,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(Bound<'py, PyBytes>, usize)> {
        enter(py)?;
        let stop = cancel.stop();
        let work = || -> Result<_, String> {
            let tokenizer = self.bundle.tokenizer().map_err(|error| error.to_string())?;
            let embedder = ClearEmbedder::new(&self.bundle).map_err(|error| error.to_string())?;
            let mut on_event = |event: EmbedEvent| {
                if let (EmbedEvent::Progress(at), Some(progress)) = (event, &progress) {
                    tell(progress, (at.done, at.all));
                }
            };
            let embedded = embed_all(prompts.iter().map(String::as_str), &tokenizer, &embedder, &mut on_event, &stop);
            embedded.map_err(|error| error.to_string())
        };
        let embedded = interruptible(py, &cancel.cancel, work)?;
        let embedded = embedded.map_err(|message| fault::input(py, "embedding", &message))?;
        let embeddings = embedded.embeddings();
        Ok((floats(py, embeddings.data()), embeddings.columns()))
    }

    fn __repr__(&self) -> String {
        format!("<blindroute bundle {}, digest {}>", self.name, self.bundle.digest())
    }
}

/// Tells a function of Python how much is done. What it raises is printed, and the work goes on.
pub(crate) fn tell(progress: &Py<PyAny>, (done, all): (usize, usize)) {
    Python::attach(|py| {
        if let Err(error) = progress.call1(py, (done, all)) {
            error.write_unraisable(py, None);
        }
    });
}

/// Numbers as bytes.
pub(crate) fn floats<'py>(py: Python<'py>, numbers: &[f32]) -> Bound<'py, PyBytes> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    PyBytes::new(py, &bytes)
}
