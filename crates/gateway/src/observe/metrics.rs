//! The metrics of one gateway, which its parts count into.

use super::exposition;
use super::family::Family;
use super::names::{Names, placement};
use super::request::InFlight;
use super::series::Series;
use crate::guard::Endpoint;
use crate::money::{Amount, Tokens};
use blindroute_dialects::Dialect;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a route ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It named a model.
    Routed,
    /// It was not done within its deadline.
    Late,
    /// No session was ready in time.
    NoSession,
    /// It failed.
    Failed,
    /// The caller went away.
    Cancelled,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Routed => "routed",
            Self::Late => "late",
            Self::NoSession => "no_session",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The metrics. A clone counts into the same ones.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    names: Names,
    series: Series,
}

impl Metrics {
    /// All at zero. Other names than these become `other`.
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self(Arc::new(Mutex::new(State { names, series: Series::default() })))
    }

    /// The names of a new configuration.
    pub fn rename(&self, names: Names) {
        self.state().names = names;
    }

    /// Begins a request, which is in flight until it is finished or dropped. `None` is a path that the gateway does not have.
    #[must_use]
    pub fn begin(&self, endpoint: Option<Endpoint>, dialect: Dialect) -> InFlight {
        self.state().series.add(Family::InFlight, &[], 1);
        InFlight::new(self.clone(), endpoint, dialect)
    }

    /// A route that ended, and how long it took with waiting.
    pub fn route(&self, placed: &str, outcome: Outcome, took: Duration) {
        let (placed, mut state) = (placement(placed), self.state());
        state.series.add(Family::Routes, &[placed, outcome.name()], 1);
        state.series.time(Family::RouteSeconds, &[placed], took);
    }

    /// A call that is made again.
    pub fn retry(&self, provider: &str, model: &str) {
        self.count(Family::Retries, provider, model);
    }

    /// A call of a model because those before it could not answer.
    pub fn fallback(&self, provider: &str, model: &str) {
        self.count(Family::Fallbacks, provider, model);
    }

    /// What a call used and cost.
    pub fn settled(&self, provider: &str, model: &str, tokens: &Tokens, cost: Amount) {
        let mut state = self.state();
        let (provider, model) = (state.names.provider(provider), state.names.model(model));
        let kinds = [
            ("input", tokens.input),
            ("cached", tokens.cached),
            ("cache_write", tokens.cache_write),
            ("output", tokens.output),
        ];
        for (kind, count) in kinds {
            state.series.add(Family::Tokens, &[provider, model, kind], count);
        }
        state.series.add_pico(Family::Spend, &[provider, model], cost.pico());
    }

    /// How long a provider took to the first byte of an answer.
    pub fn first_byte(&self, provider: &str, took: Duration) {
        let mut state = self.state();
        let provider = state.names.provider(provider);
        state.series.time(Family::FirstByteSeconds, &[provider], took);
    }

    /// What the gateway added to a request, beside the route and the provider.
    pub fn overhead(&self, took: Duration) {
        self.state().series.time(Family::OverheadSeconds, &[], took);
    }

    /// How many sessions are ready now.
    pub fn sessions_ready(&self, ready: usize) {
        self.state().series.set(Family::SessionsReady, &[], ready as u64);
    }

    /// Whether a pair of servers answered when it was last asked.
    pub fn pair_answers(&self, pair: usize, answers: bool) {
        self.state().series.set(Family::PairAnswers, &[&pair.to_string()], u64::from(answers));
    }

    /// The days that are left of a certificate of the connection to a pair of servers.
    pub fn certificate_days(&self, pair: usize, certificate: &'static str, days: i64) {
        let days = u64::try_from(days).unwrap_or(0);
        self.state().series.set(Family::CertificateDays, &[&pair.to_string(), certificate], days);
    }

    /// The text for `/metrics`.
    #[must_use]
    pub fn text(&self) -> String {
        exposition::text(&self.state().series)
    }

    /// Ends a request. Returns the model's name for the log, as far as it is configured.
    pub(super) fn end(
        &self,
        endpoint: &str,
        dialect: Dialect,
        status: Option<u16>,
        model: Option<&str>,
    ) -> Option<String> {
        let mut state = self.state();
        state.series.less(Family::InFlight);
        match status {
            Some(status) => state.series.add(Family::Requests, &[endpoint, dialect.name(), class(status)], 1),
            None => state.series.add(Family::Cancelled, &[endpoint], 1),
        }
        model.map(|model| state.names.model(model).to_owned())
    }

    fn count(&self, family: Family, provider: &str, model: &str) {
        let mut state = self.state();
        let labels = [state.names.provider(provider), state.names.model(model)];
        state.series.add(family, &labels, 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The class of a status.
const fn class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "other",
    }
}
