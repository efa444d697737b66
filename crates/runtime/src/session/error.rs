//! Errors of sessions, and what of them another party may be told.

use crate::ledger::LedgerError;
use crate::link::{Fault, LinkError};
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
    /// This server's weight shares cannot be had.
    #[error(transparent)]
    Shares(#[from] SharesError),
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
    /// The input did not come in time.
    #[error(
        "no input came within {after:?} of the session's being ready, and its material is burnt; prepare a new session and \
         send the input sooner, or raise ready_seconds in the servers' [timeouts]"
    )]
    Expired {
        /// How long the server waited.
        after: Duration,
    },
    /// The client left before it sent its input.
    #[error("the client left before it sent its input; its material is burnt, and nothing is to be done")]
    Unused,
    /// The service stops.
    #[error("the service is stopping; start a new session when it is back")]
    Stopping,
    /// The session was wanted for later, and its material does not fit the servers' memory.
    #[error(
        "this program's material is more than a server holds prepared, so its sessions cannot wait for their inputs; run \
         it without keeping sessions ready"
    )]
    CannotRest,
    /// Whoever wanted the session no longer does.
    #[error("the session was given up while it was being prepared; start a new one")]
    Cancelled,
    /// No session could be prepared, for a reason that may pass, and trying again has not helped in the time given. Nothing
    /// of the input has left for the session that was tried.
    #[error("{source}{}", tried(*after, *tries))]
    Unprepared {
        /// Why the last try failed.
        source: Box<SessionError>,
        /// From the first failure.
        after: Duration,
        /// How often it was tried.
        tries: u32,
    },
    /// A party did not come to the session.
    #[error("{party} did not come to the session within {after:?}; check that it runs, and look at its log")]
    Silent {
        /// Which.
        party: &'static str,
        /// How long it was given.
        after: Duration,
    },
}

/// Why a server's weight shares cannot be had when the model is set up. The text is for this server's log: it may name
/// its file and digests, and holds nothing of the shares.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SharesError {
    /// They are not the shares of this deployment.
    #[error("the weight shares were changed while this server was running: {0}")]
    Changed(String),
    /// They cannot be read.
    #[error("the weight shares cannot be read again: {0}")]
    Unreadable(String),
}

impl SharesError {
    /// What another party is told: no path of this machine.
    fn failure(&self) -> Failure {
        match self {
            Self::Changed(_) => Failure::new(
                FailureKind::DigestMismatch,
                "its weight shares were changed while it was running; its log names the file and both digests",
            ),
            Self::Unreadable(_) => Failure::new(FailureKind::Internal, "its weight shares cannot be read again"),
        }
    }
}

impl From<blindroute_protocol::Error> for SharesError {
    fn from(error: blindroute_protocol::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl SessionError {
    /// Whether a ready session turned out to be gone, as after a server's restart, so that another may do.
    #[must_use]
    pub fn is_dead_session(&self) -> bool {
        match self {
            Self::Link(LinkError::Closed { .. } | LinkError::Io { .. }) | Self::Expired { .. } => true,
            Self::Link(LinkError::Failed { failure, .. }) => matches!(
                failure.kind,
                FailureKind::Expired | FailureKind::Stopping | FailureKind::OtherParty | FailureKind::TimedOut
            ),
            _ => false,
        }
    }

    /// Whether a session that could not be prepared for this reason may be prepared a moment later: a server is away,
    /// restarts, or is full. Says nothing about a session that ran.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Link(link) => match link {
                LinkError::Failed { failure, .. } => matches!(
                    failure.kind,
                    FailureKind::Busy
                        | FailureKind::OtherParty
                        | FailureKind::TimedOut
                        | FailureKind::Stopping
                        | FailureKind::Expired
                ),
                _ => link.fault() == Fault::Transport,
            },
            // A dealer that restarted between its two grants.
            Self::Disagreement(_) => true,
            _ => false,
        }
    }

    /// Whether a server refused the session because it has as many as it takes.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Link(LinkError::Failed { failure, .. }) if failure.kind == FailureKind::Busy)
    }

    /// What another party is told.
    pub(crate) fn failure(&self) -> Failure {
        if let Self::Shares(error) = self {
            return error.failure();
        }
        let kind = match self {
            Self::Link(LinkError::TimedOut { .. }) | Self::Rendezvous(_) | Self::Silent { .. } => FailureKind::TimedOut,
            // Passed on, for it says what to do.
            Self::Link(LinkError::Failed { failure, .. })
                if matches!(failure.kind, FailureKind::Busy | FailureKind::Stopping) =>
            {
                failure.kind
            }
            Self::Link(_) => FailureKind::OtherParty,
            Self::Protocol(blindroute_protocol::Error::Channel(_) | blindroute_protocol::Error::Material(_)) => {
                FailureKind::OtherParty
            }
            Self::Protocol(blindroute_protocol::Error::Input { .. }) | Self::Request(_) => FailureKind::BadRequest,
            Self::Expired { .. } => FailureKind::Expired,
            Self::Stopping => FailureKind::Stopping,
            Self::Unused | Self::Cancelled | Self::CannotRest | Self::Unprepared { .. } => FailureKind::OtherParty,
            Self::Ledger(LedgerError::AlreadyUsed(_)) => FailureKind::SessionReused,
            Self::DigestMismatch { .. } => FailureKind::DigestMismatch,
            Self::SameShare(_) | Self::Disagreement(_) | Self::Grant { .. } => FailureKind::Protocol,
            Self::Protocol(_) | Self::Ledger(_) | Self::Randomness(_) | Self::Thread(_) | Self::Shares(_) => {
                FailureKind::Internal
            }
        };
        Failure::new(kind, &self.to_string())
    }
}

/// How long something was tried, if it was more than once.
fn tried(after: Duration, tries: u32) -> String {
    if tries < 2 {
        return String::new();
    }
    format!("; {tries} tries in {:.1} s did not help", after.as_secs_f64())
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
