//! Decimal numbers, kept as they are written.

use std::fmt;

use serde::{Serialize, Serializer};

/// What a [`Decimal`] has to look like.
pub(super) const EXPECTED: &str = "a number from 0 with at most 7 digits before the point and 6 behind it";

/// An amount in USD, or a price in USD per million tokens, as it is written. Numbers of TOML are not made binary fractions on the
/// way: `0.15` stays 0.15.
///
/// ```
/// use blindroute_gateway::config::Decimal;
///
/// let price = Decimal::parse("0.15").ok_or("no price")?;
/// assert_eq!((price.as_str(), price.millionths()), ("0.15", 150_000));
/// assert!(Decimal::parse("1e-3").is_none() && Decimal::parse("-1").is_none());
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    text: String,
    millionths: u64,
}

impl Decimal {
    /// Reads one to seven digits, and a point with one to six digits if there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let digits = |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole, 7) || !fraction.is_none_or(|fraction| digits(fraction, 6)) {
            return None;
        }
        let millionths = format!("{whole}{:0<6}", fraction.unwrap_or_default()).parse().ok()?;
        Some(Self { text: text.to_owned(), millionths })
    }

    /// The number as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The number times a million, which is whole. Of a price in USD per million tokens, it is the picodollars of a token.
    #[must_use]
    pub const fn millionths(&self) -> u64 {
        self.millionths
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text, millionths) in [
            ("0", 0),
            ("0.15", 150_000),
            ("0.075", 75_000),
            ("3", 3_000_000),
            ("10.000001", 10_000_001),
            ("9999999.999999", 9_999_999_999_999),
        ] {
            let decimal = Decimal::parse(text).unwrap();
            assert_eq!((decimal.as_str(), decimal.millionths()), (text, millionths));
        }
        for wrong in
            ["", ".", "1.", ".5", "-1", "+1", "1e3", "1_000", "0.0000001", "10000000", "inf", "nan", "0,5", " 1"]
        {
            assert_eq!(Decimal::parse(wrong), None, "{wrong}");
        }
    }
}
