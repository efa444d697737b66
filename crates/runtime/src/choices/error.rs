//! What can go wrong when choices are counted.

use crate::link::LinkError;
use crate::messages::{FailureKind, NoRandomness};
use crate::rendezvous::RendezvousError;
use blindroute_reports::ReportError;
use std::io;
use std::path::PathBuf;

/// Why a report is not counted, or counts are not revealed. Holds nothing of a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChoicesError {
    /// The server counts nothing.
    #[error(
        "this server counts no choices: its operator can set a table [choices] in its configuration, or clients stop reporting"
    )]
    Off,
    /// The report, or a sum, cannot be used.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The link to the other party failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// There is no room for a report until server 1 calls.
    #[error("a report finds no room, or waits already: {0}")]
    Waiting(#[from] RendezvousError),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The other server said what it cannot say now.
    #[error("the other server said {found} about reports, expected {expected}; check that both run the same version")]
    Order {
        /// What it said.
        found: String,
        /// What it can say.
        expected: &'static str,
    },
    /// Server 1 does not know where server 0 is.
    #[error("server 1 has no address of server 0, with which it checks reports: set `peer` in its configuration")]
    NoPeer,
    /// The batch takes no more reports.
    #[error("the batch of reports is full: it waits to be closed with the other server; see why that does not answer")]
    Full,
    /// The servers counted different reports.
    #[error(
        "the two servers have different reports in a batch, and have dropped it: the counts of {reports} reports are lost; one of \
         them lost or restored the folder `choices` of its state, or was killed while its disk did not honour sync"
    )]
    Differs {
        /// How many this server had.
        reports: u64,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}; check the path, the permissions and the disk", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is no batch, or no list of counts.
    #[error("{path} is damaged: {reason}; move it away to lose the reports in it, at both servers", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
}

impl ChoicesError {
    /// What another party is told: nothing of this machine, and of a report only that it is malformed.
    pub(crate) fn told(&self) -> (FailureKind, String) {
        let log = |kind, what: &str| (kind, format!("{what}; this party's log says more"));
        match self {
            Self::Off | Self::Report(_) => (FailureKind::BadRequest, self.to_string()),
            Self::Link(error) => (error.told_as(), error.told()),
            Self::Waiting(_) => log(FailureKind::Busy, "there is no room for a report"),
            Self::Full => (FailureKind::Busy, self.to_string()),
            Self::Order { .. } => (FailureKind::Protocol, self.to_string()),
            Self::Randomness(_) => log(FailureKind::Internal, "its operating system gave no randomness"),
            Self::NoPeer | Self::Differs { .. } | Self::Io { .. } | Self::Damaged { .. } => {
                log(FailureKind::Internal, "it cannot count choices now")
            }
        }
    }
}
