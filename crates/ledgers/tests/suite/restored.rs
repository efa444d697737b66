//! What a ledger that was restored from a copy tells the other server.

use crate::places::{Place, each};
use crate::{claim, session};
use blindroute_runtime::ledger::{StandingError, Witness};
use blindroute_runtime::{Ledger, Standing};

/// The standing of the next claim.
fn next(ledger: &dyn Ledger, number: u64) -> Standing {
    ledger.claim(session(number), None).unwrap().standing()
}

/// A place with ten claims, and what the other server has seen of them.
fn used(place: &Place) -> Witness {
    let ledger = place.open().unwrap();
    let mut witness = Witness::new(None);
    (0..10).for_each(|number| witness.see(&next(&*ledger, number)).unwrap());
    witness
}

#[test]
fn case_02_a_copy_from_the_same_term_is_refused() {
    each(|place| {
        let mut witness = used(place);
        let copied = place.copy();
        // It goes on in the next term, and a restart is accepted.
        let ledger = place.open().unwrap();
        witness.see(&next(&*ledger, 10)).unwrap();
        drop(ledger);
        place.restore(&copied);
        let restored = place.open().unwrap();
        let error = witness.see(&next(&*restored, 10)).unwrap_err();
        assert!(matches!(error, StandingError::OtherOpening { term: 2 }), "{error}");
        assert!(error.to_string().contains("restored from a copy"), "{error}");
        // What it claims for other sessions is refused too, and a second copy that goes on from it.
        assert!(witness.see(&next(&*restored, 11)).is_err());
    });
}

#[test]
fn case_02_a_copy_from_before_the_last_restarts_is_refused() {
    each(|place| {
        let mut witness = used(place);
        let copied = place.copy();
        for number in 10..13 {
            witness.see(&next(&*place.open().unwrap(), number)).unwrap();
        }
        place.restore(&copied);
        let error = witness.see(&next(&*place.open().unwrap(), 13)).unwrap_err();
        assert_eq!(error, StandingError::OlderTerm { known: 4, found: 2 });
    });
}

#[test]
fn case_02_a_copy_whose_term_is_later_has_claimed_too_little() {
    each(|place| {
        let ledger = place.open().unwrap();
        claim(&*ledger, 0);
        drop(ledger);
        let copied = place.copy();
        // The copy is of term 1. Here it goes on in term 2; the copy is opened twice, so it has term 3.
        let ledger = place.open().unwrap();
        let mut witness = Witness::new(None);
        (1..8).for_each(|number| witness.see(&next(&*ledger, number)).unwrap());
        drop(ledger);
        place.restore(&copied);
        drop(place.open().unwrap());
        let found = next(&*place.open().unwrap(), 1);
        assert_eq!(found.term, 3);
        assert_eq!(witness.see(&found), Err(StandingError::WentBack { known: 8, found: 2 }));
    });
}

#[test]
fn case_02_a_ledger_that_was_set_up_anew_is_refused_until_it_is_forgotten() {
    each(|place| {
        let witness = used(place);
        let own = Place::of("folder");
        let ledger = own.open().unwrap();
        ledger.claim(session(1), witness.to_store().as_ref()).unwrap();
        let anew = Place::of("sqlite");
        let standing = next(&*anew.open().unwrap(), 20);
        assert!(matches!(Witness::new(ledger.other()).see(&standing), Err(StandingError::OtherLedger { .. })));
        ledger.forget_other().unwrap();
        Witness::new(ledger.other()).see(&standing).unwrap();
    });
}
