//! Errors of a link, classified by their cause.

use std::io;
use std::time::Duration;

use crate::identity::OutOfTime;
use crate::messages::{DecodeError, Failure, FailureKind};
use crate::role::Role;

/// What caused an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The network or the other process failed. A new session may succeed.
    Transport,
    /// The other side violated the protocol, or reported a failure.
    Peer,
    /// Certificates, addresses or roles do not match.
    Configuration,
    /// An error in this program.
    Internal,
}

/// An error of a link. Holds sizes, kinds and roles; never a payload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No connection could be made.
    #[error("cannot reach {peer} at {address}: {source}; check that it runs and that its address is correct")]
    Unreachable {
        /// Who was called.
        peer: Role,
        /// Where.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The connection ended when a message was expected.
    #[error("{peer} closed the connection, expected {waiting_for}; look at its log, then start a new session")]
    Closed {
        /// Who closed.
        peer: &'static str,
        /// What was expected.
        waiting_for: &'static str,
    },
    /// There was no progress for too long.
    #[error(
        "{peer} stalled: no progress on {waiting_for} within {after:?}; check its load and the network, or raise the timeouts"
    )]
    TimedOut {
        /// The other side.
        peer: &'static str,
        /// What was expected.
        waiting_for: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The system reported another error.
    #[error("connection to {peer} failed during {during}: {source}; check the network, then start a new session")]
    Io {
        /// The other side.
        peer: &'static str,
        /// During which step.
        during: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A frame is of another kind than expected.
    #[error("{peer} sent a frame of kind {found}, expected {expected}; check that both run the same version")]
    WrongKind {
        /// Who sent it.
        peer: Role,
        /// The name of the kind that was expected.
        expected: &'static str,
        /// The kind's byte.
        found: u8,
    },
    /// A frame is longer than its kind allows.
    #[error("{peer} announced {found} bytes of {kind}, expected at most {limit}; check that both run the same version")]
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
    /// A message has another length than expected.
    #[error(
        "{peer} sent {found} bytes of {kind}, expected {expected}; check that both run the same version and program"
    )]
    WrongLength {
        /// Who sent it.
        peer: Role,
        /// Its kind.
        kind: &'static str,
        /// The length that was expected.
        expected: u64,
        /// The length found.
        found: u64,
    },
    /// A message was repeated, lost or reordered.
    #[error("{peer} sent message number {found}, expected {expected}; start a new session")]
    OutOfOrder {
        /// Who sent it.
        peer: Role,
        /// The number that was expected.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// A message does not decode.
    #[error("{peer} sent a malformed {kind}: {source}; check that both run the same version")]
    Malformed {
        /// Who sent it.
        peer: Role,
        /// Its kind.
        kind: &'static str,
        /// What was wrong.
        source: DecodeError,
    },
    /// The bytes are not valid TLS: damaged, forged, or of another protocol.
    #[error(
        "{peer} sent bytes that are not valid TLS ({source}); check that the address is that of a blindroute process and that no proxy changes the traffic"
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
    /// A certificate was rejected by this side or the other.
    #[error(
        "the certificates of {peer} and this process do not match ({source}); expected {expected}; compare the tables [identity] of both configurations"
    )]
    Certificate {
        /// The other side.
        peer: &'static str,
        /// What rustls said.
        source: Box<rustls::Error>,
        /// Which certificate, of which authority, in which file.
        expected: Box<str>,
    },
    /// The period of the other side's certificate does not contain this moment.
    #[error("the certificate of {peer} {period}; compare the clocks, and have the certificate renewed if they agree")]
    OutOfTime {
        /// The other side.
        peer: &'static str,
        /// The certificate's limit and this moment.
        period: OutOfTime,
    },
    /// A certificate names a role that its authority may not vouch for.
    #[error(
        "a caller has a certificate for {role} by an authority that is not trusted for that role; expected {expected}; compare the tables [identity] of both configurations"
    )]
    NotVouched {
        /// The role that the certificate names.
        role: Role,
        /// Which certificate, of which authority, in which file.
        expected: String,
    },
    /// Two parties have one key.
    #[error(
        "{peer} has the key of this process's own certificate; every party needs a key of its own: whoever has it can stand in for both. Make new certificates"
    )]
    SameKey {
        /// The other side.
        peer: Role,
    },
    /// The sides speak no common version of the messages, or none in which the session can run.
    #[error(
        "{peer} speaks {found} of the messages, expected {expected}: update the older program, as \"Upgrades\" in docs/OPERATOR.md says"
    )]
    OtherVersion {
        /// The other side.
        peer: Role,
        /// What it speaks, in its own words.
        found: String,
        /// What this side speaks, or the session needs.
        expected: String,
    },
    /// The other side has another role.
    #[error("connected to {found}, expected {expected}; check addresses and certificates")]
    WrongRole {
        /// The role that was expected.
        expected: String,
        /// The role found.
        found: String,
    },
    /// This process emulates a network scene, and the other one does not.
    #[error(
        "{peer} does not emulate a network scene, but this process does; set [network] in every configuration or in none"
    )]
    NoScene {
        /// The other side.
        peer: &'static str,
    },
    /// An error in this program.
    #[error("internal error: {0}; please report it")]
    Internal(&'static str),
}

