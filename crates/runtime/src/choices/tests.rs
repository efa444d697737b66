//! What is on disk, and what server 0 makes of a batch, without sockets.

use super::batch::Batch;
use super::store::{Closing, Due, Store};
use super::*;
use crate::messages::BatchId;
use blindroute_reports::{CountedShare, KeyHalf, Side, VerifyKey};
use std::time::{SystemTime, UNIX_EPOCH};

const DEPLOYMENT: Digest = Digest([2; 32]);
const ID: BatchId = BatchId([3; 16]);

fn models() -> Vec<String> {
    ["small", "large", "with \"quotes\" and\nmore"].map(str::to_owned).to_vec()
}

/// Both servers' shares of a right report.
fn right(report: ReportId, chosen: usize) -> [CountedShare; 2] {
    let histogram = Histogram::new(3).unwrap();
    let made = histogram.report(&DEPLOYMENT.0, &report.0, chosen).unwrap();
    let halves = [(); 2].map(|()| KeyHalf::generate().unwrap());
    let key = VerifyKey::of(&report.0, [&halves[0], &halves[1]]);
    let begin = |side: Side| {
        let share = &made.shares[side as usize];
        histogram.begin(side, &key, (&DEPLOYMENT.0, &report.0), &made.public, share).unwrap()
    };
    let ((zero, from_zero), (one, from_one)) = (begin(Side::Zero), begin(Side::One));
    [zero.finish(&from_one).unwrap(), one.finish(&from_zero).unwrap()]
}

fn options(minimum: u64) -> ChoicesOptions {
    ChoicesOptions { minimum, after: Duration::ZERO }
}

/// Two servers' stores.
struct Pair {
    homes: [tempfile::TempDir; 2],
    zero: Store,
    one: Store,
    next: u8,
}

impl Pair {
    fn new() -> Self {
        let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [zero, one] = homes.each_ref().map(|home| Store::open(home.path()).unwrap());
        Self { homes, zero, one, next: 0 }
    }

    fn reopen(self) -> Self {
        let [zero, one] = self.homes.each_ref().map(|home| Store::open(home.path()).unwrap());
        Self { zero, one, ..self }
    }

    /// A right report; `heard` says how far it gets.
    fn report(&mut self, chosen: usize, heard: Heard) -> BatchId {
        self.next += 1;
        let report = ReportId([self.next; 16]);
        let [zero, one] = right(report, chosen);
        let batch = self.one.current(DEPLOYMENT, &models()).unwrap();
        self.one.doubt(batch, report, one).unwrap();
        if heard != Heard::Nothing {
            assert!(self.zero.count((batch, DEPLOYMENT), &models(), report, &zero).unwrap());
        }
        if heard == Heard::All {
            self.one.settle(batch, report, true).unwrap();
        }
        batch
    }

    fn due(&self, minimum: u64) -> Option<Due> {
        self.one.due(&options(minimum), SystemTime::now())
    }

