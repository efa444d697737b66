//! The date, for reports and records.

/// Today, in UTC, as 2026-01-31.
pub fn today() -> String {
    time::OffsetDateTime::now_utc().date().to_string()
}

/// A minute, in UTC, as 2026-01-31 23:59, from seconds since 1970.
pub fn minute(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok());
    let time = time.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    format!("{} {:02}:{:02}", time.date(), time.hour(), time.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_those_of_utc() {
        let found = [0, 1_800_000_059, u64::MAX].map(minute);
        assert_eq!(found, ["1970-01-01 00:00", "2027-01-15 08:00", "1970-01-01 00:00"]);
    }

    #[test]
    fn dates_sort() {
        let today = today();
        assert!(today.len() == 10 && today.as_bytes()[4] == b'-', "{today}");
    }
}
