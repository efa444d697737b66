//! Data sets, training, evaluation and calibration.

pub(crate) mod calibration;
pub(crate) mod data;
pub(crate) mod evaluation;
pub(crate) mod training;

mod faults;
mod matrix;

use crate::bundle::tell;
use blindroute_lab::Stop;
use blindroute_lab::encoders::EmbedEvent;
use blindroute_runtime::Cancel;
use pyo3::prelude::*;

/// Functions of Python that hear (done, all): while prompts are embedded, and of the work after that.
type Hears = (Option<Py<PyAny>>, Option<Py<PyAny>>);

/// The lab's work ends when this is cancelled.
pub(crate) fn stop(cancel: &Cancel) -> Stop {
    let cancel = cancel.clone();
    Stop::when(move || cancel.is_cancelled())
}

/// Tells a function of Python how many prompts are embedded, and warns of what happened to a file of embeddings.
fn embedding(event: EmbedEvent, progress: Option<&Py<PyAny>>) {
    match (event, progress) {
        (EmbedEvent::Progress(at), Some(progress)) if at.all > 0 => tell(progress, (at.done, at.all)),
        _ => (),
    }
}
