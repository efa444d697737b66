//! Errors of sessions, and what of them another party may be told.

use crate::ledger::LedgerError;
use crate::link::LinkError;
use crate::messages::{Failure, FailureKind, NoRandomness};
use crate::rendezvous::RendezvousError;
use std::time::Duration;

/// Why a session failed. Holds no input, share or seed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A link failed, or the party behind it did.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The protocol failed.
    #[error(transparent)]
    Protocol(#[from] blindroute_protocol::Error),
    /// The session's id was used before, or the ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Another party of the session did not come.
    #[error(transparent)]
    Rendezvous(#[from] RendezvousError),
    /// The system has no randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The other party holds another model.
    #[error("the {with} holds another model (digest {theirs}, ours is {ours}); install the same bundle everywhere")]
    DigestMismatch {
        /// Which party.
        with: &'static str,
        /// Our digest.
        ours: String,
        /// Its digest.
        theirs: String,
    },
    /// Both servers hold the same position's share.
    #[error("both servers hold the share of position {0}; give each server its own share file")]
    SameShare(u8),
    /// The two servers, or server and dealer, see different sessions.
    #[error("the parties disagree on the session's {0}; start a new session, and check that all run the same version")]
    Disagreement(&'static str),
    /// The request makes no sense.
    #[error("the request cannot be served: {0}")]
    Request(String),
    /// The dealer's grant has not the seeds the session needs.
    #[error("the dealer granted {found} seeds, expected {expected}; check that it runs the same version")]
    Grant {
        /// Seeds needed.
        expected: usize,
        /// Seeds granted.
        found: usize,
    },
    /// The system would not start a thread.
    #[error("a thread could not be started: {0}; close other programs or lower max_sessions")]
    Thread(#[source] std::io::Error),
    /// A party did not come to the session.
    #[error("{party} did not come to the session within {after:?}; check that it runs, and look at its log")]
    Silent {
        /// Which.
        party: &'static str,
        /// How long it was given.
        after: Duration,
    },
}

impl SessionError {
    /// What another party is told.
    pub(crate) fn failure(&self) -> Failure {
        let kind = match self {
            Self::Link(LinkError::TimedOut { .. }) | Self::Rendezvous(_) | Self::Silent { .. } => FailureKind::TimedOut,
            Self::Link(_) => FailureKind::OtherParty,
            Self::Protocol(blindroute_protocol::Error::Channel(_) | blindroute_protocol::Error::Material(_)) => {
                FailureKind::OtherParty
            }
            Self::Protocol(blindroute_protocol::Error::Input { .. }) | Self::Request(_) => FailureKind::BadRequest,
            Self::Ledger(LedgerError::AlreadyUsed(_)) => FailureKind::SessionReused,
            Self::DigestMismatch { .. } => FailureKind::DigestMismatch,
            Self::SameShare(_) | Self::Disagreement(_) | Self::Grant { .. } => FailureKind::Protocol,
            Self::Protocol(_) | Self::Ledger(_) | Self::Randomness(_) | Self::Thread(_) => FailureKind::Internal,
        };
        Failure::new(kind, &self.to_string())
    }
}

/// Of several servers' failures, the one that says most: a server's own reason, then a broken connection, then a
/// server that blames another party.
pub(super) fn root_cause(errors: impl Iterator<Item = LinkError>) -> Option<LinkError> {
    errors.min_by_key(|error| match error {
        LinkError::Failed { failure, .. } => match failure.kind {
            FailureKind::OtherParty | FailureKind::TimedOut => 2,
            _ => 0,
        },
        LinkError::TimedOut { .. } => 3,
        _ => 1,
    })
}
