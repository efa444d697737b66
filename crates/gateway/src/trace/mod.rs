//! Traces in the form of OpenTelemetry, for whoever configures a collector: a span for each request, with one for its route and one for
//! each call of a provider.
//!
//! Spans hold what [`Attribute`] lists and nothing else: names of the configuration, numbers and fixed words, never a text, a name of a
//! session or an address. Names are those of the semantic conventions of version 1.37.0. They are sent as OTLP over HTTP in JSON, one
//! body for each batch, through the HTTP client that calls providers. The exporters of other crates take attributes as free texts, of which
//! no type says what they may hold.
//!
//! Spans wait in a queue of a fixed length. If it is full, or the collector does not answer, they are dropped; no request waits.

mod attribute;
mod otlp;
mod send;
mod span;

pub(crate) use attribute::Attribute;
pub(crate) use send::Tracer;
pub(crate) use span::{Span, Trace};
