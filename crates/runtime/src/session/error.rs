//! Errors of sessions, and what another party may be told about them.

#[cfg(test)]
mod tests;

use super::hand_over::HandOverError;
use crate::choices::ChoicesError;
use crate::clients::{ClientsError, Refusal};
use crate::ledger::{LedgerError, StandingError};
use crate::link::{Fault, LinkError};
use crate::messages::{Digest, EpochId, Failure, FailureKind, NoRandomness, SessionId};
use crate::rendezvous::RendezvousError;
use crate::store::StoreError;
use crate::tally::Outcome;
use blindroute_passes::PassError;
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
    /// The session's id was already consumed, or the ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The other server's ledger does not go on from where it was.
    #[error(transparent)]
    LedgerRefused(StandingError),
    /// Another party of the session did not come.
    #[error(transparent)]
    Rendezvous(#[from] RendezvousError),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// This party does not hold the version of the bundle that was asked for.
    #[error("asked for version {asked} of the bundle, holds {}", listed(held))]
    NotHeld {
        /// The digest of what was asked for.
        asked: Digest,
        /// Those of what is held.
        held: Vec<Digest>,
    },
    /// This server's weight shares cannot be read.
    #[error(transparent)]
    Shares(#[from] SharesError),
    /// Both servers hold the same position's share.
    #[error("both servers hold the share of position {0}; give each server its own share file")]
    SameShare(u8),
    /// The two servers, or server and dealer, see different sessions.
    #[error("the parties disagree on the session's {0}; start a new session, and check that all run the same version")]
    Disagreement(&'static str),
    /// The two servers resolved the client's request to different programs.
    #[error(
        "the two servers chose different programs for one request: expected the same; compare the tables [between_servers] \
         and [network] of their configurations"
    )]
    ProgramMismatch,
    /// The session's material was opened to check the dealer.
    #[error("the session was opened to check the dealer, found right, and is spent; prepare another one")]
    Audited,
    /// An audit found that the dealer does not deal what follows from its seeds.
    #[error(
        "the dealer deals wrong material in epoch {epoch}, and its sessions are refused until it restarts; this server's log \
         names the session in which it was found, and the dealer's operator has to explain it"
    )]
    WrongMaterial {
        /// The epoch of the dealer.
        epoch: EpochId,
    },
    /// The dealer did not reveal its seeds for an audit.
    #[error("the dealer did not reveal the seeds of a session to audit, which is spent; prepare another one")]
    Unrevealed,
    /// The two servers audit different shares of the sessions.
    #[error(
        "this server audits {ours} of a million sessions, the other one {theirs}: expected the same; compare the tables [audit] \
         of their configurations"
    )]
    AuditsDiffer {
        /// Ours, in millionths.
        ours: u32,
        /// Theirs.
        theirs: u32,
    },
    /// The catalogue has no program for the request.
    #[error("the request cannot be served: {0}")]
    Request(String),
    /// The dealer's grant does not have the number of seeds that the session needs.
    #[error("the dealer granted {found} seeds, expected {expected}; check that it runs the same version")]
    Grant {
        /// Seeds needed.
        expected: usize,
        /// Seeds granted.
        found: usize,
    },
    /// The operating system did not start a thread.
    #[error("a thread could not be started: {0}; close other programs or lower max_sessions")]
    Thread(#[source] std::io::Error),
    /// The input did not come in time.
    #[error(
        "no input arrived within {after:?} after the session was ready, and its material is dropped; prepare a new session \
         and send the input sooner, or raise ready_seconds in the servers' [timeouts]"
    )]
    Expired {
        /// How long the server waited.
        after: Duration,
    },
    /// The session continues one of which this server holds nothing.
    #[error(
        "the server holds nothing of a session before this one on the same link: it was held for the next session only, or \
         given up while the link was idle; run the texts again from their tokens"
    )]
    NothingHeld,
    /// What a session left was not handed over to another pair, or is not there.
    #[error(transparent)]
    HandOver(#[from] HandOverError),
    /// A report of a choice was not taken.
    #[error(transparent)]
    Choices(#[from] ChoicesError),
    /// The client left before it sent its input.
    #[error(
        "the client left before it sent its input; the session's material is dropped, and nothing needs to be done"
    )]
    Unused,
    /// The service is stopping.
    #[error("the service is stopping; start a new session when it is back")]
    Stopping,
    /// The session should be kept ready, and its material exceeds what servers hold prepared.
    #[error(
        "this program needs more material than a server holds prepared, so its sessions cannot wait for their inputs; run \
         it without a session pool"
    )]
    CannotRest,
    /// The server was full, and a client with fewer sessions needed a place.
    #[error(
        "the session's place was given to another client while it waited for its input, and its material is dropped; start a \
         new session, and keep fewer sessions ready"
    )]
    PlaceLost,
    /// The caller cancelled the session, or its time was up.
    #[error(
        "the session was cancelled, or its time was up before its answer; start a new one, with more time if it had too little"
    )]
    Cancelled,
    /// No session could be prepared for a temporary reason, and trying again did not help within the given time.
    /// Nothing of the input was sent to the session that was tried last.
    #[error("{source}{}", tried(*after, *tries))]
    Unprepared {
        /// Why the last try failed.
        source: Box<SessionError>,
        /// The time since the first failure.
        after: Duration,
        /// The number of tries.
        tries: u32,
    },
    /// Stored material cannot be kept or used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The client may not have the session.
    #[error("the client gets no session: {0}; see `blindroute-operator client list`")]
    Refused(Refusal),
    /// The register of clients, or what they asked for, cannot be used.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// A server's passes cannot be used.
    #[error("no passes: {0}; ask again, and if that does not help, tell the server's operator")]
    Passes(#[from] PassError),
    /// A party did not come to the session.
    #[error("{party} did not come to the session within {after:?}; check that it runs, and look at its log")]
    Silent {
        /// Which.
        party: &'static str,
        /// How long it was given.
        after: Duration,
    },
}

