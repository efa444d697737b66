//! What a session left goes on with another pair: two deployments with certificates of their own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::world::{Numbers, PATIENT, World, numbers, squares, wait_for};
use blindroute_protocol::{Form, Shape};
use blindroute_runtime::messages::{
    ClientHello, Continues, Digest, FailureKind, HandOver, HandOverAnswer, HandOverRequest, ServerReady, SessionId,
    Ticket,
};
use blindroute_runtime::session::HAND_OVER_BUDGET;
use blindroute_runtime::{
    AuditShare, Client, FrameKind, HandOverOptions, HandOverTo, HandedOver, Held, Link, LinkError, Role, SessionError,
    Timeouts,
};
use std::time::Duration;

const KEEP: &[u8] = b"4 keep";
const ROLES: [Role; 2] = [Role::Server0, Role::Server1];

/// A pair, and one that accepts what the first hands over under the name "big".
fn two(timeouts: Timeouts) -> [World; 2] {
    let (mut small, mut big) = (World::start(timeouts), World::start(timeouts));
    accept(&small, &mut big, HAND_OVER_BUDGET);
    name(&mut small, &big, [0, 1]);
    [small, big]
}

/// Makes the second pair accept what the first hands over, up to so many bytes.
fn accept(small: &World, big: &mut World, budget: usize) {
    big.accepts = vec![small.authority()];
    big.hand_over = Box::new(move |_, _| HandOverOptions { to: Vec::new(), budget });
    big.restart();
}

/// Makes the servers of the first pair hand over to these positions of the second.
fn name(small: &mut World, big: &World, positions: [usize; 2]) {
    let (addresses, authority) = (positions.map(|index| big.address(index).to_owned()), big.authority());
    small.hand_over = Box::new(move |own, party| {
        let (address, endpoint) = (addresses[party.index()].clone(), own.calling(&authority).unwrap());
        HandOverOptions { to: vec![HandOverTo { name: "big".into(), address, endpoint }], ..HandOverOptions::default() }
    });
    small.restart();
}

fn held(client: &Client<Numbers>) -> Held {
    let outcome = client.run(KEEP, &numbers(5.0)).unwrap();
    squares(&outcome.output, 5.0);
    outcome.held.unwrap()
}

fn handed(small: &World, places: &[u16]) -> HandedOver {
    let client = small.client();
    client.hand_over(held(&client), "big", places).unwrap()
}

fn refused(error: &SessionError) -> (FailureKind, String) {
    match error {
        SessionError::Link(LinkError::Failed { failure, .. }) => (failure.kind, failure.to_string()),
        other => panic!("{other}"),
    }
}

fn hello(ticket: Ticket, places: Vec<u16>) -> ClientHello {
    let continues = Some(Continues { places, ticket: Some(ticket) });
    let session = SessionId::generate().unwrap();
    ClientHello {
        version: blindroute_runtime::messages::VERSION,
        session,
        deployment: Digest([7; 32]),
        request: b"2 more".to_vec(),
        continues,
        token: None,
    }
}

/// Runs a session on the first pair by hand as far as is needed to hand over, then asks each server for something.
fn ask(small: &World, asked: [HandOverRequest; 2]) -> [Result<HandOverAnswer, LinkError>; 2] {
    use blindroute_protocol::{Inputs, Seed};
    let session = asked[0].session;
    let mut links: [Link; 2] = [small.link(0), small.link(1)];
    let hello = ClientHello {
        version: blindroute_runtime::messages::VERSION,
        session,
        deployment: Digest([7; 32]),
        request: KEEP.to_vec(),
        continues: None,
        token: None,
    };
    links.iter_mut().for_each(|link| link.send_message(&hello).unwrap());
    for link in &mut links {
        link.receive_message::<ServerReady>().unwrap();
    }
    let form = Form::new(Shape::new(4, 1, 1), 64, 12);
    let for_one = Inputs::share(&[form], &numbers(5.0), &Seed::new([3; 16])).unwrap();
    links[0].send_long(FrameKind::Input, 0, &[3; 16]).unwrap();
    links[1].send_long(FrameKind::Input, 0, &for_one).unwrap();
    for link in &mut links {
        link.receive_long(FrameKind::Output, 0, form.packed_len()).unwrap();
        link.receive_message::<blindroute_runtime::messages::SessionReport>().unwrap();
    }
    let mut asked = asked.into_iter();
    links.map(|mut link| {
        link.send_message(&asked.next().unwrap()).unwrap();
        link.receive_message()
    })
}

