//! The bytes of a provider's answer, whole or event by event.

use super::failure::Reason;
use axum::body::Bytes;
use blindroute_dialects::sse::{Event, Parser};
use futures_util::{Stream, StreamExt as _};
use reqwest::Response;
use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The events of a stream.
pub(super) struct Source {
    chunks: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>,
    /// Nothing once the stream is over.
    parser: Option<Parser>,
    events: VecDeque<Event>,
}

impl Source {
    pub(super) fn new(response: Response) -> Self {
        let chunks = Box::pin(response.bytes_stream());
        Self { chunks, parser: Some(Parser::default()), events: VecDeque::new() }
    }

    /// The next event; nothing at the end. Nothing is lost if the wait for it is given up.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Reason> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let Some(parser) = &mut self.parser else { return Ok(None) };
            match self.chunks.next().await {
                Some(Ok(bytes)) => {
                    let mut events = Vec::new();
                    parser.push(&bytes, &mut events).map_err(|_| Reason::Body)?;
                    self.events.extend(events);
                }
                Some(Err(_)) => {
                    self.parser = None;
                    return Err(Reason::Transport);
                }
                None => {
                    let rest = self.parser.take().map(Parser::finish);
                    self.events.extend(rest.transpose().map_err(|_| Reason::Body)?.flatten());
                }
            }
        }
    }
}

/// Reads a whole body of at most `limit` bytes. It has `total_at` for all of it, and `idle` between its parts.
pub(super) async fn whole(
    response: Response,
    limit: usize,
    idle: Duration,
    total: (Instant, Duration),
) -> Result<Vec<u8>, Reason> {
    let mut body = Vec::new();
    if response.content_length().is_some_and(|size| size > limit as u64) {
        return Err(Reason::TooLarge { limit });
    }
    let mut chunks = response.bytes_stream();
    loop {
        let silent_at = Instant::now() + idle;
        let chunk = timeout_at(silent_at.min(total.0), chunks.next()).await;
        match chunk.map_err(|_| if silent_at < total.0 { Reason::Idle(idle) } else { Reason::Total(total.1) })? {
            Some(Ok(bytes)) if bytes.len() > limit - body.len() => return Err(Reason::TooLarge { limit }),
            Some(Ok(bytes)) => body.extend_from_slice(&bytes),
            Some(Err(_)) => return Err(Reason::Transport),
            None => return Ok(body),
        }
    }
}
