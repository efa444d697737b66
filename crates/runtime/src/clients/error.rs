//! What may be wrong with a register or its counts.

use blindroute_passes::PassError;
use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Why clients cannot be looked up or counted. Holds no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientsError {
    /// A file cannot be read or written.
    #[error("{path}: {source}; check the path, the permissions and the disk", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A register cannot be read as TOML, or a field is missing or has another type.
    #[error("{path}, line {line}: {message}; write it with `blindroute-operator client`", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The number of the line, counted from 1.
        line: usize,
        /// What the parser said, without quoting the file.
        message: String,
    },
    /// An entry of a register is not allowed.
    #[error("{path}: client {client:?} {problem}", path = path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The client.
        client: String,
        /// What is wrong, and what was expected.
        problem: &'static str,
    },
    /// A client that a command names is not there, or is there already.
    #[error("{path} {problem}", path = path.display())]
    Names {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The counts are damaged.
    #[error(
        "{path} is damaged ({reason}), so quotas cannot be kept: restore the file, or remove it to begin anew, which lets every \
         client ask for another day's routes, or ends the passes that clients hold; remove `passes.keys` and `passes.spent` \
         together, or passes can be used twice", path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is damaged.
        reason: &'static str,
    },
    /// The database that keeps the accounts fails, as this says.
    #[error("clients cannot be counted: {0}")]
    Accounts(Box<dyn Error + Send + Sync>),
    /// No passes are made.
    #[error(transparent)]
    Pass(PassError),
    /// A secret is not one.
    #[error("{path} holds no client's secret: expected one line of 64 hexadecimal digits, as `blindroute-operator client add` writes it", path = path.display())]
    Secret {
        /// The file.
        path: PathBuf,
    },
}
