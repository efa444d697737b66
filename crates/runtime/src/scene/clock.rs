//! The machine's monotonic clock, which all its processes share, and exact waits on it.

use std::num::NonZeroU64;

use rustix::thread::{ClockId, Timespec, clock_nanosleep_absolute, set_current_timer_slack};

/// Nanoseconds of the clock.
pub(crate) fn now() -> u64 {
    let Timespec { tv_sec, tv_nsec } = rustix::time::clock_gettime(ClockId::Monotonic);
    // Monotonic time is never negative.
    tv_sec.unsigned_abs() * 1_000_000_000 + tv_nsec.unsigned_abs()
}

/// Waits until the clock shows this time.
///
/// The kernel may let a thread sleep 50 us longer than asked, to save wake-ups: half of a local network's delay. It is
/// asked not to. Nothing spins: servers, dealer and client share two cores.
pub(crate) fn sleep_until(nanoseconds: u64) {
    if nanoseconds <= now() {
        return;
    }
    // Of this thread only, and a system call of 0.1 us: simpler than to remember who asked. Where it is refused, waits
    // are longer.
    set_current_timer_slack(NonZeroU64::new(1)).ok();
    let tv_sec = i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(i64::MAX);
    let until = Timespec { tv_sec, tv_nsec: (nanoseconds % 1_000_000_000) as _ };
    // A signal may interrupt the wait.
    while clock_nanosleep_absolute(ClockId::Monotonic, &until) == Err(rustix::io::Errno::INTR) {}
}
