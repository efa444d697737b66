//! Trying again when a session could not be prepared.
//!
//! No input is sent before a session is ready, so any number of sessions may be tried within a bounded time. If a
//! session fails after the input was sent, the input is shared anew and sent to one more session, never to a third.

use super::places::{SessionPlace, SessionPlaces};
use super::{Cancel, Catalogue, Client, ReadySession, SessionError, SessionOutcome};
use crate::messages::NoRandomness;
use blindroute_protocol::Tensor;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a caller waits for a free place before it looks for a ready session again.
const LOOK: Duration = Duration::from_millis(50);

/// Delays shorter than this are not reported as waiting: they are the cost of bookkeeping.
const NOTABLE: Duration = Duration::from_millis(5);

/// How long to try again when a session cannot be prepared for a temporary reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Time from the first failure (60 s: a service restarts within seconds, a machine within a minute). A try that has
    /// begun by then continues up to its own timeouts. While the servers are full, the time is counted from the last
    /// session of this client that they accepted.
    pub budget: Duration,
    /// The pause after the first failure (250 ms). It doubles after each further failure. Each pause is shortened at
    /// random by up to a half, so that clients that failed together do not come back together.
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
    /// Do not try again.
    pub const NEVER: Self = Self { budget: Duration::ZERO, pause: Duration::ZERO, longest_pause: Duration::ZERO };

    /// Tries for this long, with the default pauses.
    #[must_use]
    pub fn within(budget: Duration) -> Self {
        Self { budget, ..Self::default() }
    }
}

/// Reported before a pause: a session could not be prepared and is tried again.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Waiting<'a> {
    /// Why the preparation failed.
    pub error: &'a SessionError,
    /// The number of tries so far.
    pub tries: u32,
    /// The pause before the next try.
    pub pause: Duration,
    /// How much of the time is left.
    pub left: Duration,
}

/// What ends the tries to prepare a session.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<'a> {
    pub(crate) retry: &'a Retry,
    /// Called before each pause; returns `false` to stop trying.
    pub(crate) go_on: &'a dyn Fn(&Waiting<'_>) -> bool,
    /// Ends the session itself too.
    pub(crate) cancel: &'a Cancel,
}

/// Runs inputs in a session, and tries again if a session cannot be prepared.
///
/// `ready` gives a session that was already prepared, if there is one. `relieve` makes room when all places are in use.
pub(crate) fn run<C: Catalogue>(
    client: &Client<C>,
    (request, inputs): (&[u8], &[Tensor<f32>]),
    bounds: &Bounds<'_>,
    ready: &dyn Fn() -> Option<ReadySession>,
    relieve: &dyn Fn(),
) -> Result<SessionOutcome, SessionError> {
    // Checked before a session is consumed by inputs that do not fit.
    let shares = client.share(request, inputs)?;
    let (started, Bounds { retry, cancel, .. }) = (Instant::now(), *bounds);
    let mut trying = Trying { client, request, bounds, relieve, pauses: Pauses::default() };
    let (session, kept) = match trying.next(Some(ready)) {
        Ok(found) => found,
        Err(error) => return Err(trying.pauses.unprepared(error)),
    };
    let waited = waited(started, &session, kept);
    match session.run_until(shares, cancel) {
        Ok(route) => Ok(SessionOutcome { waited, ..route }),
        Err(error) if (kept || !retry.budget.is_zero()) && error.is_dead_session() => {
            tracing::info!(%error, "a session failed before its answer; its route takes another session");
            let shares = client.share(request, inputs)?;
            trying.pauses.begin_anew();
            // Not a session that was already prepared: what ended this one may have ended those too.
            let (session, _) = match trying.next(None) {
                Ok(found) => found,
                // Another version of the bundle is asked by who hears this, for which nothing of an input may have been sent.
                Err(other) if other.is_not_held() => return Err(error),
                Err(other) => return Err(trying.pauses.unprepared(other)),
            };
            let waited = started.elapsed();
            Ok(SessionOutcome { waited, ..session.run_until(shares, cancel)? })
        }
        Err(error) => Err(error),
    }
}

/// A session of this client, ready or prepared now in one try, and how long it was waited for. Callers wait for each other if
/// they are more than the servers accept sessions. For callers that have other servers to try.
pub(crate) fn once<C: Catalogue>(
    client: &Client<C>,
    request: &[u8],
    (retry, cancel): (&Retry, &Cancel),
    ready: &dyn Fn() -> Option<ReadySession>,
    relieve: &dyn Fn(),
) -> Result<(ReadySession, Duration), SessionError> {
    let started = Instant::now();
    let bounds = Bounds { retry, go_on: &|_| false, cancel };
    let mut trying = Trying { client, request, bounds: &bounds, relieve, pauses: Pauses::default() };
    let (session, kept) = trying.next(Some(ready))?;
    let waited = waited(started, &session, kept);
    Ok((session, waited))
}

