//! A pool of sessions that are prepared in advance, so that an answer takes only its online time.
//!
//! A session pool keeps a number of ready sessions for each request that it is told to keep. Its own threads prepare
//! them: by default one at a time, so that preparing takes no more of the servers' cores from running routes than one
//! session does. Each ready session holds its material in the memory of both servers and takes one of their
//! `max_sessions`. Nothing is used twice: the id of a session is in all ledgers from its beginning, so a session that
//! is never used is consumed too.

mod filler;
mod shelf;

use crate::session::{
    Bounds, Cancel, Catalogue, Client, ReadySession, Retry, SessionError, SessionOutcome, Waiting, once, run_within,
};
use blindroute_protocol::Tensor;
use shelf::{Next, Shelf};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a caller that waits for a session of the pool looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(20);

/// How a session pool prepares its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPoolOptions {
    /// How many sessions the pool's threads prepare at once, at least 1 (1: see the module's documentation).
    pub fillers: usize,
    /// The pause after a failure. It doubles after each further failure (0.5 s: a server restarts within seconds).
    pub backoff: Duration,
    /// The longest pause between tries (30 s).
    pub backoff_limit: Duration,
}

impl Default for SessionPoolOptions {
    fn default() -> Self {
        Self { fillers: 1, backoff: Duration::from_millis(500), backoff_limit: Duration::from_secs(30) }
    }
}

/// What a session pool has done for one request so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPoolStatus {
    /// How many sessions to keep ready.
    pub wanted: usize,
    /// Sessions that are ready.
    pub ready: usize,
    /// Sessions that the pool's threads are preparing.
    pub filling: usize,
    /// Sessions that the pool's threads have prepared.
    pub filled: u64,
    /// The sum of the times that preparing these took.
    pub filling_time: Duration,
    /// Ready sessions that were given to callers.
    pub taken: u64,
    /// Sessions dropped unused: too old, given up by a server, or no longer wanted.
    pub discarded: u64,
    /// Why the last try failed, if it did. The pool tries again later.
    pub failure: Option<String>,
    /// Whether sessions of this request cannot rest, so that none is kept ready.
    pub refused: bool,
}

/// Ready sessions for the requests of one client. Dropping it ends its threads.
pub struct SessionPool<C: Catalogue> {
    shared: Arc<Shared<C>>,
}

/// What a session pool and its threads share.
struct Shared<C> {
    client: Client<C>,
    options: SessionPoolOptions,
    state: Mutex<State>,
    changed: Condvar,
    /// One per thread.
    cancels: Vec<Cancel>,
}

#[derive(Default)]
struct State {
    shelves: BTreeMap<Vec<u8>, Shelf>,
    paused: bool,
    ended: bool,
}

impl<C> Shared<C> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Catalogue> std::fmt::Debug for SessionPool<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SessionPool of {:?}", self.shared.client)
    }
}

impl<C: Catalogue> SessionPool<C> {
    /// An empty session pool, which keeps nothing yet.
    ///
    /// # Errors
    /// If the operating system does not start a thread.
    pub fn new(client: Client<C>, options: SessionPoolOptions) -> Result<Self, SessionError> {
        let cancels = (0..options.fillers.max(1)).map(|_| Cancel::default()).collect();
        let (state, changed) = (Mutex::default(), Condvar::new());
        let pool = Self { shared: Arc::new(Shared { client, options, state, changed, cancels }) };
        for index in 0..pool.shared.cancels.len() {
            let shared = Arc::clone(&pool.shared);
            let fill = move || filler::run(&shared, index);
            std::thread::Builder::new().name("session-pool".into()).spawn(fill).map_err(SessionError::Thread)?;
        }
        Ok(pool)
    }

    /// Keeps up to `count` sessions of this request ready from now on. With 0, those that are ready are dropped.
    pub fn keep(&self, request: &[u8], count: usize) {
        let mut state = self.shared.lock();
        let shelf = state.shelves.entry(request.to_vec()).or_default();
        shelf.keep(count);
        let surplus = shelf.sweep();
        drop(state);
        self.shared.changed.notify_all();
        // Closing a session writes to the network, so it is not done under the lock.
        drop(surplus);
    }

    /// Pauses the pool's threads, or lets them continue. Ready sessions can still be taken meanwhile, and are not
    /// replaced.
    pub fn pause(&self, paused: bool) {
        self.shared.lock().paused = paused;
        self.shared.changed.notify_all();
    }

    /// What the session pool has done for a request so far.
    #[must_use]
    pub fn status(&self, request: &[u8]) -> SessionPoolStatus {
        self.shared.lock().shelves.get(request).map(Shelf::status).unwrap_or_default()
    }

    /// Waits up to `limit` until all wanted sessions of a request are ready. Returns whether they are. Ends early if
    /// sessions of this request cannot rest.
    #[must_use]
    pub fn wait_full(&self, request: &[u8], limit: Duration) -> bool {
        let full = |state: &mut State| state.shelves.get(request).is_some_and(Shelf::is_full);
        let refused = |state: &mut State| state.shelves.get(request).is_some_and(|shelf| shelf.status().refused);
        let state = self.shared.lock();
        let waiting = |state: &mut State| !full(state) && !refused(state);
        let (mut state, _) =
            self.shared.changed.wait_timeout_while(state, limit, waiting).unwrap_or_else(PoisonError::into_inner);
        full(&mut state)
    }

