//! The thread that prepares the sessions of a session pool.

use super::{Shared, State};
use crate::session::{Catalogue, SessionPlace, SessionPlaces};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How often ready sessions are checked, so that one that a server gave up is replaced before a caller wants it.
const LOOK: Duration = Duration::from_secs(1);

/// How often a pool checks for room when the servers are full.
const ROOM: Duration = Duration::from_millis(100);

/// Prepares sessions until the pool ends.
pub(super) fn run<C: Catalogue>(shared: &Shared<C>, index: usize) {
    let mut state = shared.lock();
    while !state.ended {
        let gone: Vec<_> = state.shelves.values_mut().flat_map(super::Shelf::sweep).collect();
        if !gone.is_empty() {
            drop(state);
            drop(gone);
            state = shared.lock();
            continue;
        }
        let (request, place) = match next(&mut state, shared.client.places()) {
            Next::Fill(request, place) => (request, place),
            Next::NoRoom => {
                state = shared.changed.wait_timeout(state, ROOM).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            Next::Nothing => {
                state = sleep(shared, state);
                continue;
            }
        };
        drop(state);
        let prepared = shared.client.prepare_in(&request, &shared.cancels[index], Some(place));
        state = shared.lock();
        // The pool may have ended meanwhile. Then the session is dropped with its links.
        let left = match state.shelves.get_mut(&request) {
            Some(shelf) => shelf.end(prepared, &shared.options),
            None => prepared.ok(),
        };
        drop(state);
        shared.changed.notify_all();
        drop(left);
        state = shared.lock();
    }
}

/// What to do next.
enum Next {
    /// Prepare a session of this request, in this place.
    Fill(Vec<u8>, SessionPlace),
    /// Callers that wait for an answer need the room of the servers.
    NoRoom,
    /// Nothing to do for now.
    Nothing,
}

/// The request that lacks the most sessions, marked as being prepared.
fn next(state: &mut State, places: &Arc<SessionPlaces>) -> Next {
    if state.paused {
        return Next::Nothing;
    }
    let now = Instant::now();
    let Some((request, shelf)) = state.shelves.iter_mut().max_by_key(|(_, shelf)| shelf.missing(now)) else {
        return Next::Nothing;
    };
    if shelf.missing(now) == 0 {
        return Next::Nothing;
    }
    let Some(place) = places.spare() else { return Next::NoRoom };
    shelf.begin();
    Next::Fill(request.clone(), place)
}

/// Waits until something changes.
fn sleep<'a, C>(shared: &'a Shared<C>, state: std::sync::MutexGuard<'a, State>) -> std::sync::MutexGuard<'a, State> {
    let now = Instant::now();
    let resting = state.shelves.values().any(|shelf| shelf.status().ready > 0).then(|| now + LOOK);
    let wake = state.shelves.values().filter_map(|shelf| shelf.wakes(now)).chain(resting).min();
    match wake {
        // At least a moment, so that a session that is about to be too old does not make this a busy loop.
        Some(wake) => {
            let limit = wake.saturating_duration_since(now).max(Duration::from_millis(5));
            shared.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0
        }
        None => shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
    }
}
