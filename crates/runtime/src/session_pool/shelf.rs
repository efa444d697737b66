//! The ready sessions of one request.

use super::{SessionPoolOptions, SessionPoolStatus};
use crate::session::{ReadySession, SessionError};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a caller that wants a session gets.
pub(super) enum Next {
    /// A session that can still run.
    Session(ReadySession),
    /// A session that can no longer run. The caller must drop it and ask again.
    Dead(ReadySession),
    /// A session that no other caller waits for is being prepared.
    Wait,
    /// There is no session.
    None,
}

#[derive(Default)]
pub(super) struct Shelf {
    /// The oldest first, so that they are used before they are too old.
    sessions: VecDeque<ReadySession>,
    waiting: usize,
    retry: Option<Instant>,
    backoff: Duration,
    status: SessionPoolStatus,
}

impl Shelf {
    pub(super) fn keep(&mut self, count: usize) {
        self.status.wanted = count;
        self.retry = None;
    }

    pub(super) fn status(&self) -> SessionPoolStatus {
        SessionPoolStatus { ready: self.sessions.len(), ..self.status.clone() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.sessions.len() >= self.status.wanted
    }

    /// The next session for a caller. `waiting` tells whether this caller was told to wait before.
    pub(super) fn next(&mut self, waiting: &mut bool) -> Next {
        let waited = std::mem::take(waiting);
        self.waiting -= usize::from(waited);
        // A later caller leaves the sessions that others already wait for.
        let reserved = if waited { 0 } else { self.waiting };
        let session = if self.sessions.len() > reserved { self.sessions.pop_front() } else { None };
        match session {
            Some(session) if session.is_alive() => {
                self.status.taken += 1;
                Next::Session(session)
            }
            Some(session) => {
                self.status.discarded += 1;
                Next::Dead(session)
            }
            None if self.status.filling > self.waiting => {
                self.waiting += 1;
                *waiting = true;
                Next::Wait
            }
            None => Next::None,
        }
    }

    /// A caller that was told to wait does so no longer.
    pub(super) fn leave(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Gives up the oldest session that nobody waits for, because another request needs its place. It is not replaced
    /// for a while.
    pub(super) fn give_up_one(&mut self, options: &SessionPoolOptions) -> Option<ReadySession> {
        let session = if self.sessions.len() > self.waiting { self.sessions.pop_front() } else { None };
        if session.is_some() {
            self.status.discarded += 1;
            self.retry = Some(Instant::now() + options.backoff_limit);
        }
        session
    }

    /// Removes sessions that can no longer run or are more than is wanted.
    pub(super) fn sweep(&mut self) -> Vec<ReadySession> {
        let (mut alive, mut gone): (Vec<_>, Vec<_>) = self.sessions.drain(..).partition(ReadySession::is_alive);
        gone.extend(alive.drain(self.status.wanted.min(alive.len())..));
        self.sessions = alive.into();
        self.status.discarded += gone.len() as u64;
        gone
    }

    /// How many sessions are missing now. Zero during the pause after a failure.
    pub(super) fn missing(&self, now: Instant) -> usize {
        if self.status.refused || self.retry.is_some_and(|retry| now < retry) {
            return 0;
        }
        self.status.wanted.saturating_sub(self.sessions.len() + self.status.filling)
    }

    /// When something changes by itself: a session gets too old, or a pause ends.
    pub(super) fn wakes(&self, now: Instant) -> Option<Instant> {
        let oldest = self.sessions.front().map(|session| now + session.time_left());
        oldest.into_iter().chain(self.retry.filter(|retry| *retry > now)).min()
    }

    pub(super) fn begin(&mut self) {
        self.status.filling += 1;
    }

    /// Takes the result of a preparation. Returns a session that is not kept.
    pub(super) fn end(
        &mut self,
        prepared: Result<ReadySession, SessionError>,
        options: &SessionPoolOptions,
    ) -> Option<ReadySession> {
        self.status.filling -= 1;
        match prepared {
            Ok(session) if session.rests() => {
                self.status.filled += 1;
                self.status.filling_time += session.offline();
                self.status.failure = None;
                self.backoff = Duration::ZERO;
                self.sessions.push_back(session);
                None
            }
            Ok(session) => {
                tracing::warn!(error = %SessionError::CannotRest, "no session of this request is kept ready");
                self.status.refused = true;
                self.status.failure = Some(SessionError::CannotRest.to_string());
                self.status.discarded += 1;
                Some(session)
            }
            Err(error) => {
                let backoff = (2 * self.backoff).clamp(options.backoff, options.backoff_limit.max(options.backoff));
                if error.is_busy() {
                    tracing::debug!(%error, ?backoff, "the servers have no room for another ready session; trying again later");
                } else {
                    tracing::warn!(%error, ?backoff, "a session could not be prepared in advance; trying again later");
                }
                self.status.failure = Some(error.to_string());
                self.backoff = backoff;
                self.retry = Some(Instant::now() + backoff);
                None
            }
        }
    }
}
