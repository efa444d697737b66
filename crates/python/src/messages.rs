//! Messages: which text of a conversation is routed.

use crate::fault;
use blindroute_dialects::raw::Object;
use blindroute_dialects::{Dialect, reading};
use pyo3::prelude::*;

/// The text that is routed of a conversation in the dialect of Chat Completions: that of the last user message, as in the gateway.
/// `request` is the JSON of an object with the list `messages`.
#[pyfunction]
pub(crate) fn routed_text(py: Python<'_>, request: &str) -> PyResult<String> {
    let refused = |message: &dyn std::fmt::Display| fault::input(py, "messages", message);
    let object = Object::read(request.as_bytes()).map_err(|error| refused(&error))?;
    let reading = reading::read(Dialect::Chat, &object).map_err(|error| refused(&error))?;
    let text = reading.last_user.as_ref().map(|text| text.as_str()).filter(|text| !text.trim().is_empty());
    text.map(str::to_owned).ok_or_else(|| {
        let message =
            "the last user message has no text, so there is nothing to route by: add one, or give the text itself";
        fault::input(py, "nothing_to_route_by", &message)
    })
}
