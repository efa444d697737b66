//! What the caller gets.

use super::flow::Flow;
use super::unread::{Unread, Watched};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::Stream;
use futures_util::stream::unfold;
use std::pin::Pin;
use std::task::{Context, Poll};

/// An answer of a provider, whose status is a success. `Debug` prints no text.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers for the caller.
    pub headers: HeaderMap,
    /// The body.
    pub body: AnswerBody,
    /// How many times the provider was asked.
    pub attempts: u32,
}

/// The body of an answer.
pub enum AnswerBody {
    /// All of it.
    Whole(Bytes),
    /// As it comes. Dropping it breaks off the call of the provider, and so does not reading it for as long as a stream may be silent.
    Stream(AnswerStream),
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(bytes) => write!(formatter, "{} bytes", bytes.len()),
            Self::Stream(_) => formatter.write_str("a stream"),
        }
    }
}

/// The events of an answer: each item is one event, or one comment.
pub struct AnswerStream(Watched);

impl AnswerStream {
    pub(super) fn new(flow: Flow) -> Self {
        let limits = flow.limits();
        let events = unfold(flow, |mut flow| async move { flow.next().await.map(|bytes| (bytes, flow)) });
        Self(Watched::new(Box::pin(events), limits))
    }
}

impl Stream for AnswerStream {
    type Item = Result<Bytes, Unread>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next(context)
    }
}

impl Answer {
    /// As a response for the caller.
    #[must_use]
    pub fn into_response(self) -> Response {
        let body = match self.body {
            AnswerBody::Whole(bytes) => Body::from(bytes),
            AnswerBody::Stream(stream) => Body::from_stream(stream),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
