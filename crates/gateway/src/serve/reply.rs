//! What a handler answers, and what the log says of it.

use super::headers;
use crate::store::Why;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use blindroute_dialects::Dialect;
use blindroute_dialects::errors::{ApiError, ErrorKind};
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;

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
    /// What a handler answers. If it panics, its caller gets an error in place of a connection that breaks, and other requests go on.
    pub(super) async fn of(handler: impl Future<Output = Self>, dialect: Dialect) -> Self {
        // What it left half done is its own: what requests share is behind locks and in the record.
        AssertUnwindSafe(handler).catch_unwind().await.unwrap_or_else(|_| {
            let message = "the gateway failed at this request; its log names the place, please report it";
            Self::error(&ApiError::new(ErrorKind::Server, message), dialect)
        })
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_is_an_error_of_the_dialect_without_its_message() {
        for dialect in [Dialect::Chat, Dialect::Responses, Dialect::Messages] {
            let failing = async {
                let text = "canary".to_owned();
                assert!(text.is_empty(), "{text}");
                Reply::from(json(StatusCode::OK, text))
            };
            let response = Reply::of(failing, dialect).await.response;
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert!(body.contains("please report it") && !body.contains("canary"), "{body}");
        }
        let fine = async { Reply::from(json(StatusCode::OK, "{}".to_owned())) };
        assert_eq!(Reply::of(fine, Dialect::Chat).await.response.status(), StatusCode::OK);
    }
}
