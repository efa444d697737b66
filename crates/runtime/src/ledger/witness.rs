//! Whether the other server's ledger goes on from where it was.

use crate::messages::Standing;

/// The most claims that the other server may have made between a claim and the moment at which it tells of it, which takes half a
/// minute at most. Like the window against replays of IPsec (RFC 4303, section 3.4.3), and as many bits.
const WINDOW: u64 = 1 << 16;

/// Set in the stored term of a ledger of which a copy or a clone was seen. Terms count openings, so they never come there.
const DISPUTED: u64 = 1 << 63;

/// Why the other server's ledger is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StandingError {
    /// It is another ledger.
    #[error(
        "the other server has another ledger ({found}, expected {known}): it was set up anew, or is not the same server; ask its \
         operator, and only if that was on purpose stop this server and run `blindroute-operator ledger forget-peer`"
    )]
    OtherLedger {
        /// The ledger that is known.
        known: crate::messages::LedgerId,
        /// The other server's.
        found: crate::messages::LedgerId,
    },
    /// Its term is older than one that was seen.
    #[error(
        "the other server's ledger has term {found}, expected {known} or a later one: it was restored from a copy, or a clone of it \
         runs; its operator has to stop it, and set its ledger up anew if the newest one is lost"
    )]
    OlderTerm {
        /// The newest term that was seen.
        known: u64,
        /// The other server's.
        found: u64,
    },
    /// It was opened a second time from the same state.
    #[error(
        "two openings of the other server's ledger have term {term}: it was restored from a copy, or cloned; its operator has to stop \
         it, and set its ledger up anew if the newest one is lost"
    )]
    OtherOpening {
        /// The term of both.
        term: u64,
    },
    /// It claimed fewer sessions than it had, or two under one number.
    #[error(
        "the other server's ledger went back: this is its claim number {found}, expected one after {known} that was not seen; it was \
         restored from a copy, or cloned; its operator has to stop it, and set its ledger up anew if the newest one is lost"
    )]
    WentBack {
        /// The highest number that was seen.
        known: u64,
        /// The other server's.
        found: u64,
    },
    /// It was opened again after a copy or a clone of it had been seen, so it may be either.
    #[error(
        "the other server's ledger was opened again (term {found}) after a copy or a clone of it was refused, and nothing tells which of \
         them goes on; ask its operator, and if the newest one does, stop this server and run `blindroute-operator ledger forget-peer`; \
         otherwise its operator has to set its ledger up anew before that"
    )]
    Disputed {
        /// The other server's term.
        found: u64,
    },
}

/// What a server has seen of the other one's ledger.
#[derive(Debug)]
pub struct Witness {
    known: Option<Standing>,
    numbers: Numbers,
    /// Whether a copy or a clone of the ledger was seen. A copy goes on counting: it claims sessions before they are refused, so after
    /// enough of them and a restart its term and its number would follow from what is known.
    disputed: bool,
}

impl Witness {
    /// What a server's own ledger holds of the other one; `None` takes the first that comes.
    #[must_use]
    pub fn new(stored: Option<Standing>) -> Self {
        let (known, disputed) = stored.as_ref().map(Self::read).unzip();
        let disputed = disputed.unwrap_or(false);
        // Which numbers before that were seen is not stored, so each is accepted once more.
        let claimed = known.map_or(0, |known| known.claimed);
        Self { known, numbers: Numbers::after(0, claimed), disputed }
    }

    /// What was stored: how the other ledger stood, and whether a copy or a clone of it had been seen.
    #[must_use]
    pub fn read(stored: &Standing) -> (Standing, bool) {
        (Standing { term: stored.term & !DISPUTED, ..*stored }, stored.term & DISPUTED != 0)
    }

    /// The newest standing so far and whether it is disputed, to be stored with the next claim.
    #[must_use]
    pub fn to_store(&self) -> Option<Standing> {
        let mark = if self.disputed { DISPUTED } else { 0 };
        self.known.map(|known| Standing { term: known.term | mark, ..known })
    }

