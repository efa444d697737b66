//! Reports of chosen models, which a client may send to its servers after the answer, at a random time.
//!
//! A report is told by nothing but its sender and its time from others, and its time says little of the route that it is of. A failure is
//! counted and logged once; it neither fails nor delays a route.

use crate::catalogue::BundleCatalogue;
use blindroute_runtime::Client;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The most reports that wait. Further ones are dropped.
const MOST: usize = 1024;

/// How long the end of a router waits until reports that are left are sent.
const FLUSH: Duration = Duration::from_secs(5);

/// Sends reports on a thread of its own, which starts with the first report.
#[derive(Debug)]
pub(crate) struct Reporter {
    within: Duration,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared(..)")
    }
}

#[derive(Default)]
struct State {
    waiting: Vec<Report>,
    started: bool,
    /// Until when reports are sent at once, since the router ends.
    ending: Option<Instant>,
    ended: bool,
    failed: u64,
}

struct Report {
    due: Instant,
    client: Client<BundleCatalogue>,
    /// The place of the chosen model.
    place: usize,
}

impl Reporter {
    /// Sends each report at a random time until so much later.
    pub(crate) fn new(within: Duration) -> Self {
        Self { within, shared: Arc::default() }
    }

    /// Reports to the servers of this client, later, that the model of this place was chosen.
    pub(crate) fn report(&self, client: &Client<BundleCatalogue>, place: usize) {
        let report = Report { due: Instant::now() + self.within.mul_f64(fraction()), client: client.clone(), place };
        let mut state = self.shared.lock();
        if state.waiting.len() >= MOST {
            return state.failed("too many wait: the servers do not take them, or report_within_seconds is long");
        }
        state.waiting.push(report);
        if !state.started {
            let shared = Arc::clone(&self.shared);
            match std::thread::Builder::new().name("reports".into()).spawn(move || shared.run()) {
                Ok(_) => state.started = true,
                Err(error) => state.failed(&format!("no thread could be started ({error})")),
            }
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

/// Sends what is left at once, and waits for that a few seconds.
impl Drop for Reporter {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let until = Instant::now() + FLUSH;
        state.ending = Some(until);
        self.shared.changed.notify_all();
        while state.started && !state.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let lost = state.waiting.len();
        if lost > 0 {
            tracing::warn!(lost, "reports of choices were not sent before the end");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        while let Some(report) = self.next() {
            let Report { client, place, .. } = report;
            if let Err(error) = client.report_choice(place) {
                self.lock().failed(&error.to_string());
            }
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// The next report when it is due; none at the end.
    fn next(&self) -> Option<Report> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            match state.ending {
                Some(until) if now >= until => return None,
                Some(_) => return state.waiting.pop(),
                None => {}
            }
            if let Some(place) = state.waiting.iter().position(|report| report.due <= now) {
                return Some(state.waiting.swap_remove(place));
            }
            let due = state.waiting.iter().map(|report| report.due).min();
            state = match due {
                Some(due) => {
                    let waited = self.changed.wait_timeout(state, due.saturating_duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl State {
    /// The first failure is a warning; all are counted in the log's details.
    fn failed(&mut self, reason: &str) {
        self.failed += 1;
        if self.failed == 1 {
            tracing::warn!(
                reason,
                "a report of a choice was not sent; routes go on, and further such failures are not warned of"
            );
        } else {
            tracing::debug!(reason, failed = self.failed, "a report of a choice was not sent");
        }
    }
}

/// A random number from 0 to 1; the latest time if the system gives no randomness.
fn fraction() -> f64 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_or(1.0, |()| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spread_over_the_whole_of_the_wait() {
        let times: Vec<f64> = (0..1000).map(|_| fraction()).collect();
        assert!(times.iter().all(|time| (0.0..=1.0).contains(time)));
        for tenth in 0..10 {
            let within = times.iter().filter(|time| (**time * 10.0) as usize == tenth).count();
            // Seven standard deviations from a hundred.
            assert!((34..170).contains(&within), "{within} of a thousand in tenth {tenth}");
        }
    }

    #[test]
    fn a_reporter_that_had_nothing_to_send_ends_at_once() {
        let started = Instant::now();
        drop(Reporter::new(Duration::from_secs(300)));
        assert!(started.elapsed() < FLUSH, "it waited for a thread that it did not start");
    }
}
