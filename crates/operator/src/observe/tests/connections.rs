//! The listener, over sockets.

use super::super::answer::to;
use super::super::board::Board;
use super::super::listener::listen;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than a test takes.
const LONG: Duration = Duration::from_secs(60);

fn listening(patience: Duration) -> SocketAddr {
    let board = Board::default();
    listen("127.0.0.1:0", patience, move |request| to(&board, request)).unwrap()
}

fn call(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

fn rest(mut socket: TcpStream) -> String {
    let mut text = Vec::new();
    // A connection whose place was taken may be reset.
    socket.read_to_end(&mut text).ok();
    String::from_utf8(text).unwrap()
}

fn asked(address: SocketAddr, request: &str) -> String {
    let mut socket = call(address);
    socket.write_all(request.as_bytes()).unwrap();
    rest(socket)
}

#[test]
fn a_request_is_answered_and_its_connection_closed() {
    let address = listening(LONG);
    let text = asked(address, "GET /livez?verbose HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\nok\n"), "{text}");
    assert!(text.contains("\nContent-Length: 3\r\n") && text.contains("\nConnection: close\r\n"), "{text}");
    assert!(asked(address, "GET /x HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(asked(address, "DELETE /readyz HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    // What a TLS client sends first.
    assert!(asked(address, "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}").starts_with("HTTP/1.1 400 "));
}

#[test]
fn case_11_a_head_that_is_too_long_is_refused_before_it_ends() {
    let address = listening(LONG);
    let long = format!("GET /livez HTTP/1.1\r\nX: {}", "a".repeat(9 << 10));
    assert!(asked(address, &long).starts_with("HTTP/1.1 431 "));
    let just_fits = format!("GET /livez HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat((8 << 10) - 28));
    assert_eq!(just_fits.len(), 8 << 10);
    assert!(asked(address, &just_fits).starts_with("HTTP/1.1 200 "));
}

#[test]
fn case_23_slow_callers_keep_nobody_out() {
    let address = listening(LONG);
    let mut slow: Vec<TcpStream> = (0..40).map(|_| call(address)).collect();
    // Those that lost their places may notice it already.
    slow.iter_mut().for_each(|socket| drop(socket.write_all(b"GET /livez HT")));
    assert!(asked(address, "GET /livez HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
    let lost = slow.remove(0);
    assert!(rest(lost).is_empty(), "the oldest gave its place up");
    // The newest kept its place.
    let mut last = slow.pop().unwrap();
    last.write_all(b"TP/1.1\r\n\r\n").unwrap();
    assert!(rest(last).starts_with("HTTP/1.1 200 "));
}

#[test]
fn case_23_a_caller_that_says_too_little_is_closed_without_a_word() {
    let address = listening(Duration::from_millis(300));
    let mut slow = call(address);
    slow.write_all(b"GET /livez HTTP/1.1\r\n").unwrap();
    let begun = call(address);
    assert!(rest(slow).is_empty() && rest(begun).is_empty());
}