    /// Takes note of the standing of a claim.
    ///
    /// # Errors
    /// If it does not follow from what was seen. It is not noted then. After a copy or a clone, no later term is accepted any more.
    pub fn see(&mut self, found: &Standing) -> Result<(), StandingError> {
        let seen = self.compare(found);
        // An older term may be of a session that was opened just before a restart, and another ledger never becomes the known one.
        self.disputed |= matches!(
            seen,
            Err(StandingError::OtherOpening { .. } | StandingError::WentBack { .. } | StandingError::Disputed { .. })
        );
        seen
    }

    fn compare(&mut self, found: &Standing) -> Result<(), StandingError> {
        let Some(known) = self.known else {
            self.numbers = Numbers::after(0, found.claimed);
            self.known = Some(*found);
            return Ok(());
        };
        let (term, claimed) = (known.term, known.claimed);
        let back = StandingError::WentBack { known: claimed, found: found.claimed };
        if found.ledger != known.ledger {
            return Err(StandingError::OtherLedger { known: known.ledger, found: found.ledger });
        }
        if found.term < term {
            return Err(StandingError::OlderTerm { known: term, found: found.term });
        }
        if found.term > term {
            // Whoever opened it found all claims of the term before, also those that were not told.
            if found.claimed <= claimed {
                return Err(back);
            }
            if self.disputed {
                return Err(StandingError::Disputed { found: found.term });
            }
            self.numbers = Numbers::after(claimed, found.claimed);
            self.known = Some(*found);
            return Ok(());
        }
        if found.nonce != known.nonce {
            return Err(StandingError::OtherOpening { term });
        }
        if !self.numbers.take(found.claimed) {
            return Err(back);
        }
        self.known = Some(Standing { claimed: claimed.max(found.claimed), ..known });
        Ok(())
    }
}

/// The numbers that were seen. Sessions are opened side by side, so they come in any order, and each once.
struct Numbers {
    /// All up to here belong to earlier terms.
    floor: u64,
    /// The highest.
    top: u64,
    /// Whether each of the last ones was seen.
    seen: Vec<u64>,
}

impl std::fmt::Debug for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Numbers").field("floor", &self.floor).field("top", &self.top).finish_non_exhaustive()
    }
}

impl Numbers {
    /// Of those after `floor`, only this one was seen.
    fn after(floor: u64, top: u64) -> Self {
        let mut numbers = Self { floor, top, seen: vec![0; (WINDOW / 64) as usize] };
        numbers.mark(top);
        numbers
    }

    /// Whether a number is new. It is not afterwards.
    fn take(&mut self, number: u64) -> bool {
        if number <= self.floor || self.top.saturating_sub(number) >= WINDOW {
            return false;
        }
        if number > self.top {
            if number - self.top >= WINDOW {
                self.seen.fill(0);
            } else {
                (self.top + 1..=number).for_each(|skipped| self.clear(skipped));
            }
            self.top = number;
        }
        let new = !self.is_marked(number);
        self.mark(number);
        new
    }

