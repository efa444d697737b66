//! Why a session cannot be claimed.

use crate::messages::{NoRandomness, SessionId};
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a ledger cannot be used, or a session not be claimed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The session was claimed before.
    #[error("session {0} was used before; a session can be used only once: start a new session")]
    AlreadyUsed(SessionId),
    /// Another process holds the ledger.
    #[error(
        "{0} is in use by another process; give every party its own state directory and ledger, or stop the other process"
    )]
    Locked(String),
    /// Another process opened the ledger after this one had.
    #[error(
        "another process opened the ledger {ledger} (this one has term {ours}), so this one stops; run one process for each ledger, \
         and start this one again only if the other has ended"
    )]
    Fenced {
        /// Which ledger.
        ledger: String,
        /// The term of this process.
        ours: u64,
    },
    /// The ledger is none, or was damaged.
    #[error("{path} is damaged ({reason}), so used sessions cannot be refused: set up a new deployment with an empty state directory, or set this party up anew (docs/OPERATOR.md, Ledgers)", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is damaged.
        reason: &'static str,
    },
    /// An earlier write failed. Nothing can be recorded until a restart.
    #[error("the ledger stopped after a failed write; free disk space or fix the disk, then restart")]
    Stopped,
    /// The system reported an error.
    #[error("the ledger {path} failed: {source}; check the disk and the permissions", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database is not one that a ledger can be kept in.
    #[error("the ledger {ledger} cannot be kept there: {problem}")]
    Unsuitable {
        /// Which ledger.
        ledger: String,
        /// What was found, what was expected, and what to do.
        problem: String,
    },
    /// The database reported an error.
    #[error("the ledger {ledger} failed while this party wanted to {during}: {source}; check the database")]
    Database {
        /// Which ledger.
        ledger: String,
        /// What was being done.
        during: &'static str,
        /// What the database said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The database did not answer.
    #[error("the ledger {ledger} did not answer within {after:?}; check the database and the network")]
    Silent {
        /// Which ledger.
        ledger: String,
        /// How long was waited.
        after: Duration,
    },
    /// The operating system gave no randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

impl LedgerError {
    /// The same error, if the party has to stop for it: whoever opened the ledger after it goes on in its place.
    #[must_use]
    pub fn that_ends_the_party(&self) -> Option<Self> {
        match self {
            Self::Fenced { ledger, ours } => Some(Self::Fenced { ledger: ledger.clone(), ours: *ours }),
            _ => None,
        }
    }
}