/// The pauses between tries to prepare a session, and when the time for them is up.
#[derive(Debug, Default)]
pub struct Pauses {
    /// When the time began to count: at the first failure.
    since: Option<Instant>,
    tries: u32,
    /// The last pause, before it was shortened.
    last: Option<Duration>,
}

impl Pauses {
    /// Counts a failed try, and tells `go_on`. Returns the pause before the next try; nothing if there should be none: the time
    /// is up, the error is not temporary, or `go_on` returned `false`. After `progress`, the time counts from now.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn next(
        &mut self,
        error: &SessionError,
        progress: bool,
        retry: &Retry,
        go_on: &dyn Fn(&Waiting<'_>) -> bool,
    ) -> Result<Option<Duration>, SessionError> {
        self.tries += 1;
        if retry.budget.is_zero() || !error.is_temporary() {
            return Ok(None);
        }
        let now = Instant::now();
        let since = if progress { now } else { self.since.unwrap_or(now) };
        self.since = Some(since);
        let pause = self.last.map_or(retry.pause, |last| (2 * last).min(retry.longest_pause));
        self.last = Some(pause);
        let left = (since + retry.budget).saturating_duration_since(now);
        let waiting = Waiting { error, tries: self.tries, pause: shortened(pause)?.min(left), left };
        Ok((!left.is_zero() && go_on(&waiting)).then_some(waiting.pause))
    }

    /// How much of the time is left after the first failure.
    fn left(&self, retry: &Retry) -> Duration {
        self.since.map_or(retry.budget, |since| retry.budget.saturating_sub(since.elapsed()))
    }

    /// Counts the time from the next failure.
    fn begin_anew(&mut self) {
        (self.since, self.last) = (None, None);
    }

    /// Adds to a temporary error how long and how often was tried.
    #[must_use]
    pub fn unprepared(&self, error: SessionError) -> SessionError {
        if !error.is_temporary() {
            return error;
        }
        let after = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        SessionError::Unprepared { source: Box::new(error), after, tries: self.tries }
    }
}

/// How long the caller waited for this session. If it was prepared for this caller without delay, that is the time of
/// its preparation.
fn waited(started: Instant, session: &ReadySession, kept: bool) -> Duration {
    let (waited, prepared) = (started.elapsed(), session.offline());
    if !kept && waited.saturating_sub(prepared) < NOTABLE { prepared } else { waited }
}

struct Trying<'a, C> {
    client: &'a Client<C>,
    request: &'a [u8],
    bounds: &'a Bounds<'a>,
    relieve: &'a dyn Fn(),
    pauses: Pauses,
}

impl<C: Catalogue> Trying<'_, C> {
    /// A session, and whether it had been prepared before.
    fn next(&mut self, ready: Option<&dyn Fn() -> Option<ReadySession>>) -> Result<(ReadySession, bool), SessionError> {
        let places = Arc::clone(self.client.places());
        let Bounds { retry, go_on, cancel } = *self.bounds;
        loop {
            let moved = places.moved();
            let (found, place) = self.place(&places, ready)?;
            if let Some(session) = found {
                return Ok((session, true));
            }
            let error = match self.client.prepare_in(self.request, cancel, place) {
                Ok(session) => return Ok((session, false)),
                Err(error) => error,
            };
            // Servers that are full but keep accepting sessions of this client are no reason to give up.
            let progress = error.is_busy() && places.moved() > moved;
            let Some(pause) = self.pauses.next(&error, progress, retry, go_on)? else { return Err(error) };
            if error.is_busy() || !places.failed() {
                tracing::debug!(%error, ?pause, "a session could not be prepared; trying again");
            } else {
                let seconds = self.pauses.left(retry).as_secs();
                tracing::warn!(%error, seconds, "no session can be prepared now; trying again");
            }
            cancel.sleep(pause)?;
        }
    }

    /// A ready session, or a place to prepare one.
    fn place(
        &self,
        places: &Arc<SessionPlaces>,
        ready: Option<&dyn Fn() -> Option<ReadySession>>,
    ) -> Result<(Option<ReadySession>, Option<SessionPlace>), SessionError> {
        let (mut moved, mut since) = (places.moved(), Instant::now());
        loop {
            if let Some(session) = ready.and_then(|ready| ready()) {
                return Ok((Some(session), None));
            }
            self.bounds.cancel.check()?;
            if self.bounds.retry.budget.is_zero() {
                return Ok((None, None));
            }
            if let Some(place) = places.enter(LOOK) {
                return Ok((None, Some(place)));
            }
            (self.relieve)();
            let now = places.moved();
            if now != moved {
                (moved, since) = (now, Instant::now());
            } else if since.elapsed() > self.bounds.retry.budget {
                // The places are not given back. The servers may have room nevertheless, so they are asked.
                return Ok((None, None));
            }
        }
    }
}

/// A pause, shortened at random by up to a half.
fn shortened(pause: Duration) -> Result<Duration, SessionError> {
    let random = getrandom::u32().map_err(NoRandomness::from)?;
    Ok(pause.mul_f64(1.0 - 0.5 * f64::from(random) / f64::from(u32::MAX)))
}