    /// A ready session: at once if the pool has one; otherwise one that a thread of the pool is preparing, if no other
    /// caller waits for it; otherwise one that this thread prepares now.
    ///
    /// # Errors
    /// If this thread has to prepare a session, and that fails.
    pub fn take(&self, request: &[u8]) -> Result<ReadySession, SessionError> {
        self.shelved(request, &Cancel::default()).map_or_else(|| self.shared.client.prepare(request), Ok)
    }

    /// A ready session, if there is one or comes before it is cancelled.
    fn shelved(&self, request: &[u8], cancel: &Cancel) -> Option<ReadySession> {
        let mut state = self.shared.lock();
        let mut waiting = false;
        loop {
            let next = state.shelves.get_mut(request)?.next(&mut waiting);
            match next {
                Next::Dead(session) => {
                    drop(state);
                    drop(session);
                    state = self.shared.lock();
                }
                Next::Wait => {
                    // Bounded by the timeouts of the preparing thread, which wakes the waiting callers also when it
                    // fails.
                    state = self.shared.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
                    if cancel.is_cancelled() {
                        state.shelves.get_mut(request)?.leave();
                        return None;
                    }
                }
                Next::Session(session) => {
                    drop(state);
                    self.shared.changed.notify_all();
                    return Some(session);
                }
                Next::None => return None,
            }
        }
    }

    /// Runs inputs in a ready session.
    ///
    /// If that session no longer exists, for instance after a server's restart, the inputs run once more in a session
    /// that is prepared for them. This is safe, because the inputs are shared anew. Server 0 sees two uniformly random
    /// seeds, server 1 sees the inputs minus two independent random streams, and everything that the servers opened was
    /// under the masks of different sessions.
    ///
    /// # Errors
    /// If a party fails in another way, or the inputs do not fit the request's program.
    pub fn run(&self, request: &[u8], inputs: &[Tensor<f32>]) -> Result<SessionOutcome, SessionError> {
        self.run_retrying(request, inputs, &Retry::NEVER, &|_| false)
    }

    /// As [`SessionPool::run`] and [`Client::run_retrying`]. If the servers are full because of ready sessions of other
    /// requests, one of these is given up.
    ///
    /// # Errors
    /// As for these two functions.
    pub fn run_retrying(
        &self,
        request: &[u8],
        inputs: &[Tensor<f32>],
        retry: &Retry,
        go_on: &dyn Fn(&Waiting<'_>) -> bool,
    ) -> Result<SessionOutcome, SessionError> {
        self.run_cancellable((request, inputs), retry, go_on, &Cancel::default())
    }

    /// As [`SessionPool::run_retrying`] and [`Client::run_cancellable`].
    ///
    /// # Errors
    /// As for these two functions.
    pub fn run_cancellable(
        &self,
        (request, inputs): (&[u8], &[Tensor<f32>]),
        retry: &Retry,
        go_on: &dyn Fn(&Waiting<'_>) -> bool,
        cancel: &Cancel,
    ) -> Result<SessionOutcome, SessionError> {
        let (ready, relieve) = (|| self.shelved(request, cancel), || self.give_up_one(request));
        run_within(&self.shared.client, (request, inputs), &Bounds { retry, go_on, cancel }, &ready, &relieve)
    }

    /// As [`SessionPool::take`], but in turn with other callers, as [`Client::prepare_in_turn`]. Also says how long it waited.
    ///
    /// # Errors
    /// As for [`SessionPool::take`].
    pub fn take_in_turn(
        &self,
        request: &[u8],
        retry: &Retry,
        cancel: &Cancel,
    ) -> Result<(ReadySession, Duration), SessionError> {
        let (ready, relieve) = (|| self.shelved(request, cancel), || self.give_up_one(request));
        once(&self.shared.client, request, (retry, cancel), &ready, &relieve)
    }

    /// Drops the oldest ready session of the request that has the most of them, except this one.
    fn give_up_one(&self, request: &[u8]) {
        let mut state = self.shared.lock();
        let others = state.shelves.iter_mut().filter(|(other, _)| other.as_slice() != request);
        let most = others.max_by_key(|(_, shelf)| shelf.status().ready);
        let session = most.and_then(|(_, shelf)| shelf.give_up_one(&self.shared.options));
        drop(state);
        drop(session);
    }
}

impl<C: Catalogue> Drop for SessionPool<C> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.ended = true;
        let shelves = std::mem::take(&mut state.shelves);
        drop(state);
        self.shared.changed.notify_all();
        // A thread that prepares a session is not waited for. It ends as soon as its links are closed or the connection
        // that it is making fails.
        self.shared.cancels.iter().for_each(Cancel::cancel);
        drop(shelves);
    }
}
