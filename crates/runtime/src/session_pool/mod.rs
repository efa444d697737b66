//! Sessions prepared in advance, so that the wait for an answer is its online time.
//!
//! A pool keeps up to a number of ready sessions of each request that it was told to keep, and threads of its own fill it:
//! one at a time by default, so that filling takes no more of the servers' cores from running routes than one session. What
//! it holds costs each server the session's material in memory, and one of its `max_sessions`. Nothing is ever used twice:
//! a session's id is in all ledgers from its beginning, so one that is never used is burnt too.

mod filler;
mod shelf;

use crate::session::{
    Cancel, Catalogue, Client, ReadySession, Retry, SessionError, SessionOutcome, Waiting, run_retrying,
};
use blindroute_protocol::Tensor;
use shelf::{Next, Shelf};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a pool fills itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPoolOptions {
    /// Sessions being prepared at once by the pool's own threads, at least 1 (1: see the module).
    pub fillers: usize,
    /// After a failure the next try waits this long, then twice as long each time (0.5 s: a server that restarts is back
    /// within seconds).
    pub backoff: Duration,
    /// The longest wait between tries (30 s).
    pub backoff_limit: Duration,
}

impl Default for SessionPoolOptions {
    fn default() -> Self {
        Self { fillers: 1, backoff: Duration::from_millis(500), backoff_limit: Duration::from_secs(30) }
    }
}

/// What a pool did for one request so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPoolStatus {
    /// Sessions to keep ready.
    pub wanted: usize,
    /// Sessions that are.
    pub ready: usize,
    /// Sessions being prepared by the pool's threads.
    pub filling: usize,
    /// Sessions that the pool's threads prepared.
    pub filled: u64,
    /// What preparing these took, one after the other.
    pub filling_time: Duration,
    /// Ready sessions that were given out.
    pub taken: u64,
    /// Sessions dropped unused: too old, given up by a server, or wanted no longer.
    pub discarded: u64,
    /// Why the last try failed, if it did: the pool tries again later.
    pub failure: Option<String>,
    /// Whether the request's sessions cannot wait for their inputs, so that none is kept.
    pub refused: bool,
}

/// Ready sessions of one client's requests. Ends its threads when dropped.
pub struct SessionPool<C: Catalogue> {
    shared: Arc<Shared<C>>,
}

/// What the pool and its threads share.
struct Shared<C> {
    client: Client<C>,
    options: SessionPoolOptions,
    state: Mutex<State>,
    changed: Condvar,
    /// One a thread.
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
    /// An empty pool, which keeps nothing yet.
    ///
    /// # Errors
    /// The system would not start a thread.
    pub fn new(client: Client<C>, options: SessionPoolOptions) -> Result<Self, SessionError> {
        let cancels = (0..options.fillers.max(1)).map(|_| Cancel::default()).collect();
        let (state, changed) = (Mutex::default(), Condvar::new());
        let pool = Self { shared: Arc::new(Shared { client, options, state, changed, cancels }) };
        for index in 0..pool.shared.cancels.len() {
            let shared = Arc::clone(&pool.shared);
            let fill = move || filler::run(&shared, index);
            std::thread::Builder::new().name("pool".into()).spawn(fill).map_err(SessionError::Thread)?;
        }
        Ok(pool)
    }

    /// Keeps up to `count` sessions of this request ready from now on; with 0 those that are ready are dropped.
    pub fn keep(&self, request: &[u8], count: usize) {
        let mut state = self.shared.lock();
        let shelf = state.shelves.entry(request.to_vec()).or_default();
        shelf.keep(count);
        let surplus = shelf.sweep();
        drop(state);
        self.shared.changed.notify_all();
        // Closing a session writes to the network: not under the lock.
        drop(surplus);
    }

    /// Whether the pool's threads rest (false at first). What is ready can still be taken, and is not replaced.
    pub fn pause(&self, paused: bool) {
        self.shared.lock().paused = paused;
        self.shared.changed.notify_all();
    }

    /// What the pool did for a request so far.
    #[must_use]
    pub fn status(&self, request: &[u8]) -> SessionPoolStatus {
        self.shared.lock().shelves.get(request).map(Shelf::status).unwrap_or_default()
    }

    /// Waits until all that are wanted of a request are ready, up to `limit`; says whether they are. Ends early if its
    /// sessions cannot rest.
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

    /// A ready session: at once if the pool has one; the one that is being filled in, if no other caller waits for it; or
    /// one prepared now, by this thread.
    ///
    /// # Errors
    /// If a session has to be prepared, and that fails.
    pub fn take(&self, request: &[u8]) -> Result<ReadySession, SessionError> {
        self.shelved(request).map_or_else(|| self.shared.client.prepare(request), Ok)
    }

    fn shelved(&self, request: &[u8]) -> Option<ReadySession> {
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
                    // Bounded by the filling thread's own timeouts; it wakes who waits, also when it fails.
                    state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
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
    /// If that session turns out to be dead, as after a server's restart, the inputs run in another that is prepared for
    /// them, once. This is safe: they are shared afresh, so what either server saw of the two sharings is a uniformly random
    /// seed twice (server 0), or the inputs less two independent streams (server 1), and all that the servers opened was under
    /// the masks of different sessions.
    ///
    /// # Errors
    /// If a party fails otherwise, or the inputs do not fit the request's program.
    pub fn run(&self, request: &[u8], inputs: &[Tensor<f32>]) -> Result<SessionOutcome, SessionError> {
        self.run_retrying(request, inputs, &Retry::NEVER, &|_| false)
    }

    /// As [`SessionPool::run`] and [`Client::run_retrying`]. Where the servers are full of ready sessions of other requests, one of
    /// these gives way.
    ///
    /// # Errors
    /// As theirs.
    pub fn run_retrying(
        &self,
        request: &[u8],
        inputs: &[Tensor<f32>],
        retry: &Retry,
        go_on: &dyn Fn(&Waiting<'_>) -> bool,
    ) -> Result<SessionOutcome, SessionError> {
        let (ready, relieve) = (|| self.shelved(request), || self.give_way(request));
        run_retrying(&self.shared.client, (request, inputs), retry, go_on, &ready, &relieve)
    }

    /// Drops the oldest ready session of the request, other than this one, that has most of them.
    fn give_way(&self, request: &[u8]) {
        let mut state = self.shared.lock();
        let others = state.shelves.iter_mut().filter(|(other, _)| other.as_slice() != request);
        let most = others.max_by_key(|(_, shelf)| shelf.status().ready);
        let session = most.and_then(|(_, shelf)| shelf.give_way(&self.shared.options));
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
        // A thread that prepares a session is not waited for: it ends as soon as its links are cut, or the connection that
        // it is making fails, and owns nothing that outlives it.
        self.shared.cancels.iter().for_each(Cancel::cancel);
        drop(shelves);
    }
}
