//! Many requests through a gateway whose provider and callers fail at random: every answer is right or a clean error, no picodollar is
//! lost or counted twice, and neither memory nor descriptors grow.
//!
//! The short form runs with the other tests. The long one, 10,000 requests:
//! `cargo test --release -p blindroute-gateway --test soak -- --ignored --nocapture`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

// Shared with the tests of calls, of which each binary uses its part.
#[allow(dead_code)]
#[path = "../upstream/bench.rs"]
mod bench;
mod callers;
#[allow(dead_code)]
#[path = "../upstream/mock.rs"]
mod mock;
mod oracle;
mod plan;
mod provider;
mod world;

use world::{Resources, World};

/// Callers at the same time.
const CALLERS: usize = 16;

/// By how much resident memory may grow after the first fifth of the requests: 2 KiB for each of the 8,000 that follow in the long
/// form. It covers provider, callers and gateway, which share the process.
const MOST_GROWTH_KIB: u64 = 16 * 1024;

/// By how many descriptors may grow: a connection has two here, one at each end, and each caller may hold one to the gateway, and the
/// gateway one to the provider.
const MOST_DESCRIPTORS: usize = 4 * CALLERS;

async fn soak(requests: usize) {
    println!("seed {:#x}", plan::SEED);
    let mut world = World::new().await;
    let first = requests / 5;
    let mut outcomes = callers::run(&world, 0..first).await;
    let after_first = world.at_rest().await;
    outcomes.extend(callers::run(&world, first..requests).await);
    let calls = world.provider.calls();
    let expected = oracle::check(&calls, &outcomes);
    world.settled(&expected).await;
    let at_end = world.at_rest().await;
    println!("{requests} requests: {expected:?}");
    println!("after {first} requests: {after_first:?}; at the end: {at_end:?}");
    assert_eq!(outcomes.len(), requests, "a request was lost");
    assert_eq!(expected.answered + expected.errors + expected.broken_off + expected.left, requests);
    within(after_first, at_end);
    let recorded = world.end().await;
    assert_eq!(recorded.spent, expected.spent, "picodollars of the single calls");
    assert_eq!(recorded.sum, expected.spent, "picodollars of the sum of ever");
    assert_eq!(
        (recorded.calls, recorded.reserved),
        (expected.paid, 0),
        "calls that cost something, and reservations left over"
    );
    assert_eq!(recorded.estimated, expected.estimated, "calls whose usage is not known");
    assert_eq!(recorded.decisions, expected.decisions, "decisions on record");
}

fn within(before: Resources, after: Resources) {
    assert!(after.kib <= before.kib + MOST_GROWTH_KIB, "memory grew: {before:?}, then {after:?}");
    assert!(after.descriptors <= before.descriptors + MOST_DESCRIPTORS, "descriptors leak: {before:?}, then {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_41_three_hundred_requests_with_faults_are_answered_and_paid_exactly() {
    soak(300).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes some minutes"]
async fn ten_thousand_requests_with_faults_are_answered_and_paid_exactly() {
    soak(10_000).await;
}
