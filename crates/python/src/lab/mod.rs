//! Data sets, training, evaluation and calibration.

pub(crate) mod calibration;
pub(crate) mod data;
pub(crate) mod evaluation;
pub(crate) mod training;

mod faults;
mod matrix;

use crate::bundle::tell;
use blindroute_lab::encoders::EmbedEvent;
use pyo3::prelude::*;

/// Functions of Python that hear (done, all): while prompts are embedded, and of the work after that.
type Hears = (Option<Py<PyAny>>, Option<Py<PyAny>>);

/// Tells a function of Python how many prompts are embedded.
fn embedding(event: EmbedEvent, progress: Option<&Py<PyAny>>) {
    match (event, progress) {
        (EmbedEvent::Progress(at), Some(progress)) if at.all > 0 => tell(progress, (at.done, at.all)),
        _ => (),
    }
}