/// A call of a server of one pair to one of another.
fn call(from: &World, own: Role, to: &World, index: usize) -> Result<Link, LinkError> {
    let endpoint = from.endpoint(own).calling(&to.authority()).unwrap();
    Link::connect(to.address(index), &endpoint, ROLES[index], &PATIENT)
}

fn offer(ticket: Ticket, rows: usize) -> HandOver {
    let forms = vec![Form::new(Shape::new(2, rows, 1), 64, 12)];
    HandOver { session: SessionId([8; 16]), request: KEEP.to_vec(), ticket, places: vec![0, 1], forms }
}

#[test]
fn a_session_goes_on_with_another_pair() {
    let [small, big] = two(PATIENT);
    let (client, other) = (small.client(), big.client());
    for round in 0..2 {
        let handed = client.hand_over(held(&client), "big", &[0, 2, 3]).unwrap();
        assert!(!format!("{handed:?}").contains(", 0"), "{handed:?}");
        let next = other.run_handed_over(handed, b"3 more keep").unwrap();
        assert_eq!((next.output.values, next.bytes_sent), (vec![vec![25.0, 9.0, 16.0]], 16), "{round}");
        // It may go on there.
        let last = other.run_continuing(next.held.unwrap(), b"1 more", &[1]).unwrap();
        assert_eq!(last.output.values, [vec![9.0]]);
        // And both pairs serve others.
        squares(&client.run(b"4", &numbers(7.0)).unwrap().output, 7.0);
        squares(&other.run(b"4", &numbers(2.0)).unwrap().output, 2.0);
    }
    wait_for("all servers to be free", || [small.sessions(), big.sessions()] == [[0; 2]; 2]);
}

#[test]
fn an_audit_at_the_second_pair_loses_nothing_that_was_handed_over() {
    let [small, mut big] = two(PATIENT);
    // A client gives up after eight audits in a row: few enough that none meets so many.
    big.audit = [AuditShare::new(0.2); 2];
    big.restart();
    let (client, other) = (small.client(), big.client());
    let audited = || big.audits.iter().flatten().all(|counts| counts.right() > 0);
    for run in 0..100 {
        let handed = client.hand_over(held(&client), "big", &[0, 2, 3]).unwrap();
        assert_eq!(other.run_handed_over(handed, b"3 more").unwrap().output.values, [vec![25.0, 9.0, 16.0]]);
        if run >= 4 && audited() {
            break;
        }
    }
    assert!(audited());
}

