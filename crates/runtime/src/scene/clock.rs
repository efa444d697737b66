//! The machine's monotonic clock, which all processes share, and exact waits on it.

use std::num::NonZeroU64;

use rustix::thread::{ClockId, Timespec, clock_nanosleep_absolute, set_current_timer_slack};

/// Nanoseconds of the clock.
pub(crate) fn now() -> u64 {
    let Timespec { tv_sec, tv_nsec } = rustix::time::clock_gettime(ClockId::Monotonic);
    // Monotonic time is never negative.
    tv_sec.unsigned_abs() * 1_000_000_000 + tv_nsec.unsigned_abs()
}

/// How much too late a sleeping thread of a virtual machine wakes up, in nanoseconds (the measured median is 36 us). It
/// is half the delay of a local network; in measurements of a real network it is part of the delay.
const LATE: u64 = 50_000;

/// Waits until the clock shows this time: sleeps until shortly before, and spins for the rest.
///
/// The spin is short, because servers, dealer and client may share two cores. A thread that wakes up late does not
/// spin.
pub(crate) fn sleep_until(nanoseconds: u64) {
    let early = nanoseconds.saturating_sub(LATE);
    if early > now() {
        // The kernel may delay wake-ups by another 50 us to save energy, unless the thread asks it not to. The call
        // takes
        // 0.1 us, so it is simply repeated for each wait. If it is refused, waits are longer.
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
