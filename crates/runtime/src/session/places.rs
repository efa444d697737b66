//! How many sessions the servers accept from one client at once, as far as the client has found out.
//!
//! Servers refuse sessions beyond their limit and do not say what the limit is. So a client counts the sessions that it
//! prepares, runs and keeps ready. It begins with a small limit, and when all allowed sessions are in use it tries one
//! more at a time. A refusal sets the limit to the number of sessions held at that moment. The client tries beyond it
//! again after a pause, which doubles with each failure.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The limit before anything is known: the servers' default.
const FIRST: usize = 8;
/// The pause between a refusal and the next try beyond the limit.
const PROBE: Duration = Duration::from_secs(5);
/// The longest such pause.
const LONGEST_PROBE: Duration = Duration::from_secs(300);

#[derive(Debug)]
struct State {
    held: usize,
    limit: usize,
    /// Callers that wait for a place. A session pool takes none while there are any.
    waiting: usize,
    /// When the limit last grew. Sessions that began earlier say nothing about the new limit.
    raised: Option<Instant>,
    /// The limit does not grow before this time.
    rest: Option<Instant>,
    probe: Duration,
    /// Whether the servers have refused a session. Until then the limit is a guess.
    known: bool,
    /// How many sessions became ready, plus how many of these have ended.
    moved: u64,
    /// Whether preparing has failed since the last session that became ready.
    away: bool,
}

/// The places of one client.
#[derive(Debug)]
pub(crate) struct SessionPlaces {
    state: Mutex<State>,
    changed: Condvar,
}

impl Default for SessionPlaces {
    fn default() -> Self {
        let (raised, rest) = (None, None);
        let state = State {
            held: 0,
            limit: FIRST,
            waiting: 0,
            raised,
            rest,
            probe: PROBE,
            known: false,
            moved: 0,
            away: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }
}

/// The place of one session. Dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct SessionPlace {
    places: Arc<SessionPlaces>,
    taken: Instant,
    was_ready: bool,
}

impl Drop for SessionPlace {
    fn drop(&mut self) {
        let mut state = self.places.lock();
        state.held -= 1;
        state.moved += u64::from(self.was_ready);
        drop(state);
        self.places.changed.notify_all();
    }
}

impl SessionPlaces {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a limit that the caller knows.
    pub(crate) fn allow(&self, limit: usize) {
        self.lock().limit = limit.max(1);
    }

    /// Takes a place regardless of the limit: the servers decide.
    pub(crate) fn take(self: &Arc<Self>) -> SessionPlace {
        self.lock().held += 1;
        SessionPlace::new(self)
    }

    /// Takes a place within the limit, waiting for it up to `patience`.
    pub(crate) fn enter(self: &Arc<Self>, patience: Duration) -> Option<SessionPlace> {
        let mut state = self.lock();
        state.waiting += 1;
        let full = |state: &mut State| state.held >= state.limit;
        let (mut state, _) =
            self.changed.wait_timeout_while(state, patience, full).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        if full(&mut state) {
            return None;
        }
        state.held += 1;
        drop(state);
        Some(SessionPlace::new(self))
    }

    /// Takes a place for a session that is to rest, if no caller needs it. One place stays free for the next caller.
    pub(crate) fn spare(self: &Arc<Self>) -> Option<SessionPlace> {
        let mut state = self.lock();
        // A session pool has its own bound and asks for one place at a time, so the initial guess does not restrict it.
        let full = state.known && state.held + 1 >= state.limit;
        if state.waiting > 0 || full {
            return None;
        }
        state.held += 1;
        drop(state);
        Some(SessionPlace::new(self))
    }

    /// How many sessions became ready so far, plus how many of these have ended.
    pub(crate) fn moved(&self) -> u64 {
        self.lock().moved
    }

    /// Records that a session could not be prepared. Returns whether this is the first failure since the last success.
    pub(crate) fn failed(&self) -> bool {
        !std::mem::replace(&mut self.lock().away, true)
    }
}

impl SessionPlace {
    /// A place that was already counted.
    fn new(places: &Arc<SessionPlaces>) -> Self {
        Self { places: Arc::clone(places), taken: Instant::now(), was_ready: false }
    }

    /// Records that the session is ready.
    pub(crate) fn ready(&mut self) {
        self.was_ready = true;
        let now = Instant::now();
        let mut state = self.places.lock();
        state.moved += 1;
        let back = std::mem::take(&mut state.away);
        if !state.known {
            // A session pool may already hold more than the guess.
            state.limit = state.limit.max(state.held);
        }
        let tried = state.raised.is_none_or(|raised| self.taken >= raised);
        let rested = state.rest.is_none_or(|rest| now >= rest);
        let grown = state.held >= state.limit && tried && rested;
        if grown {
            state.limit += 1;
            state.raised = Some(now);
        }
        drop(state);
        if grown {
            self.places.changed.notify_all();
        }
        if back {
            tracing::info!("sessions can be prepared again");
        }
    }

    /// Records that the servers refused the session because they are full.
    pub(crate) fn refused(self) {
        let mut state = self.places.lock();
        let limit = state.limit.min(state.held.saturating_sub(1)).max(1);
        if limit < state.limit || !state.known {
            tracing::info!(limit, "the servers are at their limit of sessions; this client keeps to it from now on");
        }
        state.limit = limit;
        state.known = true;
        state.rest = Some(Instant::now() + state.probe);
        state.probe = (2 * state.probe).min(LONGEST_PROBE);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn a_refusal_sets_the_limit_and_one_place_stays_free_for_callers() {
        let places = Arc::new(SessionPlaces::default());
        let mut held: Vec<_> = (0..FIRST).map(|_| places.enter(NOW).unwrap()).collect();
        assert!(places.enter(NOW).is_none());
        // A session became ready while all places were in use: one more may be tried, and a second one when that one is
        // ready.
        held[0].ready();
        held[1].ready();
        let mut ninth = places.enter(NOW).unwrap();
        assert!(places.enter(NOW).is_none());
        ninth.ready();
        let tenth = places.enter(NOW).unwrap();
        tenth.refused();
        assert_eq!(places.lock().limit, FIRST + 1);
        // The limit is known now: it does not grow for a while, and a session pool leaves one place free.
        held[2].ready();
        assert!(places.enter(NOW).is_none() && places.spare().is_none());
        held.truncate(FIRST - 2);
        assert!(places.spare().is_some());
        drop(ninth);
        held.push(places.enter(NOW).unwrap());
        held.push(places.enter(NOW).unwrap());
        assert!(places.spare().is_none());
        // The limit never becomes zero.
        held.clear();
        for _ in 0..3 {
            places.take().refused();
        }
        assert_eq!(places.lock().limit, 1);
    }

    #[test]
    fn a_waiting_caller_gets_the_next_free_place_before_a_session_pool() {
        let places = Arc::new(SessionPlaces::default());
        places.allow(1);
        let only = places.enter(NOW).unwrap();
        std::thread::scope(|scope| {
            let waiting =
                scope.spawn(|| places.enter(Duration::from_secs(60)).map(|mut place| place.ready()).is_some());
            while places.lock().waiting == 0 {
                std::thread::yield_now();
            }
            assert!(places.spare().is_none());
            drop(only);
            assert!(waiting.join().unwrap());
        });
        assert!(places.spare().is_some() && places.moved() >= 2);
    }

    #[test]
    fn an_outage_is_reported_once() {
        let places = Arc::new(SessionPlaces::default());
        assert!(places.failed() && !places.failed());
        places.take().ready();
        assert!(places.failed());
    }
}
