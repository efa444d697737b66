//! Sessions that cannot be prepared at first.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::world::{FOUR, PATIENT, World, numbers, squares, wait_for};
use blindroute_runtime::{Retry, SessionError, SessionPool, SessionPoolOptions, Timeouts};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// Tries often, for long enough.
const QUICK: Retry = Retry {
    budget: Duration::from_secs(60),
    pause: Duration::from_millis(20),
    longest_pause: Duration::from_millis(200),
};

/// Servers give up on each other soon, so that what failed does not hold room for long.
const BRIEF: Timeouts = Timeouts { stall: Duration::from_secs(4), ..PATIENT };

#[test]
fn a_server_that_comes_back_is_waited_for() {
    let mut world = World::start(PATIENT);
    let client = world.client();
    for away in [0, 1, 2] {
        world.stop(away);
        let waits = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let route = scope.spawn(|| {
                client.run_retrying(FOUR, &numbers(3.0), &QUICK, &|waiting| {
                    assert!(waiting.pause <= QUICK.longest_pause && waiting.left <= QUICK.budget);
                    waits.fetch_add(1, Ordering::SeqCst);
                    true
                })
            });
            wait_for("two tries", || waits.load(Ordering::SeqCst) >= 2);
            world.run(away);
            squares(&route.join().unwrap().unwrap().output, 3.0);
        });
    }
}

#[test]
fn a_server_that_does_not_come_back_is_waited_for_only_for_the_given_time() {
    let mut world = World::start(PATIENT);
    let client = world.client();
    world.stop(0);
    let started = Instant::now();
    let retry = Retry { budget: Duration::from_millis(400), ..QUICK };
    let error = client.run_retrying(FOUR, &numbers(1.0), &retry, &|_| true).unwrap_err();
    assert!(started.elapsed() >= retry.budget && started.elapsed() < MINUTE / 2, "{:?}", started.elapsed());
    assert!(matches!(error, SessionError::Unprepared { tries: 2.., .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("cannot reach server0") && text.contains("tries in"), "{text}");
    // Once, where no second try is wanted, or whoever is asked says no.
    for (retry, go_on) in [(Retry::NEVER, true), (QUICK, false)] {
        let error = client.run_retrying(FOUR, &numbers(1.0), &retry, &|_| go_on).unwrap_err();
        assert!(matches!(error, SessionError::Unprepared { tries: 1, .. }), "{error:?}");
        assert!(!error.to_string().contains("tries"), "{error}");
    }
    // What does not pass is not tried again.
    let error = client.run_retrying(b"four", &numbers(1.0), &QUICK, &|_| panic!("it waits")).unwrap_err();
    assert!(error.to_string().contains("not a count"), "{error}");
}

#[test]
fn more_callers_than_sessions_are_all_answered() {
    let world = World::with_limits(BRIEF, |options| (options.max_sessions, options.max_sessions_per_client) = (2, 2));
    let client = world.client();
    std::thread::scope(|scope| {
        for thread in 1..=12_u8 {
            let client = &client;
            scope.spawn(move || {
                for round in 0..3_u8 {
                    let first = f32::from(10 * thread + round);
                    let route = client.run_retrying(FOUR, &numbers(first), &QUICK, &|_| true).unwrap();
                    squares(&route.output, first.into());
                }
            });
        }
    });
}

#[test]
fn a_session_pool_leaves_room_for_waiting_callers_and_gives_up_sessions() {
    let world = World::with_limits(BRIEF, |options| (options.max_sessions, options.max_sessions_per_client) = (3, 3));
    let options = SessionPoolOptions {
        fillers: 1,
        backoff: Duration::from_millis(20),
        backoff_limit: Duration::from_millis(500),
    };
    let pool = SessionPool::new(world.client(), options).unwrap();
    // More than the servers take, of one request; callers ask for another.
    pool.keep(FOUR, 8);
    wait_for("the servers to be full", || pool.status(FOUR).failure.is_some());
    std::thread::scope(|scope| {
        for thread in 1..=4_u8 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..3_u8 {
                    let first = f32::from(10 * thread + round);
                    let route = pool.run_retrying(b"04", &numbers(first), &QUICK, &|_| true).unwrap();
                    squares(&route.output, first.into());
                }
            });
        }
    });
    // And those of the pool's own request.
    squares(&pool.run_retrying(FOUR, &numbers(2.0), &QUICK, &|_| true).unwrap().output, 2.0);
}

#[test]
fn a_session_pool_loses_no_answer_while_a_server_restarts() {
    let mut world = World::start(PATIENT);
    let pool = SessionPool::new(world.client(), SessionPoolOptions::default()).unwrap();
    pool.keep(FOUR, 2);
    assert!(pool.wait_full(FOUR, MINUTE));
    let waits = AtomicUsize::new(0);
    world.stop(0);
    std::thread::scope(|scope| {
        let route = scope.spawn(|| {
            let go_on = |_: &blindroute_runtime::Waiting<'_>| waits.fetch_add(1, Ordering::SeqCst) < usize::MAX;
            pool.run_retrying(FOUR, &numbers(5.0), &QUICK, &go_on)
        });
        wait_for("a try", || waits.load(Ordering::SeqCst) >= 1);
        world.run(0);
        squares(&route.join().unwrap().unwrap().output, 5.0);
    });
}
