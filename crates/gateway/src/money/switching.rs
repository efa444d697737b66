//! Whether a switch of the model pays within a conversation: a switch loses the prompt cache of the current model.
//!
//! The **lost cache** is what the cached tokens cost more in this turn: cached x (input price of the new − cached price of the
//! current). If the new model's provider takes a price for writing to its cache that is higher than its input price, that one counts,
//! since a client that caches pays it.
//!
//! The **saving of this turn** is fresh x difference of the input prices + output x difference of the output prices, where fresh is
//! the input that the current model has not cached. The **saving of a turn to come** takes it to be like this one: its prefix, which
//! is this turn's whole input, is cached at either model, and as many tokens are fresh and written as now.
//!
//! A switch pays if the saving of this turn and of the stated number of turns to come is more than the lost cache. If a price
//! is not known, it does not pay.

use crate::money::{Amount, Prices};

/// A turn before which the model could change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// The prices of the conversation's model, if they are known.
    pub current: Option<Prices>,
    /// The prices of the model that it would change to, if they are known.
    pub new: Option<Prices>,
    /// The tokens of the turn's input, with those that are cached.
    pub input: u64,
    /// Of the input, the tokens that the current model's provider has cached.
    pub cached: u64,
    /// The tokens of the output that are expected.
    pub output: u64,
    /// How many turns are expected after this one.
    pub turns_to_come: u32,
}

impl Switch {
    /// Whether the switch pays.
    #[must_use]
    pub fn pays(&self) -> bool {
        self.balance().is_some_and(|balance| balance > 0)
    }

    /// What the switch saves in picodollars, less the lost cache; `None` if a price is not known or the numbers are beyond
    /// computing.
    #[must_use]
    pub fn balance(&self) -> Option<i128> {
        let (current, new) = (self.current?, self.new?);
        let cached = self.cached.min(self.input);
        let lost = product(cached, new.input.max(new.cache_write), current.cached)?;
        let written = product(self.input - cached, current.input, new.input)?.checked_add(product(
            self.output,
            current.output,
            new.output,
        )?)?;
        let later = written.checked_add(product(self.input, current.cached, new.cached)?)?;
        later.checked_mul(i128::from(self.turns_to_come))?.checked_add(written)?.checked_sub(lost)
    }
}

/// So many tokens at the difference of two prices.
fn product(tokens: u64, price: Amount, less: Amount) -> Option<i128> {
    (i128::from(price.pico()) - i128::from(less.pico())).checked_mul(i128::from(tokens))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn prices(input: u64, cached: u64, output: u64) -> Prices {
        let [input, cached, output] = [input, cached, output].map(Amount::from_pico);
        Prices { input, cached, cache_write: input, output }
    }

    fn switch(cached: u64, turns_to_come: u32) -> Switch {
        let (current, new) = (Some(prices(30, 3, 150)), Some(prices(10, 1, 50)));
        Switch { current, new, input: 10_000, cached, output: 100, turns_to_come }
    }

    #[test]
    fn without_a_cache_the_cheaper_model_pays_and_the_dearer_does_not() {
        // 10000 x 20 + 100 x 100.
        assert_eq!(switch(0, 0).balance(), Some(210_000));
        let there = switch(0, 0);
        assert!(there.pays());
        assert!(!Switch { current: there.new, new: there.current, ..there }.pays());
        // Equal prices save nothing.
        assert!(!Switch { new: there.current, ..there }.pays());
    }

    #[test]
    fn a_cache_is_lost_at_once_and_earned_back_over_turns() {
        // 9000 cached: lost 9000 x (10 - 3) = 63000; this turn 1000 x 20 + 100 x 100 = 30000; each later one 10000 x 2 more.
        assert_eq!(switch(9000, 0).balance(), Some(-33_000));
        assert_eq!(switch(9000, 1).balance(), Some(17_000));
        assert!(!switch(9000, 0).pays() && switch(9000, 1).pays());
        // A provider that takes more for writing its cache: 9000 x 5 more is lost.
        let new = Some(Prices { cache_write: Amount::from_pico(15), ..prices(10, 1, 50) });
        assert_eq!(Switch { new, ..switch(9000, 1) }.balance(), Some(-28_000));
    }

    #[test]
    fn a_saving_that_only_equals_the_lost_cache_does_not_pay() {
        let tie = Switch {
            current: Some(prices(30, 3, 150)),
            new: Some(prices(13, 3, 50)),
            input: 200,
            cached: 100,
            output: 0,
            turns_to_come: 0,
        };
        // 100 x 17 is more than 100 x 10; with 170 of 270 cached, 100 x 17 = 170 x 10.
        assert!(tie.pays());
        let tie = Switch { input: 270, cached: 170, ..tie };
        assert_eq!(tie.balance(), Some(0));
        assert!(!tie.pays());
    }

    #[test]
    fn unknown_prices_and_numbers_beyond_computing_do_not_pay() {
        let known = switch(0, 0);
        assert!(!Switch { current: None, ..known }.pays());
        assert!(!Switch { new: None, ..known }.pays());
        let huge = Switch { current: Some(prices(u64::MAX, u64::MAX, u64::MAX)), input: u64::MAX, ..known };
        assert!(!Switch { turns_to_come: u32::MAX, ..huge }.pays());
        // More cached than there is input counts as all of it.
        assert_eq!(switch(u64::MAX, 0).balance(), switch(10_000, 0).balance());
    }
}
