//! `/livez` and `/readyz`.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

/// Whether a party or a pair of servers answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartyState {
    /// Its part, for instance `pair 0`.
    pub name: String,
    /// Whether it answered when it was last asked. One that was not asked yet counts as one that answers.
    pub reachable: bool,
    /// When it last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<String>,
    /// When it last failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// The sessions that wait for prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sessions {
    /// How many are ready.
    pub ready: usize,
    /// How many there should be.
    pub wanted: usize,
}

/// What routing needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// What all routes need: the servers and the dealer that were started here.
    pub parties: Vec<PartyState>,
    /// The pairs of servers elsewhere, of which one is enough.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<PartyState>,
    /// The sessions, if routing has any.
    pub sessions: Option<Sessions>,
}

impl Readiness {
    /// Why a request would have to wait or fail; none if it is ready.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let silent = self.parties.iter().filter(|party| !party.reachable);
        let mut reasons: Vec<String> = silent.map(|party| format!("{} does not answer", party.name)).collect();
        if self.pairs.iter().all(|pair| !pair.reachable) {
            reasons.extend(self.pairs.iter().map(|pair| format!("{} does not answer", pair.name)));
        }
        if let Some(sessions) = self.sessions.filter(|sessions| sessions.ready == 0 && sessions.wanted > 0) {
            reasons.push(format!("no session is ready, of {} wanted", sessions.wanted));
        }
        reasons
    }
}

/// The answer to `/livez`: the process answers, whatever its parties do.
#[must_use]
pub fn alive() -> Response<Body> {
    json(StatusCode::OK, r#"{"status":"alive"}"#.to_owned())
}

/// The answer to `/readyz`: 200 if a request can be routed at once, or else 503 with the reasons.
#[must_use]
pub fn ready(readiness: &Readiness) -> Response<Body> {
    #[derive(Serialize)]
    struct Answer<'a> {
        status: &'static str,
        reasons: &'a [String],
        #[serde(flatten)]
        readiness: &'a Readiness,
    }
    let reasons = readiness.reasons();
    let (code, status) =
        if reasons.is_empty() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    // Names and numbers always have a JSON form.
    let body = serde_json::to_string(&Answer { status, reasons: &reasons, readiness }).unwrap_or_default();
    json(code, body)
}

fn json(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
