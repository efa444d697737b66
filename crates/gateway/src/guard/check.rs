//! The rules together, as a middleware.

use super::{Endpoint, Refusal, Token, dialect, host, origin, preflight, token};
use crate::config::Config;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt as _;
use std::sync::{Arc, PoisonError, RwLock};

/// What is allowed.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The names that a `Host` may have, without ports.
    pub hosts: Vec<String>,
    /// The origins of web pages that may call the gateway.
    pub origins: Vec<String>,
    /// The local token, if there is one.
    pub token: Option<Token>,
    /// The most bytes of a request's body.
    pub max_body: usize,
}

impl Default for Rules {
    /// This machine's own names, no web page, no token, 32 MiB.
    fn default() -> Self {
        let hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        Self { hosts, origins: Vec::new(), token: None, max_body: 32 << 20 }
    }
}

impl From<&Config> for Rules {
    /// Those of a configuration.
    fn from(config: &Config) -> Self {
        let access = &config.access;
        Self {
            hosts: access.hosts.clone(),
            origins: access.origins.clone(),
            token: access.token.as_ref().map(|token| Token::new(token.secret.expose())),
            max_body: config.max_body_mib.saturating_mul(1 << 20),
        }
    }
}

/// The rules of a gateway that runs. A clone is the same guard.
#[derive(Clone, Debug)]
pub struct Guard(Arc<RwLock<Arc<Rules>>>);

impl Guard {
    /// With these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(rules))))
    }

    /// Other rules from now on. Requests that are being answered keep theirs.
    pub fn replace(&self, rules: Rules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// The rules of now.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The middleware: `axum::middleware::from_fn_with_state(guard, guard::check)`, around all routes and the fallback.
pub async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let rules = guard.rules();
    let path = request.uri().path();
    let (endpoint, dialect) = (Endpoint::of_path(path), dialect(path, request.headers()));
    let origin = match from_whom(&rules, endpoint, &request) {
        Ok(origin) => origin,
        Err(refusal) => return unread(refusal.response(endpoint, dialect)),
    };
    let response = match (what(&rules, endpoint, &request), endpoint, &origin) {
        (_, Some(endpoint), Some(origin)) if preflight::is_preflight(request.method(), request.headers()) => {
            return preflight::answer(endpoint, request.headers(), origin.clone());
        }
        (Err(refusal), ..) => unread(refusal.response(endpoint, dialect)),
        (Ok(()), ..) => next.run(request).await,
    };
    exposed(response, origin)
}

/// The host and the page that a request comes from.
fn from_whom(rules: &Rules, endpoint: Option<Endpoint>, request: &Request) -> Result<Option<HeaderValue>, Refusal> {
    host::check(request.uri(), request.headers(), &rules.hosts)?;
    origin::check(endpoint, request.method(), request.headers(), &rules.origins)
}

/// The token, the path, the method, and the stated length.
fn what(rules: &Rules, endpoint: Option<Endpoint>, request: &Request) -> Result<(), Refusal> {
    token::check(endpoint, request.headers(), rules.token.as_ref())?;
    let endpoint = endpoint.ok_or(Refusal::UnknownPath)?;
    if !endpoint.takes(request.method()) {
        return Err(Refusal::WrongMethod(endpoint));
    }
    check_length(request.headers(), rules.max_body)
}

/// The body of the request was not read, so the connection cannot be used again; a client that is not told would lose its next request.
fn unread(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn exposed(mut response: Response, origin: Option<HeaderValue>) -> Response {
    if let Some(origin) = origin {
        preflight::expose(response.headers_mut(), origin);
    }
    response
}

fn check_length(headers: &HeaderMap, limit: usize) -> Result<(), Refusal> {
    let number = |length: &HeaderValue| length.to_str().ok()?.parse::<u64>().ok();
    let fits = headers.get(CONTENT_LENGTH).is_none_or(|length| {
        number(length).and_then(|length| usize::try_from(length).ok()).is_some_and(|length| length <= limit)
    });
    if fits { Ok(()) } else { Err(Refusal::TooLarge { limit }) }
}

/// Reads a body of at most so many bytes. A body without a stated length is dropped as soon as it is longer.
///
/// # Errors
/// If it is too long or ends early.
pub async fn read_body(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let mut chunks = body.into_data_stream();
    let mut whole = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_interrupted| Refusal::Interrupted)?;
        if chunk.len() > limit - whole.len() {
            return Err(Refusal::TooLarge { limit });
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.into())
}
