//! The message of a side that gives up.

use std::fmt;

use super::Message;
use super::codec::{DecodeError, Decoder, put_bytes};
use crate::frame::FrameKind;

/// The longest explanation in bytes.
const TEXT_MAX: usize = 512;

macro_rules! failure_kinds {
    ($($(#[$meta:meta])* $name:ident = $byte:literal, $text:literal;)*) => {
        /// Why a side gave up.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum FailureKind { $($(#[$meta])* $name = $byte),* }

        impl FailureKind {
            fn from_byte(byte: u8) -> Option<Self> {
                match byte { $($byte => Some(Self::$name),)* _ => None }
            }

            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What the failure means and what to do about it.
            #[must_use]
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

failure_kinds! {
    /// Too many sessions at once.
    Busy = 1, "it is at its limit of sessions; try again, or raise max_sessions";
    /// This service does not accept callers of this role.
    WrongRole = 2, "this address serves another role; check addresses and certificates";
    /// This side does not hold the version of the bundle that was asked for, or no share of it.
    DigestMismatch = 3, "it does not hold this version of the bundle, not yet or not any more: use one that both servers and the \
                         dealer hold";
    /// This side does not understand the request.
    BadRequest = 4, "it cannot serve the request; check versions and options";
    /// The session identifier was used before.
    SessionReused = 5, "this session was used before; start a new one";
    /// Another party of the session failed.
    OtherParty = 6, "another party of the session failed; look at its log";
    /// Something took too long.
    TimedOut = 7, "it waited too long for another party; look at the other parties' logs";
    /// The other side sent something that the protocol does not allow.
    Protocol = 8, "it received something that the protocol does not allow; check that all parties run the same version";
    /// The service is stopping.
    Stopping = 9, "it is shutting down; try again when it is back";
    /// An internal error of the program.
    Internal = 10, "it had an internal error; look at its log and report it";
    /// The input did not arrive within the time that a session may rest.
    Expired = 11, "it keeps a session ready for a limited time only; prepare a new session and send the input sooner";
    /// The two servers chose different programs for one request.
    ProgramMismatch = 12, "the two servers chose different programs; compare the tables [between_servers] and [network] of \
                           their configurations";
    /// The session's material was opened to check the dealer, so the session is spent. Nothing of an input had left.
    Audited = 13, "it opened this session to check the dealer, so it is spent; prepare another one";
    /// The dealer dealt wrong material.
    WrongMaterial = 14, "it found that the dealer deals wrong material, and refuses its sessions until the dealer restarts; its \
                         log names the session, and the dealer's operator has to explain it";
    /// The two servers audit different shares of the sessions.
    AuditsDiffer = 15, "the two servers audit different shares of the sessions; compare the tables [audit] of their \
                        configurations";
    /// This server does not accept how the ledger of the other one stands.
    LedgerRefused = 16, "it refuses the other server, whose ledger of used sessions was restored from a copy, is held twice or was \
                         set up anew; the servers' operators have to act, see `blindroute-operator ledger`";
    /// The two sides of a link speak no common version of the messages. The text says which ones the sender speaks.
    OtherVersion = 17, "two parties speak no common version of the messages; update the older program, as \"Upgrades\" in \
                        docs/OPERATOR.md says";
    /// The client is not in this server's register, or was revoked.
    UnknownClient = 20, "it does not know this client: ask its operator to register the client, or check the secret or \
                         certificate in the client's configuration";
    /// The client asked for as much as it may.
    Quota = 21, "the client has asked for as many routes as it may for now: try again in a minute or tomorrow (UTC), or ask \
                 the operators for more";
}

/// Tells the other side that this one gives up the session, and why. Holds nothing secret. Its layout is the same in all versions of the
/// messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The class of the reason.
    pub kind: FailureKind,
    text: String,
}

impl Failure {
    /// A failure with an explanation. Control characters are replaced and the text is truncated to 512 bytes, because
    /// it may be printed on another machine's terminal. It must not hold anything secret.
    #[must_use]
    pub fn new(kind: FailureKind, text: &str) -> Failure {
        Failure { kind, text: printable(text) }
    }

    /// The explanation.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() {
            f.write_str(self.kind.hint())
        } else {
            write!(f, "{} ({})", self.kind.hint(), self.text)
        }
    }
}

impl Message for Failure {
    const KIND: FrameKind = FrameKind::Failure;

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.kind as u8];
        put_bytes(&mut out, self.text.as_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let byte = decoder.u8("failure kind")?;
        let kind =
            FailureKind::from_byte(byte).ok_or(DecodeError::BadValue { field: "failure kind", found: byte.into() })?;
        let text = decoder.bytes("failure text", TEXT_MAX)?;
        decoder.finish()?;
        let text = std::str::from_utf8(text).map_err(|_| DecodeError::BadText { field: "failure text" })?;
        Ok(Failure::new(kind, text))
    }
}

fn printable(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        let character = if character.is_control() { ' ' } else { character };
        if out.len() + character.len_utf8() > TEXT_MAX {
            break;
        }
        out.push(character);
    }
    out
}
