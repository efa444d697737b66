//! Why a party cannot be hosted.

use blindroute_routing::bundle::BundleError;
use blindroute_runtime::choices::ChoicesError;
use blindroute_runtime::clients::ClientsError;
use blindroute_runtime::sealing::SealingError;
use blindroute_runtime::store::StoreError;
use blindroute_runtime::{IdentityError, LedgerError, ServiceError};
use std::path::PathBuf;

/// Why a party cannot be hosted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The public part cannot be used.
    #[error("public part {}: {source}", path.display())]
    PublicPart {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: BundleError,
    },
    /// The server's share cannot be used.
    #[error("share {}: {source}", path.display())]
    Share {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: BundleError,
    },
    /// The server's share is sealed, and does not open.
    #[error("share {}: {source}", path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SealingError,
    },
    /// The share is not of the public part's weights.
    #[error("the share file: {0}")]
    Weights(#[from] blindroute_protocol::Error),
    /// The certificates cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The register of clients cannot be used.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// The store of prepared material cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A table of what is to be stored names something that the bundle does not have.
    #[error("[[store.keep]] number {number}: {problem}")]
    Keep {
        /// Which of the tables, from 1.
        number: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// What is counted of choices cannot be read.
    #[error(transparent)]
    Choices(#[from] ChoicesError),
    /// The service cannot listen, or cannot say that it does.
    #[error(transparent)]
    Service(#[from] ServiceError),
}
