//! What every ledger does.

use crate::places::each;
use crate::{claim, is_used, other, session};
use blindroute_runtime::LedgerError;

#[test]
fn a_session_is_claimed_once_also_after_reopening() {
    each(|place| {
        let ledger = place.open().unwrap();
        let numbers: Vec<u64> = (0..50).map(|number| claim(&*ledger, number)).collect();
        assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
        assert!(is_used(&*ledger, 7));
        drop(ledger);
        let ledger = place.open().unwrap();
        assert!((0..50).all(|number| is_used(&*ledger, number)));
        assert_eq!((ledger.entries().unwrap(), claim(&*ledger, 50)), (50, 51));
    });
}

#[test]
fn of_many_threads_one_claims_each_session() {
    each(|place| {
        let ledger = place.open().unwrap();
        let claimed = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let ledger = &ledger;
                    scope.spawn(move || {
                        // Each thread begins elsewhere, and all want all.
                        let wanted = (0..1000).map(|number| (number + 125 * thread) % 1000);
                        let claims = wanted.filter_map(|number| match ledger.claim(session(number), None) {
                            Ok(claim) => Some((number, claim.standing().claimed)),
                            Err(LedgerError::AlreadyUsed(_)) => None,
                            Err(error) => panic!("{error}"),
                        });
                        claims.collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let sorted = |pick: fn(&(u64, u64)) -> u64| {
            let mut numbers: Vec<u64> = claimed.iter().map(pick).collect();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(sorted(|claim| claim.0), (0..1000).collect::<Vec<_>>());
        assert_eq!(sorted(|claim| claim.1), (1..=1000).collect::<Vec<_>>(), "each claim has a number of its own");
    });
}

#[test]
fn two_holders_are_refused_and_the_first_goes_on() {
    each(|place| {
        let ledger = place.open().unwrap();
        let error = place.open().map(drop).unwrap_err();
        assert!(
            matches!(error, LedgerError::Locked(_)) && error.to_string().contains("in use by another process"),
            "{error}"
        );
        assert_eq!((claim(&*ledger, 1), ledger.standing().term), (1, 1));
    });
}

#[test]
fn each_opening_has_the_next_term_and_another_nonce() {
    each(|place| {
        assert_eq!(place.look(), None);
        let mut before = None;
        for term in 1..4 {
            let ledger = place.open().unwrap();
            let standing = ledger.standing();
            assert_eq!((standing.term, standing.claimed), (term, 10 * (term - 1)));
            if let Some((id, nonce)) = before {
                assert!(standing.ledger == id && standing.nonce != nonce);
            }
            before = Some((standing.ledger, standing.nonce));
            (10 * term..10 * term + 10).for_each(|number| assert_eq!(claim(&*ledger, number), number - 9));
            assert_eq!(place.look().unwrap().standing, ledger.standing());
            assert_eq!(ledger.standing().claimed, 10 * term);
        }
    });
}

#[test]
fn what_is_known_of_the_other_server_is_stored_with_a_claim() {
    each(|place| {
        let ledger = place.keeping(10).unwrap();
        assert_eq!(ledger.other(), None);
        for number in 0..25 {
            ledger.claim(session(number), Some(&other(number))).unwrap();
        }
        claim(&*ledger, 25);
        // A claim that fails stores nothing.
        ledger.claim(session(20), Some(&other(99))).unwrap_err();
        assert_eq!(ledger.other(), Some(other(24)));
        assert_eq!(place.look().unwrap().other, Some(other(24)));
        drop(ledger);
        let ledger = place.keeping(10).unwrap();
        assert_eq!(ledger.other(), Some(other(24)));
        ledger.forget_other().unwrap();
        assert_eq!((ledger.other(), place.look().unwrap().other), (None, None));
        drop(ledger);
        assert_eq!(place.keeping(10).unwrap().other(), None);
    });
}

#[test]
fn old_claims_are_forgotten_in_steps_and_the_last_are_kept() {
    each(|place| {
        let ledger = place.keeping(200).unwrap();
        for number in 0..900 {
            claim(&*ledger, number);
            assert!(number % 97 > 0 || is_used(&*ledger, number.saturating_sub(199)), "{number}");
        }
        assert!((700..900).all(|number| is_used(&*ledger, number)));
        let entries = ledger.entries().unwrap();
        assert!((200..=400).contains(&entries), "{entries}");
        assert_eq!(claim(&*ledger, 0), 901, "the oldest is forgotten, and the count goes on");
    });
}
