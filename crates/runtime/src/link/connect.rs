//! Connecting to a name that resolves to several addresses.
//!
//! A machine often has an IPv6 and an IPv4 address of which one cannot be reached, and such a connection fails only
//! after minutes. So the addresses are tried as in RFC 8305, "Happy Eyeballs": the two families alternate, beginning
//! with the resolver's first address. The next address is tried when the previous one has failed, or after a quarter of
//! a second. The first connection that succeeds is used.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The delay that RFC 8305, section 5, recommends.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// The most addresses that are tried. Each takes a thread until its attempt ends.
const ADDRESSES: usize = 16;

/// Resolves "host:port", or several joined by ", ", and connects to one of the addresses, all within `limit`.
pub(super) fn connect(address: &str, limit: Duration) -> io::Result<TcpStream> {
    let until = Instant::now() + limit;
    // Most addresses are numeric and need neither a thread nor several attempts.
    if let Ok(address) = address.parse::<SocketAddr>() {
        return TcpStream::connect_timeout(&address, limit);
    }
    race(&resolve(address, limit)?, until)
}

/// Resolves a name in a thread, because the time of the system's resolver cannot be limited.
fn resolve(address: &str, limit: Duration) -> io::Result<Vec<SocketAddr>> {
    let (send, resolved) = mpsc::channel();
    let name = address.to_owned();
    std::thread::Builder::new().name("resolve".into()).spawn(move || {
        let (mut all, mut failed) = (Vec::new(), None);
        for part in name.split(", ") {
            match part.to_socket_addrs() {
                Ok(found) => all.extend(found.take(ADDRESSES)),
                Err(error) => failed = Some(error),
            }
        }
        all.truncate(ADDRESSES);
        send.send(failed.filter(|_| all.is_empty()).map_or(Ok(all), Err)).ok();
    })?;
    resolved.recv_timeout(limit).unwrap_or_else(|_| Err(timed_out("the name was not resolved in time")))
}

/// Connects to the first address that answers.
fn race(addresses: &[SocketAddr], until: Instant) -> io::Result<TcpStream> {
    let mut left = alternate(addresses).into_iter();
    let (send, ended) = mpsc::channel::<io::Result<TcpStream>>();
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    let mut running = 0;
    let mut exhausted = false;
    loop {
        match left.next() {
            Some(address) => {
                let budget = until.saturating_duration_since(Instant::now());
                if budget.is_zero() {
                    return Err(timed_out("connection timed out"));
                }
                let send = send.clone();
                // Slower attempts close their connections here, at the latest at the end of the time.
                let attempt = move || drop(send.send(TcpStream::connect_timeout(&address, budget)));
                match std::thread::Builder::new().name("connect".into()).spawn(attempt) {
                    Ok(_) => running += 1,
                    Err(error) => last = error,
                }
            }
            None => exhausted = true,
        }
        let mut delay = until.saturating_duration_since(Instant::now());
        if !exhausted {
            delay = delay.min(ATTEMPT_DELAY);
        }
        while running > 0 {
            match ended.recv_timeout(delay) {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(error)) => {
                    running -= 1;
                    last = error;
                    if !exhausted {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) if !exhausted => break,
                Err(_) => return Err(timed_out("connection timed out")),
            }
        }
        if exhausted && running == 0 {
            return Err(last);
        }
    }
}

/// The resolver's order, with the two families alternating.
fn alternate(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let of = |family: bool| addresses.iter().copied().filter(move |address| address.is_ipv6() == family);
    let (mut one, mut other) = (of(first), of(!first));
    let mut mixed = Vec::with_capacity(addresses.len());
    while mixed.len() < addresses.len() {
        mixed.extend(one.next());
        mixed.extend(other.next());
    }
    mixed
}

fn timed_out(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::TimedOut, what)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// An address at which connections neither succeed nor fail: a listener whose queue is full. Also returns the
    /// connections that fill it.
    #[cfg(target_os = "linux")]
    fn nowhere() -> (TcpListener, Vec<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let to = listener.local_addr().unwrap();
        let call = || TcpStream::connect_timeout(&to, Duration::from_millis(300));
        let held = std::iter::from_fn(|| call().ok()).take(64).collect::<Vec<_>>();
        assert!(held.len() < 64, "the queue does not fill");
        (listener, held)
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_unreachable_address_does_not_use_up_the_time_of_the_others() {
        let (dead, _held) = nowhere();
        let live = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [&dead, &dead, &live].map(|listener| listener.local_addr().unwrap());
        let socket = race(&addresses, Instant::now() + LONG).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), addresses[2]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn if_nothing_answers_the_time_is_limited() {
        let (dead, _held) = nowhere();
        let addresses = [dead.local_addr().unwrap(); 3];
        let started = Instant::now();
        let error = race(&addresses, started + Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(started.elapsed() < LONG);
    }

    #[test]
    fn refused_addresses_are_skipped_and_the_last_reason_is_reported() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let live = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = live.local_addr().unwrap();
        assert_eq!(race(&[gone, gone, to], Instant::now() + LONG).unwrap().peer_addr().unwrap(), to);
        assert_eq!(race(&[gone, gone], Instant::now() + LONG).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(race(&[], Instant::now() + LONG).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(connect(&format!("localhost:{}", to.port()), LONG).is_ok());
        // Several addresses of one party, of which one answers and one has no such name.
        assert!(connect(&format!("nowhere.invalid:1, {gone}, {to}"), LONG).is_ok());
        assert!(connect("nowhere.invalid:1, nowhere.invalid:2", LONG).is_err());
    }

    #[test]
    fn families_alternate_in_the_resolvers_order() {
        let all = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"].map(address);
        let turns = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"].map(address);
        assert_eq!(alternate(&all), turns);
        let all = ["1.1.1.1:1", "[::1]:1", "[::2]:1"].map(address);
        assert_eq!(alternate(&all), all);
    }
}
