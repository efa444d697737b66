//! Pools of ready sessions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::world::{FOUR, Numbers, PATIENT, World, numbers, squares, wait_for};
use blindroute_runtime::{SessionPool, SessionPoolOptions, Timeouts};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// Tries again soon.
const QUICK: SessionPoolOptions =
    SessionPoolOptions { fillers: 1, backoff: Duration::from_millis(20), backoff_limit: Duration::from_millis(100) };

fn pool(world: &World) -> SessionPool<Numbers> {
    SessionPool::new(world.client(), QUICK).unwrap()
}

#[test]
fn a_session_pool_fills_gives_sessions_and_refills() {
    let world = World::start(PATIENT);
    let pool = pool(&world);
    assert_eq!(pool.status(FOUR), Default::default());
    pool.keep(FOUR, 2);
    assert!(pool.wait_full(FOUR, MINUTE));
    assert_eq!(world.sessions(), [2, 2]);
    let route = pool.run(FOUR, &numbers(7.0)).unwrap();
    squares(&route.output, 7.0);
    assert!(pool.wait_full(FOUR, MINUTE));
    let status = pool.status(FOUR);
    assert_eq!((status.wanted, status.ready, status.filled, status.taken, status.discarded), (2, 2, 3, 1, 0));
    assert!(status.filling_time > Duration::ZERO && status.failure.is_none() && !status.refused);
    // A paused pool gives what it has, and then its callers prepare their own.
    pool.pause(true);
    for first in [1.0, 2.0, 3.0] {
        squares(&pool.run(FOUR, &numbers(first)).unwrap().output, first.into());
    }
    let status = pool.status(FOUR);
    assert_eq!((status.ready, status.filled, status.taken), (0, 3, 3));
    // What is wanted no longer is dropped.
    pool.pause(false);
    assert!(pool.wait_full(FOUR, MINUTE));
    pool.keep(FOUR, 0);
    wait_for("the servers to be free", || world.sessions() == [0, 0]);
    assert_eq!((pool.status(FOUR).ready, pool.status(FOUR).discarded), (0, 2));
    // A request that it does not keep, and one that makes no sense.
    squares(&pool.run(b"04", &numbers(4.0)).unwrap().output, 4.0);
    assert!(pool.run(b"four", &numbers(4.0)).unwrap_err().to_string().contains("not a count"));
}

#[test]
fn an_early_caller_waits_for_the_session_that_is_being_prepared() {
    let world = World::start(PATIENT);
    let pool = pool(&world);
    let gate = Arc::clone(&world.catalogues[2].gate);
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    pool.keep(FOUR, 1);
    wait_for("the pool to begin", || pool.status(FOUR).filling == 1);
    std::thread::scope(|scope| {
        let early = scope.spawn(|| pool.run(FOUR, &numbers(8.0)).unwrap());
        std::thread::sleep(Duration::from_millis(100));
        pool.pause(true);
        drop(closed);
        squares(&early.join().unwrap().output, 8.0);
    });
    let status = pool.status(FOUR);
    assert_eq!((status.filled, status.taken), (1, 1), "it prepared none of its own");
}

#[test]
fn sessions_that_get_too_old_are_replaced() {
    let world = World::start(Timeouts { ready: Duration::from_secs(2), ..PATIENT });
    let pool = pool(&world);
    pool.keep(FOUR, 1);
    wait_for("two replacements", || pool.status(FOUR).discarded >= 2);
    squares(&pool.run(FOUR, &numbers(2.0)).unwrap().output, 2.0);
    assert_eq!(pool.status(FOUR).failure, None);
}

#[test]
fn case_21_a_restart_of_the_servers_loses_no_answer() {
    let mut world = World::start(PATIENT);
    let pool = pool(&world);
    pool.keep(FOUR, 2);
    assert!(pool.wait_full(FOUR, MINUTE));
    pool.pause(true);
    world.restart();
    squares(&pool.run(FOUR, &numbers(3.0)).unwrap().output, 3.0);
    assert_eq!(pool.status(FOUR).taken, 0, "neither of the two was used");
}

#[test]
fn a_session_that_fails_unseen_is_replaced_and_its_answer_still_comes() {
    let world = World::start(PATIENT);
    let pool = pool(&world);
    pool.keep(FOUR, 1);
    assert!(pool.wait_full(FOUR, MINUTE));
    pool.pause(true);
    // Between the servers, where the client cannot look.
    world.lanes.cut();
    squares(&pool.run(FOUR, &numbers(9.0)).unwrap().output, 9.0);
    let status = pool.status(FOUR);
    assert_eq!((status.taken, status.ready), (1, 0));
}

#[test]
fn unreachable_servers_are_tried_again_and_reported() {
    let mut world = World::start(PATIENT);
    let pool = pool(&world);
    world.stop(1);
    pool.keep(FOUR, 1);
    wait_for("a failure", || pool.status(FOUR).failure.is_some());
    let failure = pool.status(FOUR).failure.unwrap();
    assert!(failure.contains("cannot reach server1") && failure.contains("check that it runs"), "{failure}");
    assert!(!pool.wait_full(FOUR, Duration::from_millis(50)));
    let error = pool.run(FOUR, &numbers(1.0)).unwrap_err().to_string();
    assert!(error.contains("cannot reach server1"), "{error}");
    world.run(1);
    assert!(pool.wait_full(FOUR, MINUTE));
    assert_eq!(pool.status(FOUR).failure, None);
    squares(&pool.run(FOUR, &numbers(1.0)).unwrap().output, 1.0);
}

#[test]
fn sessions_that_cannot_rest_are_not_kept() {
    let world = World::with_budget(PATIENT, 1);
    let pool = pool(&world);
    pool.keep(FOUR, 2);
    assert!(!pool.wait_full(FOUR, MINUTE));
    let status = pool.status(FOUR);
    assert!(status.refused && status.ready == 0 && status.discarded == 1, "{status:?}");
    assert!(status.failure.unwrap().contains("cannot wait for their inputs"));
    squares(&pool.run(FOUR, &numbers(5.0)).unwrap().output, 5.0);
}

#[test]
fn a_dropped_pool_ends_its_threads_and_frees_the_servers() {
    let world = World::start(PATIENT);
    let catalogue = Arc::new(Numbers::default());
    let pool = SessionPool::new(world.client_with(Arc::clone(&catalogue)), QUICK).unwrap();
    pool.keep(FOUR, 1);
    assert!(pool.wait_full(FOUR, MINUTE));
    // One more, which the dealer does not deal.
    let gate = Arc::clone(&world.catalogues[2].gate);
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    pool.keep(FOUR, 2);
    wait_for("the pool to go on", || pool.status(FOUR).filling == 1);
    let started = Instant::now();
    drop(pool);
    // Far less than the patience of a client, which is two stalls and more.
    wait_for("the thread to end", || Arc::strong_count(&catalogue) == 1);
    assert!(started.elapsed() < PATIENT.stall);
    drop(closed);
    wait_for("the servers to be free", || world.sessions() == [0, 0]);
}

#[test]
fn four_at_once_through_a_pool_of_two_get_their_own_answers() {
    let world = World::start(PATIENT);
    let pool = pool(&world);
    pool.keep(FOUR, 2);
    std::thread::scope(|scope| {
        for thread in 1..=4_u8 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..4_u8 {
                    let first = f32::from(10 * thread + round);
                    squares(&pool.run(FOUR, &numbers(first)).unwrap().output, first.into());
                }
            });
        }
    });
    assert_eq!(pool.status(FOUR).failure, None);
}
