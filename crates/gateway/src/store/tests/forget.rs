//! Forgetting leaves nothing, and names of sessions are never in the files.

use super::super::{Forgotten, Why};
use super::decisions::decision;
use super::*;

/// Whether a text is in any file of the record.
fn is_anywhere(world: &World, text: &[u8]) -> bool {
    std::fs::read_dir(world.folder.path()).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(text.len()).any(|window| window == text)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forgotten_is_in_no_file_and_budgets_hold_on() {
    let world = World::new();
    let store = world.open();
    let session = SpanLimits { day: None, month: Some(Amount::from_pico(520)) };
    let budget = Budget::new(store.clone(), Limits { session, ..daily(1000) });
    let canary = Call { session: Some("canary-session"), model: "canary-model", provider: "canary-host", ..call(300) };
    world.at(NOON - 24 * HOUR);
    budget.reserve(canary).await.unwrap().settle(input(10), Some(Amount::from_pico(99))).await.unwrap();
    world.at(NOON);
    for _ in 0..3 {
        budget.reserve(canary).await.unwrap().settle(input(100), Some(Amount::from_pico(99))).await.unwrap();
    }
    // Enough that pages become free.
    for _ in 0..500 {
        store.record(canary.session, decision("canary-decision", Why::Routed)).unwrap();
    }
    let open = budget.reserve(Call { input: 150, ..canary }).await.unwrap();
    written(&store).await;
    let names = ["canary-model", "canary-host", "canary-decision"].map(str::as_bytes);
    assert!(names.iter().all(|name| is_anywhere(&world, name)), "they are found where they are");
    assert!(is_anywhere(&world, &store.tag("canary-session").0));
    assert!(!is_anywhere(&world, b"canary-session"), "the name of a session is never written");

    let forgotten = store.forget().await.unwrap();
    assert_eq!(forgotten, Forgotten { calls: 4, decisions: 500, open: 1 });
    for name in names {
        assert!(!is_anywhere(&world, name), "{} is still there", String::from_utf8_lossy(name));
    }
    assert!(store.recent(9).await.unwrap().is_empty());
    assert_eq!(store.savings(Period::Month, None).await.unwrap().compared, 0);
    assert_eq!(spent(&store, Period::All).await, (150, 1));
    // The budgets know what was spent: 300 and 150 of today, 10 of the day before.
    assert_eq!(exceeded(budget.reserve(call(551)).await).spent.pico(), 450);
    assert_eq!(exceeded(budget.reserve(Call { input: 61, ..canary }).await).spent.pico(), 460);
    open.settle(input(50), None).await.unwrap();
    assert_eq!(store.spent(Period::Month, None).await.unwrap().amount.pico(), 360);
    assert_eq!(spent(&store, Period::All).await.0, 50);
    store.close().await;
    for name in names {
        assert!(!is_anywhere(&world, name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_says_when_another_program_keeps_the_old_pages() {
    let world = World::new();
    let store = world.open();
    store.record(None, decision("canary-decision", Why::Routed)).unwrap();
    written(&store).await;
    let other = rusqlite::Connection::open(world.path()).unwrap();
    other.execute_batch("BEGIN").unwrap();
    let held: i64 = other.query_row("SELECT count(*) FROM decisions", [], |row| row.get(0)).unwrap();
    assert_eq!(held, 1);
    let error = store.forget().await.unwrap_err().to_string();
    assert!(error.contains("another program reads the file"), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    store.forget().await.unwrap();
    assert!(!is_anywhere(&world, b"canary-decision"));
}
