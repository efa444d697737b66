//! The control messages of a session, with strict decoding.
//!
//! A session in order: the client sends [`ClientHello`] to both servers; each server asks the dealer with
//! [`MaterialRequest`] and gets [`MaterialGrant`] and the stream; server 1 opens both lanes with [`SessionOpen`] and
//! server 0 answers each with its own [`SessionOpen`]; each server tells the client [`ServerReady`]; shares of input
//! and output travel as long messages; [`SessionReport`] ends the session. A [`Failure`] may come in place of any of
//! them.
//!
//! If the servers audit a session, each sends the dealer [`AuditRequest`] after the end of its material, and the dealer answers
//! both with [`AuditSeeds`]; the servers exchange what they found, and tell the client with a [`Failure`], after which the
//! client may send the next hello on the same link.
//!
//! After a session that left something with the servers, the client may send [`HandOverRequest`] in place of the next hello.
//! Each server then offers it to the server of its position in another pair with [`HandOver`], which answers that it has room
//! and, after the shares, that they are stored ([`HandOverAnswer`]); the client is told the same.
//!
//! A client of a server that issues passes may send [`PassRequest`] in place of a hello, and gets [`PassAnswer`]. Later it shows some
//! with [`ShownPasses`], before the hello of the session that they pay for.
//!
//! A client that reports which model was chosen sends [`ChoiceReport`] to each server in place of a hello, and each answers
//! [`ChoiceReportTaken`]. Server 1 then calls server 0 with a [`ChoicesCall`], which answers with a [`ChoicesAnswer`]: both check the
//! report together, and close a batch of reports when there are enough.
//!
//! A server that calls the dealer or the other server only to see whether it answers may send [`Clock`] in place of a session's first
//! message, and gets one back.
//!
//! Servers with a store of prepared material: server 1 sends [`StoreCall`] in place of a lane's first message, and server 0 answers with
//! [`StoreAnswer`]. After a proposal the lane goes on as others do.

mod audit;
mod choices;
mod clock;
mod codec;
mod failure;
mod hand_over;
mod identifiers;
mod local_name;
mod passes;
mod session;
mod spoken;
mod standing;
mod store;
#[cfg(test)]
mod tests;

pub use audit::{AuditRequest, AuditSeeds};
pub use choices::{ChoiceReport, ChoiceReportTaken, ChoicesAnswer, ChoicesCall, MOST_DOUBTED};
pub use clock::Clock;
pub use codec::DecodeError;
pub(crate) use codec::{Decoder, put_bytes};
pub use failure::{Failure, FailureKind};
pub use hand_over::{HandOver, HandOverAnswer, HandOverRequest, PAIR_NAME_MAX, Ticket};
pub use identifiers::{BatchId, Digest, EpochId, LedgerId, NoRandomness, ReportId, SessionId, TermNonce, WireSeed};
pub(crate) use identifiers::{random_below, secret_bits};
pub(crate) use local_name::LocalName;
pub use local_name::NAMES_KEY;
pub use passes::{PassAnswer, PassRequest, ShownPasses};
pub use session::{
    ClientHello, Continues, Lane, MaterialGrant, MaterialRequest, ServerReady, SessionOpen, SessionReport,
};
pub use spoken::{OLDEST_VERSION, Spoken, VERSION};
pub use standing::Standing;
pub use store::{FillRequest, Proposal, StoreAnswer, StoreCall};

use crate::frame::FrameKind;

/// A message that fits in one frame.
pub trait Message: Sized {
    /// The kind of its frame.
    const KIND: FrameKind;

    /// The payload of its frame.
    fn encode(&self) -> Vec<u8>;

    /// Reads a payload strictly.
    ///
    /// # Errors
    /// If the payload is too short or too long, or holds a value out of range.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;
}
