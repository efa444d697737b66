//! What can go wrong on a link, told apart by whose fault it is.

use std::io;
use std::time::Duration;

use crate::messages::{DecodeError, Failure, FailureKind};
use crate::role::Role;

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The network or the other process went away; a new session may work.
    Transport,
    /// The other side broke the protocol, or reported a failure of its own.
    Peer,
    /// Certificates, addresses or roles do not fit together.
    Configuration,
    /// A mistake in this program.
    Internal,
}

/// An error of a link. Holds sizes, kinds and roles; never a payload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No connection could be made.
    #[error("cannot reach {peer} at {address}: {source}; check that it runs and that its address is right")]
    Unreachable {
        /// Who was called.
        peer: Role,
        /// Where.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The connection ended where a message was due.
    #[error("{peer} closed the connection where {waiting_for} was due; its log says why, then start a new session")]
    Closed {
        /// Who closed.
        peer: &'static str,
        /// What was due.
        waiting_for: &'static str,
    },
    /// Nothing moved for too long.
    #[error(
        "{peer} stalled: no progress on {waiting_for} within {after:?}; check its load and the network, or raise \
         the timeouts"
    )]
    TimedOut {
        /// Who stalled.
        peer: &'static str,
        /// What was due.
        waiting_for: &'static str,
        /// The limit that was passed.
        after: Duration,
    },
    /// The system reported another error.
    #[error("connection to {peer} failed during {during}: {source}; check the network, then start a new session")]
    Io {
        /// The other side.
        peer: &'static str,
        /// What was under way.
        during: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A frame of another kind than the protocol's next.
    #[error("{peer} sent a frame of kind {found} where {expected} was due; check that both run the same version")]
    WrongKind {
        /// Who sent it.
        peer: Role,
        /// The name of the kind that was due.
        expected: &'static str,
        /// The kind's byte.
        found: u8,
    },
    /// A frame longer than its kind allows.
    #[error(
        "{peer} announced {found} bytes of {kind}, more than the limit of {limit}; check that both run the same version"
    )]
    TooLong {
        /// Who sent it.
        peer: Role,
        /// Its kind.
        kind: &'static str,
        /// The length announced.
        found: u64,
        /// The largest length.
        limit: u64,
    },
    /// A message of another length than the protocol's next.
    #[error(
        "{peer} sent {found} bytes of {kind} where {expected} were due; check that both run the same version and program"
    )]
    WrongLength {
        /// Who sent it.
        peer: Role,
        /// Its kind.
        kind: &'static str,
        /// The length that was due.
        expected: u64,
        /// The length found.
        found: u64,
    },
    /// A message repeated, lost or moved.
    #[error("{peer} sent message number {found} where {expected} was due; start a new session")]
    OutOfOrder {
        /// Who sent it.
        peer: Role,
        /// The number that was due.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// A message that does not decode.
    #[error("{peer} sent a malformed {kind}: {source}; check that both run the same version")]
    Malformed {
        /// Who sent it.
        peer: Role,
        /// Its kind.
        kind: &'static str,
        /// What was wrong.
        source: DecodeError,
    },
    /// The bytes are not the TLS that was agreed: damaged, forged, or not TLS.
    #[error(
        "{peer} sent bytes that are not valid TLS ({source}); check that the address is blindroute's and that nothing rewrites traffic"
    )]
    Tls {
        /// Who sent it.
        peer: &'static str,
        /// What rustls said.
        source: rustls::Error,
    },
    /// The other side gave up and said so.
    #[error("{peer} gave up: {failure}")]
    Failed {
        /// Who gave up.
        peer: Role,
        /// What it said.
        failure: Failure,
    },
    /// A certificate did not satisfy this side or the other.
    #[error(
        "certificates of {peer} and this process do not fit ({source}); both must come from the same authority, be in date and carry the right role"
    )]
    Certificate {
        /// The other side.
        peer: &'static str,
        /// What rustls said.
        source: rustls::Error,
    },
    /// The other side proved to be someone else.
    #[error("connected to {found} where {expected} was due; check addresses and certificates")]
    WrongRole {
        /// Who was due.
        expected: String,
        /// Who it was.
        found: String,
    },
    /// This process emulates a network scene, and the other one does not.
    #[error("{peer} emulates no network scene and this process does; set [network] in every configuration or in none")]
    NoScene {
        /// The other side.
        peer: &'static str,
    },
    /// A mistake in this program.
    #[error("internal error: {0}; please report it")]
    Internal(&'static str),
}

impl LinkError {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            LinkError::Unreachable { .. }
            | LinkError::Closed { .. }
            | LinkError::TimedOut { .. }
            | LinkError::Io { .. } => Fault::Transport,
            LinkError::WrongKind { .. }
            | LinkError::TooLong { .. }
            | LinkError::WrongLength { .. }
            | LinkError::OutOfOrder { .. }
            | LinkError::Malformed { .. }
            | LinkError::Tls { .. }
            | LinkError::Failed { .. } => Fault::Peer,
            LinkError::Certificate { .. } | LinkError::WrongRole { .. } | LinkError::NoScene { .. } => {
                Fault::Configuration
            }
            LinkError::Internal(_) => Fault::Internal,
        }
    }

    /// How a failure on this link is told to a third party.
    pub(crate) fn told_as(&self) -> FailureKind {
        match self {
            LinkError::TimedOut { .. } => FailureKind::TimedOut,
            // It is the session that finds no room, or a party that restarts: whoever began it may try again.
            LinkError::Failed { failure, .. } if matches!(failure.kind, FailureKind::Busy | FailureKind::Stopping) => {
                failure.kind
            }
            _ => FailureKind::OtherParty,
        }
    }

    /// What a third party is told of this link's failure: roles and what was due. Addresses, certificates' contents and
    /// the system's own words stay in the log.
    pub(crate) fn told(&self) -> String {
        let log = |what: String| format!("{what}; this party's log says more");
        match self {
            LinkError::Unreachable { peer, .. } => log(format!("cannot reach {peer}")),
            LinkError::Io { peer, during, .. } => log(format!("the connection to {peer} failed during {during}")),
            LinkError::Tls { peer, .. } => log(format!("the connection to {peer} is not valid TLS")),
            LinkError::Certificate { peer, .. } => log(format!("certificates of {peer} and this party do not fit")),
            LinkError::WrongRole { .. } => log("another role answered where one was called".to_owned()),
            // What it said went through here.
            LinkError::Failed { .. }
            | LinkError::Closed { .. }
            | LinkError::TimedOut { .. }
            | LinkError::WrongKind { .. }
            | LinkError::TooLong { .. }
            | LinkError::WrongLength { .. }
            | LinkError::OutOfOrder { .. }
            | LinkError::Malformed { .. }
            | LinkError::NoScene { .. }
            | LinkError::Internal(_) => self.to_string(),
        }
    }

    pub(crate) fn from_io(source: io::Error, peer: &'static str, during: &'static str, after: Duration) -> LinkError {
        match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                LinkError::TimedOut { peer, waiting_for: during, after }
            }
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected => LinkError::Closed { peer, waiting_for: during },
            _ => LinkError::Io { peer, during, source },
        }
    }

    pub(crate) fn from_tls(source: rustls::Error, peer: &'static str) -> LinkError {
        use rustls::{AlertDescription as Alert, Error};
        match source {
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => LinkError::Certificate { peer, source },
            Error::AlertReceived(
                Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::CertificateRequired
                | Alert::UnknownCA
                | Alert::DecryptError
                | Alert::AccessDenied,
            ) => LinkError::Certificate { peer, source },
            _ => LinkError::Tls { peer, source },
        }
    }
}
