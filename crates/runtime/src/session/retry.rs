//! Trying again for a session that could not be prepared.
//!
//! Nothing of an input leaves before a session is ready, so as many as it takes may be tried, for a bounded time. Once an
//! input has left for a session that then dies, it goes to one other session, shared anew, and to no third.

use super::places::{SessionPlace, SessionPlaces};
use super::{Cancel, Catalogue, Client, ReadySession, SessionError, SessionOutcome};
use crate::messages::NoRandomness;
use blindroute_protocol::Tensor;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a caller waits for a free place before it looks for another way to a session.
const LOOK: Duration = Duration::from_millis(50);

/// A shorter delay is the caller's own bookkeeping.
const NOTABLE: Duration = Duration::from_millis(5);

/// How long to try again for a session whose preparation failed for a reason that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// From the first failure (60 s: a service restarts within seconds, a machine within a minute). A try that was begun by
    /// then goes on to its own limits. While servers are only full, the time counts from the last session of this client
    /// that they took.
    pub budget: Duration,
    /// The pause after the first failure (250 ms), twice as long after each other one. Each pause is cut at random by up to a
    /// half, so that clients that failed together do not come back together.
    pub pause: Duration,
    /// The longest pause (5 s).
    pub longest_pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(60),
            pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(5),
        }
    }
}

impl Retry {
    /// No second try.
    pub const NEVER: Self = Self { budget: Duration::ZERO, pause: Duration::ZERO, longest_pause: Duration::ZERO };

    /// For this long, with the usual pauses.
    #[must_use]
    pub fn within(budget: Duration) -> Self {
        Self { budget, ..Self::default() }
    }
}

/// A session could not be prepared, and is tried again after a pause.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Waiting<'a> {
    /// Why it failed.
    pub error: &'a SessionError,
    /// Tries so far.
    pub tries: u32,
    /// The pause before the next one.
    pub pause: Duration,
    /// What is left of the time.
    pub left: Duration,
}

/// Runs inputs in a session, with another where one cannot be prepared.
///
/// `ready` gives a session that was prepared before, if there is one. `relieve` makes room where all places are in use.
/// `go_on` is asked before each pause, and ends the trying with `false`.
pub(crate) fn run<C: Catalogue>(
    client: &Client<C>,
    (request, inputs): (&[u8], &[Tensor<f32>]),
    retry: &Retry,
    go_on: &dyn Fn(&Waiting<'_>) -> bool,
    ready: &dyn Fn() -> Option<ReadySession>,
    relieve: &dyn Fn(),
) -> Result<SessionOutcome, SessionError> {
    // Before a session is spent on inputs that do not fit.
    let shares = client.share(request, inputs)?;
    let started = Instant::now();
    let mut trying = Trying { client, request, retry, go_on, relieve, since: None, tries: 0 };
    let (session, kept) = match trying.next(Some(ready)) {
        Ok(found) => found,
        Err(error) => return Err(trying.unprepared(error)),
    };
    let waited = waited(started, &session, kept);
    match session.run(shares) {
        Ok(route) => Ok(SessionOutcome { waited, ..route }),
        Err(error) if (kept || !retry.budget.is_zero()) && error.is_dead_session() => {
            tracing::info!(%error, "a session died before its answer; its route takes another");
            let shares = client.share(request, inputs)?;
            trying.since = None;
            // Not one that was ready: what ended this one may have ended its neighbours.
            let (session, _) = trying.next(None).map_err(|error| trying.unprepared(error))?;
            let waited = started.elapsed();
            Ok(SessionOutcome { waited, ..session.run(shares)? })
        }
        Err(error) => Err(error),
    }
}

/// How long a caller waited for this session: for one that was prepared for it without delay, what preparing took.
fn waited(started: Instant, session: &ReadySession, kept: bool) -> Duration {
    let (waited, prepared) = (started.elapsed(), session.offline());
    if !kept && waited.saturating_sub(prepared) < NOTABLE { prepared } else { waited }
}

struct Trying<'a, C> {
    client: &'a Client<C>,
    request: &'a [u8],
    retry: &'a Retry,
    go_on: &'a dyn Fn(&Waiting<'_>) -> bool,
    relieve: &'a dyn Fn(),
    /// From when the time counts: the first failure.
    since: Option<Instant>,
    tries: u32,
}

impl<C: Catalogue> Trying<'_, C> {
    /// A session, and whether it was ready before.
    fn next(&mut self, ready: Option<&dyn Fn() -> Option<ReadySession>>) -> Result<(ReadySession, bool), SessionError> {
        let places = Arc::clone(self.client.places());
        let mut pause = self.retry.pause;
        loop {
            let moved = places.moved();
            let (found, place) = self.place(&places, ready);
            if let Some(session) = found {
                return Ok((session, true));
            }
            let error = match self.client.prepare_in(self.request, &Cancel::default(), place) {
                Ok(session) => return Ok((session, false)),
                Err(error) => error,
            };
            self.tries += 1;
            if self.retry.budget.is_zero() || !error.passes() {
                return Err(error);
            }
            let now = Instant::now();
            // Full servers that go on taking this client's sessions are no reason to give up.
            let progress = error.is_busy() && places.moved() > moved;
            let since = if progress { now } else { self.since.unwrap_or(now) };
            self.since = Some(since);
            let left = (since + self.retry.budget).saturating_duration_since(now);
            let waiting = Waiting { error: &error, tries: self.tries, pause: shortened(pause)?.min(left), left };
            if left.is_zero() || !(self.go_on)(&waiting) {
                return Err(error);
            }
            if error.is_busy() || !places.failed() {
                tracing::debug!(%error, pause = ?waiting.pause, "a session could not be prepared; trying again");
            } else {
                tracing::warn!(%error, seconds = left.as_secs(), "no session can be prepared now; trying again");
            }
            std::thread::sleep(waiting.pause);
            pause = (2 * pause).min(self.retry.longest_pause);
        }
    }

    /// A ready session, or a place to prepare one.
    fn place(
        &self,
        places: &Arc<SessionPlaces>,
        ready: Option<&dyn Fn() -> Option<ReadySession>>,
    ) -> (Option<ReadySession>, Option<SessionPlace>) {
        let (mut moved, mut since) = (places.moved(), Instant::now());
        loop {
            if let Some(session) = ready.and_then(|ready| ready()) {
                return (Some(session), None);
            }
            if self.retry.budget.is_zero() {
                return (None, None);
            }
            if let Some(place) = places.enter(LOOK) {
                return (None, Some(place));
            }
            (self.relieve)();
            let now = places.moved();
            if now != moved {
                (moved, since) = (now, Instant::now());
            } else if since.elapsed() > self.retry.budget {
                // Whoever holds the places does not give them back: the servers may know of room.
                return (None, None);
            }
        }
    }

    /// Says that time was up, where it was.
    fn unprepared(&self, error: SessionError) -> SessionError {
        if !error.passes() {
            return error;
        }
        let after = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        SessionError::Unprepared { source: Box::new(error), after, tries: self.tries }
    }
}

/// A pause less up to a half of it.
fn shortened(pause: Duration) -> Result<Duration, SessionError> {
    let random = getrandom::u32().map_err(NoRandomness::from)?;
    Ok(pause.mul_f64(1.0 - 0.5 * f64::from(random) / f64::from(u32::MAX)))
}
