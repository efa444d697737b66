//! The metrics there are.

use blindroute_runtime::exposition::Kind;

/// A family of metrics of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Requests,
    Routes,
    Retries,
    Fallbacks,
    Tokens,
    Spend,
    Cancelled,
    InFlight,
    SessionsReady,
    PairAnswers,
    CertificateDays,
    RouteSeconds,
    FirstByteSeconds,
    OverheadSeconds,
}

impl Family {
    pub(super) const ALL: [Self; 14] = [
        Self::Requests,
        Self::Routes,
        Self::Retries,
        Self::Fallbacks,
        Self::Tokens,
        Self::Spend,
        Self::Cancelled,
        Self::InFlight,
        Self::SessionsReady,
        Self::PairAnswers,
        Self::CertificateDays,
        Self::RouteSeconds,
        Self::FirstByteSeconds,
        Self::OverheadSeconds,
    ];

    /// Its name, its kind, its labels, and what it says.
    pub(super) const fn about(self) -> (&'static str, Kind, &'static [&'static str], &'static str) {
        use Kind::{Counter, Gauge, Histogram};
        match self {
            Self::Requests => (
                "blindroute_requests_total",
                Counter,
                &["endpoint", "dialect", "status"],
                "Requests that were answered, by class of status.",
            ),
            Self::Routes => {
                ("blindroute_routes_total", Counter, &["placement", "outcome"], "Routes that were asked for.")
            }
            Self::Retries => {
                ("blindroute_retries_total", Counter, &["provider", "model"], "Calls that were made again.")
            }
            Self::Fallbacks => (
                "blindroute_fallbacks_total",
                Counter,
                &["provider", "model"],
                "Calls of a model because those before it in the ranking could not answer.",
            ),
            Self::Tokens => (
                "blindroute_tokens_total",
                Counter,
                &["provider", "model", "kind"],
                "Tokens as providers count them; input includes cached and cache_write.",
            ),
            Self::Spend => ("blindroute_spend_usd_total", Counter, &["provider", "model"], "What calls cost, in USD."),
            Self::Cancelled => {
                ("blindroute_cancelled_total", Counter, &["endpoint"], "Requests whose caller went away.")
            }
            Self::InFlight => ("blindroute_in_flight", Gauge, &[], "Requests that are being answered."),
            Self::SessionsReady => ("blindroute_sessions_ready", Gauge, &[], "Sessions that are ready for a prompt."),
            Self::PairAnswers => (
                "blindroute_pair_answers",
                Gauge,
                &["pair"],
                "Whether a pair of servers answered when it was last asked, from 0 in the order of the configuration.",
            ),
            Self::CertificateDays => (
                "blindroute_certificate_days_left",
                Gauge,
                &["pair", "certificate"],
                "Whole days until a certificate of the connection to a pair of servers ends; 0 once it has.",
            ),
            Self::RouteSeconds => {
                ("blindroute_route_seconds", Histogram, &["placement"], "How long routes took, with waiting.")
            }
            Self::FirstByteSeconds => (
                "blindroute_upstream_first_byte_seconds",
                Histogram,
                &["provider"],
                "How long providers took to the first byte of an answer.",
            ),
            Self::OverheadSeconds => (
                "blindroute_overhead_seconds",
                Histogram,
                &[],
                "What the gateway added to a request, beside the route and the provider.",
            ),
        }
    }
}
