//! Why a provider gave no answer, and what the caller is told.

use super::settle::End;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use blindroute_dialects::Dialect;
use blindroute_dialects::errors::{ApiError, ErrorKind};
use std::time::Duration;

/// Why there is no answer, or why it broke off. Holds no text of a user and no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The request cannot be said to this provider.
    #[error("the request cannot be sent to the provider: {0}")]
    Request(String),
    /// The provider answered with this status.
    #[error("the provider answered with status {0}")]
    Status(u16),
    /// The provider answered 200 and then with an error.
    #[error("the provider answered with status 200 and an error of kind {0:?} in place of an answer")]
    Error(ErrorKind),
    /// No connection.
    #[error("no connection to the provider; check base_url, the network and the provider's status")]
    Connect,
    /// The connection broke.
    #[error("the connection to the provider broke before the answer was complete; ask again")]
    Transport,
    /// The provider redirects.
    #[error(
        "the provider redirects to another address, where the key would go too; write the final address in base_url"
    )]
    Redirect,
    /// The answer is compressed.
    #[error("the provider compressed its answer although it was asked not to; look for a proxy on the way")]
    Encoding,
    /// The answer is too large.
    #[error("the provider's answer has more than {limit} bytes; ask for a shorter answer, or for a stream")]
    TooLarge {
        /// The most bytes.
        limit: usize,
    },
    /// The answer is no JSON.
    #[error("the provider's answer is not the JSON that was expected, or is cut off; ask again")]
    Body,
    /// No first token in time.
    #[error("no token came within {0:?}; ask again, or raise timeouts.first_token")]
    FirstToken(Duration),
    /// No further token in time.
    #[error("the provider was silent for {0:?}; ask again, or raise timeouts.idle")]
    Idle(Duration),
    /// All of it took too long.
    #[error("the call took longer than {0:?}; ask for a shorter answer, or raise timeouts.total")]
    Total(Duration),
}

impl Reason {
    /// Whether the provider may have something to bill.
    pub(super) fn end(&self) -> End {
        match self {
            Self::Request(_) | Self::Status(_) | Self::Connect | Self::Redirect => End::Refused,
            _ => End::Failed,
        }
    }

    /// What the caller is told.
    pub(super) fn to_api_error(&self) -> ApiError {
        let (kind, status, code) = match self {
            Self::FirstToken(_) | Self::Idle(_) | Self::Total(_) => (ErrorKind::Timeout, 504, "upstream_timeout"),
            Self::Request(_) => (ErrorKind::InvalidRequest, 400, "cannot_be_translated"),
            Self::Connect | Self::Transport => (ErrorKind::Server, 502, "upstream_connection"),
            _ => (ErrorKind::Server, 502, "upstream_answer"),
        };
        ApiError::new(kind, self.to_string()).with_status(status).with_code(code)
    }
}

/// A call without an answer. `Debug` leaves the body out, which may quote a prompt.
#[derive(Clone)]
pub struct Failure {
    /// The status for the caller.
    pub status: StatusCode,
    /// The headers for the caller.
    pub headers: Box<HeaderMap>,
    /// The body for the caller: the provider's own bytes if it speaks the caller's dialect, else an error of that dialect.
    pub body: Bytes,
    /// Why, for logs.
    pub reason: Reason,
    /// Whether the next model of the ranking may be asked.
    pub fallback: bool,
    /// How many times the provider was asked.
    pub attempts: u32,
    /// Whether the same model may be asked once more.
    pub(super) retry: bool,
    /// How long the provider asks to wait.
    pub(super) wait: Option<Duration>,
}

impl std::fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, reason, fallback, attempts, .. } = self;
        write!(formatter, "{status} after {attempts} attempts (fallback: {fallback}): {reason}")
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.reason.fmt(formatter)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}

impl Failure {
    /// A failure that the gateway found: another model may be asked.
    pub(super) fn own(reason: Reason, dialect: Dialect) -> Self {
        let retry = matches!(reason, Reason::Connect | Reason::Transport | Reason::Body);
        Self { retry, ..Self::of_error(&reason.to_api_error(), reason, dialect) }
    }

    /// The gateway's own words, or an error of the provider in the caller's dialect.
    pub(super) fn of_error(error: &ApiError, reason: Reason, dialect: Dialect) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self {
            status: StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_GATEWAY),
            headers: Box::new(headers),
            body: error.body(dialect).into(),
            reason,
            fallback: true,
            attempts: 1,
            retry: false,
            wait: None,
        }
    }

    /// As a response for the caller.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = *self.headers;
        response
    }
}
