use super::*;
use blindroute_passes::Wanted;
use std::time::UNIX_EPOCH;

fn at(days: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs((20_000 + days) * 24 * 3600)
}

fn open(home: &Path, days: u64) -> Passes {
    Passes::open(home, Role::Server0, at(days)).unwrap()
}

/// So many passes, issued on a day.
fn issued(passes: &Passes, count: usize, days: u64) -> (KeyId, Vec<Pass>) {
    let key = passes.issue(&[], at(days)).unwrap().key;
    let wanted = Wanted::new(&key, &challenge(Role::Server0), count).unwrap();
    let Issued { key: same, evaluated, proof } = passes.issue(wanted.blinded(), at(days)).unwrap();
    assert_eq!(same, key);
    (KeyId::of(&key), wanted.finish(&evaluated, &proof.unwrap()).unwrap())
}

#[test]
fn a_pass_is_taken_once_also_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let passes = open(home.path(), 0);
    let (key, mine) = issued(&passes, 4, 0);
    assert!(passes.take(&key, &mine[..2]).unwrap());
    assert!(!passes.take(&key, &mine[1..2]).unwrap(), "used before");
    assert!(!passes.take(&key, &mine[1..3]).unwrap(), "one of them was used before");
    drop(passes);
    let passes = open(home.path(), 0);
    assert!(!passes.take(&key, &mine[..1]).unwrap(), "used before the restart");
    assert!(passes.take(&key, &mine[2..3]).unwrap(), "what was refused with a used one is still good");
    let twice = [mine[3].to_bytes(), mine[3].to_bytes()].map(|bytes| Pass::from_bytes(&bytes));
    assert!(!passes.take(&key, &twice).unwrap(), "the same one twice at once");
    assert!(passes.take(&key, &mine[3..]).unwrap());
}

#[test]
fn passes_of_another_server_or_key_or_made_up_are_refused() {
    let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [ours, theirs] = [0, 1].map(|index| open(homes[index].path(), 0));
    let (key, mine) = issued(&theirs, 1, 0);
    assert!(!ours.take(&key, &mine).unwrap(), "of another key");
    let (own, _) = issued(&ours, 1, 0);
    assert!(!ours.take(&own, &mine).unwrap(), "of another key under the name of ours");
    assert!(!ours.take(&own, &[Pass::from_bytes(&[7; Pass::BYTES])]).unwrap());
    // Of the same key, for the other server.
    let server1 = Passes::open(homes[1].path(), Role::Server1, at(0)).unwrap();
    assert!(!server1.take(&key, &mine).unwrap(), "for another role");
    assert!(theirs.take(&key, &mine).unwrap());
}

#[test]
fn keys_change_and_their_passes_are_taken_for_one_more_period() {
    let home = tempfile::tempdir().unwrap();
    let passes = open(home.path(), 0);
    let (first, mine) = issued(&passes, 3, 0);
    assert!(passes.take(&first, &mine[..1]).unwrap());
    assert_eq!(issued(&passes, 1, 29).0, first);
    let (second, others) = issued(&passes, 1, 31);
    assert_ne!(second, first);
    assert!(!passes.take(&first, &mine[..1]).unwrap(), "used before the change");
    assert!(passes.take(&first, &mine[1..2]).unwrap());
    assert!(passes.take(&second, &others).unwrap());
    // After another restart and another change nothing is left of the first key.
    drop(passes);
    let passes = open(home.path(), 62);
    assert!(!passes.take(&first, &mine[2..]).unwrap(), "its key is gone");
    // A server that was away for long takes nothing of what it had.
    let third = issued(&passes, 1, 62);
    drop(passes);
    assert!(!open(home.path(), 200).take(&third.0, &third.1).unwrap());
}

#[test]
fn damaged_files_are_told_and_incomplete_entries_let_pass() {
    let home = tempfile::tempdir().unwrap();
    let passes = open(home.path(), 0);
    let (key, mine) = issued(&passes, 2, 0);
    assert!(passes.take(&key, &mine[..1]).unwrap());
    drop(passes);
    let spent = home.path().join("passes.spent");
    let whole = std::fs::read(&spent).unwrap();
    // What a crash leaves: an incomplete entry, or bytes that were not written.
    for tail in [vec![1; 39], vec![0; 80]] {
        std::fs::write(&spent, [whole.clone(), tail].concat()).unwrap();
        assert!(!open(home.path(), 0).take(&key, &mine[..1]).unwrap());
    }
    let mut damaged = whole.clone();
    damaged[20] ^= 1;
    std::fs::write(&spent, &damaged).unwrap();
    let error = Passes::open(home.path(), Role::Server0, at(0)).unwrap_err();
    assert!(matches!(error, ClientsError::Damaged { .. }), "{error}");
    std::fs::write(&spent, &whole).unwrap();
    let keys = home.path().join("passes.keys");
    let mut damaged = std::fs::read(&keys).unwrap();
    damaged[30] ^= 1;
    std::fs::write(&keys, &damaged).unwrap();
    let error = Passes::open(home.path(), Role::Server0, at(0)).unwrap_err();
    assert!(error.to_string().contains("passes.keys") && error.to_string().contains("checksum"), "{error}");
}