impl LinkError {
    /// What caused it.
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
            LinkError::Certificate { .. }
            | LinkError::OutOfTime { .. }
            | LinkError::NotVouched { .. }
            | LinkError::SameKey { .. }
            | LinkError::OtherVersion { .. }
            | LinkError::WrongRole { .. }
            | LinkError::NoScene { .. } => Fault::Configuration,
            LinkError::Internal(_) => Fault::Internal,
        }
    }

    /// The kind of failure that a third party is told.
    pub(crate) fn told_as(&self) -> FailureKind {
        match self {
            LinkError::TimedOut { .. } => FailureKind::TimedOut,
            LinkError::OtherVersion { .. } => FailureKind::OtherVersion,
            // There was no room for the session, or a party restarts: the client may try again. If a party does not hold the
            // version, or the servers chose different programs, audit different shares or refuse a ledger, that does not help.
            LinkError::Failed { failure, .. }
                if matches!(
                    failure.kind,
                    FailureKind::Busy
                        | FailureKind::Stopping
                        | FailureKind::DigestMismatch
                        | FailureKind::OtherVersion
                        | FailureKind::ProgramMismatch
                        | FailureKind::AuditsDiffer
                        | FailureKind::LedgerRefused
                ) =>
            {
                failure.kind
            }
            _ => FailureKind::OtherParty,
        }
    }

    /// What a third party is told about this link's failure: roles and what was expected. Addresses, the content of
    /// certificates and the system's error texts stay in the log.
    pub(crate) fn told(&self) -> String {
        let log = |what: String| format!("{what}; this party's log says more");
        match self {
            LinkError::Unreachable { peer, .. } => log(format!("cannot reach {peer}")),
            LinkError::Io { peer, during, .. } => log(format!("the connection to {peer} failed during {during}")),
            LinkError::Tls { peer, .. } => log(format!("the connection to {peer} is not valid TLS")),
            LinkError::Certificate { peer, .. } => {
                log(format!("the certificates of {peer} and this party do not match"))
            }
            LinkError::OutOfTime { peer, .. } => log(format!("the certificate of {peer} is out of date")),
            LinkError::NotVouched { role, .. } => log(format!("a certificate for {role} is of another deployment")),
            LinkError::WrongRole { .. } => log("a party of another role answered a call".to_owned()),
            LinkError::Failed { peer, failure } if failure.kind == FailureKind::ProgramMismatch => {
                format!("{peer} found that their requests differ")
            }
            LinkError::OtherVersion { peer, found, expected } => format!("{peer} speaks {found}, expected {expected}"),
            LinkError::Failed { peer, failure }
                if matches!(failure.kind, FailureKind::DigestMismatch | FailureKind::OtherVersion) =>
            {
                format!("{peer}: {}", failure.text())
            }
            // These texts hold only what this crate chose, or what the other side already sent as a failure.
            LinkError::Failed { .. }
            | LinkError::Closed { .. }
            | LinkError::TimedOut { .. }
            | LinkError::WrongKind { .. }
            | LinkError::TooLong { .. }
            | LinkError::WrongLength { .. }
            | LinkError::OutOfOrder { .. }
            | LinkError::Malformed { .. }
            | LinkError::SameKey { .. }
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

    /// Adds to an error about certificates what was expected: of the other side, or, where that refused this one's certificate, of
    /// this side.
    pub(crate) fn expecting(mut self, of_peer: impl Fn() -> String, of_this: impl Fn() -> String) -> LinkError {
        if let LinkError::Certificate { peer, source, expected } = &mut self {
            *expected = match source.as_ref() {
                rustls::Error::AlertReceived(_) => format!("{peer} to trust {}", of_this()).into(),
                _ => of_peer().into(),
            };
        }
        self
    }

    pub(crate) fn from_tls(source: rustls::Error, peer: &'static str) -> LinkError {
        use rustls::{AlertDescription as Alert, Error};
        if let Some(period) = OutOfTime::of(&source) {
            return LinkError::OutOfTime { peer, period };
        }
        let expected = Box::default();
        match source {
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => {
                LinkError::Certificate { peer, source: source.into(), expected }
            }
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
            ) => LinkError::Certificate { peer, source: source.into(), expected },
            _ => LinkError::Tls { peer, source },
        }
    }
}
