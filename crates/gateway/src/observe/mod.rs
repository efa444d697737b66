//! What an operator of the gateway sees: probes, metrics, and one log line per request. None of it can hold a text of a user: labels
//! and fields are names of the program or of the configuration, and anything else is `other`.

mod exposition;
mod family;
mod health;
mod metrics;
mod names;
mod request;
mod series;
#[cfg(test)]
mod tests;

pub use exposition::{CONTENT_TYPE, metrics_response};
pub use health::{PartyState, Readiness, Sessions, alive, ready};
pub use metrics::{Metrics, Outcome};
pub use names::Names;
pub use request::{InFlight, Summary};
