//! The time of day in UTC, which tests set.

use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use time::{Date, OffsetDateTime, Time};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// The last moment of the year 9999, which is the last that has a date here.
const LAST: i64 = 253_402_300_799_999;

/// A moment, in whole milliseconds since 1970, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Moment(i64);

impl Moment {
    /// From milliseconds since 1970. What is before 1970 or after 9999 becomes the nearest moment between.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(if millis < 0 {
            0
        } else if millis > LAST {
            LAST
        } else {
            millis
        })
    }

    /// In milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// So many days earlier.
    #[must_use]
    pub const fn days_before(self, days: u32) -> Self {
        Self::from_millis(self.0 - days as i64 * DAY)
    }

    /// The beginning of its day.
    #[must_use]
    pub const fn day(self) -> Self {
        Self(self.0 - self.0 % DAY)
    }

    /// The beginning of the day after.
    #[must_use]
    pub const fn next_day(self) -> Self {
        Self::from_millis(self.day().0.saturating_add(DAY))
    }

    /// The beginning of its month.
    #[must_use]
    pub fn month(self) -> Self {
        let date = self.date();
        Self::from_date(date.replace_day(1).unwrap_or(date))
    }

    /// The beginning of the month after.
    #[must_use]
    pub fn next_month(self) -> Self {
        // No month has more than 31 days, and none has fewer than 28.
        Self::from_millis(self.month().0.saturating_add(31 * DAY)).month()
    }

    fn date_and_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0 / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    fn date(self) -> Date {
        self.date_and_time().date()
    }

    fn from_date(date: Date) -> Self {
        Self::from_millis(date.with_time(Time::MIDNIGHT).assume_utc().unix_timestamp().saturating_mul(1000))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.date_and_time();
        write!(f, "{} {:02}:{:02}:{:02} UTC", at.date(), at.hour(), at.minute(), at.second())
    }
}

/// What says which moment it is.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Moment + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::from_fn(|| {
            let millis = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
            Moment::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
        })
    }

    /// A clock that shows what a function returns.
    #[must_use]
    pub fn from_fn(now: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_begin_and_end_in_utc() {
        // 2024-02-29 23:59:59.999, the last moment of a leap day.
        let leap = Moment::from_millis(1_709_251_199_999);
        assert_eq!(leap.to_string(), "2024-02-29 23:59:59 UTC");
        assert_eq!(leap.day().to_string(), "2024-02-29 00:00:00 UTC");
        assert_eq!(leap.next_day().to_string(), "2024-03-01 00:00:00 UTC");
        assert_eq!(leap.month().to_string(), "2024-02-01 00:00:00 UTC");
        assert_eq!(leap.next_month(), leap.next_day());
        let next = Moment::from_millis(leap.millis() + 1);
        assert_eq!((next.day(), next.month()), (next, next));
        for (month, days) in [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].into_iter().enumerate() {
            let first = (0..month).fold(Moment::from_millis(1_735_689_600_000), |at, _| at.next_month());
            assert_eq!(first.next_month().millis() - first.millis(), days * DAY, "month {}", month + 1);
        }
    }

    #[test]
    fn moments_outside_the_calendar_are_moved_into_it() {
        assert_eq!(Moment::from_millis(-5).millis(), 0);
        assert_eq!(Moment::from_millis(i64::MAX).to_string(), "9999-12-31 23:59:59 UTC");
        let last = Moment::from_millis(i64::MAX);
        assert!(last.next_day() == last && last.next_month() <= last);
        assert_eq!(Moment::from_millis(3 * DAY).days_before(9).millis(), 0);
    }
}
