//! Waits during which a connection is idle, and how they are ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::shutdown::Shutdown;

/// What an idle connection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rest {
    /// No session: none has begun, or the last one has ended.
    Idle,
    /// A prepared session.
    Prepared,
}

/// Why a wait ended before the caller sent anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interrupted {
    /// The service is stopping.
    Stopping,
    /// The service is full, and the place of this connection was given to another client.
    PlaceLost,
}

/// The state of a connection, by which the service chooses one to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Busy,
    Resting(Rest, Instant),
    PlaceLost,
}

/// A state that a connection's thread shares with its service.
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

/// Marks the waits during which a connection is idle. A service that stops ends such a wait at once, whereas running
/// sessions have a grace period. A service that is full may end it for another client.
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
    /// If the service ended the wait. What was read meanwhile is dropped.
    pub fn wait<T, E>(&self, rest: Rest, read: impl FnOnce() -> Result<T, E>) -> Result<Result<T, E>, Interrupted> {
        // Marked before the flag is checked: a stop is either seen by the check, or it ends the marked wait.
        {
            let mut state = self.state.lock();
            if *state == State::PlaceLost {
                return Err(Interrupted::PlaceLost);
            }
            *state = State::Resting(rest, Instant::now());
        }
        if self.shutdown.is_set() {
            return Err(Interrupted::Stopping);
        }
        let result = read();
        let mut state = self.state.lock();
        if *state == State::PlaceLost {
            return Err(Interrupted::PlaceLost);
        }
        *state = State::Busy;
        if result.is_err() && self.shutdown.is_set() { Err(Interrupted::Stopping) } else { Ok(result) }
    }
}
