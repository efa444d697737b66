//! Cancelling a session from another thread, or after some time.
//!
//! A session that is cancelled before its answer is consumed: its id is in the servers' ledgers, its links are closed, and it is
//! never used again. Everything that a caller waits for looks at its [`Cancel`]: waits on a socket end because the socket is shut
//! down, all others look every few milliseconds.

use super::SessionError;
use crate::link::Link;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How often waits that are not on a socket look.
const LOOK: Duration = Duration::from_millis(10);

/// Cancels what is asked for with it: at once by [`Cancel::cancel`], or by itself once its time is up. Clones cancel the same; the
/// default has no time.
///
/// ```
/// use blindroute_runtime::Cancel;
/// use std::time::Duration;
///
/// let cancel = Cancel::after(Duration::from_secs(2));
/// let handle = cancel.clone();
/// assert!(!cancel.is_cancelled());
/// handle.cancel();
/// assert!(cancel.is_cancelled());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// When the time is up.
    until: Option<Instant>,
    state: Mutex<State>,
    /// Notified when something was cancelled, or is watched no longer.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    cancelled: bool,
    /// The sockets of sessions, by the number of their watch.
    watched: Vec<(u64, [TcpStream; 2])>,
    watches: u64,
}

impl State {
    fn cancel(&mut self) {
        self.cancelled = true;
        for socket in self.watched.drain(..).flat_map(|(_, sockets)| sockets) {
            // It may already be closed.
            socket.shutdown(std::net::Shutdown::Both).ok();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cancel {
    /// Cancels by itself after this time, counted from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        // A time that no clock reaches is none.
        let until = Instant::now().checked_add(time);
        Self(Arc::new(Shared { until, ..Shared::default() }))
    }

    /// Cancels what is running, and all that is asked for with this or a clone from now on.
    pub fn cancel(&self) {
        self.0.lock().cancel();
        self.0.changed.notify_all();
    }

    /// Whether it was cancelled, or its time is up.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.until.is_some_and(|until| Instant::now() >= until) || self.0.lock().cancelled
    }

    /// Nothing, as long as nothing was cancelled.
    ///
    /// # Errors
    /// [`SessionError::Cancelled`].
    pub fn check(&self) -> Result<(), SessionError> {
        if self.is_cancelled() { Err(SessionError::Cancelled) } else { Ok(()) }
    }

    /// Waits for this time.
    ///
    /// # Errors
    /// [`SessionError::Cancelled`], as soon as it is cancelled.
    pub fn sleep(&self, time: Duration) -> Result<(), SessionError> {
        let until = Instant::now() + time;
        loop {
            self.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    /// The error of what was cancelled, whatever failed because of that.
    pub(super) fn explains<T>(&self, result: Result<T, SessionError>) -> Result<T, SessionError> {
        result.map_err(|error| if self.is_cancelled() { SessionError::Cancelled } else { error })
    }

    /// Waits for what another thread sends. `None` if it ended without sending anything.
    pub(super) fn receive<T>(&self, from: &Receiver<T>) -> Result<Option<T>, SessionError> {
        loop {
            match from.recv_timeout(LOOK) {
                Ok(sent) => return Ok(Some(sent)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => self.check()?,
            }
        }
    }

    /// Locks, waiting as long as nothing is cancelled.
    pub(super) fn lock<'a, T>(&self, mutex: &'a Mutex<T>) -> Result<MutexGuard<'a, T>, SessionError> {
        loop {
            match mutex.try_lock() {
                Ok(guard) => return Ok(guard),
                Err(std::sync::TryLockError::Poisoned(guard)) => return Ok(guard.into_inner()),
                Err(std::sync::TryLockError::WouldBlock) => self.sleep(LOOK)?,
            }
        }
    }

    /// Watches the links of a session until the result is dropped: they are shut down when it is cancelled.
    pub(super) fn watch(&self, links: &[Link; 2]) -> Result<Watch, SessionError> {
        let sockets = [links[0].socket()?, links[1].socket()?];
        self.check()?;
        let mut state = self.0.lock();
        if state.cancelled {
            return Err(SessionError::Cancelled);
        }
        state.watches += 1;
        let number = state.watches;
        state.watched.push((number, sockets));
        drop(state);
        let watch = Watch { of: Arc::clone(&self.0), number };
        if let Some(until) = self.0.until {
            let shared = Arc::downgrade(&self.0);
            let wait = move || wait_until(&shared, number, until);
            std::thread::Builder::new().name("deadline".into()).spawn(wait).map_err(SessionError::Thread)?;
        }
        Ok(watch)
    }
}

/// Cancels when the time is up, if the session of this number is still watched by then.
fn wait_until(shared: &Weak<Shared>, number: u64, until: Instant) {
    let Some(shared) = shared.upgrade() else { return };
    let left = until.saturating_duration_since(Instant::now());
    let running = |state: &mut State| state.watched.iter().any(|(watched, _)| *watched == number);
    let waited = shared.changed.wait_timeout_while(shared.lock(), left, running);
    let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
    if running(&mut state) {
        state.cancel();
        drop(state);
        shared.changed.notify_all();
    }
}

/// A session that is watched until this is dropped: it is ready, has its answer, or has failed.
#[derive(Debug)]
pub(super) struct Watch {
    of: Arc<Shared>,
    number: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.of.lock().watched.retain(|(number, _)| *number != self.number);
        self.of.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const SOON: Duration = Duration::from_millis(30);
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn every_wait_ends_when_it_is_cancelled_or_its_time_is_up() {
        let held = Mutex::new(());
        let guard = held.lock();
        let (_send, received) = mpsc::channel::<()>();
        let waits: [&dyn Fn(&Cancel) -> bool; 3] =
            [&|cancel| cancel.sleep(LONG).is_err(), &|cancel| cancel.receive(&received).is_err(), &|cancel| {
                cancel.lock(&held).is_err()
            }];
        for wait in waits {
            let (started, cancel) = (Instant::now(), Cancel::after(SOON));
            assert!(wait(&cancel) && cancel.is_cancelled());
            assert!((SOON..LONG / 2).contains(&started.elapsed()), "{:?}", started.elapsed());
            let (started, cancel) = (Instant::now(), Cancel::default());
            std::thread::scope(|scope| {
                let handle = cancel.clone();
                scope.spawn(move || {
                    std::thread::sleep(SOON);
                    handle.cancel();
                });
                assert!(wait(&cancel));
            });
            assert!(started.elapsed() < LONG / 2);
        }
        drop(guard);
        let cancel = Cancel::after(Duration::MAX);
        assert!(cancel.sleep(SOON).is_ok() && cancel.lock(&held).is_ok() && !cancel.is_cancelled());
        let failed = || Err::<(), _>(SessionError::Unused);
        assert!(matches!(cancel.explains(failed()), Err(SessionError::Unused)));
        cancel.cancel();
        assert!(matches!(cancel.explains(failed()), Err(SessionError::Cancelled)));
    }
}
