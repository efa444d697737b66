//! How a pair is doing, and the choice of the pair for a session.

use std::time::{Duration, Instant};

/// How much of the moving mean is the latest session.
const LATEST: f64 = 0.3;
/// How long a pair is skipped after its first failure: a service restarts within seconds.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest time that a failing pair is skipped.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What a pair has to do, how fast it is, and whether it is skipped.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// The work of its sessions that have no answer yet.
    outstanding: f64,
    sessions: usize,
    /// The moving mean of seconds per unit of work; none before its first answer.
    pace: Option<f64>,
    /// Set from a failure to the next answer.
    skipped: Option<Skipped>,
}

#[derive(Clone, Copy, Debug)]
struct Skipped {
    until: Instant,
    pause: Duration,
}

impl Standing {
    pub(super) fn begin(&mut self, work: f64) {
        self.outstanding += work;
        self.sessions += 1;
    }

    /// A session is over, whatever came of it.
    pub(super) fn end(&mut self, work: f64) {
        self.sessions = self.sessions.saturating_sub(1);
        // Not a rest of rounding.
        self.outstanding = if self.sessions == 0 { 0.0 } else { self.outstanding - work };
    }

    /// A session of this work was answered after this time. Says whether the pair had failed before.
    pub(super) fn answered(&mut self, work: f64, took: Duration) -> bool {
        let latest = took.as_secs_f64() / work;
        self.pace = Some(self.pace.map_or(latest, |pace| pace + LATEST * (latest - pace)));
        self.skipped.take().is_some()
    }

    /// A session failed. Returns for how long the pair is skipped from now on; nothing if it was skipped already, as when several
    /// sessions of it fail together.
    pub(super) fn failed(&mut self, now: Instant) -> Option<Duration> {
        let pause = match self.skipped {
            Some(skipped) if now < skipped.until => return None,
            Some(skipped) => (2 * skipped.pause).min(LONGEST_PAUSE),
            None => FIRST_PAUSE,
        };
        self.skipped = Some(Skipped { until: now + pause, pause });
        Some(pause)
    }

    /// A server had no room. That is no failure: the pair is skipped for a moment, and not longer the next time.
    pub(super) fn was_full(&mut self, now: Instant) {
        if self.skipped.is_none_or(|skipped| now >= skipped.until) {
            self.skipped = Some(Skipped { until: now + FIRST_PAUSE, pause: FIRST_PAUSE / 2 });
        }
    }

    /// Whether it is skipped for now.
    pub(super) fn is_skipped(&self, now: Instant) -> bool {
        self.skipped.is_some_and(|skipped| now < skipped.until)
    }

    /// Whether it takes another session. After a failure it gets one at a time, until it has answered.
    fn is_up(&self, now: Instant) -> bool {
        !self.is_skipped(now) && (self.skipped.is_none() || self.sessions == 0)
    }
}

