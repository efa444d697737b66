//! Durations as texts: "250ms", "2s", "10m".

use std::time::Duration;

use serde::Serializer;

/// The units, the largest first, with their milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A whole number with a unit, in milliseconds.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    // Longer numbers are beyond every range; `parse` refuses the empty one.
    let number: u64 = number.parse().ok()?;
    number.checked_mul(*milliseconds).map(Duration::from_millis)
}

/// The shortest text of a duration of whole milliseconds.
pub(super) fn text(duration: Duration) -> String {
    let all = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let unit = UNITS.iter().find(|(_, milliseconds)| all > 0 && all.is_multiple_of(*milliseconds));
    unit.map_or_else(|| "0s".to_owned(), |(name, milliseconds)| format!("{}{name}", all / milliseconds))
}

/// Writes a duration as its text.
pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_back() {
        for (written, milliseconds) in
            [("0s", 0), ("250ms", 250), ("2s", 2000), ("90s", 90_000), ("10m", 600_000), ("3h", 10_800_000)]
        {
            let duration = parse(written).unwrap();
            assert_eq!(duration, Duration::from_millis(milliseconds), "{written}");
            assert_eq!(parse(&text(duration)), Some(duration), "{written}");
        }
        assert_eq!(text(Duration::from_secs(90)), "90s");
        assert_eq!(text(Duration::from_secs(600)), "10m");
        assert_eq!(text(Duration::ZERO), "0s");
        for wrong in
            ["", "2", "s", "2 s", "-2s", "1.5s", "2S", "2sec", "99999999999999999999s", "18446744073709551615h"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
