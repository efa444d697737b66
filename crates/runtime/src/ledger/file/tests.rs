use super::filter::Filter;
use super::head::{FIRST_MAGIC, MAGIC, START};
use super::*;
use std::sync::Arc;

fn session(number: u64) -> SessionId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    SessionId(bytes)
}

fn claim(ledger: &FileLedger, number: u64) {
    ledger.claim(session(number), None).unwrap();
}

#[test]
fn a_session_is_entered_once_also_after_reopening() {
    let home = tempfile::tempdir().unwrap();
    let ledger = FileLedger::open(home.path()).unwrap();
    for number in 0..50 {
        ledger.claim(session(number), None).unwrap();
    }
    assert!(matches!(ledger.claim(session(7), None), Err(LedgerError::AlreadyUsed(id)) if id == session(7)));
    drop(ledger);
    let ledger = FileLedger::open(home.path()).unwrap();
    assert_eq!(ledger.entries().unwrap(), 50);
    for number in 0..50 {
        assert!(matches!(ledger.claim(session(number), None), Err(LedgerError::AlreadyUsed(_))));
    }
    ledger.claim(session(50), None).unwrap();
}

#[test]
fn the_file_has_a_frozen_form() {
    let home = tempfile::tempdir().unwrap();
    FileLedger::open(home.path()).unwrap().claim(SessionId([0; 16]), None).unwrap();
    let bytes = std::fs::read(home.path().join(NAME)).unwrap();
    assert_eq!((bytes[..16].to_vec(), START), (b"blindroute used\x02".to_vec(), 12288));
    assert_eq!(bytes[START..START + 16], [0; 16]);
    assert_eq!(bytes[START + 16..], 0x88201fb960ff6465_u64.to_le_bytes());
}

#[test]
fn two_holders_of_a_directory_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let _held = FileLedger::open(home.path()).unwrap();
    assert!(matches!(FileLedger::open(home.path()), Err(LedgerError::Locked(_))));
}

#[test]
fn an_incomplete_last_record_is_removed_and_the_rest_stays_consumed() {
    for (torn, lengthened) in (1..RECORD).map(|torn| (torn, false)).chain([(RECORD, true)]) {
        let home = tempfile::tempdir().unwrap();
        let ledger = FileLedger::open(home.path()).unwrap();
        ledger.claim(session(1), None).unwrap();
        drop(ledger);
        let path = home.path().join(NAME);
        let mut bytes = std::fs::read(&path).unwrap();
        let tail = if lengthened { [0; RECORD] } else { record(&session(2)) };
        bytes.extend_from_slice(&tail[..torn]);
        std::fs::write(&path, &bytes).unwrap();

        let ledger = FileLedger::open(home.path()).unwrap();
        assert_eq!(ledger.entries().unwrap(), 1);
        assert!(matches!(ledger.claim(session(1), None), Err(LedgerError::AlreadyUsed(_))));
        ledger.claim(session(2), None).unwrap();
        ledger.claim(session(3), None).unwrap();
        drop(ledger);
        assert_eq!(FileLedger::open(home.path()).unwrap().entries().unwrap(), 3);
    }
}

#[test]
fn damage_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let ledger = FileLedger::open(home.path()).unwrap();
    (0..3).for_each(|number| claim(&ledger, number));
    drop(ledger);
    let path = home.path().join(NAME);
    let good = std::fs::read(&path).unwrap();
    for at in [&[0][..], &[MAGIC.len()], &[START / 3, 2 * START / 3], &[START], &[START + RECORD + 20]] {
        let mut bad = good.clone();
        at.iter().for_each(|at| bad[*at] ^= 1);
        std::fs::write(&path, &bad).unwrap();
        assert!(matches!(FileLedger::open(home.path()), Err(LedgerError::Damaged { .. })), "bytes {at:?}");
    }
    std::fs::write(&path, b"shopping").unwrap();
    assert!(matches!(FileLedger::open(home.path()), Err(LedgerError::Damaged { .. })));
    std::fs::write(&path, &FIRST_MAGIC[..5]).unwrap();
    assert_eq!(FileLedger::open(home.path()).unwrap().entries().unwrap(), 0);
}

#[test]
fn of_many_threads_only_one_consumes_a_session() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Arc::new(FileLedger::open(home.path()).unwrap());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let ledger = ledger.clone();
            std::thread::spawn(move || ledger.claim(session(9), None).is_ok())
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

fn refused(ledger: &FileLedger, numbers: std::ops::Range<u64>) -> bool {
    numbers.clone().all(|number| matches!(ledger.claim(session(number), None), Err(LedgerError::AlreadyUsed(_))))
}

#[test]
fn case_50_a_full_file_is_followed_by_a_new_one_and_the_file_before_the_last_is_forgotten() {
    let home = tempfile::tempdir().unwrap();
    let ledger = FileLedger::keeping(home.path(), 10).unwrap();
    for number in 0..25 {
        ledger.claim(session(number), None).unwrap();
        assert!(ledger.entries().unwrap() <= 20);
        // At least the last ten are known, also after a new file has begun.
        assert!(refused(&ledger, number.saturating_sub(9)..number + 1));
    }
    assert_eq!(ledger.entries().unwrap(), 15);
    assert!(refused(&ledger, 10..25));
    drop(ledger);
    let size = |name: &str| std::fs::metadata(home.path().join(name)).unwrap().len();
    assert_eq!((size(OLD), size(NAME)), ((START + 10 * RECORD) as u64, (START + 5 * RECORD) as u64));

    let ledger = FileLedger::keeping(home.path(), 10).unwrap();
    assert!(refused(&ledger, 10..25));
    ledger.claim(session(3), None).unwrap();
    assert!(matches!(FileLedger::open(home.path()), Err(LedgerError::Locked(_))));
}

