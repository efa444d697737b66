//! The files: who may read them, their versions, and what is no record.

use super::super::{StoreError, Why, schema};
use super::decisions::decision;
use super::*;
use rusqlite::Connection;

fn refused(world: &World) -> StoreError {
    Store::open(&world.path(), world.options()).expect_err("the file must be refused")
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn only_the_user_can_read_the_files() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let world = World::new();
    std::fs::write(world.path(), "").unwrap();
    std::fs::set_permissions(world.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = world.open();
    store.record(None, decision("model", Why::Routed)).unwrap();
    written(&store).await;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["record", "record-shm", "record-wal", "record.key", "record.lock"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_do_not_share_a_record() {
    let world = World::new();
    let store = world.open();
    assert_eq!(refused(&world), StoreError::InUse { path: world.path() });
    store.close().await;
    world.open();
}

#[test]
fn files_that_are_no_record_are_refused_and_left_alone() {
    let world = World::new();
    let other = Connection::open(world.path()).unwrap();
    other.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").unwrap();
    drop(other);
    let before = std::fs::read(world.path()).unwrap();
    assert!(matches!(refused(&world), StoreError::Foreign { .. }));
    assert_eq!(std::fs::read(world.path()).unwrap(), before);

    let garbage = b"no database at all, but a text that is longer than the header of one. ".repeat(9);
    std::fs::write(world.path(), &garbage).unwrap();
    assert!(matches!(refused(&world), StoreError::Damaged { .. }));
    assert_eq!(std::fs::read(world.path()).unwrap(), garbage);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_records_are_refused_and_left_alone() {
    let world = World::new();
    let store = world.open();
    for _ in 0..300 {
        store.record(None, decision("model", Why::Routed)).unwrap();
    }
    written(&store).await;
    store.close().await;
    let good = std::fs::read(world.path()).unwrap();
    let mut seen = 0;
    // A page of zeros in each place but the first.
    for page in 1..good.len() / 4096 {
        let mut bad = good.clone();
        bad[page * 4096..(page + 1) * 4096].fill(0);
        std::fs::write(world.path(), &bad).unwrap();
        let error = refused(&world);
        assert!(matches!(error, StoreError::Damaged { .. }), "page {page}: {error}");
        assert_eq!(std::fs::read(world.path()).unwrap(), bad);
        seen += 1;
    }
    assert!(seen > 5, "{seen} pages");
    std::fs::write(world.path(), &good[..good.len() / 2]).unwrap();
    assert!(matches!(refused(&world), StoreError::Damaged { .. }));
    std::fs::write(world.path(), &good).unwrap();
    world.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_newer_versions_are_refused_and_older_ones_brought_up() {
    let world = World::new();
    // The first version had no decisions.
    let old = schema::open(&world.path(), &schema::STEPS[..1]).unwrap();
    old.execute_batch(&format!(
        "INSERT INTO sums VALUES (0, {day}, x'', 40, 1, 0, 0, 0), (1, {month}, x'', 40, 1, 0, 0, 0);
         INSERT INTO spending VALUES (7, {NOON}, NULL, 'm', 'p', 0, 40, 40, 0, 0, 0, 0, 0, NULL)",
        day = Moment::from_millis(NOON).day().millis(),
        month = Moment::from_millis(NOON).month().millis(),
    ))
    .unwrap();
    drop(old);
    let store = world.open();
    assert_eq!(store.abandoned(), 1);
    store.record(None, decision("model", Why::Routed)).unwrap();
    written(&store).await;
    assert_eq!(store.recent(9).await.unwrap().len(), 1);
    assert_eq!(spent(&store, Period::Today).await, (40, 1));
    store.close().await;

    // A step that fails changes nothing.
    let steps = [schema::STEPS[0], schema::STEPS[1], "CREATE TABLE third (x); CREATE TABLE third (x)"];
    assert!(matches!(schema::open(&world.path(), &steps), Err(StoreError::File { .. })));
    let store = world.open();
    assert_eq!(store.recent(9).await.unwrap().len(), 1);
    store.close().await;

    drop(schema::open(&world.path(), &[steps[0], steps[1], "CREATE TABLE third (x)"]).unwrap());
    assert_eq!(refused(&world), StoreError::Newer { path: world.path(), found: 3, known: 2 });
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_known_by_the_records_own_key() {
    let (world, other) = (World::new(), World::new());
    let store = world.open();
    let tag = store.tag("session");
    assert_ne!(tag, store.tag("session2"));
    assert_ne!(tag, other.open().tag("session"), "another record has another key");
    store.close().await;
    let store = world.open();
    assert_eq!(store.tag("session"), tag, "the key stays");
    store.close().await;

    let key = world.folder.path().join("record.key");
    let bytes = std::fs::read(&key).unwrap();
    for (bad, expected) in
        [(Some(vec![1; 32]), "another one"), (Some(vec![1; 31]), "not of 32 bytes"), (None, "missing")]
    {
        match bad {
            Some(bad) => std::fs::write(&key, bad).unwrap(),
            None => std::fs::remove_file(&key).unwrap(),
        }
        assert_eq!(refused(&world), StoreError::Key { path: key.clone(), found: expected });
    }
    std::fs::write(&key, bytes).unwrap();
    assert_eq!(world.open().tag("session"), tag);
}

#[test]
fn files_that_cannot_be_written_are_named() {
    let world = World::new();
    let path = world.folder.path().join("absent").join("record");
    let error = Store::open(&path, world.options()).expect_err("there is no such folder").to_string();
    assert!(error.contains("absent") && error.contains("check the folder"), "{error}");
}
