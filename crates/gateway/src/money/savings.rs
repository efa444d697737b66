//! What routing saves against one named model, the reference, with the cost of lost prompt caches.
//!
//! For each call with known usage, the reference's cost is computed and kept beside the real one:
//!
//! - **A call to the reference, in a conversation that never left it**, costs there what it costs here: the saving is zero.
//! - **Any other call** is priced as if the conversation had always been with the reference: the same tokens, of which at least
//!   those of the previous turn (its input and its output, as far as this input is that long) would be cached there if the
//!   previous turn was at most [`CACHE_LIFE_MILLIS`] ago; more, if more were cached in truth. What else the provider wrote to its
//!   cache is written at the reference too. The rest of the input is fresh.
//! - **A call that gave no answer**, such as one that was tried again elsewhere, would not have been made: it costs nothing at the
//!   reference, and its real cost counts against us.
//!
//! The saving is the sum of the reference's costs less the sum of the real ones, and can be negative. Calls with unknown
//! usage are not compared; they are counted beside it.
//!
//! Where the truth is not known, the reference gets the better of it: its whole previous turn would be cached, though providers cache
//! blocks, and not always answers. Two things are not known at all: another model counts the same text in other tokens, and
//! writes an answer of another length. Both are taken to be equal.

use crate::clock::Moment;
use crate::money::{Amount, Prices, Tokens};

/// How long a provider keeps a prompt's cache after its last use: five minutes, which the large providers state as the usual time.
pub const CACHE_LIFE_MILLIS: i64 = 5 * 60 * 1000;

/// A call of a conversation whose usage is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When it began.
    pub at: Moment,
    /// Its usage, as the provider counted it.
    pub tokens: Tokens,
    /// What it cost.
    pub amount: Amount,
    /// Whether it was the reference that answered.
    pub by_reference: bool,
    /// Whether it gave an answer that the client got.
    pub answered: bool,
}

/// What the costs at the reference depend on in one conversation. It holds numbers only, and stays in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// When the last answered turn began, and how long it was with its answer.
    last: Option<(Moment, u64)>,
    /// Whether another model than the reference has answered.
    left: bool,
}

impl Conversation {
    /// What a turn would have cost at the reference, whose prices these are. Turns are given in their order, each once.
    pub fn at_reference(&mut self, turn: &Turn, reference: &Prices) -> Amount {
        if !turn.answered {
            return Amount::ZERO;
        }
        self.left |= !turn.by_reference;
        let amount = if self.left { reference.of(&self.tokens_there(turn)) } else { turn.amount };
        self.last = Some((turn.at, turn.tokens.input.saturating_add(turn.tokens.output)));
        amount
    }

    /// A turn's tokens as the reference would have counted them.
    fn tokens_there(&self, turn: &Turn) -> Tokens {
        let warm = |at: Moment| turn.at.millis().saturating_sub(at.millis()) <= CACHE_LIFE_MILLIS;
        let previous = self.last.filter(|(at, _)| warm(*at)).map_or(0, |(_, length)| length);
        let cached = turn.tokens.cached.max(previous).min(turn.tokens.input);
        Tokens { cached, ..turn.tokens }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // In picodollars per token: 2, 0.5, 2 and 8 USD per million.
    const REFERENCE: Prices = Prices {
        input: Amount::from_pico(2_000_000),
        cached: Amount::from_pico(500_000),
        cache_write: Amount::from_pico(2_000_000),
        output: Amount::from_pico(8_000_000),
    };

    fn turn(second: i64, tokens: Tokens, pico: u64) -> Turn {
        let at = Moment::from_millis(second * 1000);
        Turn { at, tokens, amount: Amount::from_pico(pico), by_reference: false, answered: true }
    }

    fn tokens(input: u64, cached: u64, output: u64) -> Tokens {
        Tokens { input, cached, cache_write: 0, output }
    }

    #[test]
    fn a_conversation_that_stays_with_the_reference_saves_nothing() {
        let mut conversation = Conversation::default();
        for (second, usage) in [(0, tokens(1000, 0, 100)), (60, tokens(1200, 1024, 50)), (9000, tokens(1300, 0, 9))] {
            let stay = Turn { by_reference: true, ..turn(second, usage, REFERENCE.of(&usage).pico()) };
            assert_eq!(conversation.at_reference(&stay, &REFERENCE), stay.amount);
        }
    }

    #[test]
    fn the_cache_that_the_reference_would_have_had_counts_against_us() {
        let mut conversation = Conversation::default();
        // A first turn elsewhere: 1000 x 2 + 100 x 8 millionths of a USD at the reference.
        let first = conversation.at_reference(&turn(0, tokens(1000, 0, 100), 1), &REFERENCE);
        assert_eq!(first.pico(), 2_800_000_000);
        // A second one within five minutes: 1100 of 1500 tokens would be cached, though none was. 400 x 2 + 1100 x 0.5 + 10 x 8.
        let second = conversation.at_reference(&turn(300, tokens(1500, 0, 10), 1), &REFERENCE);
        assert_eq!(second.pico(), 1_430_000_000);
        // One later than that: nothing would be cached. 1600 x 2 + 10 x 8.
        let late = conversation.at_reference(&turn(601, tokens(1600, 0, 10), 1), &REFERENCE);
        assert_eq!(late.pico(), 3_280_000_000);
        // What was cached in truth would be there, however late: 100 x 2 + 1600 x 0.5.
        let cached = conversation.at_reference(&turn(5000, tokens(1700, 1600, 0), 1), &REFERENCE);
        assert_eq!(cached.pico(), 1_000_000_000);
        // A shorter input cannot have more cached than it has.
        let short = conversation.at_reference(&turn(5001, tokens(10, 0, 0), 1), &REFERENCE);
        assert_eq!(short.pico(), 5_000_000);
    }

    #[test]
    fn a_return_to_the_reference_pays_for_the_cache_it_lost() {
        let mut conversation = Conversation::default();
        conversation.at_reference(&turn(0, tokens(1000, 0, 0), 1), &REFERENCE);
        let usage = tokens(1000, 0, 0);
        let back = Turn { by_reference: true, ..turn(10, usage, REFERENCE.of(&usage).pico()) };
        // In truth 1000 x 2; had it stayed, 1000 x 0.5.
        assert_eq!(back.amount.pico(), 2_000_000_000);
        assert_eq!(conversation.at_reference(&back, &REFERENCE).pico(), 500_000_000);
    }

    #[test]
    fn a_call_without_an_answer_is_free_at_the_reference_and_no_part_of_the_conversation() {
        let mut conversation = Conversation::default();
        let failed = Turn { answered: false, ..turn(0, tokens(1000, 0, 0), 1) };
        assert_eq!(conversation.at_reference(&failed, &REFERENCE), Amount::ZERO);
        assert_eq!(conversation, Conversation::default());
    }

    #[test]
    fn what_is_written_to_a_cache_is_written_there_unless_it_would_be_cached() {
        let prices = Prices { cache_write: Amount::from_pico(2_500_000), ..REFERENCE };
        let usage = Tokens { input: 1000, cached: 0, cache_write: 1000, output: 0 };
        let mut conversation = Conversation::default();
        assert_eq!(conversation.at_reference(&turn(0, usage, 1), &prices).pico(), 2_500_000_000);
        // 900 cached before, 100 written.
        let mut conversation = Conversation::default();
        conversation.at_reference(&turn(0, tokens(800, 0, 100), 1), &prices);
        assert_eq!(conversation.at_reference(&turn(9, usage, 1), &prices).pico(), 900 * 500_000 + 100 * 2_500_000);
    }
}