#[test]
fn what_was_handed_over_is_gone_from_the_first_pair_and_used_once_at_the_second() {
    let [small, big] = two(PATIENT);
    let session = SessionId([5; 16]);
    let ticket = Ticket::generate().unwrap();
    let request = |places: &[u16]| {
        let (to, places) = ("big".to_owned(), places.to_vec());
        HandOverRequest { session, to, ticket: ticket.clone(), places }
    };
    let answers = ask(&small, [request(&[0, 1]), request(&[0, 1])]);
    answers.into_iter().for_each(|answer| assert!(answer.unwrap().stored));
    // Nobody without the ticket.
    let mut link = big.link(0);
    link.send_message(&hello(Ticket::generate().unwrap(), vec![0, 1])).unwrap();
    let error = link.receive(FrameKind::ServerReady).unwrap_err();
    assert!(error.to_string().contains("nothing under this ticket"), "{error}");
    // Nor for another request than the next one; with that, it is gone.
    for says in ["does not continue", "nothing under this ticket"] {
        for index in [0, 1] {
            let mut link = big.link(index);
            let wrong = ClientHello { request: b"2".to_vec(), ..hello(ticket.clone(), vec![0, 1]) };
            link.send_message(&wrong).unwrap();
            let error = link.receive(FrameKind::ServerReady).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
    // A ticket that was used does not come back, and the first pair holds nothing.
    let client = small.client();
    let kept = held(&client);
    let handed = client.hand_over(kept, "big", &[1]).unwrap();
    let values = big.client().run_handed_over(handed, b"1 more").unwrap().output.values;
    assert_eq!(values, [vec![4.0]]);
    let mut link = small.link(0);
    link.send_message(&request(&[0])).unwrap();
    let error = link.receive(FrameKind::HandOverAnswer).unwrap_err();
    assert!(error.to_string().contains("holds nothing"), "{error}");
}

/// Shares of different elements or hand-overs would add up to nothing that any session left.
#[test]
fn servers_to_which_different_things_were_handed_refuse() {
    let [small, big] = two(PATIENT);
    for (number, places, tickets) in [(1, [[0, 1], [0, 2]], [9, 9]), (2, [[0, 1], [0, 1]], [10, 11])] {
        let session = SessionId([number; 16]);
        let tickets = tickets.map(|first| Ticket::new([first; 32]));
        let mut asked = places.iter().zip(&tickets).map(|(places, ticket)| HandOverRequest {
            session,
            to: "big".to_owned(),
            ticket: ticket.clone(),
            places: places.to_vec(),
        });
        let asked = [asked.next().unwrap(), asked.next().unwrap()];
        ask(&small, asked).into_iter().for_each(|answer| assert!(answer.unwrap().stored));
        let mut links = [big.link(0), big.link(1)];
        let id = SessionId([100 + number; 16]);
        for (link, ticket) in links.iter_mut().zip(&tickets) {
            link.send_message(&ClientHello {
                version: blindroute_runtime::messages::VERSION,
                session: id,
                ..hello(ticket.clone(), vec![0, 1])
            })
            .unwrap();
        }
        let said = links.map(|mut link| link.receive(FrameKind::ServerReady).unwrap_err());
        assert!(said.iter().any(|error| error.to_string().contains("requests differ")), "{said:?}");
    }
}

#[test]
fn what_a_pair_does_not_know_or_hold_is_refused_with_a_reason() {
    let [mut small, big] = two(PATIENT);
    let client = small.client();
    let says = |kept: Held, to: &str, places: &[u16]| refused(&client.hand_over(kept, to, places).unwrap_err());
    let (kind, text) = says(held(&client), "huge", &[0]);
    assert!(kind == FailureKind::BadRequest && text.contains("\"huge\"") && text.contains("[[hand_over]]"), "{text}");
    let (kind, text) = says(held(&client), "big", &[0, 4]);
    assert!(kind == FailureKind::BadRequest && text.contains("place 4 of a batch of 4"), "{text}");
    // A request of another form than what was handed over.
    let error = big.client().run_handed_over(handed(&small, &[0, 1]), b"3 more").unwrap_err();
    assert!(refused(&error).0 == FailureKind::BadRequest, "{error}");
    // The server of the other position.
    name(&mut small, &big, [1, 0]);
    let client = small.client();
    let error = client.hand_over(held(&client), "big", &[0]).unwrap_err();
    let (kind, text) = refused(&error);
    assert!(kind == FailureKind::OtherParty && text.contains("certificates") && error.is_dead_session(), "{text}");
    wait_for("the servers to be free", || small.sessions() == [0, 0]);
}

#[test]
fn only_servers_of_the_same_position_and_a_known_authority_may_hand_over() {
    let [small, big] = two(PATIENT);
    let stranger = World::start(PATIENT);
    // A certificate of an accepted authority opens nothing else.
    for (index, role) in [(0, Role::Server1), (0, Role::Client), (1, Role::Server0), (1, Role::Client)] {
        let error = call(&small, role, &big, index).unwrap().receive(FrameKind::HandOverAnswer).unwrap_err();
        assert!(
            error.to_string().contains("another role") && error.to_string().contains("another deployment"),
            "{error}"
        );
    }
    let mut link = call(&small, Role::Server0, &big, 0).unwrap();
    link.send_message(&offer(Ticket::new([1; 32]), 1)).unwrap();
    assert!(!link.receive_message::<HandOverAnswer>().unwrap().stored);
    // Another authority, and the own one, which was not named.
    for (from, what) in [(&stranger, "certificates"), (&big, "another role")] {
        let error = call(from, Role::Server0, &big, 0).and_then(|mut link| link.receive(FrameKind::HandOverAnswer));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    // Where nothing may be handed over, no foreign certificate is accepted.
    let error = call(&big, Role::Server0, &small, 0).and_then(|mut link| link.receive(FrameKind::HandOverAnswer));
    assert!(matches!(error.unwrap_err(), LinkError::Certificate { .. }));
}

#[test]
fn too_much_is_refused_before_it_is_sent_and_room_comes_back() {
    let [small, mut big] = two(PATIENT);
    accept(&small, &mut big, 30 << 10);
    let offered = |ticket: u8, rows: usize| {
        let mut link = call(&small, Role::Server1, &big, 1).unwrap();
        link.send_message(&offer(Ticket::new([ticket; 32]), rows)).unwrap();
        let answer = link.receive_message::<HandOverAnswer>();
        (link, answer)
    };
    let (_, refused) = offered(1, 1 << 20);
    assert!(refused.unwrap_err().to_string().contains("hand over fewer texts"));
    let (first, answer) = offered(1, 700);
    assert!(!answer.unwrap().stored);
    let (_, twice) = offered(1, 1);
    assert!(twice.unwrap_err().to_string().contains("before"));
    let (_, full) = offered(2, 700);
    let full = full.unwrap_err();
    assert!(matches!(&full, LinkError::Failed { failure, .. } if failure.kind == FailureKind::Busy), "{full}");
    // A sender that leaves before the shares came leaves nothing.
    first.close();
    wait_for("the room to be free", || offered(2, 700).1.is_ok());
}

#[test]
fn what_nobody_continues_in_time_is_gone() {
    let [small, big] = two(Timeouts { ready: Duration::from_millis(300), ..PATIENT });
    let handed = handed(&small, &[0, 1]);
    std::thread::sleep(Duration::from_millis(400));
    let error = big.client().run_handed_over(handed, b"2 more").unwrap_err();
    let (kind, text) = refused(&error);
    assert!(kind == FailureKind::Expired && text.contains("has expired") && error.is_dead_session(), "{text}");
    squares(&big.client().run(b"4", &numbers(3.0)).unwrap().output, 3.0);
}

#[test]
fn a_server_that_ends_between_exit_and_hand_over_loses_the_session_and_nothing_else() {
    for (pair, server) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let [mut small, mut big] = two(PATIENT);
        let client = small.client();
        let kept = held(&client);
        [&mut small, &mut big][pair].stop(server);
        let error = client.hand_over(kept, "big", &[0, 1]).unwrap_err();
        assert!(error.is_dead_session() || error.is_temporary(), "{pair} {server}: {error}");
        [&mut small, &mut big][pair].run(server);
        wait_for("the pair to serve", || client.run(b"4", &numbers(3.0)).is_ok());
    }
    // After the hand-over, before the next session.
    for server in [0, 1] {
        let [small, mut big] = two(PATIENT);
        let handed = handed(&small, &[0, 1]);
        big.stop(server);
        big.run(server);
        let error = big.client().run_handed_over(handed, b"2 more").unwrap_err();
        assert!(error.is_dead_session(), "{server}: {error}");
        squares(&big.client().run(b"4", &numbers(3.0)).unwrap().output, 3.0);
    }
}
