//! How many sessions the servers let one client hold at once, as far as the client has found out.
//!
//! Servers refuse what is beyond their limit of sessions, and do not say what the limit is. So a client counts the sessions
//! that it prepares, runs and keeps ready, begins with few, and lets one more at a time be tried while all that are allowed
//! are in use. A refusal makes the count at that moment the limit; the next try beyond it comes later, and each time that it
//! fails, twice as much later.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Sessions at once before anything is known: the servers' own default.
const FIRST: usize = 8;
/// From a refusal to the next try beyond the limit.
const PROBE: Duration = Duration::from_secs(5);
const LONGEST_PROBE: Duration = Duration::from_secs(300);

#[derive(Debug)]
struct State {
    held: usize,
    limit: usize,
    /// Callers that wait for a place: a pool takes none meanwhile.
    waiting: usize,
    /// When the limit last grew: what began before says nothing about it.
    raised: Option<Instant>,
    /// It does not grow before.
    rest: Option<Instant>,
    probe: Duration,
    /// Whether the servers have refused one: then the limit is more than a guess.
    known: bool,
    /// Sessions that became ready, and those that ended afterwards.
    moved: u64,
    /// Whether nothing could be prepared since the last session that was.
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

/// One session's place, given back when dropped.
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

    /// Begins with a limit that the caller knows.
    pub(crate) fn allow(&self, limit: usize) {
        self.lock().limit = limit.max(1);
    }

    /// A place whatever the limit: the servers decide.
    pub(crate) fn take(self: &Arc<Self>) -> SessionPlace {
        self.lock().held += 1;
        SessionPlace::new(self)
    }

    /// A place within the limit, waiting for it for so long at most.
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

    /// A place that no caller needs, for a session that is to rest: one stays free for whoever comes.
    pub(crate) fn spare(self: &Arc<Self>) -> Option<SessionPlace> {
        let mut state = self.lock();
        // A pool has its own bound. The guess at the beginning is not held against it, for it asks one at a time.
        let full = state.known && state.held + 1 >= state.limit;
        if state.waiting > 0 || full {
            return None;
        }
        state.held += 1;
        drop(state);
        Some(SessionPlace::new(self))
    }

    /// How often a session became ready or ended after that, so far.
    pub(crate) fn moved(&self) -> u64 {
        self.lock().moved
    }

    /// A session could not be prepared; says whether it is the first since the last that could.
    pub(crate) fn failed(&self) -> bool {
        !std::mem::replace(&mut self.lock().away, true)
    }
}

impl SessionPlace {
    /// One that is counted already.
    fn new(places: &Arc<SessionPlaces>) -> Self {
        Self { places: Arc::clone(places), taken: Instant::now(), was_ready: false }
    }

    /// The session is ready.
    pub(crate) fn ready(&mut self) {
        self.was_ready = true;
        let now = Instant::now();
        let mut state = self.places.lock();
        state.moved += 1;
        let back = std::mem::take(&mut state.away);
        if !state.known {
            // A pool may have gone beyond the guess.
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

    /// The servers have no room for it.
    pub(crate) fn refused(self) {
        let mut state = self.places.lock();
        let limit = state.limit.min(state.held.saturating_sub(1)).max(1);
        if limit < state.limit || !state.known {
            tracing::info!(limit, "the servers are at their limit of sessions; so many at once from now on");
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
    fn a_refusal_makes_what_is_held_the_limit_and_leaves_one_free_for_callers() {
        let places = Arc::new(SessionPlaces::default());
        let mut held: Vec<_> = (0..FIRST).map(|_| places.enter(NOW).unwrap()).collect();
        assert!(places.enter(NOW).is_none());
        // Ready while all are in use: one more may be tried, and no second before that one is ready too.
        held[0].ready();
        held[1].ready();
        let mut ninth = places.enter(NOW).unwrap();
        assert!(places.enter(NOW).is_none());
        ninth.ready();
        let tenth = places.enter(NOW).unwrap();
        tenth.refused();
        assert_eq!(places.lock().limit, FIRST + 1);
        // Known now: it does not grow for a while, and a pool leaves a place.
        held[2].ready();
        assert!(places.enter(NOW).is_none() && places.spare().is_none());
        held.truncate(FIRST - 2);
        assert!(places.spare().is_some());
        drop(ninth);
        held.push(places.enter(NOW).unwrap());
        held.push(places.enter(NOW).unwrap());
        assert!(places.spare().is_none());
        // Never to none.
        held.clear();
        for _ in 0..3 {
            places.take().refused();
        }
        assert_eq!(places.lock().limit, 1);
    }

    #[test]
    fn whoever_waits_gets_the_next_free_place_before_a_pool() {
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
    fn an_outage_is_said_once() {
        let places = Arc::new(SessionPlaces::default());
        assert!(places.failed() && !places.failed());
        places.take().ready();
        assert!(places.failed());
    }
}
