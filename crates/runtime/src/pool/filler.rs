//! A thread that fills a pool.

use super::{Shared, State};
use crate::session::Catalogue;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How often sessions that rest are looked at: one that a server gave up is replaced before somebody wants it.
const LOOK: Duration = Duration::from_secs(1);

/// Fills until the pool ends.
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
        let Some(request) = next(&mut state) else {
            state = sleep(shared, state);
            continue;
        };
        drop(state);
        let prepared = shared.client.prepare_under(&request, &shared.cancels[index]);
        state = shared.lock();
        // The pool may have ended meanwhile: then the session is dropped with its links.
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

/// The request that lacks most, marked as being filled.
fn next(state: &mut State) -> Option<Vec<u8>> {
    if state.paused {
        return None;
    }
    let now = Instant::now();
    let (request, shelf) = state.shelves.iter_mut().max_by_key(|(_, shelf)| shelf.missing(now))?;
    if shelf.missing(now) == 0 {
        return None;
    }
    shelf.begin();
    Some(request.clone())
}

/// Waits until something changes.
fn sleep<'a, C>(shared: &'a Shared<C>, state: std::sync::MutexGuard<'a, State>) -> std::sync::MutexGuard<'a, State> {
    let now = Instant::now();
    let resting = state.shelves.values().any(|shelf| shelf.status().ready > 0).then(|| now + LOOK);
    let wake = state.shelves.values().filter_map(|shelf| shelf.wakes(now)).chain(resting).min();
    match wake {
        // A moment at least: a session that is about to be too old must not make this loop hot.
        Some(wake) => {
            let limit = wake.saturating_duration_since(now).max(Duration::from_millis(5));
            shared.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0
        }
        None => shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
    }
}
