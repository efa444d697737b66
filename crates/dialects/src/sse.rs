//! Server-sent events: an incremental parser whose events keep their original bytes, and a writer.
//!
//! The events do not depend on how the bytes are split. The original bytes of all events, one after the other, are the
//! stream.

use std::fmt;

/// The largest event that a parser takes if nothing else is said: 32 MiB.
pub const MAX_EVENT: usize = 32 << 20;

/// Why a stream cannot be read on. Holds nothing of the stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SseError {
    /// An event is too large.
    #[error(
        "an event of the stream has more than {limit} bytes; raise the limit, or ask the provider for smaller events"
    )]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("an event of the stream is not UTF-8; the provider does not send server-sent events")]
    Encoding,
}

/// One event, or a group of comments between two empty lines. `Debug` prints sizes, never a text.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The event's name; empty if it has none.
    pub name: String,
    /// The lines of data, joined; nothing if there is no line of data, as in a group of comments.
    pub data: Option<String>,
    /// What the event was read from, with the empty line at its end.
    pub raw: Vec<u8>,
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = self.data.as_ref().map(String::len);
        write!(formatter, "an event of {} bytes with {data:?} bytes of data", self.raw.len())
    }
}

/// Reads events from bytes as they come.
pub struct Parser {
    limit: usize,
    buffer: Vec<u8>,
    /// The start of the line that is being searched for its end.
    line: usize,
    /// How far the line was searched.
    searched: usize,
    /// Whether a byte order mark can follow.
    first: bool,
}

impl Parser {
    /// A parser that refuses larger events than this.
    pub fn new(limit: usize) -> Self {
        Self { limit, buffer: Vec::new(), line: 0, searched: 0, first: true }
    }

    /// Takes bytes, and adds the events that they complete.
    ///
    /// An event whose last line ends in a lone carriage return is complete once the next byte is known.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), SseError> {
        self.buffer.extend_from_slice(bytes);
        let mut start = 0;
        while let Some((end, next)) = self.line_end() {
            let empty = end == self.line;
            self.line = next;
            self.searched = next;
            if empty {
                self.check(next - start)?;
                events.push(self.event(start, next)?);
                start = next;
            }
        }
        self.buffer.drain(..start);
        self.line -= start;
        self.searched -= start;
        self.check(self.buffer.len())
    }

    /// The end of the stream: what is left is an event too if it has a line of data, though its empty line is missing. The
    /// bytes of that event are completed with an empty line.
    pub fn finish(mut self) -> Result<Option<Event>, SseError> {
        if self.buffer.iter().all(|byte| matches!(byte, b'\r' | b'\n')) && !self.buffer.is_empty() {
            let raw = std::mem::take(&mut self.buffer);
            return Ok(Some(Event { raw, ..Event::default() }));
        }
        let mut event = self.event(0, self.buffer.len())?;
        let closed = event.raw.ends_with(b"\r\r") || event.raw.ends_with(b"\n\r");
        if !closed && !event.raw.is_empty() {
            event.raw.extend_from_slice(if event.raw.ends_with(b"\n") { b"\n" } else { b"\n\n" });
        }
        Ok(event.data.is_some().then_some(event))
    }

    fn check(&self, size: usize) -> Result<(), SseError> {
        if size > self.limit { Err(SseError::TooLarge { limit: self.limit }) } else { Ok(()) }
    }

    /// Where the current line ends and where the next one starts; nothing if that is not known yet.
    fn line_end(&mut self) -> Option<(usize, usize)> {
        let rest = &self.buffer[self.searched..];
        let Some(found) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
            self.searched = self.buffer.len();
            return None;
        };
        let end = self.searched + found;
        self.searched = end;
        if self.buffer[end] == b'\n' {
            return Some((end, end + 1));
        }
        let after = self.buffer.get(end + 1)?;
        Some((end, end + 1 + usize::from(*after == b'\n')))
    }

    fn event(&mut self, start: usize, end: usize) -> Result<Event, SseError> {
        let raw = &self.buffer[start..end];
        let text = std::str::from_utf8(raw).map_err(|_| SseError::Encoding)?;
        let text = if self.first { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
        self.first = false;
        let mut event = Event { raw: raw.to_vec(), ..Event::default() };
        // An end of two signs gives an empty line more, which means nothing here.
        for line in text.split(['\r', '\n']) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match (field, &mut event.data) {
                ("event", _) => value.clone_into(&mut event.name),
                ("data", Some(data)) => {
                    data.push('\n');
                    data.push_str(value);
                }
                ("data", data) => *data = Some(value.to_owned()),
                // Comments have no name; `id` and `retry` serve those who read the stream again.
                _ => {}
            }
        }
        Ok(event)
    }
}

