//! The kinds of frames that links carry, and their largest lengths.

use blindroute_passes::{ISSUED_MAX, POINT, Pass};
use std::fmt;

/// Bytes of a frame before its payload: the kind (u8) and the length (u32, little endian).
pub const HEADER: usize = 5;
/// The largest payload of one frame of a long message.
pub const CHUNK: usize = 1 << 20;
/// Bytes at the start of a long message: its sequence number and its total length (u64 each, little endian).
pub const LONG_PREFIX: usize = 16;
/// The largest request a client may attach to a session.
pub const REQUEST_MAX: usize = 32 << 10;
/// The most passes of one session.
pub const PASSES_MAX: usize = 256;

/// The kind of a frame: what its payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// A client asks a server for a session.
    ClientHello = 1,
    /// A server is ready for the client's input.
    ServerReady = 2,
    /// Shares of the client's input (a long message).
    Input = 3,
    /// Shares of the answer (a long message).
    Output = 4,
    /// The other side gives up, and says why.
    Failure = 5,
    /// A server opens or confirms one lane of a session to its peer.
    SessionOpen = 6,
    /// A server asks the dealer for material.
    MaterialRequest = 7,
    /// The dealer agrees; material follows.
    MaterialGrant = 8,
    /// One server's half of an exchange (a long message).
    Exchange = 9,
    /// Another piece of a long message.
    Continuation = 10,
    /// A piece of material.
    Material = 11,
    /// The end of the material, with its total length.
    MaterialEnd = 12,
    /// What a session cost; sent to the client after the output.
    SessionReport = 13,
    /// A client asks a server to hand over what it holds.
    HandOverRequest = 14,
    /// A server offers the server of its position in another pair what it holds.
    HandOver = 15,
    /// The shares that are handed over (a long message).
    KeptShares = 16,
    /// The receiving server has room, or has stored the shares; a server tells its client the same.
    HandOverAnswer = 17,
    /// A server asks the dealer to reveal the seeds of a session's material.
    AuditRequest = 18,
    /// The dealer reveals them.
    AuditSeeds = 19,
    /// What the clock of one side says, and then that of the other.
    Clock = 20,
    /// A client's share of a report of a chosen model.
    ChoiceReport = 21,
    /// A server has taken a report.
    ChoiceReportTaken = 22,
    /// Server 1 checks a report, or closes a batch of them, with server 0.
    ChoicesCall = 23,
    /// What server 0 answers.
    ChoicesAnswer = 24,
    /// Server 1 asks server 0 about stored material.
    StoreCall = 25,
    /// Server 0 answers.
    StoreAnswer = 26,
    /// A client asks a server for passes, or for the key of them.
    PassRequest = 27,
    /// The server's answer.
    PassAnswer = 28,
    /// The passes that a client shows for the session that it begins next.
    Passes = 29,
}

impl FrameKind {
    const ALL: [FrameKind; 29] = [
        FrameKind::ClientHello,
        FrameKind::ServerReady,
        FrameKind::Input,
        FrameKind::Output,
        FrameKind::Failure,
        FrameKind::SessionOpen,
        FrameKind::MaterialRequest,
        FrameKind::MaterialGrant,
        FrameKind::Exchange,
        FrameKind::Continuation,
        FrameKind::Material,
        FrameKind::MaterialEnd,
        FrameKind::SessionReport,
        FrameKind::HandOverRequest,
        FrameKind::HandOver,
        FrameKind::KeptShares,
        FrameKind::HandOverAnswer,
        FrameKind::AuditRequest,
        FrameKind::AuditSeeds,
        FrameKind::Clock,
        FrameKind::ChoiceReport,
        FrameKind::ChoiceReportTaken,
        FrameKind::ChoicesCall,
        FrameKind::ChoicesAnswer,
        FrameKind::StoreCall,
        FrameKind::StoreAnswer,
        FrameKind::PassRequest,
        FrameKind::PassAnswer,
        FrameKind::Passes,
    ];