/// The pair for the next session: the one with the least expected wait among those that are up and not `tried`; of equal ones the
/// fastest, and one that has not answered yet before all others. If none is up, the one that is skipped for the shortest time. None
/// if all were tried.
pub(super) fn choose(standings: &[Standing], now: Instant, tried: &[bool]) -> Option<usize> {
    let known: Vec<f64> = standings.iter().filter_map(|standing| standing.pace).collect();
    let usual = if known.is_empty() { 1.0 } else { known.iter().sum::<f64>() / known.len() as f64 };
    let key = |standing: &Standing| {
        let wait = standing.outstanding * standing.pace.unwrap_or(usual);
        (wait, standing.pace.unwrap_or(0.0))
    };
    let left = || standings.iter().enumerate().filter(|(index, _)| !tried.get(*index).is_some_and(|tried| *tried));
    let up = left().filter(|(_, standing)| standing.is_up(now));
    let order = |one: &(f64, f64), other: &(f64, f64)| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1));
    let best = up.min_by(|(_, one), (_, other)| order(&key(one), &key(other)));
    let best = best.or_else(|| left().min_by_key(|(_, standing)| standing.skipped.map(|skipped| skipped.until)));
    best.map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [bool; 2] = [false; 2];
    const SECOND: Duration = Duration::from_secs(1);

    fn of(outstanding: f64, pace: Option<f64>) -> Standing {
        Standing { outstanding, sessions: usize::from(outstanding > 0.0), pace, skipped: None }
    }

    #[test]
    fn the_least_expected_wait_decides_and_an_untried_pair_comes_first() {
        let now = Instant::now();
        let choose = |one, other| choose(&[one, other], now, &NONE);
        // 4 · 1 s and 1 · 3 s.
        assert_eq!(choose(of(4.0, Some(1.0)), of(1.0, Some(3.0))), Some(1));
        assert_eq!(choose(of(2.0, Some(1.0)), of(1.0, Some(3.0))), Some(0));
        assert_eq!(choose(of(0.0, Some(2.0)), of(0.0, Some(1.0))), Some(1), "both idle: the faster one");
        assert_eq!(choose(of(0.0, Some(2.0)), of(0.0, None)), Some(1), "untried");
        assert_eq!(choose(of(0.0, Some(2.0)), of(1.0, None)), Some(0), "its first session is not over");
        assert_eq!(choose(of(0.0, None), of(0.0, None)), Some(0));
        assert_eq!(choose(of(1.0, None), of(0.0, None)), Some(1));
    }

    #[test]
    fn the_pace_moves_with_what_is_measured() {
        let mut standing = Standing::default();
        standing.begin(2.0);
        assert!(!standing.answered(2.0, 4 * SECOND));
        standing.end(2.0);
        assert_eq!((standing.pace, standing.outstanding), (Some(2.0), 0.0));
        standing.answered(2.0, 24 * SECOND);
        assert!(standing.pace.is_some_and(|pace| (pace - 5.0).abs() < 1e-9), "{standing:?}");
    }

    #[test]
    fn a_pair_that_fails_is_skipped_twice_as_long_each_time_and_tried_by_one_session() {
        let (mut now, mut standing) = (Instant::now(), of(0.0, Some(1.0)));
        let slow = of(9.0, Some(9.0));
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let pause = Duration::from_secs(seconds);
            assert_eq!(standing.failed(now), Some(pause));
            assert_eq!(standing.failed(now + pause / 2), None, "several sessions failed together");
            assert_eq!(choose(&[standing, slow], now + pause / 2, &NONE), Some(1));
            now += pause;
            assert_eq!(choose(&[standing, slow], now, &NONE), Some(0));
            let mut trying = standing;
            trying.begin(1.0);
            assert_eq!(choose(&[trying, slow], now, &NONE), Some(1), "one session tries");
        }
        assert!(standing.answered(1.0, SECOND) && standing.is_up(now));
        assert_eq!(standing.failed(now), Some(SECOND), "an answer ends the doubling");
    }

    #[test]
    fn a_full_pair_is_skipped_for_a_moment_each_time() {
        let (now, mut standing) = (Instant::now(), of(0.0, None));
        for step in 0..3 {
            let now = now + step * SECOND;
            standing.was_full(now);
            assert!(!standing.is_up(now + SECOND / 2) && standing.is_up(now + SECOND));
        }
        assert_eq!(standing.failed(now + 3 * SECOND), Some(SECOND));
    }

    #[test]
    fn what_was_tried_is_not_tried_again_and_skipped_pairs_come_last() {
        let now = Instant::now();
        let mut standings = [of(0.0, Some(1.0)); 2];
        assert_eq!(choose(&standings, now, &[true, false]), Some(1));
        assert_eq!(choose(&standings, now, &[true, true]), None);
        standings[0].failed(now);
        assert_eq!(choose(&standings, now, &NONE), Some(1));
        assert_eq!(choose(&standings, now, &[false, true]), Some(0), "there is no other");
        standings[1].failed(now + SECOND / 2);
        assert_eq!(choose(&standings, now + SECOND / 2, &NONE), Some(0), "skipped for the shorter time");
    }
}
