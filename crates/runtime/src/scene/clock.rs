//! The machine's monotonic clock, which all its processes share, and exact waits on it.

use std::num::NonZeroU64;

use rustix::thread::{ClockId, Timespec, clock_nanosleep_absolute, set_current_timer_slack};

/// Nanoseconds of the clock.
pub(crate) fn now() -> u64 {
    let Timespec { tv_sec, tv_nsec } = rustix::time::clock_gettime(ClockId::Monotonic);
    // Monotonic time is never negative.
    tv_sec.unsigned_abs() * 1_000_000_000 + tv_nsec.unsigned_abs()
}

/// A sleeping thread of a virtual machine comes back this much late (36 us were measured in the median): half of a local
/// network's delay, and a real network's delay includes it.
const LATE: u64 = 50_000;

/// Waits until the clock shows this time: sleeps until shortly before, and spins for the rest.
///
/// The spin is short, since servers, dealer and client share two cores; a thread that comes back late does not spin.
pub(crate) fn sleep_until(nanoseconds: u64) {
    let early = nanoseconds.saturating_sub(LATE);
    if early > now() {
        // The kernel may add 50 us more, to save wake-ups, unless it is asked not to. Of this thread only, and a system
        // call of 0.1 us: simpler than to remember who asked. Where it is refused, waits are longer.
        set_current_timer_slack(NonZeroU64::new(1)).ok();
        let tv_sec = i64::try_from(early / 1_000_000_000).unwrap_or(i64::MAX);
        let until = Timespec { tv_sec, tv_nsec: (early % 1_000_000_000) as _ };
        // A signal may interrupt the wait.
        while clock_nanosleep_absolute(ClockId::Monotonic, &until) == Err(rustix::io::Errno::INTR) {}
    }
    while now() < nanoseconds {
        std::hint::spin_loop();
    }
}
