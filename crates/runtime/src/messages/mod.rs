//! The control messages of a session, with strict decoding.
//!
//! A session in order: the client sends [`ClientHello`] to both servers; each server asks the dealer with
//! [`MaterialRequest`] and gets [`MaterialGrant`] and the stream; server 1 opens both lanes with [`SessionOpen`] and
//! server 0 answers each with its own [`SessionOpen`]; each server tells the client [`ServerReady`]; shares of input
//! and output travel as long messages; [`SessionReport`] ends the session. A [`Failure`] may come in place of any of
//! them.

mod codec;
mod failure;
mod identifiers;
mod session;
#[cfg(test)]
mod tests;

pub use codec::DecodeError;
pub use failure::{Failure, FailureKind};
pub use identifiers::{Digest, EpochId, NoRandomness, SessionId, WireSeed};
pub use session::{ClientHello, Lane, MaterialGrant, MaterialRequest, ServerReady, SessionOpen, SessionReport};

use crate::frame::FrameKind;

/// The version of the messages, of their order, and of what the programs send and the dealer deals.
pub const VERSION: u16 = 7;

/// A message that fits in one frame.
pub trait Message: Sized {
    /// The kind of its frame.
    const KIND: FrameKind;

    /// The payload of its frame.
    fn encode(&self) -> Vec<u8>;

    /// Reads a payload strictly.
    ///
    /// # Errors
    /// If the payload is too short or too long, holds a value out of range, or is of another version.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;
}
