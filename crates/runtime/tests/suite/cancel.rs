//! Sessions that are cancelled, in each of their phases.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::world::{FOUR, Numbers, PATIENT, World, numbers, squares, wait_for};
use blindroute_runtime::{
    Cancel, Client, Retry, Role, ServiceOptions, SessionError, SessionOutcome, SessionPool, SessionPoolOptions, Waiting,
};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Far less than any timeout, and enough for a loaded machine.
const PROMPT: Duration = Duration::from_secs(5);
/// What is waited for in a test lasts longer than this.
const LONG: Retry =
    Retry { budget: Duration::from_secs(60), pause: Duration::from_secs(60), longest_pause: Duration::from_secs(60) };

type Outcome = Result<SessionOutcome, SessionError>;

fn go_on(_: &Waiting<'_>) -> bool {
    true
}

/// Runs until `held` says that it is where it should be, and cancels it there.
#[track_caller]
fn cancelled(run: impl FnOnce(&Cancel) -> Outcome + Send, held: impl FnOnce()) {
    let cancel = Cancel::default();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&cancel));
        held();
        assert!(!running.is_finished(), "it does not wait there");
        let started = Instant::now();
        cancel.cancel();
        let outcome = running.join().unwrap();
        assert!(matches!(outcome, Err(SessionError::Cancelled)), "{outcome:?}");
        assert!(started.elapsed() < PROMPT, "{:?}", started.elapsed());
        // What was cancelled once stays so.
        assert!(cancel.is_cancelled());
    });
}

fn settle() {
    std::thread::sleep(Duration::from_millis(100));
}

#[test]
fn while_it_is_prepared_and_another_waits_for_its_set_up() {
    let world = World::start(PATIENT);
    let client = world.client();
    let run = |cancel: &Cancel| client.run_cancellable((FOUR, &numbers(3.0)), &LONG, &go_on, cancel);
    let gate = Arc::clone(&world.catalogues[2].gate);
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    let begun = || wait_for("both servers", || world.sessions() == [1, 1]);
    cancelled(run, begun);
    // One that goes on, and one that waits for it to set up the weights.
    std::thread::scope(|scope| {
        let first = scope.spawn(|| run(&Cancel::default()));
        wait_for("the other", || world.sessions().iter().all(|sessions| *sessions >= 1));
        settle();
        cancelled(run, settle);
        // By its time.
        let (started, time) = (Instant::now(), Duration::from_millis(200));
        assert!(matches!(run(&Cancel::after(time)), Err(SessionError::Cancelled)));
        assert!(started.elapsed() >= time && started.elapsed() < PROMPT + time, "{:?}", started.elapsed());
        drop(closed);
        squares(&first.join().unwrap().unwrap().output, 3.0);
    });
    wait_for("the servers to be free", || world.sessions() == [0, 0]);
    squares(&run(&Cancel::after(Duration::from_secs(60))).unwrap().output, 3.0);
}

#[test]
fn by_its_time_while_it_is_prepared_by_links_that_were_used_before() {
    let world = World::start(PATIENT);
    let client = world.client();
    let run = |cancel: &Cancel| client.run_cancellable((FOUR, &numbers(2.0)), &LONG, &go_on, cancel);
    squares(&run(&Cancel::default()).unwrap().output, 2.0);
    let gate = Arc::clone(&world.catalogues[2].gate);
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    let (started, consumed) = (Instant::now(), world.ledger(0));
    assert!(matches!(run(&Cancel::after(Duration::from_millis(300))), Err(SessionError::Cancelled)));
    assert!(started.elapsed() < PROMPT, "{:?}", started.elapsed());
    drop(closed);
    wait_for("the servers to be free", || world.sessions() == [0, 0]);
    assert!(world.ledger(0) > consumed, "the session is consumed");
    squares(&run(&Cancel::default()).unwrap().output, 2.0);
}