/// Why a server's weight shares cannot be used when the weights are set up. The text is for this server's log: it may
/// name the file and digests, and holds nothing of the shares.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SharesError {
    /// The file no longer holds the shares of this deployment.
    #[error("the weight shares were changed while this server was running: {0}")]
    Changed(String),
    /// The file cannot be read.
    #[error("the weight shares cannot be read again: {0}")]
    Unreadable(String),
}

impl SharesError {
    /// What another party is told. It holds no path of this machine.
    fn told(&self) -> (FailureKind, String) {
        let (kind, text) = match self {
            Self::Changed(_) => (
                FailureKind::DigestMismatch,
                "its weight shares were changed while it was running; its log names the file and both digests",
            ),
            Self::Unreadable(_) => (FailureKind::Internal, "its weight shares cannot be read again"),
        };
        (kind, text.to_owned())
    }
}

impl From<blindroute_protocol::Error> for SharesError {
    fn from(error: blindroute_protocol::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl SessionError {
    /// Whether a ready session no longer exists, for instance after a server's restart, so that another session may
    /// succeed.
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

    /// Whether a session that could not be prepared for this reason may be prepared a moment later: a server cannot be
    /// reached, restarts, or is full. Says nothing about a session that ran.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Link(link) => match link {
                LinkError::Failed { failure, .. } => matches!(
                    failure.kind,
                    FailureKind::Busy
                        | FailureKind::OtherParty
                        | FailureKind::TimedOut
                        | FailureKind::Stopping
                        | FailureKind::Expired
                        | FailureKind::Audited
                ),
                _ => link.fault() == Fault::Transport,
            },
            // The dealer restarted between its two grants.
            Self::Disagreement(_) => true,
            _ => false,
        }
    }

    /// Whether a server refused the session because it is at its limit.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Link(LinkError::Failed { failure, .. }) if failure.kind == FailureKind::Busy)
    }

    /// Whether a party refused the session because it does not hold the version of the bundle that was asked for, not yet or not any
    /// more. Nothing of an input was sent.
    #[must_use]
    pub fn is_not_held(&self) -> bool {
        matches!(self, Self::Link(LinkError::Failed { failure, .. }) if failure.kind == FailureKind::DigestMismatch)
    }

    /// What another party is told: the kind of the failure, a sentence without addresses, paths or other details of
    /// this machine, and, if it is a client, what this party's log calls the session.
    pub(crate) fn failure(&self, session: Option<SessionId>) -> Failure {
        let (kind, told) = self.told();
        match session {
            Some(session) => Failure::new(kind, &format!("{told}; session {session}")),
            None => Failure::new(kind, &told),
        }
    }

    /// How a session ended with this error.
    pub(super) fn outcome(&self) -> Outcome {
        if matches!(self, Self::Unused) { Outcome::Unused } else { Outcome::Failed(self.told().0) }
    }

    /// Errors are told in their own words only if this crate chose the content of every field.
    fn told(&self) -> (FailureKind, String) {
        use blindroute_protocol::Error;
        let own = |kind| (kind, self.to_string());
        let log = |kind, what: &str| (kind, format!("{what}; this party's log says more"));
        match self {
            Self::Shares(error) => error.told(),
            Self::HandOver(error) => error.told(),
            Self::Choices(error) => error.told(),
            Self::Link(error) => (error.told_as(), error.told()),
            Self::Rendezvous(_) => log(
                FailureKind::TimedOut,
                "another connection of the session did not come, or there was no room for it",
            ),
            Self::Silent { .. } => own(FailureKind::TimedOut),
            Self::Protocol(Error::Channel(_)) => {
                log(FailureKind::OtherParty, "the exchange with the other server failed; start a new session")
            }
            Self::Protocol(Error::Material(_) | Error::Sink(_)) => {
                log(FailureKind::OtherParty, "the dealer's stream of material ended early; start a new session")
            }
            Self::Protocol(Error::Input { .. }) | Self::Request(_) => own(FailureKind::BadRequest),
            Self::Expired { .. } | Self::PlaceLost | Self::NothingHeld => own(FailureKind::Expired),
            // As long for every reason, and no more than that: the kind says what to do.
            Self::Refused(Refusal::Unknown) => (FailureKind::UnknownClient, "refused".to_owned()),
            Self::Refused(Refusal::Day | Refusal::Minute | Refusal::Reports) => {
                (FailureKind::Quota, "refused".to_owned())
            }
            Self::Clients(_) => log(FailureKind::Internal, "its register of clients cannot be used"),
            Self::Passes(_) => log(FailureKind::Internal, "its passes cannot be used"),
            Self::Store(_) => {
                log(FailureKind::OtherParty, "its store of prepared material cannot be used; start a new session")
            }
            Self::Stopping => own(FailureKind::Stopping),
            Self::Audited => (FailureKind::Audited, String::new()),
            Self::WrongMaterial { .. } => (FailureKind::WrongMaterial, "an audit found it".to_owned()),
            Self::AuditsDiffer { .. } => own(FailureKind::AuditsDiffer),
            Self::Unrevealed | Self::Unused | Self::Cancelled | Self::CannotRest | Self::Unprepared { .. } => {
                own(FailureKind::OtherParty)
            }
            Self::Ledger(LedgerError::AlreadyUsed(_)) => own(FailureKind::SessionReused),
            Self::LedgerRefused(_) => (FailureKind::LedgerRefused, "this party's log says which".to_owned()),
            Self::NotHeld { .. } => own(FailureKind::DigestMismatch),
            Self::ProgramMismatch => (FailureKind::ProgramMismatch, "their requests differ".to_owned()),
            Self::SameShare(_) | Self::Disagreement(_) | Self::Grant { .. } => own(FailureKind::Protocol),
            Self::Protocol(Error::Weight { .. }) => log(FailureKind::Internal, "its weights cannot be used"),
            Self::Protocol(_) => log(FailureKind::Internal, "the protocol failed"),
            Self::Ledger(LedgerError::Fenced { .. }) => log(FailureKind::Stopping, "its ledger was taken over"),
            Self::Ledger(LedgerError::Database { .. } | LedgerError::Silent { .. }) => {
                log(FailureKind::OtherParty, "the database of its ledger did not take the session")
            }
            Self::Ledger(_) => log(FailureKind::Internal, "its ledger of consumed sessions cannot be written"),
            Self::Randomness(_) => log(FailureKind::Internal, "its operating system gave no randomness"),
            Self::Thread(_) => log(FailureKind::Internal, "it could not start a thread"),
        }
    }
}

/// Digests of versions, one after the other.
fn listed(digests: &[Digest]) -> String {
    digests.iter().map(Digest::to_string).collect::<Vec<_>>().join(" and ")
}

/// How often and how long was tried, if more than once.
fn tried(after: Duration, tries: u32) -> String {
    if tries < 2 {
        return String::new();
    }
    format!("; {tries} tries in {:.1} s did not help", after.as_secs_f64())
}

/// The most informative of several servers' failures: first a server's own reason, then a broken connection, then a
/// server that names another party.
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