impl Default for Parser {
    fn default() -> Self {
        Self::new(MAX_EVENT)
    }
}

impl fmt::Debug for Parser {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a parser with {} bytes of an event", self.buffer.len())
    }
}

/// Writes an event. Without a name, there is no `event` line.
pub fn write(name: &str, data: &str) -> String {
    let mut written = String::with_capacity(name.len() + data.len() + 20);
    if !name.is_empty() {
        written.push_str(&format!("event: {name}\n"));
    }
    for line in data.split('\n') {
        written.push_str(&format!("data: {line}\n"));
    }
    written.push('\n');
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], size: usize) -> Vec<Event> {
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        for part in bytes.chunks(size) {
            parser.push(part, &mut events).unwrap();
        }
        events.extend(parser.finish().unwrap());
        events
    }

    fn seen(events: &[Event]) -> Vec<(&str, Option<&str>)> {
        events.iter().map(|event| (event.name.as_str(), event.data.as_deref())).collect()
    }

    #[test]
    fn events_are_read_whatever_ends_their_lines() {
        let text = "\u{feff}event: a\ndata: 1\ndata:2\n\n: ping\n\ndata\nid: 7\n\nevent: b\ndata:  x: y\n\n";
        let expected = [("a", Some("1\n2")), ("", None), ("", Some("")), ("b", Some(" x: y"))];
        for end in ["\n", "\r\n", "\r"] {
            let text = text.replace('\n', end);
            for size in 1..text.len() {
                let events = all(text.as_bytes(), size);
                assert_eq!(seen(&events), expected);
                let raw: Vec<u8> = events.iter().flat_map(|event| event.raw.clone()).collect();
                assert_eq!(raw, text.as_bytes());
            }
        }
    }

    #[test]
    fn an_event_comes_with_its_last_byte() {
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        parser.push(b"data: 1\r\n\r", &mut events).unwrap();
        assert!(events.is_empty());
        parser.push(b"\n", &mut events).unwrap();
        assert_eq!(events.len(), 1);
    }

    #[test]
    fn an_end_without_an_empty_line_is_still_an_event_if_it_has_data() {
        assert_eq!(seen(&all(b"data: [DONE]", 4)), [("", Some("[DONE]"))]);
        assert_eq!(all(b"data: [DONE]\n", 4)[0].raw, b"data: [DONE]\n\n");
        assert_eq!(all(b"data: 1\r\r", 4)[0].raw, b"data: 1\r\r");
        assert!(all(b": comm", 4).is_empty());
    }

    #[test]
    fn large_events_and_other_encodings_are_refused() {
        let mut parser = Parser::new(10);
        let mut events = Vec::new();
        assert_eq!(parser.push(b"data: 1\n\ndata: 2\n\n", &mut events), Ok(()));
        assert_eq!(parser.push(b"data: 345678", &mut events), Err(SseError::TooLarge { limit: 10 }));
        assert_eq!(Parser::new(10).push(b"data: 345678\n\n", &mut events), Err(SseError::TooLarge { limit: 10 }));
        assert_eq!(Parser::default().push(b"data: \xff\n\n", &mut events), Err(SseError::Encoding));
    }

    #[test]
    fn what_is_written_is_read() {
        let written = write("a", "1\n2") + &write("", "3");
        assert_eq!(written, "event: a\ndata: 1\ndata: 2\n\ndata: 3\n\n");
        assert_eq!(seen(&all(written.as_bytes(), 3)), [("a", Some("1\n2")), ("", Some("3"))]);
        assert!(!format!("{:?}", all(b"data: canary\n\n", 3)).contains("canary"));
    }
}
