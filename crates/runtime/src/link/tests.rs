use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::Instant;

use super::*;
use crate::frame::{CHUNK, LONG_PREFIX};
use crate::messages::{ClientHello, Digest, FailureKind, SessionId};
use crate::scene::Scene;
use crate::testing::{QUICK, endpoint, linked, linked_in};

fn pair() -> (Link, Link) {
    linked(Role::Client, Role::Server0, QUICK)
}

/// As [`pair`], for tests that no load of the machine may fail.
fn calm_pair() -> (Link, Link) {
    linked(Role::Client, Role::Server0, Timeouts::default())
}

/// Sends raw plaintext inside valid TLS: what a peer that breaks the protocol can do.
fn raw(link: &mut Link, bytes: &[u8]) {
    link.stream.write(bytes, "test").unwrap();
    link.stream.flush("test").unwrap();
}

fn long_frame(kind: FrameKind, sequence: u64, total: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = FrameHeader::encode(kind, (LONG_PREFIX + body.len()) as u32).to_vec();
    bytes.extend_from_slice(&sequence.to_le_bytes());
    bytes.extend_from_slice(&total.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

#[test]
fn case_49_a_link_that_rests_holds_nothing_of_a_secret_message() {
    let (mut client, mut server) = calm_pair();
    let secret: Vec<u8> = (0..CHUNK + 100).map(|i| (i * i / 7) as u8).collect();
    let holds = |link: &Link| {
        secret.chunks_exact(16).step_by(2003).any(|bytes| {
            let scratch = link.scratch.windows(bytes.len()).any(|window| window == bytes);
            scratch || link.stream.holds(bytes)
        })
    };
    for kind in [FrameKind::Exchange, FrameKind::Input, FrameKind::Output] {
        let message = secret.clone();
        let sending = thread::spawn(move || {
            client.send_long(kind, 0, &message).unwrap();
            client
        });
        assert!(server.receive_long(kind, 0, secret.len()).unwrap() == secret);
        client = sending.join().unwrap();
        // What the servers exchange is masked, and stays until the next message: the search does find it.
        assert_eq!([holds(&client), holds(&server)], [kind == FrameKind::Exchange; 2], "{kind}");
    }
    client.send(FrameKind::MaterialGrant, &secret[..100]).unwrap();
    assert!(server.receive(FrameKind::MaterialGrant).unwrap() == secret[..100]);
    assert!(!holds(&client) && !holds(&server));
}

#[test]
fn messages_of_every_size_arrive_and_are_counted() {
    let (mut client, mut server) = calm_pair();
    assert_eq!((client.peer(), server.peer()), (Role::Server0, Role::Client));
    let sizes = [0, 1, 100, FIRST_RECORD - 1, FIRST_RECORD, 100_000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5];
    let message = |size: usize| (0..size).map(|i| (i * 7 + size) as u8).collect::<Vec<_>>();
    let echo = thread::spawn(move || {
        for (number, size) in sizes.into_iter().enumerate() {
            let got = server.receive_long(FrameKind::Input, number as u64, size).unwrap();
            server.send_long(FrameKind::Output, number as u64, &got).unwrap();
        }
        assert!(server.receive_or_end(FrameKind::ClientHello).unwrap().is_none());
        server.traffic()
    });
    for (number, size) in sizes.into_iter().enumerate() {
        client.send_long(FrameKind::Input, number as u64, &message(size)).unwrap();
        assert!(client.receive_long(FrameKind::Output, number as u64, size).unwrap() == message(size));
    }
    let mine = client.traffic();
    client.close();
    let theirs = echo.join().unwrap();
    let sum = sizes.iter().sum::<usize>() as u64;
    for traffic in [&mine, &theirs] {
        assert_eq!((traffic.payload_sent(), traffic.payload_received()), (sum, sum));
    }
    // Wire bytes of both sides agree (but for the closing alert), and framing with TLS costs under 1%.
    assert!(mine.wire_sent() >= theirs.wire_received() && mine.wire_sent() - theirs.wire_received() < 64);
    assert!(mine.wire_sent() < sum + sum / 100 + 4096);
}

const FIRST_RECORD: usize = 16 << 10;

#[test]
fn typed_messages_travel() {
    let (mut client, mut server) = calm_pair();
    let hello = ClientHello {
        version: crate::messages::VERSION,
        session: SessionId([1; 16]),
        deployment: Digest([2; 32]),
        request: vec![3; 9],
        continues: None,
        token: None,
    };
    client.send_message(&hello).unwrap();
    assert_eq!(server.receive_message::<ClientHello>().unwrap(), hello);
    server.fail(&Failure::new(FailureKind::DigestMismatch, "1 is not 2"));
    let error = client.receive_message::<ClientHello>().unwrap_err();
    assert!(matches!(&error, LinkError::Failed { failure, .. } if failure.kind == FailureKind::DigestMismatch));
    assert_eq!(error.fault(), Fault::Peer);
    client.close();
    assert!(server.receive_message_or_end::<ClientHello>().unwrap().is_none());
}

#[test]
fn case_11_frames_that_break_the_protocol_are_errors() {
    type Check = fn(LinkError) -> bool;
    let cases: [(&str, Vec<u8>, Check); 9] = [
        ("unknown kind", vec![200, 0, 0, 0, 0], |e| matches!(e, LinkError::WrongKind { found: 200, .. })),
        ("other kind", FrameHeader::encode(FrameKind::Material, 3).to_vec(), |e| {
            matches!(e, LinkError::WrongKind { .. })
        }),
        ("huge", FrameHeader::encode(FrameKind::Exchange, u32::MAX).to_vec(), |e| {
            matches!(e, LinkError::TooLong { found: 0xffff_ffff, .. })
        }),
        ("no prefix", FrameHeader::encode(FrameKind::Exchange, 3).to_vec(), |e| {
            matches!(e, LinkError::WrongLength { .. })
        }),
        ("repeated", long_frame(FrameKind::Exchange, 4, 8, &[0; 8]), |e| {
            matches!(e, LinkError::OutOfOrder { expected: 5, found: 4, .. })
        }),
        ("longer total", long_frame(FrameKind::Exchange, 5, u64::MAX, &[0; 8]), |e| {
            matches!(e, LinkError::WrongLength { expected: 8, found: u64::MAX, .. })
        }),
        ("short body", long_frame(FrameKind::Exchange, 5, 8, &[0; 7]), |e| {
            matches!(e, LinkError::WrongLength { expected: 8, found: 7, .. })
        }),
        ("long body", long_frame(FrameKind::Exchange, 5, 8, &[0; 9]), |e| {
            matches!(e, LinkError::WrongLength { expected: 8, found: 9, .. })
        }),
        ("bad failure", [&FrameHeader::encode(FrameKind::Failure, 1)[..], &[77]].concat(), |e| {
            matches!(e, LinkError::Malformed { .. })
        }),
    ];
    for (name, bytes, check) in cases {
        let (mut client, mut server) = pair();
        raw(&mut client, &bytes);
        let error = server.receive_long(FrameKind::Exchange, 5, 8).unwrap_err();
        assert_eq!(error.fault(), Fault::Peer, "{name}");
        assert!(check(error), "{name}");
    }
}

#[test]
fn case_23_silence_and_trickle_are_bounded() {
    let (mut client, mut server) = pair();
    let start = Instant::now();
    assert!(matches!(server.receive(FrameKind::Output), Err(LinkError::TimedOut { .. })));
    raw(&mut client, &FrameHeader::encode(FrameKind::Output, 100));
    assert!(matches!(server.receive(FrameKind::Output), Err(LinkError::TimedOut { .. })));
    assert!(start.elapsed() < Duration::from_secs(3));

    let quick = Timeouts { message: Duration::from_millis(600), ..QUICK };
    let (mut client, mut server) = linked(Role::Client, Role::Server0, quick);
    let trickle = thread::spawn(move || {
        while client.stream.write(&[FrameKind::Output as u8, 100, 0, 0, 0], "test").is_ok()
            && client.stream.flush("test").is_ok()
        {
            thread::sleep(Duration::from_millis(100));
        }
    });
    let start = Instant::now();
    assert!(matches!(server.receive(FrameKind::Output), Err(LinkError::TimedOut { .. })));
    assert!(start.elapsed() < Duration::from_secs(2));
    drop(server);
    trickle.join().unwrap();
}

#[test]
fn an_idle_client_may_wait_longer_than_a_message_may_take() {
    let short = Timeouts { message: Duration::from_millis(200), ..QUICK };
    let (mut client, mut server) = linked(Role::Client, Role::Server0, short);
    server.set_stall(Duration::from_secs(5)).unwrap();
    let waiting = thread::spawn(move || server.receive_or_end(FrameKind::ClientHello).unwrap());
    thread::sleep(Duration::from_millis(600));
    client.send(FrameKind::ClientHello, b"late").unwrap();
    assert_eq!(waiting.join().unwrap().unwrap(), b"late");
}

#[test]
fn a_reader_that_stops_reading_stalls_the_writer_for_a_bounded_time() {
    let (mut client, server) = pair();
    let start = Instant::now();
    let error = client.send_long(FrameKind::Input, 0, &vec![0; 64 << 20]).unwrap_err();
    assert!(matches!(error, LinkError::TimedOut { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(6));
    drop(server);
}

#[test]
fn a_broken_connection_is_not_a_clean_end() {
    let (mut client, mut server) = pair();
    raw(&mut client, &[FrameKind::Output as u8, 9]);
    drop(client);
    let error = server.receive_or_end(FrameKind::Output).unwrap_err();
    assert!(matches!(error, LinkError::Closed { .. }));
    assert_eq!(error.fault(), Fault::Transport);

    let (client, mut server) = pair();
    drop(client);
    assert!(matches!(server.receive_or_end(FrameKind::Output), Err(LinkError::Closed { .. })));
}

#[test]
fn garbage_instead_of_tls_is_refused_on_both_sides() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = socket.read(&mut [0; 4096]);
        listener
    });
    let error = Link::connect(&address, &endpoint(Role::Client), Role::Server0, &QUICK).unwrap_err();
    assert!(matches!(error, LinkError::Tls { .. }), "{error}");

    let listener = answer.join().unwrap();
    let caller = thread::spawn(move || {
        let mut socket = TcpStream::connect(&address).unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        socket.read_to_end(&mut Vec::new()).ok();
    });
    let (socket, _) = listener.accept().unwrap();
    let error = Link::accept(socket, &endpoint(Role::Server0), &Role::ALL, &QUICK).unwrap_err();
    assert!(matches!(error, LinkError::Tls { .. }), "{error}");
    caller.join().unwrap();
}

#[test]
fn a_silent_or_absent_peer_ends_the_handshake_in_time() {
    let quick = Timeouts { handshake: Duration::from_millis(300), ..QUICK };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let error = Link::connect(&address, &endpoint(Role::Client), Role::Server0, &quick).unwrap_err();
    assert!(matches!(error, LinkError::TimedOut { .. }), "{error}");
    drop(listener);
    let error = Link::connect(&address, &endpoint(Role::Client), Role::Server0, &quick).unwrap_err();
    assert!(matches!(error, LinkError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&address) && error.to_string().contains("check that it runs"));
    assert!(Link::connect("no port here", &endpoint(Role::Client), Role::Server0, &quick).is_err());
}

#[test]
fn roles_are_checked_on_both_sides() {
    // The caller wants server 1 but reaches server 0.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let accepting = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let result = Link::accept(socket, &endpoint(Role::Server0), &[Role::Client], &QUICK);
        (listener, result.map(|_| ()))
    });
    let error = Link::connect(&address, &endpoint(Role::Client), Role::Server1, &QUICK).unwrap_err();
    assert_eq!(error.fault(), Fault::Configuration, "{error}");
    let (listener, accepted) = accepting.join().unwrap();
    assert_eq!(accepted.unwrap_err().fault(), Fault::Configuration);

    // The dealer calls where only clients may.
    let accepting = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let result = Link::accept(socket, &endpoint(Role::Server0), &[Role::Client], &QUICK);
        (listener, result.map(|_| ()))
    });
    let mut link = Link::connect(&address, &endpoint(Role::Dealer), Role::Server0, &QUICK).unwrap();
    let error = link.receive(FrameKind::ServerReady).unwrap_err();
    assert!(matches!(&error, LinkError::Failed { failure, .. } if failure.kind == FailureKind::WrongRole), "{error}");
    let (listener, accepted) = accepting.join().unwrap();
    assert!(matches!(accepted, Err(LinkError::WrongRole { found, .. }) if found == "dealer"));

    // Another deployment's client calls: it learns that its certificate is the problem.
    let home = tempfile::tempdir().unwrap();
    let other = crate::CertificateFolder::generate(home.path()).unwrap();
    let mut files = other.identity(Role::Client);
    let mixed = home.path().join("mixed.pem");
    let ours = endpoint(Role::Server0);
    let accepting = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        Link::accept(socket, &ours, &[Role::Client], &QUICK).map(|_| ())
    });
    std::fs::copy(&files.authority, &mixed).unwrap();
    files.authority = mixed;
    let stranger = Endpoint::load(Role::Client, &files).unwrap();
    let error = Link::connect(&address, &stranger, Role::Server0, &QUICK).unwrap_err();
    assert!(matches!(error, LinkError::Certificate { .. }), "{error}");
    let refused = accepting.join().unwrap().unwrap_err();
    assert!(matches!(refused, LinkError::Certificate { .. }), "{refused}");
}

