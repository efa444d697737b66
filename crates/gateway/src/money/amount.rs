//! Amounts, prices and tokens, in whole numbers: sums are exact.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An amount in USD, in whole picodollars (10⁻¹² USD). The largest is 9.2 million USD, so that it fits the record's signed
/// numbers; what would be more becomes the largest, which is more than any budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Amount(u64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The largest amount.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// From picodollars.
    #[must_use]
    pub const fn from_pico(pico: u64) -> Self {
        if pico > Self::MAX.0 { Self::MAX } else { Self(pico) }
    }

    /// In picodollars.
    #[must_use]
    pub const fn pico(self) -> u64 {
        self.0
    }

    /// In USD, for people and graphs. It is rounded: compute with amounts.
    #[must_use]
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e12
    }

    /// The sum, or the largest amount.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self::from_pico(self.0.saturating_add(other.0))
    }

    /// The difference, or nothing.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So many times this, or the largest amount.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self::from_pico(self.0.saturating_mul(count))
    }
}

/// Exactly, with at least two decimals: `0.15 USD`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PER_USD: u64 = 1_000_000_000_000;
        let decimals = format!("{:012}", self.0 % PER_USD);
        let kept = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{}.{} USD", self.0 / PER_USD, &decimals[..kept])
    }
}

/// Tokens of a call, as its provider counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// All of the input, with those below.
    pub input: u64,
    /// Of the input, those read from the provider's cache.
    pub cached: u64,
    /// Of the input, those written to the provider's cache at a price of their own.
    pub cache_write: u64,
    /// All of the output, with what the model reasoned.
    pub output: u64,
}

/// What one token costs, by its kind. A price of 0.15 USD per million tokens is 150,000 picodollars per token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// A token of the input.
    pub input: Amount,
    /// A token of the input that the provider had cached.
    pub cached: Amount,
    /// A token of the input that the provider caches now.
    pub cache_write: Amount,
    /// A token of the output.
    pub output: Amount,
}

impl Prices {
    /// What so many tokens cost. Of cached and written tokens, those count that the input can hold.
    #[must_use]
    pub fn of(&self, tokens: &Tokens) -> Amount {
        let cached = tokens.cached.min(tokens.input);
        let written = tokens.cache_write.min(tokens.input - cached);
        let fresh = tokens.input - cached - written;
        let parts =
            [(self.input, fresh), (self.cached, cached), (self.cache_write, written), (self.output, tokens.output)];
        parts.into_iter().fold(Amount::ZERO, |sum, (price, count)| sum.plus(price.times(count)))
    }

    /// The most that a call can cost: all of its input at the dearest price of an input that is not cached, and all of the output
    /// that it may have.
    #[must_use]
    pub fn most(&self, input: u64, max_output: u64) -> Amount {
        self.input.max(self.cache_write).times(input).plus(self.output.times(max_output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: Prices = Prices {
        input: Amount::from_pico(3_000_000),
        cached: Amount::from_pico(300_000),
        cache_write: Amount::from_pico(3_750_000),
        output: Amount::from_pico(15_000_000),
    };

    #[test]
    fn each_kind_of_token_has_its_price() {
        let tokens = Tokens { input: 1000, cached: 600, cache_write: 300, output: 20 };
        // 100 x 3, 600 x 0.3, 300 x 3.75 and 20 x 15 millionths of a USD.
        assert_eq!(PRICES.of(&tokens), Amount::from_pico(1_905_000_000));
        // What the input cannot hold is not paid twice.
        let impossible = Tokens { input: 10, cached: 8, cache_write: 8, output: 0 };
        assert_eq!(PRICES.of(&impossible), Amount::from_pico(8 * 300_000 + 2 * 3_750_000));
        assert_eq!(PRICES.most(1000, 20), Amount::from_pico(1000 * 3_750_000 + 20 * 15_000_000));
        assert!(PRICES.most(1000, 20) >= PRICES.of(&tokens));
    }

    #[test]
    fn amounts_never_wrap() {
        assert_eq!(Amount::from_pico(u64::MAX), Amount::MAX);
        assert_eq!(Amount::MAX.plus(Amount::from_pico(1)), Amount::MAX);
        assert_eq!(Amount::from_pico(u64::MAX / 3).times(u64::MAX), Amount::MAX);
        assert_eq!(Amount::from_pico(1).minus(Amount::from_pico(2)), Amount::ZERO);
        assert_eq!(PRICES.of(&Tokens { input: u64::MAX, cached: u64::MAX, ..Tokens::default() }), Amount::MAX);
    }

    #[test]
    fn amounts_are_shown_exactly() {
        let shown = |pico| Amount::from_pico(pico).to_string();
        assert_eq!(shown(0), "0.00 USD");
        assert_eq!(shown(150_000_000_000), "0.15 USD");
        assert_eq!(shown(1_000_000_000_001), "1.000000000001 USD");
        assert_eq!(shown(12_300_000_000_000), "12.30 USD");
    }
}
