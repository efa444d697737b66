//! A process that is killed between reserving and settling.

use super::*;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

const RECORD: &str = "BLINDROUTE_TEST_RECORD";

/// Runs as a process of its own, when [`a_killed_process_leaves_its_reservations_as_spent_once`] begins it.
#[test]
fn reserves_and_waits_to_be_killed() {
    let Some(record) = std::env::var_os(RECORD) else { return };
    let world = World::new();
    let store = Store::open(record.as_ref(), world.options()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let budget = Budget::new(store, daily(1000));
        let settled = budget.reserve(call(300)).await.unwrap();
        settled.settle(input(50), None).await.unwrap();
        let _first = budget.reserve(call(400)).await.unwrap();
        let _second = budget.reserve(Call { session: Some("s"), ..call(70) }).await.unwrap();
        println!("\nreserved");
        std::thread::sleep(std::time::Duration::from_secs(120));
    });
}

#[test]
fn a_killed_process_leaves_its_reservations_as_spent_once() {
    let world = World::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "store::tests::crash::reserves_and_waits_to_be_killed"])
        .env(RECORD, world.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reserved = lines.map_while(Result::ok).any(|line| line == "reserved");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(reserved, "the process did not reserve");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        // Twice: what was settled at the first opening is not settled again.
        for abandoned in [2, 0] {
            let store = world.open();
            assert_eq!(store.abandoned(), abandoned);
            assert_eq!(spent(&store, Period::Today).await, (520, 3));
            assert_eq!(store.spent(Period::Today, Some("s")).await.unwrap().amount.pico(), 70);
            let models = store.by_model(Period::Today).await.unwrap();
            assert_eq!((models[0].amount.pico(), models[0].estimated), (520, 2));
            let budget = Budget::new(store.clone(), daily(1000));
            assert_eq!(exceeded(budget.reserve(call(481)).await).spent.pico(), 520);
            budget.reserve(call(480)).await.unwrap().release().await.unwrap();
            store.close().await;
        }
    });
}
