use std::sync::Arc;

use super::filter::Filter;
use super::*;

fn session(number: u64) -> SessionId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    SessionId(bytes)
}

#[test]
fn a_session_is_entered_once_also_after_reopening() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    for number in 0..50 {
        ledger.consume(session(number)).unwrap();
    }
    assert!(matches!(ledger.consume(session(7)), Err(LedgerError::AlreadyUsed(id)) if id == session(7)));
    drop(ledger);
    let ledger = Ledger::open(home.path()).unwrap();
    assert_eq!(ledger.entries(), 50);
    for number in 0..50 {
        assert!(matches!(ledger.consume(session(number)), Err(LedgerError::AlreadyUsed(_))));
    }
    ledger.consume(session(50)).unwrap();
}

#[test]
fn the_file_has_a_frozen_form() {
    let home = tempfile::tempdir().unwrap();
    Ledger::open(home.path()).unwrap().consume(SessionId([0; 16])).unwrap();
    let bytes = std::fs::read(home.path().join(NAME)).unwrap();
    assert_eq!(bytes[..32], *b"blindroute used\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(bytes[32..], 0x88201fb960ff6465_u64.to_le_bytes());
}

#[test]
fn two_holders_of_a_directory_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let _held = Ledger::open(home.path()).unwrap();
    assert!(matches!(Ledger::open(home.path()), Err(LedgerError::Locked(_))));
}

#[test]
fn an_incomplete_last_record_is_removed_and_the_rest_stays_consumed() {
    for (torn, lengthened) in (1..RECORD).map(|torn| (torn, false)).chain([(RECORD, true)]) {
        let home = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(home.path()).unwrap();
        ledger.consume(session(1)).unwrap();
        drop(ledger);
        let path = home.path().join(NAME);
        let mut bytes = std::fs::read(&path).unwrap();
        let tail = if lengthened { [0; RECORD] } else { record(&session(2)) };
        bytes.extend_from_slice(&tail[..torn]);
        std::fs::write(&path, &bytes).unwrap();

        let ledger = Ledger::open(home.path()).unwrap();
        assert_eq!(ledger.entries(), 1);
        assert!(matches!(ledger.consume(session(1)), Err(LedgerError::AlreadyUsed(_))));
        ledger.consume(session(2)).unwrap();
        ledger.consume(session(3)).unwrap();
        drop(ledger);
        assert_eq!(Ledger::open(home.path()).unwrap().entries(), 3);
    }
}

#[test]
fn damage_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    (0..3).for_each(|number| ledger.consume(session(number)).unwrap());
    drop(ledger);
    let path = home.path().join(NAME);
    let good = std::fs::read(&path).unwrap();
    for at in [0, MAGIC.len(), MAGIC.len() + RECORD + 20] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        assert!(matches!(Ledger::open(home.path()), Err(LedgerError::Damaged { .. })), "byte {at}");
    }
    std::fs::write(&path, b"shopping").unwrap();
    assert!(matches!(Ledger::open(home.path()), Err(LedgerError::Damaged { .. })));
    std::fs::write(&path, &MAGIC[..5]).unwrap();
    assert_eq!(Ledger::open(home.path()).unwrap().entries(), 0);
}

#[test]
fn of_many_threads_only_one_consumes_a_session() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::open(home.path()).unwrap());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let ledger = ledger.clone();
            std::thread::spawn(move || ledger.consume(session(9)).is_ok())
        })
        .collect();
    assert_eq!(threads.into_iter().filter(|_| true).map(|t| t.join().unwrap()).filter(|won| *won).count(), 1);
}

#[test]
fn the_filter_rarely_gives_a_wrong_answer() {
    let mut filter = Filter::new(200_000);
    (0..200_000).for_each(|number| filter.note(&session(number)));
    assert!((0..200_000).all(|number| filter.maybe(&session(number))));
    let wrong = (200_000..300_000).filter(|number| filter.maybe(&session(*number))).count();
    assert!(wrong < 1000, "{wrong} of 100000");
}

fn refused(ledger: &Ledger, numbers: std::ops::Range<u64>) -> bool {
    numbers.clone().all(|number| matches!(ledger.consume(session(number)), Err(LedgerError::AlreadyUsed(_))))
}

#[test]
fn case_50_a_full_file_is_followed_by_a_new_one_and_the_file_before_the_last_is_forgotten() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::with_generation(home.path(), 10).unwrap();
    for number in 0..25 {
        ledger.consume(session(number)).unwrap();
        assert!(ledger.entries() <= 20);
        // At least the last ten are known, also after a new file has begun.
        assert!(refused(&ledger, number.saturating_sub(9)..number + 1));
    }
    assert_eq!(ledger.entries(), 15);
    assert!(refused(&ledger, 10..25));
    drop(ledger);
    let size = |name: &str| std::fs::metadata(home.path().join(name)).unwrap().len();
    assert_eq!((size(OLD), size(NAME)), ((MAGIC.len() + 10 * RECORD) as u64, (MAGIC.len() + 5 * RECORD) as u64));

    let ledger = Ledger::with_generation(home.path(), 10).unwrap();
    assert!(refused(&ledger, 10..25));
    ledger.consume(session(3)).unwrap();
    assert!(matches!(Ledger::open(home.path()), Err(LedgerError::Locked(_))));
}

#[test]
fn case_50_a_crash_while_a_new_file_begins_forgets_nothing() {
    // After the new file, and after the first of the two renames.
    for crash in [1, 2] {
        let home = tempfile::tempdir().unwrap();
        let ledger = Ledger::with_generation(home.path(), 10).unwrap();
        (0..20).for_each(|number| ledger.consume(session(number)).unwrap());
        drop(ledger);
        let at = |name: &str| home.path().join(name);
        std::fs::write(at(NEW), &MAGIC[..7 * crash]).unwrap();
        if crash == 2 {
            std::fs::rename(at(NAME), at(OLD)).unwrap();
        }
        let ledger = Ledger::with_generation(home.path(), 10).unwrap();
        assert!(refused(&ledger, 10..20), "crash {crash}");
        ledger.consume(session(20)).unwrap();
        assert!(refused(&ledger, 10..21), "crash {crash}");
        assert!(!at(NEW).exists());
    }
}

#[test]
fn damage_to_the_old_file_is_refused_too() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::with_generation(home.path(), 3).unwrap();
    (0..4).for_each(|number| ledger.consume(session(number)).unwrap());
    drop(ledger);
    let path = home.path().join(OLD);
    let good = std::fs::read(&path).unwrap();
    for damaged in [&good[..good.len() - 1], &good[..MAGIC.len()], b"shopping"] {
        std::fs::write(&path, damaged).unwrap();
        assert!(matches!(Ledger::open(home.path()), Err(LedgerError::Damaged { .. })), "{} bytes", damaged.len());
    }
}
