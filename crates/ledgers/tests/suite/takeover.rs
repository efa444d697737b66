//! A ledger that another process has taken over, and a database that fails and comes back.

use crate::places::{Place, each, target};
use crate::server::Server;
use crate::{claim, is_used, session};
use blindroute_ledgers::{PostgresLedger, PostgresTarget};
use blindroute_runtime::ledger::KEPT;
use blindroute_runtime::{Ledger, LedgerError};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[test]
fn whoever_raises_the_term_fences_off_the_holder_before() {
    // Apart from the other tests' server, whose connections would be ended too.
    let own = Server::start();
    let own: Option<&'static Server> = own.map(|server| &*Box::leak(Box::new(server)));
    for place in [Some(Place::of("sqlite")), own.map(|server| Place::Postgres(server, "fenced".to_owned()))]
        .into_iter()
        .flatten()
    {
        let first = place.open().unwrap();
        claim(&*first, 1);
        first.check().unwrap();
        assert!(place.unlock());
        let second = place.open().unwrap();
        let mut checked = first.check();
        // The first look may only find out that the connection broke.
        if matches!(checked, Err(LedgerError::Database { .. })) {
            checked = first.check();
        }
        assert!(matches!(checked, Err(LedgerError::Fenced { ours: 1, .. })), "{checked:?}");
        second.check().unwrap();
        assert_eq!((second.standing().term, second.standing().claimed), (2, 1));
        for attempt in 0..3 {
            let error = first.claim(session(2), None).unwrap_err();
            if attempt == 0 && matches!(error, LedgerError::Database { .. }) {
                // Its connection was ended, and this claim was the first to notice.
                continue;
            }
            assert!(matches!(error, LedgerError::Fenced { ours: 1, .. }), "{error}");
            assert!(
                error.that_ends_the_party().is_some() && error.to_string().contains("another process opened"),
                "{error}"
            );
        }
        assert_eq!(claim(&*second, 2), 2, "the one that was fenced off has claimed nothing");
        // The first starts again, and does not take it back.
        drop(first);
        if let Place::Postgres(..) = place {
            assert!(matches!(place.open(), Err(LedgerError::Locked(_))));
        }
        assert_eq!(claim(&*second, 3), 3);
    }
}

#[test]
fn a_connection_that_broke_is_made_again_in_the_same_term() {
    let Some(server) = Server::start() else { return };
    let server: &'static Server = Box::leak(Box::new(server));
    let place = Place::Postgres(server, "broken".to_owned());
    let ledger = place.open().unwrap();
    claim(&*ledger, 1);
    assert!(place.unlock());
    // The first claim finds that out, unless the connection has noticed it before.
    let found = ledger.claim(session(2), None);
    assert!(matches!(found, Ok(_) | Err(LedgerError::Database { .. })), "{found:?}");
    assert!(is_used(&*ledger, 1));
    claim(&*ledger, 3);
    assert_eq!(ledger.standing().term, 1);
    assert!(matches!(place.open(), Err(LedgerError::Locked(_))), "the lock was taken again");
}

#[test]
fn case_40_a_database_that_is_killed_loses_no_claim_and_gives_none_twice() {
    let Some(server) = Server::start() else { return };
    let ledger = PostgresLedger::open(target(&server), "server0", KEPT).unwrap();
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (claimed, failed) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let count = |list: &Mutex<Vec<(u64, u64)>>| list.lock().unwrap().len();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    match ledger.claim(session(number), None) {
                        Ok(claim) => claimed.lock().unwrap().push((number, claim.standing().claimed)),
                        Err(
                            LedgerError::Database { .. } | LedgerError::Unsuitable { .. } | LedgerError::Silent { .. },
                        ) => {
                            failed.lock().unwrap().push((number, 0));
                            std::thread::sleep(Duration::from_millis(50));
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        let wait_for = |more: usize| {
            let wanted = count(&claimed) + more;
            while count(&claimed) < wanted {
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        for _ in 0..2 {
            wait_for(100);
            server.kill();
            server.run();
        }
        wait_for(100);
        stop.store(true, Ordering::SeqCst);
    });
    let (claimed, failed) = (claimed.into_inner().unwrap(), failed.into_inner().unwrap());
    assert!(!failed.is_empty(), "the server was killed between claims only");
    let mut numbers: Vec<u64> = claimed.iter().map(|claim| claim.1).collect();
    numbers.sort_unstable();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "two claims have one number");
    assert!(claimed.iter().all(|(number, _)| is_used(&ledger, *number)), "an acknowledged claim was lost");
    // One that failed was committed or not; in any case it is claimed once at most from here on.
    for (number, _) in failed {
        let again = ledger.claim(session(number), None);
        assert!(matches!(again, Ok(_) | Err(LedgerError::AlreadyUsed(_))), "{again:?}");
        assert!(is_used(&ledger, number));
    }
    assert_eq!(ledger.standing().term, 1);
}

#[test]
fn a_database_that_does_not_write_durably_is_refused() {
    let Some(server) = Server::start() else { return };
    let database = |options: &str| {
        PostgresLedger::open(
            PostgresTarget::new(&format!("{}&options=-c%20{options}", server.address()), None, None).unwrap(),
            "durable",
            KEPT,
        )
    };
    for (options, refused) in [
        ("synchronous_commit=off", true),
        ("synchronous_commit=local", true),
        ("synchronous_commit=remote_apply", false),
    ] {
        let opened = database(options).map(drop);
        let named = opened.as_ref().is_err_and(|error| error.to_string().contains("expected on or remote_apply"));
        assert_eq!((opened.is_err(), named), (refused, refused), "{options}: {opened:?}");
    }
}

#[test]
fn many_ledgers_share_a_database() {
    each(|place| {
        let Place::Postgres(server, name) = place else { return };
        let names = ["a", "b"].map(|end| format!("{name}{end}"));
        let ledgers = names.each_ref().map(|name| PostgresLedger::open(target(server), name, KEPT).unwrap());
        for ledger in &ledgers {
            assert_eq!((claim(ledger, 1), is_used(ledger, 1), ledger.entries().unwrap()), (1, true, 1));
        }
        assert_ne!(ledgers[0].standing().ledger, ledgers[1].standing().ledger);
    });
}

#[test]
fn a_server_elsewhere_needs_an_authority_and_no_password_is_shown() {
    for local in
        ["postgres://a@localhost/b", "postgres://a@127.0.0.1/b", "postgres://a@[::1]/b", "postgres://a@/b?host=/run"]
    {
        PostgresTarget::new(local, None, None).unwrap();
    }
    for far in
        ["postgres://a@db.example/b", "postgres://a@localhost,10.0.0.1/b", "postgres://a@localhost/b?hostaddr=10.0.0.1"]
    {
        let error = PostgresTarget::new(far, None, Some("hunter2")).unwrap_err().to_string();
        assert!(error.contains("`authority`") && !error.contains("hunter2"), "{error}");
    }
    let target = PostgresTarget::new("postgres://a@localhost:1/b", None, Some("hunter2")).unwrap();
    let error = PostgresLedger::open(target.clone(), "x", KEPT).unwrap_err();
    for text in [format!("{target:?}"), format!("{error:?}"), error.to_string()] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    let error = PostgresTarget::new("postgres://a:hunter2@local host/b?x=1", None, None).unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
}
