//! An answer in pieces: waiting for its first token, and giving it on as it comes.

use super::failure::Reason;
use super::passage::Passage;
use super::settle::{End, Settlement};
use super::source::Source;
use super::unread::Limits;
use axum::body::Bytes;
use blindroute_dialects::errors::ApiError;
use blindroute_dialects::stream::Progress;
use futures_util::FutureExt as _;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Padded events have a multiple of this size. Most events with one token are smaller than twice that.
const BLOCK: usize = 256;

/// What a caller gets while the provider is silent.
const PING: &[u8] = b": ping\n\n";

/// The times of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// When the first token is due, and how long that was.
    pub(super) first_token: (Instant, Duration),
    /// When all of it is due, and how long that was.
    pub(super) total: (Instant, Duration),
    /// How long it may be silent between tokens.
    pub(super) idle: Duration,
    /// After what silence the caller gets a comment.
    pub(super) ping: Duration,
}

/// A stream whose first token is in hand.
pub(super) struct Begun {
    source: Source,
    passage: Passage,
    first: Vec<u8>,
    times: Times,
}

/// Why a stream did not begin.
pub(super) enum NotBegun {
    /// Something of ours, or of the connection.
    Reason(Reason),
    /// The provider sent an error, or broke off.
    Error(ApiError),
}

/// Waits for the first token.
pub(super) async fn begin(mut source: Source, mut passage: Passage, times: Times) -> Result<Begun, NotBegun> {
    let mut first = Vec::new();
    loop {
        let due = times.first_token.0.min(times.total.0);
        let event = timeout_at(due, source.next()).await.map_err(|_| NotBegun::Reason(times.late()))?;
        match event.map_err(NotBegun::Reason)? {
            Some(event) => first.extend(passage.event(event)),
            None => first.extend(passage.end()),
        }
        match passage.progress() {
            Progress::Waiting => {}
            Progress::Failed => {
                let error = passage.failure().cloned();
                return Err(error.map_or(NotBegun::Reason(Reason::Body), NotBegun::Error));
            }
            Progress::Answering | Progress::Stopped | Progress::Ended => {
                return Ok(Begun { source, passage, first, times });
            }
        }
    }
}

impl Times {
    /// Which time ran out before the first token.
    pub(super) fn late(&self) -> Reason {
        if self.first_token.0 <= self.total.0 {
            Reason::FirstToken(self.first_token.1)
        } else {
            Reason::Total(self.total.1)
        }
    }
}

/// A stream on its way to the caller.
pub(super) struct Flow {
    /// Nothing once the stream is over.
    source: Option<Source>,
    passage: Passage,
    first: Option<Vec<u8>>,
    times: Times,
    pad: bool,
    settlement: Settlement,
    last_token: Instant,
    last_sent: Instant,
}

impl Flow {
    pub(super) fn new(begun: Begun, pad: bool, settlement: Settlement) -> Self {
        let Begun { source, passage, first, times } = begun;
        let now = Instant::now();
        let first = Some(first).filter(|first| !first.is_empty());
        let mut flow =
            Self { source: Some(source), passage, first, times, pad, settlement, last_token: now, last_sent: now };
        flow.account();
        flow
    }

    /// How long it may wait for its caller.
    pub(super) fn limits(&self) -> Limits {
        Limits { idle: self.times.idle, total: self.times.total.0 }
    }

    /// The next event for the caller; nothing at the end.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(self.sent(first));
        }
        loop {
            let source = self.source.as_mut()?;
            let due = (self.last_token + self.times.idle).min(self.times.total.0);
            let ping_at = self.last_sent + self.times.ping;
            let written = match timeout_at(due.min(ping_at), source.next()).await {
                Err(_) if Instant::now() < due => return Some(self.sent(PING.to_vec())),
                Err(_) => self.passage.break_off(self.late().to_api_error()),
                Ok(Err(reason)) => self.passage.break_off(reason.to_api_error()),
                Ok(Ok(Some(event))) => {
                    // Comments and pings of the provider are no tokens.
                    if event.data.is_some() && event.name != "ping" {
                        self.last_token = Instant::now();
                    }
                    self.passage.event(event)
                }
                Ok(Ok(None)) => self.passage.end(),
            };
            self.account();
            if !written.is_empty() {
                return Some(self.sent(written));
            }
        }
    }

    /// Which time ran out.
    fn late(&self) -> Reason {
        if self.last_token + self.times.idle < self.times.total.0 {
            Reason::Idle(self.times.idle)
        } else {
            Reason::Total(self.times.total.1)
        }
    }

    /// Notes what was used, and whether the stream is over.
    fn account(&mut self) {
        self.settlement.note(self.passage.usage());
        let end = match self.passage.progress() {
            Progress::Ended => End::Proper,
            Progress::Failed => End::Failed,
            Progress::Waiting | Progress::Answering | Progress::Stopped => return,
        };
        self.settlement.end(end);
        if let Some(mut source) = self.source.take() {
            // The end of the body is mostly there already: a connection that was read to its end can be used again.
            drop(source.next().now_or_never());
        }
    }

    fn sent(&mut self, bytes: Vec<u8>) -> Bytes {
        self.last_sent = Instant::now();
        if self.pad { padded(bytes).into() } else { bytes.into() }
    }
}

/// Fills events up with a comment.
pub(super) fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    const AROUND: usize = ":\n\n".len();
    let over = bytes.len() % BLOCK;
    if over > 0 {
        let free = BLOCK - over;
        let fill = if free < AROUND { free + BLOCK } else { free } - AROUND;
        bytes.push(b':');
        bytes.resize(bytes.len() + fill, b' ');
        bytes.extend_from_slice(b"\n\n");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_filled_up_to_whole_blocks_with_a_comment() {
        for size in 1..=3 * BLOCK {
            let event = [vec![b'x'; size - 1], vec![b'\n']].concat();
            let filled = padded(event.clone());
            assert_eq!(filled.len() % BLOCK, 0, "{size}");
            assert!(filled.len() < size + BLOCK + 3, "{size}");
            let comment = filled.strip_prefix(event.as_slice()).unwrap();
            assert!(comment.is_empty() || comment.starts_with(b":") && comment.ends_with(b"\n\n"), "{size}");
            assert!(!comment[..comment.len().saturating_sub(2)].contains(&b'\n'), "{size}");
        }
        assert!(padded(Vec::new()).is_empty());
    }
}