    /// Closes and reveals as the servers do.
    fn reveal(&self, minimum: u64) -> Vec<u64> {
        let due = self.due(minimum).unwrap();
        let Closing::Closed { known, sum: of_zero } = self.zero.close(&due, minimum).unwrap() else {
            panic!("it is not closed")
        };
        let of_one = self.one.closed(&due, &known).unwrap();
        let counts = self.zero.counts(due.batch, &of_one).unwrap();
        assert_eq!(self.one.counts(due.batch, &of_zero).unwrap(), counts);
        self.zero.reveal(due.batch, counts.clone()).unwrap();
        self.one.reveal(due.batch, counts.clone()).unwrap();
        counts
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Server 0 never heard that it counts.
    Nothing,
    /// Server 1 never heard that it was counted.
    ByZero,
    All,
}

#[test]
fn doubted_reports_are_counted_by_both_or_by_neither_also_after_restarts() {
    let mut pair = Pair::new();
    pair.report(0, Heard::All);
    pair.report(1, Heard::ByZero);
    pair.report(1, Heard::Nothing);
    let mut pair = pair.reopen();
    pair.report(2, Heard::All);
    pair.report(0, Heard::Nothing);
    let pair = pair.reopen();
    assert_eq!(pair.reveal(1), [1, 1, 1]);
    let revealed = [&pair.zero, &pair.one].map(Store::revealed);
    assert_eq!(revealed[0][0].counts, [1, 1, 1]);
    assert_eq!((revealed[0][0].models.clone(), revealed[0][0].reports), (models(), 3));
    assert_eq!(revealed[0][0].batch, revealed[1][0].batch);
    let pair = pair.reopen();
    assert_eq!([&pair.zero, &pair.one].map(Store::revealed), revealed);
    assert!(pair.due(0).is_none(), "nothing is left of the batch");
}

#[test]
fn a_batch_is_due_when_it_is_old_and_has_enough_that_are_not_doubted() {
    let mut pair = Pair::new();
    pair.report(0, Heard::All);
    pair.report(0, Heard::ByZero);
    assert!(pair.due(1).is_some() && pair.due(2).is_none(), "a doubted one may come to nothing");
    let day = ChoicesOptions { minimum: 1, after: Duration::from_secs(24 * 3600) };
    let at = |seconds: u64| SystemTime::now() + Duration::from_secs(seconds);
    assert!(pair.one.due(&day, at(24 * 3600 - 60)).is_none() && pair.one.due(&day, at(24 * 3600)).is_some());
    assert!(pair.one.due(&day, UNIX_EPOCH).is_none(), "a clock that goes back closes nothing");
    // Server 0 has a minimum of its own, and the batch goes on.
    let due = pair.due(1).unwrap();
    assert!(matches!(pair.zero.close(&due, 3).unwrap(), Closing::Few));
    pair.report(1, Heard::All);
    assert_eq!(pair.reveal(2), [2, 1, 0]);
}

#[test]
fn a_closed_batch_takes_nothing_more_and_a_lost_answer_is_given_again() {
    let mut pair = Pair::new();
    let batch = pair.report(0, Heard::All);
    let due = pair.due(1).unwrap();
    let closed = |pair: &Pair| match pair.zero.close(&due, 1).unwrap() {
        Closing::Closed { sum, .. } => sum,
        _ => panic!("it is not closed"),
    };
    let first = closed(&pair);
    // Server 1 is killed before it writes that.
    let mut pair = pair.reopen();
    let [share, _] = right(ReportId([99; 16]), 1);
    assert!(!pair.zero.takes(batch, DEPLOYMENT));
    assert!(!pair.zero.count((batch, DEPLOYMENT), &models(), ReportId([99; 16]), &share).unwrap());
    assert_eq!(first, closed(&pair), "the same sum again");
    assert_eq!(pair.reveal(1), [1, 0, 0]);
    assert!(matches!(pair.zero.close(&due, 1).unwrap(), Closing::Revealed(counts) if counts == [1, 0, 0]));
    assert!(!pair.zero.takes(batch, DEPLOYMENT), "nothing is added to what was revealed");
    assert!(pair.report(1, Heard::All) != batch, "later reports are in another batch");
}

#[test]
fn servers_with_different_reports_drop_the_batch() {
    let mut pair = Pair::new();
    pair.report(0, Heard::All);
    pair.report(1, Heard::All);
    let due = pair.due(1).unwrap();
    // Of another restored copy: server 0 has one that server 1 does not know.
    let [share, _] = right(ReportId([77; 16]), 2);
    assert!(pair.zero.count((due.batch, DEPLOYMENT), &models(), ReportId([77; 16]), &share).unwrap());
    assert!(matches!(pair.zero.close(&due, 1).unwrap(), Closing::Dropped(3)));
    assert!(matches!(pair.zero.close(&due, 1).unwrap(), Closing::Dropped(0)), "it is gone");
    assert_eq!(pair.one.drop(due.batch).unwrap(), 2);
    assert!(pair.reopen().due(0).is_none());
}

#[test]
fn a_batch_that_server_1_lost_is_not_kept_at_server_0() {
    let mut pair = Pair::new();
    let lost = pair.report(0, Heard::All);
    let other = Digest([9; 32]);
    let [share, _] = right(ReportId([77; 16]), 2);
    assert!(pair.zero.count((BatchId([8; 16]), other), &models(), ReportId([77; 16]), &share).unwrap());
    pair.one.drop(lost).unwrap();
    let batch = pair.report(1, Heard::All);
    let files = |pair: &Pair| {
        let of = |id: &BatchId| file::path(pair.homes[0].path(), id).exists();
        [of(&lost), of(&batch), of(&BatchId([8; 16]))]
    };
    assert_eq!(files(&pair), [false, true, true], "only the lost one of the same deployment is gone");
    assert_eq!(pair.reveal(1), [0, 1, 0]);
}

#[test]
fn sums_of_different_reports_are_noticed_even_if_their_names_are_the_same() {
    let mut pair = Pair::new();
    pair.report(0, Heard::All);
    let due = pair.due(1).unwrap();
    let Closing::Closed { known, sum } = pair.zero.close(&due, 1).unwrap() else { panic!() };
    pair.one.closed(&due, &known).unwrap();
    let mut other = sum.to_vec();
    other[0] ^= 1;
    assert!(matches!(pair.one.counts(due.batch, &other), Err(ChoicesError::Report(_))));
    assert!(pair.one.counts(due.batch, &sum).is_ok());
}

#[test]
fn a_full_batch_is_due_at_once() {
    let mut batch = Batch::new(ID, DEPLOYMENT, models(), 0).unwrap();
    for number in 0..MOST_REPORTS - 1 {
        let mut name = [0; 16];
        name[..8].copy_from_slice(&number.to_le_bytes());
        batch.reports.insert(ReportId(name));
    }
    assert!(batch.takes());
    let [share, _] = right(ReportId([99; 16]), 0);
    batch.add(ReportId([99; 16]), &share).unwrap();
    batch.add(ReportId([99; 16]), &share).unwrap();
    assert!(!batch.takes() && batch.count() == MOST_REPORTS, "a report is added once");
    let home = tempfile::tempdir().unwrap();
    file::write(home.path(), &batch).unwrap();
    let day = ChoicesOptions { minimum: 100, after: Duration::from_secs(24 * 3600) };
    let store = Store::open(home.path()).unwrap();
    assert!(store.due(&day, UNIX_EPOCH).is_some_and(|due| due.count == MOST_REPORTS));
    assert!(matches!(store.current(DEPLOYMENT, &models()), Err(ChoicesError::Full)));
}

#[test]
fn files_are_private_and_damaged_ones_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let mut batch = Batch::new(ID, DEPLOYMENT, models(), 7).unwrap();
    let [share, doubted] = right(ReportId([1; 16]), 0);
    batch.add(ReportId([1; 16]), &share).unwrap();
    batch.doubted.push((ReportId([2; 16]), doubted));
    file::write(home.path(), &batch).unwrap();
    let path = file::path(home.path(), &ID);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = file::read(&path).unwrap();
    assert_eq!((again.id, again.deployment, &again.models, again.began), (ID, DEPLOYMENT, &models(), 7));
    assert_eq!((again.reports, again.sum.to_bytes()), (batch.reports, batch.sum.to_bytes()));
    assert_eq!(again.doubted[0].1.to_bytes(), batch.doubted[0].1.to_bytes());
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        assert!(matches!(Store::open(home.path()), Err(ChoicesError::Damaged { .. })), "a bit at {at}");
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(matches!(Store::open(home.path()), Err(ChoicesError::Damaged { .. })), "{at} bytes");
    }
    std::fs::write(&path, &whole).unwrap();
    std::fs::write(home.path().join("revealed.toml"), "[[batch]]\nbatch = 7\n").unwrap();
    assert!(matches!(Choices::read_revealed(home.path()), Err(ChoicesError::Damaged { .. })));
}

#[test]
fn nothing_secret_prints() {
    let choices = Choices::open(tempfile::tempdir().unwrap().path(), options(1), Duration::ZERO).unwrap();
    assert!(format!("{choices:?}").ends_with(".. }"));
    let chosen = Chosen { deployment: DEPLOYMENT, models: 3, place: 2 };
    assert_eq!(format!("{chosen:?}"), "Chosen(..)");
}
