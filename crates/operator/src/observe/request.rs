//! The head of a request, read within bounds.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Bytes of a head.
const HEAD: usize = 8 << 10;
const HEADERS: usize = 64;

/// What is done with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Other,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Without a query.
    pub(super) path: String,
}

/// Why a head is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Malformed,
    TooLong,
}

impl Request {
    /// Reads a head, and nothing after it, until that moment. `None` if the caller leaves or is too slow.
    pub(super) fn read(socket: &mut TcpStream, until: Instant) -> Option<Result<Self, Unreadable>> {
        let mut head = Vec::with_capacity(HEAD);
        loop {
            let mut part = [0; 1 << 10];
            let room = part.len().min(HEAD - head.len());
            let count = read(socket, &mut part[..room], until).ok().filter(|count| *count > 0)?;
            head.extend_from_slice(&part[..count]);
            match Self::parse(&head) {
                Ok(None) if head.len() == HEAD => return Some(Err(Unreadable::TooLong)),
                Ok(None) => {}
                Ok(Some(request)) => return Some(Ok(request)),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The request that begins a connection; `None` if its head is incomplete.
    fn parse(head: &[u8]) -> Result<Option<Self>, Unreadable> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(head) {
            Ok(httparse::Status::Partial) => return Ok(None),
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Unreadable::TooLong),
            Err(_) => return Err(Unreadable::Malformed),
        }
        let (Some(method), Some(target)) = (parsed.method, parsed.path) else { return Err(Unreadable::Malformed) };
        let method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        };
        Ok(Some(Self { method, path: target.split('?').next().unwrap_or(target).to_owned() }))
    }
}

/// Reads once, until that moment at the latest.
pub(super) fn read(socket: &mut TcpStream, into: &mut [u8], until: Instant) -> io::Result<usize> {
    let left = until.saturating_duration_since(Instant::now());
    // A timeout of zero would be none.
    socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { socket.read(into) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Option<(Method, String)>, Unreadable> {
        Request::parse(text.as_bytes()).map(|request| request.map(|request| (request.method, request.path)))
    }

    #[test]
    fn a_head_is_complete_with_its_empty_line() {
        let whole = "GET /metrics?x=1 HTTP/1.1\r\nHost: here\r\n\r\n";
        assert_eq!(parsed(whole), Ok(Some((Method::Get, "/metrics".to_owned()))));
        for end in 0..whole.len() {
            assert_eq!(parsed(&whole[..end]), Ok(None), "{end}");
        }
        assert_eq!(parsed("HEAD /livez HTTP/1.0\r\n\r\nmore"), Ok(Some((Method::Head, "/livez".to_owned()))));
        assert_eq!(parsed("POST / HTTP/1.1\r\n\r\n"), Ok(Some((Method::Other, "/".to_owned()))));
        assert_eq!(parsed("get / HTTP/1.1\r\n\r\n"), Ok(Some((Method::Other, "/".to_owned()))));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for text in [
            "\u{16}\u{3}\u{1}",
            "GET / HTTP/2.0\r\n\r\n",
            "GET /\u{7f} HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHo st: x\r\n\r\n",
        ] {
            assert_eq!(parsed(text), Err(Unreadable::Malformed), "{text:?}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS + 1));
        assert_eq!(parsed(&many), Err(Unreadable::TooLong));
    }
}