#[test]
#[cfg(target_os = "linux")]
fn an_emulated_link_delays_and_never_alters() {
    let slow = Scene { delay: Duration::from_millis(30), megabits: 80.0 };
    let (mut client, mut server) = linked_in(Role::Client, Role::Server0, Timeouts::default(), [Some(slow); 2]);
    let started = Instant::now();
    let message: Vec<u8> = (0..300_000).map(|i| (i % 251) as u8).collect();
    let expected = message.clone();
    let receiving = thread::spawn(move || {
        let first = server.receive(FrameKind::ClientHello).unwrap();
        let arrived = Instant::now();
        let long = server.receive_long(FrameKind::Input, 7, 300_000).unwrap();
        assert!(first == b"short" && long == expected);
        (arrived, Instant::now())
    });
    client.send(FrameKind::ClientHello, b"short").unwrap();
    client.send_long(FrameKind::Input, 7, &message).unwrap();
    let sent = started.elapsed();
    let (first, second) = receiving.join().unwrap();
    // The sender was not held up; the second message is 30 ms behind the first, which is what its bytes take.
    assert!(first - started >= Duration::from_millis(30), "{:?}", first - started);
    assert!(second - started >= Duration::from_millis(60), "{:?}", second - started);
    assert!(sent < second - started, "{sent:?}");
    assert!(client.traffic().wire_sent() < 310_000, "headers of the scene are not counted");
}

#[test]
#[cfg(target_os = "linux")]
fn one_scene_without_the_other_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let calling = thread::spawn(move || Link::connect(&address, &endpoint(Role::Client), Role::Server0, &QUICK));
    let server = endpoint(Role::Server0).in_scene(Some(Scene::LAN));
    let error = Link::accept(listener.accept().unwrap().0, &server, &[Role::Client], &QUICK).unwrap_err();
    assert!(matches!(error, LinkError::NoScene { .. }) && error.to_string().contains("[network]"), "{error}");
    assert!(calling.join().unwrap().is_err());
}
