//! The control messages of a session, with strict decoding.
//!
//! A session in order: the client sends [`ClientHello`] to both servers; each server asks the dealer with
//! [`MaterialRequest`] and gets [`MaterialGrant`] and the stream; server 1 opens both lanes with [`SessionOpen`] and
//! server 0 answers each with its own [`SessionOpen`]; each server tells the client [`ServerReady`]; shares of input
//! and output travel as long messages; [`SessionReport`] ends the session. [`Failure`] may come instead of any.

mod codec;
mod failure;
mod identifiers;
mod session;
#[cfg(test)]
mod tests;

pub use codec::DecodeError;
pub use failure::{Failure, FailureKind};
pub use identifiers::{Digest, EpochId, NoRandomness, Seed, SessionId};
pub use session::{ClientHello, Lane, MaterialGrant, MaterialRequest, ServerReady, SessionOpen, SessionReport};

pub use crate::link::Kind;

/// The version of the messages and their order, and of what the programs send and the dealer deals.
pub const VERSION: u16 = 5;

/// A message that travels in one frame.
pub trait Message: Sized {
    /// The kind of its frame.
    const KIND: Kind;

    /// The payload of its frame.
    fn encode(&self) -> Vec<u8>;

    /// Reads a payload strictly.
    ///
    /// # Errors
    /// Short or long payloads, values out of range, another version.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;
}
