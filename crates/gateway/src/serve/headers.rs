//! The headers that the gateway adds to answers.

use crate::decide::Decision;
use crate::money::Amount;
use crate::store::Why;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use blindroute_placement::RouteReport;
use std::fmt::Display;

/// The header by which callers name a conversation.
pub(super) const SESSION: &str = "x-session-id";
/// The one that a client of Messages sends.
pub(super) const CLIENT_SESSION: &str = "x-claude-code-session-id";

/// What is said of a call.
pub(super) struct Said<'a> {
    pub(super) decision: &'a Decision<'a>,
    /// The model that answered.
    pub(super) model: &'a str,
    pub(super) fallback: bool,
    /// What it cost, if that is known before the answer is sent.
    pub(super) cost: Option<Amount>,
}

/// Adds them.
pub(super) fn add(response: &mut Response, said: &Said<'_>) {
    let decision = said.decision;
    set(response, "x-blindroute-model", said.model);
    set(response, "x-blindroute-fallback", said.fallback);
    set(response, "x-blindroute-pinned", matches!(decision.why, Why::Pinned | Why::Kept));
    set(response, "x-blindroute-why", decision.why.name());
    if let Some(cost) = said.cost {
        set(response, "x-blindroute-cost", format_args!("{:.12}", cost.usd()));
    }
    if let Some(route) = &decision.route {
        of_route(response, route);
    }
}

/// Those of a route.
pub(super) fn of_route(response: &mut Response, route: &RouteReport) {
    set(response, "x-blindroute-placement", route.placement.name());
    set(response, "x-blindroute-router", &route.router);
    set(response, "x-blindroute-route-ms", format_args!("{:.3}", route.ms.total));
}

/// A number for an answer that no provider gave, as clients expect one.
pub(super) fn request_id(response: &mut Response) {
    if !response.headers().contains_key("x-request-id") {
        // Without random bytes it is not unique, which nothing depends on.
        set(response, "x-request-id", format_args!("req_{:016x}", getrandom::u64().unwrap_or_default()));
    }
}

fn set(response: &mut Response, name: &'static str, value: impl Display) {
    // Names of the configuration may have letters that a header cannot have.
    if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
