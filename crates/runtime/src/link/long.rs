//! Long messages: a sequence number, a total length, and frames of up to 1 MiB.

use super::frame::{CHUNK, Header, Kind, LONG_PREFIX};
use super::{Link, LinkError};

/// Bytes of a long message that travel in the same TLS record as its headers: with them, under one record.
const FIRST: usize = 16 << 10;

impl Link {
    /// Sends a message of any length with its sequence number.
    ///
    /// # Errors
    /// Transport; internal if `kind` is not a kind of long message.
    pub fn send_long(&mut self, kind: Kind, sequence: u64, payload: &[u8]) -> Result<(), LinkError> {
        if !matches!(kind, Kind::Input | Kind::Output | Kind::Exchange) {
            return Err(LinkError::Internal("a short kind sent as a long message"));
        }
        self.begin();
        let mut chunks = payload.chunks(CHUNK);
        let first = chunks.next().unwrap_or(&[]);
        let inline = first.len().min(FIRST);
        self.scratch.clear();
        self.scratch.extend_from_slice(&Header::encode(kind, frame_length(LONG_PREFIX + first.len())?));
        self.scratch.extend_from_slice(&sequence.to_le_bytes());
        self.scratch.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        self.scratch.extend_from_slice(&first[..inline]);
        self.stream.write(&self.scratch, kind.name())?;
        self.stream.write(&first[inline..], kind.name())?;
        for chunk in chunks {
            self.stream.write(&Header::encode(Kind::Continuation, frame_length(chunk.len())?), kind.name())?;
            self.stream.write(chunk, kind.name())?;
        }
        self.stream.flush(kind.name())?;
        self.stream.traffic.add_payload_sent(payload.len());
        Ok(())
    }

    /// Receives a message of exactly `expected` bytes with exactly this sequence number.
    ///
    /// # Errors
    /// Transport; a peer's message of another kind, number or length.
    pub fn receive_long(&mut self, kind: Kind, sequence: u64, expected: usize) -> Result<Vec<u8>, LinkError> {
        self.receive_long_into(kind, sequence, expected, Vec::with_capacity(expected))
    }

    /// As [`Link::receive_long`], into an empty buffer that is large enough.
    pub(crate) fn receive_long_into(
        &mut self,
        kind: Kind,
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
            let piece = self.receive_header(Kind::Continuation)?;
            self.expect_piece(kind, piece, due)?;
            self.receive_into(&mut payload, piece, kind)?;
        }
        self.stream.traffic.add_payload_received(expected);
        Ok(payload)
    }

    fn expect_piece(&self, kind: Kind, found: usize, due: usize) -> Result<(), LinkError> {
        if found == due { Ok(()) } else { Err(self.wrong_length(kind, due, found)) }
    }

    fn wrong_length(&self, kind: Kind, expected: usize, found: usize) -> LinkError {
        LinkError::WrongLength { peer: self.peer, kind: kind.name(), expected: expected as u64, found: found as u64 }
    }
}

fn frame_length(length: usize) -> Result<u32, LinkError> {
    u32::try_from(length).map_err(|_| LinkError::Internal("a frame longer than 4 GiB"))
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, LinkError> {
    let bytes = bytes.get(at..at + 8).and_then(|slice| slice.try_into().ok());
    bytes.map(u64::from_le_bytes).ok_or(LinkError::Internal("a message header of another length"))
}
