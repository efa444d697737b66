//! The errors of a router.

use crate::classify::error::ClassifyError;
use crate::host::HostError;
use blindroute_routing::bundle::BundleError;
use blindroute_routing::embedding::EmbeddingError;
use blindroute_routing::tokenizer::TokenizerError;
use blindroute_runtime::clients::ClientsError;
use blindroute_runtime::messages::FailureKind;
use blindroute_runtime::{ChildError, ConfigError, Fault, IdentityError, LinkError, SessionError};
use std::path::PathBuf;
use std::sync::Arc;

/// Why a prompt could not be routed. Never holds the prompt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlacementError {
    /// The bundle cannot be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The public part that the client's configuration names cannot be used.
    #[error("public part {}: {source}", path.display())]
    PublicPart {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: BundleError,
    },
    /// The prompt cannot be tokenised.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The tokens cannot be embedded.
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
    /// The caller cancelled the route, or its time was up.
    #[error(
        "the route was cancelled, or its time was up before the answer; nothing needs to be cleaned up. Route again, with more time if \
         it had too little, or choose a model yourself"
    )]
    Cancelled,
    /// A session failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The clear interpreter failed.
    #[error(transparent)]
    Protocol(#[from] blindroute_protocol::Error),
    /// A child process failed.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// A party could not be started as a thread of this process.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A party's configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system would not start a thread.
    #[error("cannot start a thread: {0}; the process may have reached a limit of the system (ulimit -u)")]
    Thread(#[source] std::io::Error),
    /// Certificates cannot be made or used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The client's secret cannot be used.
    #[error(transparent)]
    Secret(#[from] ClientsError),
    /// There is no such router in the bundle.
    #[error("{}", no_router(name, known))]
    UnknownRouter {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The placement needs the bundle here, and only the public part is.
    #[error(
        "placement {placement} runs the encoder on this machine: name a bundle with it by --bundle FILE (for head, the \
         provider can make one without the router by `blindroute bundle encoder`), or use --placement full"
    )]
    NeedsBundle {
        /// `local` or `head`.
        placement: &'static str,
    },
    /// The placement needs servers.
    #[error("placement {placement} needs servers: give --config, or start without it to run them here")]
    NeedsServers {
        /// `head` or `full`.
        placement: &'static str,
    },
    /// The bundle has another pool or encoder than the servers'.
    #[error(
        "the bundle is not the one that the servers' public part was split from (head needs one with the same encoder, \
         local the whole); split this bundle again, or name the right one with --bundle"
    )]
    OtherBundle,
    /// Two pairs of servers hold different models.
    #[error(
        "the configurations are for different models: those of pair {other} and of pair {first} differ in {differs}. Name in one \
         command only pairs that hold splits of the same bundle, or correct the file that `bundle` names in one of the configurations"
    )]
    OtherModel {
        /// The first pair.
        first: String,
        /// The pair that differs from it.
        other: String,
        /// In what.
        differs: String,
    },
    /// Two configurations name the same servers.
    #[error(
        "configurations {first} and {second} (counted from 0) name the same servers; name each pair of servers once"
    )]
    SamePair {
        /// Its place among the configurations.
        first: usize,
        /// Its place among the configurations.
        second: usize,
    },
    /// No session could be prepared with any pair of servers.
    #[error("no pair of servers can run a session now: {why}")]
    NoPair {
        /// What each pair said.
        why: String,
        /// Whether a pair said that it does not hold the version of the bundle that was asked for.
        not_held: bool,
        /// Whether a session that failed had inputs of these texts.
        sent: bool,
    },
    /// The servers no longer hold what texts that go on need.
    #[error(
        "the servers lost the texts that go on between two sessions: {0}; run them again (blindroute does, once; look at the servers' \
         logs if it happens again)"
    )]
    Lost(#[source] SessionError),
    /// A text cannot be classified.
    #[error(transparent)]
    Classify(#[from] ClassifyError),
    /// λ is out of range.
    #[error("lambda is {0}, expected a number from 0 to 15: 0 ignores cost, larger values prefer cheaper models")]
    Lambda(f32),
    /// The share of unknown text is out of range.
    #[error("the share of unknown text is {0}, expected a number from 0 to 1: the part of a prompt's characters")]
    UnknownShare(f64),
    /// The model for unknown text is not in the pool.
    #[error("the model for unknown text, {name:?}, is not in this bundle's pool; it has: {}", known.join(", "))]
    UnknownModel {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The servers chose no model or several: their shares do not fit together, or scores are out of range.
    #[error(
        "the servers' answer names {0} models instead of one, also in a second session: dealer and servers may hold \
         files of different splits (compare the digests they log when they start; split the bundle again, give out all \
         files, restart all three), or this prompt's scores are beyond the range that servers compare in (see what \
         --placement local answers)"
    )]
    NoChoice(usize),
    /// The servers did not name as many different models as they were asked for, for the same reasons.
    #[error(
        "the servers' answer does not name {0} different models, also in a second session: dealer and servers may hold files of \
         different splits or run different versions (compare what they log when they start; split the bundle again, give out \
         all files, restart all three), or this prompt's scores are beyond the range that servers compare in (see what \
         --placement local answers)"
    )]
    NoRanking(usize),
    /// The router cannot name so many models.
    #[error(
        "a ranking of {found} models, expected 1 to {most} with router {router:?} and this pool: a report names at most four, and \
         no model that the router did not keep; ask for fewer (--ranked N), or name another router"
    )]
    Ranking {
        /// How many were asked for.
        found: usize,
        /// The most.
        most: usize,
        /// The router's name.
        router: String,
    },
    /// The prompt's values were outside the ranges that the encoder computes in, so the servers' answer means nothing.
    #[error(
        "no answer for this prompt: its values leave the range that the router's encoder computes in, so any choice would be \
         meaningless. Choose a model yourself, or shorten or reword the text; if it happens with ordinary prompts, the provider \
         should widen the ranges (blindroute bundle widths) and split the bundle again"
    )]
    OutsideRange,
    /// The encoder's result cannot be shared.
    #[error(
        "the encoder gave an embedding with an entry that is not a number from -1024 to 1024; nothing was sent. The bundle's \
         encoder is damaged or its training did not converge: import or train it again"
    )]
    EmbeddingRange,
    /// The session of a batch failed, and with it the route of each of its prompts.
    #[error(transparent)]
    Batch(Arc<PlacementError>),
    /// A file of the deployment cannot be written.
    #[error("cannot write {path}: {source}; check space and permissions, or set TMPDIR to a place with 300 MB free")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system has no randomness.
    #[error("the operating system gave no randomness ({0}); nothing can be done safely without it")]
    Randomness(getrandom::Error),
}

