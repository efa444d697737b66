//! The hours in which a store is filled.

use std::time::{SystemTime, UNIX_EPOCH};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A part of each day (UTC), from a minute until before another one. It may contain midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    from: u16,
    until: u16,
}

impl Hours {
    /// Reads "HH:MM-HH:MM".
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (from, until) = text.split_once('-')?;
        let [from, until] = [from, until].map(minute);
        let hours = Self { from: from?, until: until? };
        (hours.from != hours.until).then_some(hours)
    }

    /// Whether a moment is in them.
    #[must_use]
    pub fn contain(self, now: SystemTime) -> bool {
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let minute = (seconds / 60 % u64::from(DAY)) as u16;
        if self.from < self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        }
    }
}

/// The minute of the day of "HH:MM".
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let number = |digits: &str, limit: u16| {
        let plain = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|number| plain && *number < limit)
    };
    Some(60 * number(hours, 24)? + number(minutes, 60)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn hours_of_a_day_begin_end_and_go_over_midnight() {
        let at = |text: &str, minute: u64| {
            let now = UNIX_EPOCH + Duration::from_secs(86_400 * 20_000 + 60 * minute);
            Hours::parse(text).unwrap().contain(now)
        };
        assert_eq!([59, 60, 299, 300].map(|minute| at("01:00-05:00", minute)), [false, true, true, false]);
        assert_eq!([0, 89, 90, 1379, 1380].map(|minute| at("23:00-01:30", minute)), [true, true, false, false, true]);
        for wrong in
            ["", "1:00-05:00", "01:00", "01:00-24:00", "01:60-02:00", "01:00-01:00", "+1:00-02:00", "01:00-02:00-03:00"]
        {
            assert_eq!(Hours::parse(wrong), None, "{wrong}");
        }
    }
}
