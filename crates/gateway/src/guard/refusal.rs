//! Why a request is refused, and the answer that says so.

use super::Endpoint;
use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use blindroute_dialects::Dialect;
use blindroute_dialects::errors::{ApiError, ErrorKind};
use thiserror::Error;

/// Why a request is refused. The messages quote nothing of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no `Host`.
    #[error("the request has no Host header; send one that names the gateway, for instance localhost")]
    NoHost,
    /// There are several.
    #[error("the request has several Host headers; send one that names the gateway, for instance localhost")]
    SeveralHosts,
    /// It is not the gateway's.
    #[error("the request's Host is not a name of this gateway; call it as localhost, or add the name to access.hosts")]
    OtherHost,
    /// The page that sent it may not.
    #[error(
        "the request comes from a web page that may not call this gateway; add its origin to access.origins to allow that"
    )]
    OtherOrigin,
    /// The page that sent it is of another site, and the browser does not say which.
    #[error("the request comes from a page of another site; open the gateway's address yourself")]
    OtherSite,
    /// There is no local token.
    #[error("the request has no token; send the gateway's local token as `Authorization: Bearer` or `x-api-key`")]
    NoToken,
    /// It is wrong.
    #[error("the request's token is not the gateway's local token; see token_env or token_file in [access]")]
    WrongToken,
    /// The path is unknown.
    #[error(
        "the gateway has no such path; it answers /v1/chat/completions, /v1/responses, /v1/responses/compact, \
             /v1/messages, /v1/messages/count_tokens, /v1/models, /v1/embeddings and /v1/route"
    )]
    UnknownPath,
    /// The path does not take the method.
    #[error("this path does not take the request's method; it takes {}", .0.allow())]
    WrongMethod(Endpoint),
    /// The body is too long.
    #[error("the request's body is longer than {limit} bytes; send less, or raise max_body_mib")]
    TooLarge {
        /// The most bytes.
        limit: usize,
    },
    /// The body ended early.
    #[error("the request's body ended before it was complete; send the request again")]
    Interrupted,
    /// A form was not made by this process.
    #[error("the form was not made by this run of the gateway, or is older than it; open the page again and repeat")]
    OtherForm,
}

impl Refusal {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NoHost | Self::SeveralHosts | Self::Interrupted => StatusCode::BAD_REQUEST,
            Self::OtherHost | Self::OtherOrigin | Self::OtherSite | Self::OtherForm => StatusCode::FORBIDDEN,
            Self::NoToken | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    /// The answer in a dialect; for a page, in plain text.
    #[must_use]
    pub fn response(self, endpoint: Option<Endpoint>, dialect: Dialect) -> Response<Body> {
        let is_page = endpoint.is_some_and(Endpoint::is_page);
        let (kind, body) = if is_page {
            ("text/plain; charset=utf-8", format!("{self}\n"))
        } else {
            let status = self.status().as_u16();
            let error = ApiError::new(ErrorKind::of_status(status), self.to_string()).with_status(status);
            ("application/json", error.body(dialect))
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        match self {
            Self::WrongMethod(endpoint) => {
                headers.insert(ALLOW, HeaderValue::from_static(endpoint.allow()));
            }
            Self::NoToken | Self::WrongToken => {
                let asked = if is_page { "Basic realm=\"blindroute\", charset=\"UTF-8\"" } else { "Bearer" };
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(asked));
            }
            _ => {}
        }
        response
    }
}
