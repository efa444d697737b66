//! The end of an answer: when its last byte was given to the connection.

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// What is called at the end.
type Ended = Box<dyn FnOnce() + Send>;

/// The response, and `ended` once its body was taken to its end. It is dropped uncalled if the caller leaves before.
pub(super) fn to_its_end(response: Response, ended: impl FnOnce() + Send + 'static) -> Response {
    let (parts, body) = response.into_parts();
    if body.is_end_stream() {
        ended();
        return Response::from_parts(parts, body);
    }
    Response::from_parts(parts, Body::new(Watched { body, ended: Some(Box::new(ended)) }))
}

struct Watched {
    body: Body,
    ended: Option<Ended>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        // Of a body of a known length, nothing is asked after its last part.
        let is_end = matches!(polled, Poll::Ready(None)) || (polled.is_ready() && self.body.is_end_stream());
        if is_end && let Some(ended) = self.ended.take() {
            ended();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