impl PlacementError {
    /// A word for the kind of error that stays the same from version to version, for programs that tell errors apart.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Bundle(_) => "bundle",
            Self::PublicPart { .. } => "public_part",
            Self::Tokenizer(_) => "tokenizer",
            Self::Embedding(_) => "embedding",
            Self::Cancelled => "cancelled",
            Self::Session(error) => session_code(error),
            Self::Protocol(_) => "protocol",
            Self::Child(_) => "child",
            Self::Host(_) => "host",
            Self::Config(_) => "config",
            Self::Thread(_) => "thread",
            Self::Identity(_) => "identity",
            Self::Secret(_) => "secret",
            Self::UnknownRouter { .. } => "unknown_router",
            Self::NeedsBundle { .. } => "needs_bundle",
            Self::NeedsServers { .. } => "needs_servers",
            Self::OtherBundle => "other_bundle",
            Self::OtherModel { .. } => "other_model",
            Self::SamePair { .. } => "same_pair",
            Self::NoPair { .. } => "no_pair",
            Self::Lost(_) => "lost",
            Self::Classify(error) => error.code(),
            Self::Lambda(_) => "lambda",
            Self::UnknownShare(_) => "unknown_share",
            Self::UnknownModel { .. } => "unknown_model",
            Self::NoChoice(_) => "no_choice",
            Self::NoRanking(_) => "no_ranking",
            Self::Ranking { .. } => "ranking",
            Self::OutsideRange => "outside_range",
            Self::EmbeddingRange => "embedding_range",
            Self::Batch(error) => error.code(),
            Self::Write { .. } => "write",
            Self::Randomness(_) => "randomness",
        }
    }

    /// Whether a party does not hold the version of the bundle that was asked for, not yet or not any more. With several pairs of
    /// servers that is one party of one pair, and the others failed too.
    #[must_use]
    pub fn is_not_held(&self) -> bool {
        match self {
            Self::Batch(error) => error.is_not_held(),
            Self::Session(error) => error.is_not_held(),
            Self::NoPair { not_held, .. } => *not_held,
            _ => false,
        }
    }

    /// Whether a session that failed had inputs of these texts, so that one more may have them.
    pub(crate) fn had_inputs(&self) -> bool {
        match self {
            Self::Batch(error) => error.had_inputs(),
            Self::NoPair { sent, .. } => *sent,
            _ => false,
        }
    }

    /// Whether all other prompts would fail for the same reason until somebody acts: no session can be prepared, the parties
    /// do not fit together, or a child process ended. A caller with many prompts should stop.
    #[must_use]
    pub fn stops_all(&self) -> bool {
        match self {
            Self::Batch(error) => error.stops_all(),
            Self::Child(_) | Self::NeedsBundle { .. } | Self::NeedsServers { .. } | Self::OtherBundle => true,
            Self::NoPair { .. } | Self::OtherModel { .. } | Self::SamePair { .. } => true,
            Self::Session(SessionError::Unprepared { .. }) => true,
            Self::Session(SessionError::Link(LinkError::Failed { failure, .. })) => {
                matches!(
                    failure.kind,
                    FailureKind::DigestMismatch
                        | FailureKind::WrongRole
                        | FailureKind::ProgramMismatch
                        | FailureKind::UnknownClient
                        | FailureKind::Quota
                        | FailureKind::WrongMaterial
                        | FailureKind::AuditsDiffer
                )
            }
            Self::Session(SessionError::Link(error)) => error.fault() == Fault::Configuration,
            _ => false,
        }
    }
}

/// Two failures of servers that a caller may want to tell apart: who it is, and how much it asked for.
fn session_code(error: &SessionError) -> &'static str {
    match error {
        SessionError::Link(LinkError::Failed { failure, .. }) => match failure.kind {
            FailureKind::UnknownClient => "unknown_client",
            FailureKind::Quota => "quota",
            _ => "session",
        },
        _ => "session",
    }
}

impl PlacementError {
    /// Whether this says no more than that the caller did not want to wait longer.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled | Self::Session(SessionError::Cancelled) => true,
            Self::Batch(error) => error.is_cancelled(),
            _ => false,
        }
    }
}

/// A bundle may hold an encoder alone; then no name would help.
fn no_router(name: &str, known: &[String]) -> String {
    if known.is_empty() {
        "this bundle has an encoder and no router: put one into it with `blindroute train`, or name a bundle that has one \
         with --bundle FILE"
            .to_owned()
    } else {
        format!("there is no router {name:?} in this bundle; it has: {}", known.join(", "))
    }
}
