//! What a handler answers, and what the log says of it.

use super::headers;
use crate::store::Why;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use blindroute_dialects::Dialect;
use blindroute_dialects::errors::ApiError;

/// An answer, with what the log says of it.
pub(super) struct Reply {
    pub(super) response: Response,
    pub(super) model: Option<String>,
    pub(super) why: Option<Why>,
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self { response, model: None, why: None }
    }
}

impl Reply {
    /// An error in the caller's dialect.
    pub(super) fn error(error: &ApiError, dialect: Dialect) -> Self {
        let mut response =
            json(StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_GATEWAY), error.body(dialect));
        if error.status == StatusCode::SERVICE_UNAVAILABLE.as_u16() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        headers::request_id(&mut response);
        response.into()
    }
}

/// A body of JSON.
pub(super) fn json(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
