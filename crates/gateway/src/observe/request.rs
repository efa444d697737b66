//! A request from its begin to its end, and its log line.

use super::Metrics;
use super::names::OTHER;
use crate::guard::Endpoint;
use crate::store::Why;
use blindroute_dialects::Dialect;
use std::time::Instant;

/// What a log line says of a request beside its endpoint and its time. There is no field for a text, and the model is only named if it
/// is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary<'a> {
    /// The status of the answer.
    pub status: u16,
    /// The model that was called.
    pub model: Option<&'a str>,
    /// Why that one.
    pub why: Option<Why>,
}

/// A request that is being answered. If it is dropped before it is finished, its caller went away.
#[derive(Debug)]
pub struct InFlight {
    metrics: Metrics,
    endpoint: Option<Endpoint>,
    dialect: Dialect,
    begun: Instant,
    is_finished: bool,
}

impl InFlight {
    pub(super) fn new(metrics: Metrics, endpoint: Option<Endpoint>, dialect: Dialect) -> Self {
        Self { metrics, endpoint, dialect, begun: Instant::now(), is_finished: false }
    }

    /// Ends the request, once the last byte of its answer is sent: counts it, and writes its log line.
    pub fn finish(mut self, summary: Summary<'_>) {
        self.is_finished = true;
        self.end(Some(summary.status), summary.model, summary.why);
    }

    fn end(&self, status: Option<u16>, model: Option<&str>, why: Option<Why>) {
        let endpoint = self.endpoint.map_or(OTHER, Endpoint::name);
        let model = self.metrics.end(endpoint, self.dialect, status, model);
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            target: "blindroute_gateway::request",
            endpoint,
            status,
            model = model.as_deref(),
            why = why.map(Why::name),
            ms,
            "{}", if status.is_some() { "answered" } else { "cancelled" },
        );
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.is_finished {
            self.end(None, None, None);
        }
    }
}
