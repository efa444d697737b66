//! What servers keep of a session for the next one on the same links.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::world::{PATIENT, World, numbers, squares, wait_for};
use blindroute_protocol::{Inputs, Output, Seed, Shape};
use blindroute_runtime::messages::{
    ClientHello, Continues, Digest, FailureKind, ServerReady, SessionId, SessionReport,
};
use blindroute_runtime::{FrameKind, Held, Link, LinkError, SessionError};

const KEEP: &[u8] = b"4 keep";

fn held(client: &blindroute_runtime::Client<crate::world::Numbers>) -> Held {
    let outcome = client.run(KEEP, &numbers(5.0)).unwrap();
    squares(&outcome.output, 5.0);
    outcome.held.unwrap()
}

fn refused(error: &SessionError) -> (FailureKind, String) {
    match error {
        SessionError::Link(LinkError::Failed { failure, .. }) => (failure.kind, failure.to_string()),
        other => panic!("{other}"),
    }
}

#[test]
fn a_session_continues_with_what_the_one_before_it_left() {
    let world = World::start(PATIENT);
    let client = world.client();
    let first = held(&client);
    let next = client.run_continuing(first, b"3 more keep", &[0, 2, 3]).unwrap();
    assert_eq!(next.output.values, [vec![25.0, 9.0, 16.0]]);
    // A seed that is not used says when to begin.
    assert_eq!(next.bytes_sent, 16);
    let last = client.run_continuing(next.held.unwrap(), b"1 more", &[1]).unwrap();
    assert_eq!(last.output.values, [vec![9.0]]);
    assert!(last.held.is_none());
    // What is not continued goes with the next session.
    drop(held(&client));
    squares(&client.run(b"4", &numbers(7.0)).unwrap().output, 7.0);
    wait_for("the servers to be free", || world.sessions() == [0, 0]);
}

#[test]
fn what_does_not_fit_is_refused_and_what_was_kept_is_gone() {
    let world = World::start(PATIENT);
    let client = world.client();
    for (request, places, says) in [
        (&b"2 more"[..], &[1, 4][..], "place 4 of a batch of 4"),
        (b"2 more", &[1, 1], "do not rise"),
        (b"3 more", &[0, 1], "continues with"),
        (b"2", &[0, 1], "does not continue"),
    ] {
        let (kind, text) = refused(&client.run_continuing(held(&client), request, places).unwrap_err());
        assert!(kind == FailureKind::BadRequest && text.contains(says), "{text}");
    }
    // As a session of its own, a client could give any values in place of those that were kept.
    let (kind, text) = refused(&client.run(b"4 more", &numbers(1.0)).unwrap_err());
    assert!(kind == FailureKind::BadRequest && text.contains("names no values"), "{text}");
    // On another link, or after a session that kept nothing.
    let mut link = world.link(0);
    link.send_message(&hello(SessionId([9; 16]), b"4 more", Some(vec![0, 1, 2, 3]))).unwrap();
    let error = link.receive(FrameKind::ServerReady).unwrap_err();
    assert!(error.to_string().contains("holds nothing"), "{error}");
}

#[test]
fn a_restart_loses_what_was_kept() {
    let mut world = World::start(PATIENT);
    let client = world.client();
    let first = held(&client);
    world.stop(1);
    world.run(1);
    let error = client.run_continuing(first, b"2 more", &[0, 1]).unwrap_err();
    assert!(error.is_dead_session(), "{error}");
    squares(&client.run(b"4", &numbers(3.0)).unwrap().output, 3.0);
}

fn hello(session: SessionId, request: &[u8], continues: Option<Vec<u16>>) -> ClientHello {
    ClientHello {
        version: blindroute_runtime::messages::VERSION,
        session,
        deployment: Digest([7; 32]),
        request: request.to_vec(),
        continues: continues.map(|places| Continues { places, ticket: None }),
        token: None,
    }
}

/// Shares of different elements would add up to nothing that any session left.
#[test]
fn servers_that_are_told_different_places_refuse() {
    let world = World::start(PATIENT);
    let mut links: [Link; 2] = [world.link(0), world.link(1)];
    links.iter_mut().for_each(|link| link.send_message(&hello(SessionId([1; 16]), KEEP, None)).unwrap());
    for link in &mut links {
        link.receive_message::<ServerReady>().unwrap();
    }
    let form = blindroute_protocol::Form::new(Shape::new(4, 1, 1), 64, 12);
    let seed = [3; 16];
    let for_one = Inputs::share(&[form], &numbers(5.0), &Seed::new(seed)).unwrap();
    links[0].send_long(FrameKind::Input, 0, &seed).unwrap();
    links[1].send_long(FrameKind::Input, 0, &for_one).unwrap();
    let expected = form.packed_len();
    let outputs = links.each_mut().map(|link| link.receive_long(FrameKind::Output, 0, expected).unwrap());
    for link in &mut links {
        link.receive_message::<SessionReport>().unwrap();
    }
    let squared = blindroute_protocol::Form { fraction: 24, ..form };
    let spec = blindroute_protocol::OutputSpec {
        size: blindroute_protocol::OutputSize::Words(squared),
        reason: "the client asked for it",
    };
    squares(&Output::combine(&[spec], &outputs[0], &outputs[1]).unwrap(), 5.0);
    for (link, places) in links.iter_mut().zip([vec![0, 1], vec![0, 2]]) {
        link.send_message(&hello(SessionId([2; 16]), b"2 more", Some(places))).unwrap();
    }
    let said = links.each_mut().map(|link| link.receive(FrameKind::ServerReady).unwrap_err());
    assert!(said.iter().any(|error| error.to_string().contains("requests differ")), "{said:?}");
}
