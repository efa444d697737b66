//! Sessions between real services: prepared, resting, run, and given up.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::world::{FOUR, PATIENT, World, numbers, squares, wait_for};
use blindroute_runtime::Timeouts;
use std::time::Duration;

#[test]
fn a_session_may_rest_longer_than_a_stall() {
    let world = World::start(Timeouts { stall: Duration::from_secs(2), ..PATIENT });
    let client = world.client();
    let session = client.prepare(FOUR).unwrap();
    assert!(session.rests() && session.time_left() > Duration::from_secs(500), "{session:?}");
    std::thread::sleep(Duration::from_secs(3));
    assert!(session.is_alive());
    let route = session.run(client.share(FOUR, &numbers(5.0)).unwrap()).unwrap();
    squares(&route.output, 5.0);
    assert!(route.waited.is_zero() && route.offline > Duration::ZERO && route.servers[0].material_bytes == 0);
    // The same in one step, on the same links.
    let route = client.run(FOUR, &numbers(6.0)).unwrap();
    squares(&route.output, 6.0);
    assert_eq!(route.waited, route.offline);
}

#[test]
fn a_session_that_rests_too_long_is_given_up_and_the_client_is_told_why() {
    let world = World::start(Timeouts { ready: Duration::from_secs(1), ..PATIENT });
    let client = world.client();
    let session = client.prepare(FOUR).unwrap();
    wait_for("the servers to give it up", || world.sessions() == [0, 0]);
    // What they say comes a moment after what they freed.
    std::thread::sleep(Duration::from_millis(300));
    assert!(!session.is_alive() && session.time_left().is_zero());
    let error = session.run(client.share(FOUR, &numbers(1.0)).unwrap()).unwrap_err();
    assert!(error.is_dead_session());
    for part in ["no input arrived within 1s", "prepare a new session", "ready_seconds"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    squares(&client.run(FOUR, &numbers(1.0)).unwrap().output, 1.0);
}

#[test]
fn case_24_a_client_that_leaves_frees_the_servers_and_its_sessions_stay_consumed() {
    let world = World::start(PATIENT);
    let client = world.client();
    let entered = |world: &World| [0, 1, 2].map(|index| world.ledger(index));
    let before = entered(&world);
    let sessions = [(); 3].map(|()| client.prepare(FOUR).unwrap());
    assert_eq!(world.sessions(), [3, 3]);
    let after = entered(&world);
    assert!(before.iter().zip(&after).all(|(before, after)| after - before == 3 * 24), "{before:?} {after:?}");
    drop(sessions);
    wait_for("the servers to be free", || world.sessions() == [0, 0]);
    assert_eq!(entered(&world), after);
}

#[test]
fn a_service_with_resting_sessions_stops_at_once_and_says_so() {
    let mut world = World::start(PATIENT);
    let client = world.client();
    let session = client.prepare(FOUR).unwrap();
    // A link that waits for its next session rests as well.
    client.run(FOUR, &numbers(1.0)).unwrap();
    for index in [0, 1] {
        assert!(world.stop(index) < Duration::from_secs(30));
    }
    wait_for("the session's end to be noticed", || !session.is_alive());
    let error = session.run(client.share(FOUR, &numbers(1.0)).unwrap()).unwrap_err();
    assert!(error.is_dead_session() && error.to_string().contains("shutting down"), "{error}");
    let error = client.run(FOUR, &numbers(1.0)).unwrap_err().to_string();
    assert!(error.contains("cannot reach server0"), "{error}");
}

#[test]
fn material_that_does_not_fit_cannot_rest_but_can_be_used_at_once() {
    let world = World::with_budget(PATIENT, 1);
    let client = world.client();
    let session = client.prepare(FOUR).unwrap();
    assert!(!session.rests() && session.time_left() <= PATIENT.stall);
    let route = session.run(client.share(FOUR, &numbers(3.0)).unwrap()).unwrap();
    squares(&route.output, 3.0);
}

#[test]
fn four_at_once_get_their_own_answers() {
    let world = World::start(PATIENT);
    let client = world.client();
    std::thread::scope(|scope| {
        for thread in 1..=4_u8 {
            let client = client.clone();
            scope.spawn(move || {
                for round in 0..3_u8 {
                    let first = f32::from(10 * thread + round);
                    squares(&client.run(FOUR, &numbers(first)).unwrap().output, first.into());
                }
            });
        }
    });
    wait_for("the servers to be free", || world.sessions() == [0, 0]);
}