#[test]
fn case_50_a_crash_while_a_new_file_begins_forgets_nothing() {
    // After the new file, and after the first of the two renames.
    for crash in [1, 2] {
        let home = tempfile::tempdir().unwrap();
        let ledger = FileLedger::keeping(home.path(), 10).unwrap();
        (0..20).for_each(|number| claim(&ledger, number));
        drop(ledger);
        let at = |name: &str| home.path().join(name);
        std::fs::write(at(NEW), &MAGIC[..7 * crash]).unwrap();
        if crash == 2 {
            std::fs::rename(at(NAME), at(OLD)).unwrap();
        }
        let ledger = FileLedger::keeping(home.path(), 10).unwrap();
        assert!(refused(&ledger, 10..20), "crash {crash}");
        ledger.claim(session(20), None).unwrap();
        assert!(refused(&ledger, 10..21), "crash {crash}");
        assert!(!at(NEW).exists());
    }
}

#[test]
fn damage_to_the_old_file_is_refused_too() {
    let home = tempfile::tempdir().unwrap();
    let ledger = FileLedger::keeping(home.path(), 3).unwrap();
    (0..4).for_each(|number| claim(&ledger, number));
    drop(ledger);
    let path = home.path().join(OLD);
    let good = std::fs::read(&path).unwrap();
    for damaged in [&good[..good.len() - 1], &good[..START], &good[..START / 2], b"shopping"] {
        std::fs::write(&path, damaged).unwrap();
        assert!(matches!(FileLedger::open(home.path()), Err(LedgerError::Damaged { .. })), "{} bytes", damaged.len());
    }
}

/// A ledger as the first version wrote it.
fn first_version(path: &Path, numbers: std::ops::Range<u64>) {
    let records = numbers.flat_map(|number| record(&session(number)));
    std::fs::write(path, FIRST_MAGIC.iter().copied().chain(records).collect::<Vec<_>>()).unwrap();
}

#[test]
fn a_ledger_of_the_first_version_goes_on_with_a_term() {
    for with_old in [false, true] {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        if with_old {
            first_version(&at(OLD), 0..10);
        }
        first_version(&at(NAME), 10..13);
        // A crash left half of a record.
        let torn = [std::fs::read(at(NAME)).unwrap(), vec![1; 9]].concat();
        std::fs::write(at(NAME), torn).unwrap();
        assert_eq!(FileLedger::look(home.path()).unwrap(), None);
        let first = if with_old { 0 } else { 10 };
        let ledger = FileLedger::keeping(home.path(), 10).unwrap();
        let standing = ledger.standing();
        assert_eq!((standing.term, standing.claimed, ledger.other()), (1, 13 - first, None));
        assert!(refused(&ledger, first..13));
        assert_eq!(ledger.claim(session(13), None).unwrap().standing().claimed, 14 - first);
        drop(ledger);
        let ledger = FileLedger::keeping(home.path(), 10).unwrap();
        assert!(refused(&ledger, first..14));
        assert_eq!((ledger.standing().ledger, ledger.standing().term), (standing.ledger, 2));
        // Seven more fill the file, and the next one begins another.
        (14..24).for_each(|number| claim(&ledger, number));
        assert!(refused(&ledger, 10..24));
        assert_eq!(ledger.standing().claimed, 24 - first);
    }
}

#[test]
fn a_head_that_a_crash_left_incomplete_is_the_one_before() {
    let home = tempfile::tempdir().unwrap();
    let first = FileLedger::open(home.path()).unwrap().standing();
    let second = FileLedger::open(home.path()).unwrap().standing();
    assert_eq!((first.term, second.term), (1, 2));
    let path = home.path().join(NAME);
    let mut bytes = std::fs::read(&path).unwrap();
    // The third of the writes is in the first place again.
    bytes[START / 3 + 30..START / 3 + 50].fill(7);
    std::fs::write(&path, bytes).unwrap();
    let again = FileLedger::open(home.path()).unwrap().standing();
    assert_eq!((again.ledger, again.term), (second.ledger, 2));
    assert_ne!(again.nonce, second.nonce, "the other server sees two openings of one term");
}

#[test]
fn a_crash_between_the_two_names_of_a_new_file_keeps_whose_it_is() {
    let home = tempfile::tempdir().unwrap();
    let ledger = FileLedger::keeping(home.path(), 3).unwrap();
    let other = Standing { claimed: 4, ..ledger.standing() };
    (0..2).for_each(|number| claim(&ledger, number));
    ledger.claim(session(2), Some(&other)).unwrap();
    let before = ledger.standing();
    drop(ledger);
    std::fs::rename(home.path().join(NAME), home.path().join(OLD)).unwrap();
    let ledger = FileLedger::keeping(home.path(), 3).unwrap();
    let after = ledger.standing();
    assert_eq!((after.ledger, after.term, after.claimed), (before.ledger, before.term + 1, 3));
    assert_eq!(ledger.other(), Some(other));
}
