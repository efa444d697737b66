//! Waits in which a caller may take its time, and how they are ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::shutdown::Shutdown;

/// What a connection holds while its caller takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rest {
    /// No session: none has begun, or the last one is over.
    Idle,
    /// A prepared session.
    Prepared,
}

/// Why a wait ended before the caller said anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interrupted {
    /// The service stops.
    Stopping,
    /// The service is full, and this connection gave its place to another client.
    GaveWay,
}

/// What a connection does, for those who look for one to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Busy,
    Resting(Rest, Instant),
    GaveWay,
}

/// A state, shared by a connection's thread and its service.
#[derive(Clone, Debug)]
pub(super) struct SharedState(Arc<Mutex<State>>);

impl SharedState {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State::Busy)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a connection whose caller may take its time before it says more. A service that stops ends such a wait at
/// once, where it gives a session that runs its grace; a service that is full may end it for another client.
#[derive(Clone, Debug)]
pub struct Resting {
    state: SharedState,
    shutdown: Shutdown,
}

impl Resting {
    pub(super) fn new(state: SharedState, shutdown: Shutdown) -> Self {
        Self { state, shutdown }
    }

    /// Waits by reading from the connection.
    ///
    /// # Errors
    /// The service ended the wait; what was read meanwhile is dropped.
    pub fn wait<T, E>(&self, rest: Rest, read: impl FnOnce() -> Result<T, E>) -> Result<Result<T, E>, Interrupted> {
        // Marked before the look at the flag: a stop comes before the look, or ends what it finds marked.
        {
            let mut state = self.state.lock();
            if *state == State::GaveWay {
                return Err(Interrupted::GaveWay);
            }
            *state = State::Resting(rest, Instant::now());
        }
        if self.shutdown.is_set() {
            return Err(Interrupted::Stopping);
        }
        let result = read();
        let mut state = self.state.lock();
        if *state == State::GaveWay {
            return Err(Interrupted::GaveWay);
        }
        *state = State::Busy;
        if result.is_err() && self.shutdown.is_set() { Err(Interrupted::Stopping) } else { Ok(result) }
    }
}
