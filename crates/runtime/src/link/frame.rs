//! Kinds of frames and their largest lengths.

use std::fmt;

/// Bytes of a frame before its payload: the kind (u8) and the length (u32, little endian).
pub const HEADER: usize = 5;
/// The largest payload of one frame of a long message.
pub const CHUNK: usize = 1 << 20;
/// Bytes at the start of a long message: its sequence number and its total length (u64 each, little endian).
pub const LONG_PREFIX: usize = 16;
/// The largest request a client may attach to a session.
pub const REQUEST_MAX: usize = 32 << 10;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A client asks a server for a session.
    ClientHello = 1,
    /// A server is ready for the client's input.
    ServerReady = 2,
    /// Shares of the client's input (a long message).
    Input = 3,
    /// Shares of the answer (a long message).
    Output = 4,
    /// The other side gives up, and why.
    Failure = 5,
    /// A server opens or confirms one lane of a session to its peer.
    SessionOpen = 6,
    /// A server asks the dealer for material.
    MaterialRequest = 7,
    /// The dealer agrees; material follows.
    MaterialGrant = 8,
    /// One server's half of an exchange (a long message).
    Exchange = 9,
    /// The next piece of a long message.
    Continuation = 10,
    /// A piece of material.
    Material = 11,
    /// The end of the material, with its total length.
    MaterialEnd = 12,
    /// What a session cost, sent to the client after the output.
    SessionReport = 13,
}

impl Kind {
    const ALL: [Kind; 13] = [
        Kind::ClientHello,
        Kind::ServerReady,
        Kind::Input,
        Kind::Output,
        Kind::Failure,
        Kind::SessionOpen,
        Kind::MaterialRequest,
        Kind::MaterialGrant,
        Kind::Exchange,
        Kind::Continuation,
        Kind::Material,
        Kind::MaterialEnd,
        Kind::SessionReport,
    ];

    /// The kind a byte stands for.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// The largest payload of one frame of this kind; longer ones are refused before anything is allocated.
    #[must_use]
    pub const fn limit(self) -> usize {
        match self {
            Kind::Input | Kind::Output | Kind::Exchange => LONG_PREFIX + CHUNK,
            Kind::Continuation | Kind::Material => CHUNK,
            Kind::ClientHello | Kind::MaterialRequest => REQUEST_MAX + 256,
            Kind::Failure => 1024,
            Kind::ServerReady | Kind::SessionOpen | Kind::MaterialGrant | Kind::SessionReport => 4096,
            Kind::MaterialEnd => 8,
        }
    }

    /// Whether its payload is secret from all but the two ends, and the link may rest after it. Material is secret too,
    /// but ends its link; what the servers exchange is masked.
    pub(crate) const fn is_secret(self) -> bool {
        matches!(self, Kind::Input | Kind::Output | Kind::MaterialGrant)
    }

    /// The name used in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::ClientHello => "client hello",
            Kind::ServerReady => "server ready",
            Kind::Input => "input shares",
            Kind::Output => "output shares",
            Kind::Failure => "failure",
            Kind::SessionOpen => "session open",
            Kind::MaterialRequest => "material request",
            Kind::MaterialGrant => "material grant",
            Kind::Exchange => "exchange",
            Kind::Continuation => "continuation",
            Kind::Material => "material",
            Kind::MaterialEnd => "end of material",
            Kind::SessionReport => "session report",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A frame's header as read from the wire: nothing in it has been believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    pub(crate) length: u32,
}

impl Header {
    pub(crate) fn encode(kind: Kind, length: u32) -> [u8; HEADER] {
        let [a, b, c, d] = length.to_le_bytes();
        [kind as u8, a, b, c, d]
    }

    pub(crate) fn decode([kind, a, b, c, d]: [u8; HEADER]) -> Header {
        Header { kind, length: u32::from_le_bytes([a, b, c, d]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_byte_and_frames_have_a_frozen_form() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_byte(kind as u8), Some(kind));
        }
        assert_eq!((0..=255).filter(|byte| Kind::from_byte(*byte).is_some()).count(), Kind::ALL.len());
        assert_eq!(Header::encode(Kind::Exchange, 0x0102_0304), [9, 4, 3, 2, 1]);
        assert_eq!(Header::decode([9, 4, 3, 2, 1]), Header { kind: 9, length: 0x0102_0304 });
    }
}
