//! What can be wrong with certificates and keys.

use std::io;
use std::path::PathBuf;

use crate::role::Role;

/// An error of making or loading certificates. Never quotes a file's content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file cannot be read.
    #[error("cannot read the {what} {path}: {source}; check the path in the configuration and the file's permissions", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}; choose a directory that this user may write", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds no PEM of the kind that is due.
    #[error("{path} holds no {what} in PEM form; expected a -----BEGIN section, made for instance by blindroute", path = path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A certificate is out of date, from another authority or for another role.
    #[error("{path} is not a valid certificate for {role} ({source}); expected one in date, from the configured authority, for that role; renew it or fix the paths", path = path.display())]
    Rejected {
        /// The file.
        path: PathBuf,
        /// The role it should be for.
        role: Role,
        /// What rustls said.
        source: rustls::Error,
    },
    /// The key does not belong to the certificate, or is of an unknown kind.
    #[error("{path} is not the private key of the certificate ({source}); use the pair that was made together", path = path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
    /// Certificates could not be made.
    #[error("certificates could not be made: {0}; please report it")]
    Generate(#[from] rcgen::Error),
    /// A mistake in this program.
    #[error("internal error: {0}; please report it")]
    Internal(&'static str),
}