#[test]
fn while_the_servers_compute() {
    let world = World::start(PATIENT);
    let client = world.client();
    for _ in 0..2 {
        let session = client.prepare(FOUR).unwrap();
        let shares = client.share(FOUR, &numbers(5.0)).unwrap();
        let held = world.lanes.gate.lock().unwrap_or_else(PoisonError::into_inner);
        cancelled(|cancel| session.run_until(shares, cancel), settle);
        drop(held);
        wait_for("the servers to be free", || world.sessions() == [0, 0]);
        squares(&client.run(FOUR, &numbers(5.0)).unwrap().output, 5.0);
    }
    // Cancelled before: the session is dropped without its input.
    let (session, cancel) = (client.prepare(FOUR).unwrap(), Cancel::default());
    cancel.cancel();
    let shares = client.share(FOUR, &numbers(5.0)).unwrap();
    assert!(matches!(session.run_until(shares, &cancel), Err(SessionError::Cancelled)));
    wait_for("the servers to be free", || world.sessions() == [0, 0]);
}

#[test]
fn while_it_waits_for_a_session_of_a_pool() {
    let world = World::start(PATIENT);
    let options = SessionPoolOptions { backoff: Duration::from_millis(20), ..SessionPoolOptions::default() };
    let pool = SessionPool::new(world.client(), options).unwrap();
    let run = |cancel: &Cancel| pool.run_cancellable((FOUR, &numbers(4.0)), &LONG, &go_on, cancel);
    let gate = Arc::clone(&world.catalogues[2].gate);
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    pool.keep(FOUR, 1);
    wait_for("the pool to begin", || pool.status(FOUR).filling == 1);
    cancelled(run, settle);
    cancelled(run, settle);
    drop(closed);
    // Neither took the session that the pool was preparing, and the next caller gets it.
    assert!(pool.wait_full(FOUR, Duration::from_secs(60)));
    pool.pause(true);
    squares(&run(&Cancel::default()).unwrap().output, 4.0);
    assert_eq!((pool.status(FOUR).filled, pool.status(FOUR).taken), (1, 1));
}

#[test]
fn while_it_waits_for_a_place_or_for_its_next_try() {
    let limits: fn(&mut ServiceOptions) = |options| (options.max_sessions, options.max_sessions_per_client) = (2, 2);
    let mut world = World::with_limits(PATIENT, limits);
    let client = world.client();
    let run = |cancel: &Cancel| client.run_cancellable((FOUR, &numbers(6.0)), &LONG, &go_on, cancel);
    // Until it knows how many sessions the servers take.
    let mut held = Vec::new();
    let refused = loop {
        match client.prepare(FOUR) {
            Ok(session) => held.push(session),
            Err(error) => break error,
        }
        assert!(held.len() < 8, "the servers have a limit");
    };
    assert!(refused.is_busy() && !held.is_empty(), "{refused}");
    let before = world.ledger(0);
    cancelled(run, settle);
    assert_eq!(world.ledger(0), before, "it waited for a place");
    drop(held);
    squares(&run(&Cancel::default()).unwrap().output, 6.0);
    world.stop(0);
    let tries = AtomicUsize::new(0);
    let counted = |_: &Waiting<'_>| tries.fetch_add(1, Ordering::SeqCst) < usize::MAX;
    let next = |cancel: &Cancel| client.run_cancellable((FOUR, &numbers(6.0)), &LONG, &counted, cancel);
    cancelled(next, || wait_for("a try", || tries.load(Ordering::SeqCst) == 1));
    world.run(0);
    squares(&run(&Cancel::default()).unwrap().output, 6.0);
}

#[test]
fn while_it_connects() {
    let world = World::start(PATIENT);
    // It takes connections and never shakes hands.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses = [silent.local_addr().unwrap().to_string(), world.address(1).to_owned()];
    let client = Client::new(Arc::new(Numbers::default()), addresses, world.endpoint(Role::Client), PATIENT);
    let run = |cancel: &Cancel| client.run_cancellable((FOUR, &numbers(1.0)), &LONG, &go_on, cancel);
    cancelled(run, settle);
    let started = Instant::now();
    assert!(matches!(run(&Cancel::after(Duration::from_millis(50))), Err(SessionError::Cancelled)));
    assert!(started.elapsed() < PROMPT, "{:?}", started.elapsed());
    assert!(matches!(run(&Cancel::after(Duration::ZERO)), Err(SessionError::Cancelled)));
    assert_eq!(world.sessions(), [0, 0]);
}
