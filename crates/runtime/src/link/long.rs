//! Long messages: a sequence number, a total length, and frames of up to 1 MiB.

use super::tls::PIECE;
use super::{Link, LinkError};
use crate::frame::{CHUNK, FrameHeader, FrameKind, HEADER, LONG_PREFIX};
use blindroute_protocol::reserve_wiped;

/// Bytes of a long message that are sent in the same TLS record as its headers. Together they fit in one record.
const FIRST: usize = 16 << 10;

/// A long message that is being sent, and how much of it was encrypted.
pub(crate) struct Sending {
    kind: FrameKind,
    sequence: u64,
    begun: bool,
    at: usize,
}

impl Link {
    /// Sends a message of any length with its sequence number.
    ///
    /// # Errors
    /// If the connection fails; an internal error if `kind` is not a kind of long message.
    pub fn send_long(&mut self, kind: FrameKind, sequence: u64, payload: &[u8]) -> Result<(), LinkError> {
        let mut sending = self.begin_long(kind, sequence)?;
        match self.continue_long(&mut sending, payload)? {
            true => Ok(()),
            false => Err(LinkError::Internal("an eager link was left with an unsent message")),
        }
    }

    /// Begins a long message. Nothing of it is sent yet.
    pub(crate) fn begin_long(&mut self, kind: FrameKind, sequence: u64) -> Result<Sending, LinkError> {
        if !matches!(kind, FrameKind::Input | FrameKind::Output | FrameKind::Exchange | FrameKind::KeptShares) {
            return Err(LinkError::Internal("a kind of short message was sent as a long message"));
        }
        self.begin();
        Ok(Sending { kind, sequence, begun: false, at: 0 })
    }

    /// Sends the rest of a long message. Returns false if the link is eager and the socket accepts no more for now.
    pub(crate) fn continue_long(&mut self, sending: &mut Sending, payload: &[u8]) -> Result<bool, LinkError> {
        let during = sending.kind.name();
        // What the socket did not accept the last time.
        if sending.begun && !self.stream.push(during)? {
            return Ok(false);
        }
        while !sending.begun || sending.at < payload.len() {
            let full = if sending.begun { self.next_piece(sending, payload)? } else { self.first(sending, payload)? };
            if full && !self.stream.push(during)? {
                return Ok(false);
            }
        }
        if !self.stream.push(during)? {
            return Ok(false);
        }
        self.stream.traffic.add_payload_sent(payload.len());
        self.forget(sending.kind);
        Ok(true)
    }

    /// Whether long messages are sent only as far as the socket accepts them at once.
    pub(crate) fn set_eager(&mut self, eager: bool) -> Result<(), LinkError> {
        self.stream.set_eager(eager)
    }

    /// Encrypts the headers together with the first bytes of the payload, in one TLS record.
    fn first(&mut self, sending: &mut Sending, payload: &[u8]) -> Result<bool, LinkError> {
        let chunk = payload.len().min(CHUNK);
        sending.at = chunk.min(FIRST);
        sending.begun = true;
        self.scratch.clear();
        reserve_wiped(&mut self.scratch, HEADER + LONG_PREFIX + sending.at);
        self.scratch.extend_from_slice(&FrameHeader::encode(sending.kind, frame_length(LONG_PREFIX + chunk)?));
        self.scratch.extend_from_slice(&sending.sequence.to_le_bytes());
        self.scratch.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        self.scratch.extend_from_slice(&payload[..sending.at]);
        self.stream.encrypt(&self.scratch)
    }

    /// Encrypts the next piece of the payload, after the header of its frame if the piece is the first of that frame.
    fn next_piece(&mut self, sending: &mut Sending, payload: &[u8]) -> Result<bool, LinkError> {
        let rest = &payload[sending.at..];
        if sending.at.is_multiple_of(CHUNK) {
            self.stream.encrypt(&FrameHeader::encode(FrameKind::Continuation, frame_length(rest.len().min(CHUNK))?))?;
        }
        let left_in_frame = CHUNK - sending.at % CHUNK;
        let piece = &rest[..rest.len().min(PIECE).min(left_in_frame)];
        sending.at += piece.len();
        self.stream.encrypt(piece)
    }

    /// Receives a message of exactly `expected` bytes with exactly this sequence number.
    ///
    /// # Errors
    /// If the connection fails, or the message has another kind, number or length.
    pub fn receive_long(&mut self, kind: FrameKind, sequence: u64, expected: usize) -> Result<Vec<u8>, LinkError> {
        self.receive_long_into(kind, sequence, expected, Vec::with_capacity(expected))
    }

    /// As [`Link::receive_long`], into an empty buffer with enough capacity.
    pub(crate) fn receive_long_into(
        &mut self,
        kind: FrameKind,
        sequence: u64,
        expected: usize,
        mut payload: Vec<u8>,
    ) -> Result<Vec<u8>, LinkError> {
        self.begin();
        let first = self.receive_header(kind)?;
        let first = first.checked_sub(LONG_PREFIX).ok_or_else(|| self.wrong_length(kind, LONG_PREFIX, first))?;
        self.scratch.clear();
        let mut prefix = std::mem::take(&mut self.scratch);
        self.receive_into(&mut prefix, LONG_PREFIX, kind)?;
        self.scratch = prefix;
        let found_sequence = u64_at(&self.scratch, 0)?;
        let found = u64_at(&self.scratch, 8)?;
        if found_sequence != sequence {
            return Err(LinkError::OutOfOrder { peer: self.peer, expected: sequence, found: found_sequence });
        }
        if found != expected as u64 {
            return Err(LinkError::WrongLength {
                peer: self.peer,
                kind: kind.name(),
                expected: expected as u64,
                found,
            });
        }
        self.expect_piece(kind, first, expected.min(CHUNK))?;
        self.receive_into(&mut payload, first, kind)?;
        while payload.len() < expected {
            let due = (expected - payload.len()).min(CHUNK);
            let piece = self.receive_header(FrameKind::Continuation)?;
            self.expect_piece(kind, piece, due)?;
            self.receive_into(&mut payload, piece, kind)?;
        }
        self.stream.traffic.add_payload_received(expected);
        self.forget(kind);
        Ok(payload)
    }

    fn expect_piece(&self, kind: FrameKind, found: usize, due: usize) -> Result<(), LinkError> {
        if found == due { Ok(()) } else { Err(self.wrong_length(kind, due, found)) }
    }

    fn wrong_length(&self, kind: FrameKind, expected: usize, found: usize) -> LinkError {
        LinkError::WrongLength { peer: self.peer, kind: kind.name(), expected: expected as u64, found: found as u64 }
    }
}

fn frame_length(length: usize) -> Result<u32, LinkError> {
    u32::try_from(length).map_err(|_| LinkError::Internal("a frame is longer than 4 GiB"))
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, LinkError> {
    let bytes = bytes.get(at..at + 8).and_then(|slice| slice.try_into().ok());
    bytes.map(u64::from_le_bytes).ok_or(LinkError::Internal("a message header has a wrong length"))
}
