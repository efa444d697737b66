//! The end of a stream that its caller does not read.
//!
//! A stream's own times are looked at when it is polled, and a connection whose other side does not read polls it no more. A task
//! beside it therefore breaks the call off: when nothing was taken for as long as the stream may be silent, or when all of it is due.

use axum::body::Bytes;
use futures_util::Stream;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// A stream that is polled says itself that its time is over. It has so long for that.
const GRACE: Duration = Duration::from_secs(1);

/// The caller did not read on, so the rest of the answer is lost. As the error of a body it closes the connection without a proper end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the answer was not read in time, so the call was broken off; read faster, or raise timeouts.idle and timeouts.total"
)]
pub struct Unread;

/// How long a stream may wait for its caller.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Between two of its items.
    pub(super) idle: Duration,
    /// For all of it.
    pub(super) total: Instant,
}

type Events = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// A stream with its end, whoever reads it.
pub(super) struct Watched {
    state: Arc<Mutex<State>>,
    watch: AbortHandle,
}

struct State {
    /// Nothing once it is over.
    events: Option<Events>,
    /// When it was last asked for an item.
    asked: Instant,
    /// Whether it was asked and had none: then its own times hold.
    waits: bool,
    was_broken_off: bool,
    /// Of whoever asked last.
    waker: Option<Waker>,
}

impl State {
    /// When the call is broken off if nothing is read until then.
    fn due(&self, limits: &Limits) -> Instant {
        if self.waits { limits.total + GRACE } else { limits.total.min(self.asked + limits.idle) }
    }
}

impl Watched {
    /// Watches a stream. There has to be a runtime.
    pub(super) fn new(events: Events, limits: Limits) -> Self {
        let state =
            State { events: Some(events), asked: Instant::now(), waits: false, was_broken_off: false, waker: None };
        let state = Arc::new(Mutex::new(state));
        let watch = tokio::spawn(watch(Arc::clone(&state), limits)).abort_handle();
        Self { state, watch }
    }

    /// The next item, an error if the call was broken off, and nothing at the end.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Unread>>> {
        let mut state = lock(&self.state);
        if std::mem::take(&mut state.was_broken_off) {
            return Poll::Ready(Some(Err(Unread)));
        }
        let Some(events) = &mut state.events else { return Poll::Ready(None) };
        let polled = events.as_mut().poll_next(context);
        (state.asked, state.waits) = (Instant::now(), polled.is_pending());
        state.waker = Some(context.waker().clone());
        if matches!(polled, Poll::Ready(None)) {
            state.events = None;
        }
        polled.map(|item| item.map(Ok))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.abort();
        // The task may hold the state for a moment longer; the call ends now.
        lock(&self.state).events = None;
    }
}

async fn watch(state: Arc<Mutex<State>>, limits: Limits) {
    loop {
        let due = {
            let mut state = lock(&state);
            let due = state.due(&limits);
            if state.events.is_none() {
                return;
            }
            if due <= Instant::now() {
                (state.events, state.was_broken_off) = (None, true);
                tracing::warn!(target: "blindroute_gateway::call", "{Unread}");
                if let Some(waker) = state.waker.take() {
                    waker.wake();
                }
                return;
            }
            due
        };
        // While it waits it may get an item that then lies unread.
        sleep_until(due.min(Instant::now() + limits.idle)).await;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
