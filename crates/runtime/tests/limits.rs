//! What one client may take of a deployment, and what is left to others. Clients are told apart by address, and Linux
//! has more than one on loopback.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "suite/world.rs"]
mod world;

use blindroute_runtime::messages::{ClientHello, Digest, FailureKind, SessionId};
use blindroute_runtime::{FrameKind, LinkError, Timeouts};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;
use world::{FOUR, PATIENT, World, numbers, squares, wait_for};

const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[test]
fn case_50_eight_sessions_left_resting_and_idle_sockets_keep_no_other_client_out() {
    // One client may take all places, so that it is resting alone that others get theirs from.
    let world = World::with_limits(PATIENT, |options| {
        (options.max_sessions, options.max_sessions_per_client) = (4, 4);
    });
    let hog = world.client();
    let left: Vec<_> = (0..8).map(|_| hog.prepare(FOUR).unwrap()).collect();
    let full = hog.prepare(FOUR).unwrap_err();
    assert!(full.is_busy(), "{full}");
    let idle: Vec<_> =
        (0..72).flat_map(|_| [0, 1, 2].map(|index| TcpStream::connect(world.address(index)).unwrap())).collect();

    let other = world.client_from(OTHER);
    for round in 1..=3_u8 {
        squares(&other.run(FOUR, &numbers(round.into())).unwrap().output, round.into());
    }
    // Only the session that rested longest was closed, at both servers.
    wait_for("the closed session to be noticed", || !left[0].is_alive());
    assert_eq!(left.iter().filter(|session| session.is_alive()).count(), 7);
    let mut left = left.into_iter();
    let gone = left.next().unwrap().run(hog.share(FOUR, &numbers(1.0)).unwrap()).unwrap_err();
    assert!(gone.is_dead_session() && gone.to_string().contains("given to another client"), "{gone}");
    let rests = left.next().unwrap();
    squares(&rests.run(hog.share(FOUR, &numbers(2.0)).unwrap()).unwrap().output, 2.0);
    drop(idle);
}

#[test]
fn case_50_a_client_that_holds_no_more_than_others_loses_no_place() {
    let world = World::with_limits(PATIENT, |options| {
        (options.max_sessions, options.max_sessions_per_client) = (2, 2);
    });
    let (first, second) = (world.client(), world.client_from(OTHER));
    let held: Vec<_> =
        [&first, &first, &second, &second].map(|client| client.prepare(FOUR).unwrap()).into_iter().collect();
    for client in [&first, &second] {
        assert!(client.prepare(FOUR).unwrap_err().is_busy());
    }
    assert!(held.iter().all(|session| session.is_alive()));
    // A third has none, and gets one of theirs.
    let third = world.client_from(Ipv4Addr::new(127, 0, 0, 3));
    squares(&third.run(FOUR, &numbers(5.0)).unwrap().output, 5.0);
}

#[test]
fn case_50_sessions_that_one_client_never_completes_leave_places_to_others() {
    // Three quarters of eight connections for one client. None of them rests: server 0 waits for the dealer, and the
    // dealer for server 1, which this client never asks.
    let patience = Timeouts { stall: Duration::from_secs(300), ..PATIENT };
    let world = World::with_limits(patience, |options| {
        (options.max_sessions, options.max_sessions_per_client) = (4, 3);
    });
    let half = |number: u8| {
        let mut link = world.link(0);
        let (session, deployment) = (SessionId([number; 16]), Digest([7; 32]));
        link.send_message(&ClientHello {
            version: blindroute_runtime::messages::VERSION,
            session,
            deployment,
            request: FOUR.to_vec(),
            continues: None,
            token: None,
        })
        .unwrap();
        link
    };
    let halves: Vec<_> = (0..6).map(half).collect();
    wait_for("server 0 to hold them", || world.sessions()[0] == 6);
    let refused = world.link(0).receive(FrameKind::ServerReady).unwrap_err();
    assert!(matches!(&refused, LinkError::Failed { failure, .. } if failure.kind == FailureKind::Busy), "{refused}");
    let other = world.client_from(OTHER);
    squares(&other.run(FOUR, &numbers(4.0)).unwrap().output, 4.0);
    // They are still there.
    wait_for("the other client's session to be over", || world.sessions()[0] == 6);
    drop(halves);
}

#[test]
fn case_50_idle_sockets_of_an_address_do_not_keep_that_address_out() {
    let world = World::with_limits(PATIENT, |options| options.max_handshakes = 4);
    let idle: Vec<_> =
        (0..72).flat_map(|_| [0, 1, 2].map(|index| TcpStream::connect(world.address(index)).unwrap())).collect();
    squares(&world.client().run(FOUR, &numbers(4.0)).unwrap().output, 4.0);
    drop(idle);
}
