//! Messages of HTTP/1.1 over a connection that stays open: their heads and chunk sizes are read by `httparse`.

use anyhow::{Context, bail};
use std::io::Read;

/// The most bytes of a message here; the mock's are far smaller.
const MOST: usize = 1 << 20;

/// The most headers of a message.
const HEADERS: usize = 64;

/// A message that was received.
#[derive(Debug, Default)]
pub(crate) struct Message {
    /// Of a request its path, of a response nothing.
    pub(crate) path: String,
    /// Of a response.
    pub(crate) status: u16,
    /// Names in small letters.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Which side of a connection reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// It reads requests.
    Provider,
    /// It reads responses.
    Caller,
}

impl Message {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the connection stays open after this message.
    pub(crate) fn keeps(&self) -> bool {
        !self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Reads a message; nothing if the other side closed the connection before it. `buffer` holds what was received and not read yet.
    ///
    /// # Errors
    /// If the connection breaks, or the bytes are no message.
    pub(crate) fn read(stream: &mut impl Read, buffer: &mut Vec<u8>, side: Side) -> anyhow::Result<Option<Self>> {
        let (mut message, end) = loop {
            if let Some(found) = head(buffer, side)? {
                break found;
            }
            if !more(stream, buffer)? {
                anyhow::ensure!(buffer.is_empty(), "the connection was closed within a message's head");
                return Ok(None);
            }
        };
        buffer.drain(..end);
        if message.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            message.body = chunks(stream, buffer)?;
        } else {
            let size = message.header("content-length").map_or(Ok(0), str::parse).context("a content-length")?;
            anyhow::ensure!(size <= MOST, "a message has {size} bytes, expected at most {MOST}");
            fill(stream, buffer, size)?;
            message.body = buffer.drain(..size).collect();
        }
        Ok(Some(message))
    }
}

/// A message's head and where it ends; nothing if it is not complete.
fn head(buffer: &[u8], side: Side) -> anyhow::Result<Option<(Message, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let (message, status) = match side {
        Side::Provider => {
            let mut request = httparse::Request::new(&mut headers);
            let status = request.parse(buffer)?;
            (Message { path: request.path.unwrap_or_default().to_owned(), ..Message::default() }, status)
        }
        Side::Caller => {
            let mut response = httparse::Response::new(&mut headers);
            let status = response.parse(buffer)?;
            (Message { status: response.code.unwrap_or_default(), ..Message::default() }, status)
        }
    };
    let httparse::Status::Complete(end) = status else { return Ok(None) };
    let named = headers.iter().take_while(|header| !header.name.is_empty());
    let text = |header: &httparse::Header<'_>| {
        (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).trim().to_owned())
    };
    Ok(Some((Message { headers: named.map(text).collect(), ..message }, end)))
}

/// The body that comes in chunks, without trailers.
fn chunks(stream: &mut impl Read, buffer: &mut Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let (begins, size) = match httparse::parse_chunk_size(buffer) {
            Ok(httparse::Status::Complete((begins, size))) => (begins, usize::try_from(size)?),
            Ok(httparse::Status::Partial) => {
                anyhow::ensure!(more(stream, buffer)?, "the connection was closed within a body");
                continue;
            }
            Err(_) => bail!("a chunk has no size"),
        };
        anyhow::ensure!(body.len() + size <= MOST, "a body has more than {MOST} bytes");
        fill(stream, buffer, begins + size + 2)?;
        body.extend_from_slice(&buffer[begins..begins + size]);
        buffer.drain(..begins + size + 2);
        if size == 0 {
            return Ok(body);
        }
    }
}

/// Receives until the buffer has so many bytes.
fn fill(stream: &mut impl Read, buffer: &mut Vec<u8>, size: usize) -> anyhow::Result<()> {
    while buffer.len() < size {
        anyhow::ensure!(more(stream, buffer)?, "the connection was closed within a body");
    }
    Ok(())
}

/// Receives more; says whether there was more.
fn more(stream: &mut impl Read, buffer: &mut Vec<u8>) -> anyhow::Result<bool> {
    let mut part = [0; 8192];
    let size = stream.read(&mut part)?;
    buffer.extend_from_slice(&part[..size]);
    anyhow::ensure!(buffer.len() <= 2 * MOST, "a message has more than {MOST} bytes");
    Ok(size > 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, part: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            part[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn messages_follow_each_other_on_a_connection() {
        let bytes = b"HTTP/1.1 200 OK\r\nX-One: 1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\n\
            HTTP/1.1 404 No\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";
        let whole = |mut stream: &mut dyn Read| {
            let mut buffer = Vec::new();
            let mut next = || Message::read(&mut stream, &mut buffer, Side::Caller).unwrap();
            let (first, second) = (next().unwrap(), next().unwrap());
            assert_eq!((first.status, first.header("x-one"), first.keeps()), (200, Some("1"), true));
            assert_eq!(first.body, b"abc0123456789");
            assert_eq!((second.status, second.body.as_slice(), second.keeps()), (404, b"no".as_slice(), false));
            assert!(next().is_none());
        };
        whole(&mut bytes.as_slice());
        whole(&mut Slow(bytes));
        let request = b"POST /v1/x HTTP/1.1\r\ncontent-length: 1\r\n\r\n7";
        let read = Message::read(&mut request.as_slice(), &mut Vec::new(), Side::Provider).unwrap().unwrap();
        assert_eq!((read.path.as_str(), read.body.as_slice()), ("/v1/x", b"7".as_slice()));
    }

    #[test]
    fn a_message_that_is_cut_off_is_an_error() {
        let whole = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        for end in 1..whole.len() {
            let read = Message::read(&mut &whole[..end], &mut Vec::new(), Side::Caller);
            assert!(read.is_err(), "{end}");
        }
        let large = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n";
        assert!(Message::read(&mut large.as_slice(), &mut Vec::new(), Side::Caller).is_err());
    }
}
