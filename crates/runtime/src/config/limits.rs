//! The limits of services: their defaults, and the numbers that are allowed.

use crate::service::MAX_HANDSHAKES;
use blindroute_passes::ISSUED_MAX;

pub(super) const fn eight() -> usize {
    8
}

pub(super) const fn handshakes() -> usize {
    MAX_HANDSHAKES
}

pub(super) fn sessions(count: usize) -> Option<(&'static str, &'static str)> {
    (!(1..=1024).contains(&count)).then_some(("max_sessions", "is out of range: expected 1 to 1024"))
}

pub(super) fn per_client(count: Option<usize>, all: usize) -> Option<(&'static str, &'static str)> {
    let good = count.is_none_or(|count| (1..=all).contains(&count));
    (!good).then_some(("max_sessions_per_client", "is out of range: expected 1 to max_sessions"))
}

pub(super) fn handshaking(count: usize) -> Option<(&'static str, &'static str)> {
    (!(1..=4096).contains(&count)).then_some(("max_handshakes", "is out of range: expected 1 to 4096"))
}

pub(super) fn issuing(passes: bool, registered: bool) -> Option<(&'static str, &'static str)> {
    (passes && !registered).then_some((
        "passes",
        "is set without `clients`: expected a register too, since only clients that it names are issued passes",
    ))
}

pub(super) fn passing(passes: Option<usize>, named: bool) -> Option<(&'static str, &'static str)> {
    let count = passes?;
    if !(1..=ISSUED_MAX).contains(&count) {
        return Some(("passes", "is out of range: expected 1 to 512"));
    }
    (!named).then_some((
        "passes",
        "is set without `secret`: expected the client's secret, by which servers know whom to issue them",
    ))
}

pub(super) const fn five_minutes() -> f64 {
    300.0
}

pub(super) fn waiting(field: &'static str, seconds: f64) -> Option<(&'static str, &'static str)> {
    let good = (0.0..=86_400.0).contains(&seconds);
    (!good).then_some((field, "is out of range: expected 0 to 86400 seconds"))
}