    /// The kind that a byte stands for; nothing for an unknown byte.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<FrameKind> {
        FrameKind::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// The largest payload of one frame of this kind. Longer frames are refused before anything is allocated.
    #[must_use]
    pub const fn limit(self) -> usize {
        match self {
            FrameKind::Input | FrameKind::Output | FrameKind::Exchange | FrameKind::KeptShares => LONG_PREFIX + CHUNK,
            FrameKind::Continuation | FrameKind::Material | FrameKind::StoreCall | FrameKind::StoreAnswer => CHUNK,
            FrameKind::ClientHello | FrameKind::MaterialRequest => REQUEST_MAX + 256,
            FrameKind::Passes => 64 + PASSES_MAX * Pass::BYTES,
            FrameKind::PassRequest | FrameKind::PassAnswer => 512 + ISSUED_MAX * POINT,
            FrameKind::HandOver => REQUEST_MAX + 4096,
            FrameKind::Failure => 1024,
            FrameKind::ServerReady
            | FrameKind::SessionOpen
            | FrameKind::MaterialGrant
            | FrameKind::SessionReport
            | FrameKind::HandOverRequest
            | FrameKind::HandOverAnswer
            | FrameKind::AuditRequest
            | FrameKind::AuditSeeds => 4096,
            FrameKind::ChoiceReport | FrameKind::ChoicesCall | FrameKind::ChoicesAnswer => 8192,
            FrameKind::ChoiceReportTaken => 16,
            FrameKind::MaterialEnd | FrameKind::Clock => 8,
        }
    }

    /// Whether the payload is secret and the link may stay idle after it. Material is also secret, but its link is
    /// closed afterwards; what the servers exchange is masked.
    pub(crate) const fn is_secret(self) -> bool {
        matches!(
            self,
            FrameKind::Input
                | FrameKind::Output
                | FrameKind::MaterialGrant
                | FrameKind::HandOverRequest
                | FrameKind::HandOver
                | FrameKind::KeptShares
                | FrameKind::AuditSeeds
                | FrameKind::ClientHello
                | FrameKind::PassRequest
                | FrameKind::Passes
                | FrameKind::ChoiceReport
                | FrameKind::ChoicesCall
                | FrameKind::ChoicesAnswer
        )
    }

    /// The name used in error texts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FrameKind::ClientHello => "client hello",
            FrameKind::ServerReady => "server ready",
            FrameKind::Input => "input shares",
            FrameKind::Output => "output shares",
            FrameKind::Failure => "failure",
            FrameKind::SessionOpen => "session open",
            FrameKind::MaterialRequest => "material request",
            FrameKind::MaterialGrant => "material grant",
            FrameKind::Exchange => "exchange",
            FrameKind::Continuation => "continuation",
            FrameKind::Material => "material",
            FrameKind::MaterialEnd => "end of material",
            FrameKind::SessionReport => "session report",
            FrameKind::HandOverRequest => "hand-over request",
            FrameKind::HandOver => "hand-over",
            FrameKind::KeptShares => "shares that are handed over",
            FrameKind::HandOverAnswer => "answer to a hand-over",
            FrameKind::AuditRequest => "audit request",
            FrameKind::AuditSeeds => "seeds of an audit",
            FrameKind::Clock => "clock",
            FrameKind::ChoiceReport => "report of a choice",
            FrameKind::ChoiceReportTaken => "acknowledgement of a report",
            FrameKind::ChoicesCall => "call about reports",
            FrameKind::ChoicesAnswer => "answer about reports",
            FrameKind::StoreCall => "question about stored material",
            FrameKind::StoreAnswer => "answer about stored material",
            FrameKind::PassRequest => "request for passes",
            FrameKind::PassAnswer => "answer to a request for passes",
            FrameKind::Passes => "passes",
        }
    }
}

impl fmt::Display for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A frame's header as read from the wire. Nothing in it has been checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: u8,
    pub(crate) length: u32,
}

impl FrameHeader {
    pub(crate) fn encode(kind: FrameKind, length: u32) -> [u8; HEADER] {
        let [a, b, c, d] = length.to_le_bytes();
        [kind as u8, a, b, c, d]
    }

    pub(crate) fn decode([kind, a, b, c, d]: [u8; HEADER]) -> FrameHeader {
        FrameHeader { kind, length: u32::from_le_bytes([a, b, c, d]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_byte_and_frames_have_a_frozen_form() {
        for kind in FrameKind::ALL {
            assert_eq!(FrameKind::from_byte(kind as u8), Some(kind));
        }
        assert_eq!((0..=255).filter(|byte| FrameKind::from_byte(*byte).is_some()).count(), FrameKind::ALL.len());
        assert_eq!(FrameHeader::encode(FrameKind::Exchange, 0x0102_0304), [9, 4, 3, 2, 1]);
        assert_eq!(FrameHeader::decode([9, 4, 3, 2, 1]), FrameHeader { kind: 9, length: 0x0102_0304 });
    }
}