    fn place(number: u64) -> (usize, u64) {
        let bit = number % WINDOW;
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    fn is_marked(&self, number: u64) -> bool {
        let (word, bit) = Self::place(number);
        self.seen[word] & bit != 0
    }

    fn mark(&mut self, number: u64) {
        let (word, bit) = Self::place(number);
        self.seen[word] |= bit;
    }

    fn clear(&mut self, number: u64) {
        let (word, bit) = Self::place(number);
        self.seen[word] &= !bit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{LedgerId, TermNonce};

    fn standing(term: u64, nonce: u8, claimed: u64) -> Standing {
        Standing { ledger: LedgerId([1; 16]), term, nonce: TermNonce([nonce; 16]), claimed }
    }

    #[test]
    fn claims_of_one_term_come_in_any_order_and_each_once() {
        let mut witness = Witness::new(None);
        for number in [10, 12, 11, 9, 13 + WINDOW, 14] {
            witness.see(&standing(3, 1, number)).unwrap();
        }
        for number in [10, 12, 14, 13 + WINDOW, 13] {
            let error = witness.see(&standing(3, 1, number)).unwrap_err();
            assert!(matches!(error, StandingError::WentBack { found, .. } if found == number), "{error}");
        }
        assert_eq!(witness.to_store().as_ref().map(Witness::read), Some((standing(3, 1, 13 + WINDOW), true)));
        witness.see(&standing(3, 1, 15)).unwrap();
        witness.see(&standing(3, 1, u64::MAX)).unwrap();
        witness.see(&standing(3, 1, 16)).unwrap_err();
    }

    #[test]
    fn case_02_a_restored_or_cloned_ledger_is_refused() {
        let mut witness = Witness::new(Some(standing(3, 1, 100)));
        // A clone of the machine, with its memory: it goes on from the same number.
        witness.see(&standing(3, 1, 101)).unwrap();
        assert!(matches!(witness.see(&standing(3, 1, 101)), Err(StandingError::WentBack { known: 101, found: 101 })));
        // A copy from before the last opening, opened: the same term, or an older one.
        assert_eq!(witness.see(&standing(3, 2, 90)), Err(StandingError::OtherOpening { term: 3 }));
        assert_eq!(witness.see(&standing(2, 2, 500)), Err(StandingError::OlderTerm { known: 3, found: 2 }));
        // A copy from after the last opening: it opens with a later term, and with fewer claims.
        assert!(matches!(witness.see(&standing(4, 2, 101)), Err(StandingError::WentBack { known: 101, found: 101 })));
        // Set up anew.
        let other = Standing { ledger: LedgerId([2; 16]), ..standing(1, 1, 1) };
        assert!(matches!(witness.see(&other), Err(StandingError::OtherLedger { .. })));
        // Nothing of that counts as seen, and the one that is known goes on.
        witness.see(&standing(3, 1, 102)).unwrap();
    }

    #[test]
    fn a_restart_is_accepted_and_what_the_term_before_tells_late_is_not() {
        let mut witness = Witness::new(Some(standing(3, 1, 102)));
        witness.see(&standing(4, 3, 104)).unwrap();
        witness.see(&standing(4, 3, 103)).unwrap();
        assert_eq!(witness.see(&standing(3, 1, 105)), Err(StandingError::OlderTerm { known: 4, found: 3 }));
        // That may be of a session that began before the restart: the next one is accepted too.
        witness.see(&standing(5, 4, 106)).unwrap();
    }

    #[test]
    fn case_02_a_copy_that_goes_on_counting_is_not_accepted_after_a_restart() {
        let mut witness = Witness::new(Some(standing(4, 1, 150)));
        // A copy of term 3 with 100 claims, whose sessions are refused and counted.
        for number in 101..160 {
            assert_eq!(witness.see(&standing(4, 2, number)), Err(StandingError::OtherOpening { term: 4 }));
        }
        assert_eq!(witness.see(&standing(5, 3, 160)), Err(StandingError::Disputed { found: 5 }));
        assert_eq!(witness.see(&standing(6, 4, 170)), Err(StandingError::Disputed { found: 6 }));
        // The one before goes on, until it restarts.
        witness.see(&standing(4, 1, 151)).unwrap();
        assert_eq!(witness.see(&standing(5, 5, 152)), Err(StandingError::Disputed { found: 5 }));
        // That outlives a restart of the server that has seen it.
        let mut witness = Witness::new(witness.to_store());
        witness.see(&standing(4, 1, 152)).unwrap();
        assert_eq!(witness.see(&standing(5, 5, 153)), Err(StandingError::Disputed { found: 5 }));
    }
}
