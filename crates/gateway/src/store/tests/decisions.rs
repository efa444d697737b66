//! Decisions, their age, and what happens when the record cannot keep up.

use super::super::worker::CAPACITY;
use super::super::{Decision, StoreError, Why};
use super::*;

pub(super) fn decision(model: &str, why: Why) -> Decision {
    Decision {
        model: model.to_owned(),
        previous: Some("before".to_owned()),
        why,
        placement: "head".to_owned(),
        router: "router".to_owned(),
        waited_ms: 1,
        online_ms: 20,
        upstream_ms: 300,
        total_ms: 321,
        openings: 9,
        bytes: 1 << 40,
        pair: None,
        status: 200,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_read_as_they_were_recorded_the_latest_first() {
    let world = World::new();
    let store = world.open();
    let mut recorded: Vec<Decision> = Why::ALL
        .into_iter()
        .map(|why| Decision { pair: Some("pair".to_owned()), ..decision(why.name(), why) })
        .collect();
    for (minute, one) in recorded.iter().enumerate() {
        world.at(NOON + minute as i64 * 60_000);
        store.record(Some("session"), one.clone()).unwrap();
    }
    written(&store).await;
    let found = store.recent(1000).await.unwrap();
    recorded.reverse();
    assert!(found.iter().map(|found| &found.decision).eq(&recorded));
    assert_eq!(found[6].at.millis(), NOON);
    assert!(found.iter().all(|found| found.session == Some(store.tag("session"))));
    assert_eq!(store.recent(2).await.unwrap(), found[..2]);
    let json = serde_json::to_value(&found[0]).unwrap();
    assert_eq!((&json["why"], &json["status"]), (&"default".into(), &200.into()));
    assert_eq!(json["session"].as_str().unwrap().len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_kept_is_deleted_and_sums_of_budgets_stay() {
    let world = World::new();
    let store = world.open();
    let budget = Budget::new(store.clone(), Limits::default());
    store.record(None, decision("old", Why::Routed)).unwrap();
    budget.reserve(Call { session: Some("s"), ..call(5) }).await.unwrap().settle_unknown().await.unwrap();
    let open = budget.reserve(call(7)).await.unwrap();
    world.at(NOON + 30 * 24 * HOUR);
    store.record(None, decision("new", Why::Routed)).unwrap();
    written(&store).await;
    assert_eq!(store.recent(9).await.unwrap().len(), 2, "thirty days are kept");
    world.at(NOON + 31 * 24 * HOUR);
    store.record(None, decision("newest", Why::Routed)).unwrap();
    written(&store).await;
    let models: Vec<String> = store.recent(9).await.unwrap().into_iter().map(|found| found.decision.model).collect();
    assert_eq!(models, ["newest", "new"]);
    let left = store.by_model(Period::All).await.unwrap();
    assert_eq!((left[0].calls, left[0].amount.pico()), (1, 7), "what is reserved stays");
    open.settle(input(6), None).await.unwrap();
    assert_eq!(spent(&store, Period::All).await, (11, 2));
    assert_eq!(store.spent(Period::All, Some("s")).await.unwrap().calls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_written_grants_nothing_and_holds_a_bounded_queue() {
    let world = World::new();
    let store = world.open();
    let budget = Budget::new(store.clone(), daily(1000));
    let dropped = budget.reserve(call(100)).await.unwrap();
    let settled = budget.reserve(call(200)).await.unwrap();
    let other = rusqlite::Connection::open(world.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    drop(dropped);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let refused = tokio::spawn({
        let budget = budget.clone();
        async move { budget.reserve(call(1)).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let results: Vec<_> = (0..2 * CAPACITY).map(|_| store.record(None, decision("m", Why::Routed))).collect();
    let left_out = results.iter().filter(|result| **result == Err(StoreError::Full { capacity: CAPACITY })).count();
    assert!((CAPACITY - 100..=CAPACITY + 2).contains(&left_out), "{left_out}");
    // Twice longer than the thread waits for the other program.
    let refused = refused.await.unwrap();
    assert!(matches!(refused, Err(BudgetError::Store(StoreError::Sqlite { .. }))), "{refused:?}");
    other.execute_batch("ROLLBACK").unwrap();
    // What could not be written before is written now.
    assert_eq!(settled.settle(input(20), None).await.unwrap().pico(), 20);
    assert_eq!(spent(&store, Period::Today).await, (120, 2));
    assert_eq!(store.by_model(Period::Today).await.unwrap()[0].estimated, 1);
    store.close().await;
    assert_eq!(store.record(None, decision("m", Why::Routed)), Err(StoreError::Closed));
    assert_eq!(store.recent(1).await, Err(StoreError::Closed));
    assert_eq!(world.open().abandoned(), 0);
}
