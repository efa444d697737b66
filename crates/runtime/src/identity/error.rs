//! Errors of certificates and keys.

use std::io;
use std::path::PathBuf;

use super::OutOfTime;
use crate::file_set::FileSetError;
use crate::role::Role;

/// An error when certificates are made or loaded. It never quotes the content of a file.
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
    /// Keys and certificates exist already.
    #[error("{folder} already holds keys and certificates ({names}); nothing was written. The parties of a deployment need files that were made together: choose another folder, or remove these files if no party uses them any more", folder = folder.display(), names = names.join(", "))]
    Exists {
        /// The folder.
        folder: PathBuf,
        /// The names that are taken.
        names: Vec<String>,
    },
    /// The files cannot be written.
    #[error(transparent)]
    Files(FileSetError),
    /// A file does not hold the expected kind of PEM section.
    #[error("{path} holds no {what} in PEM form; expected a -----BEGIN section, for instance a file made by `blindroute certificates`", path = path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A certificate is from another authority or for another role.
    #[error("{path} is not a valid certificate for {role} ({source}); expected one for that role by an authority in {authority}; renew it or correct the paths", path = path.display())]
    Rejected {
        /// The file.
        path: PathBuf,
        /// The role it should be for.
        role: Role,
        /// The files with the authorities that may vouch for that role.
        authority: Box<str>,
        /// What rustls said.
        source: Box<rustls::Error>,
    },
    /// The period of a certificate does not contain this moment.
    #[error("{path} {period}; set this machine's clock, or renew the certificate", path = path.display())]
    OutOfTime {
        /// The file.
        path: PathBuf,
        /// Its limit and this moment.
        period: OutOfTime,
    },
    /// A file holds something that is not an authority.
    #[error("{path} holds no authority that can vouch for {role} ({source}); expected the file that its operator gave out", path = path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// The role.
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
    /// The key does not belong to an authority's certificate.
    #[error(
        "the key is not that of the authority's certificate; name the file with the authority's key, which `init` or `renew --authority` wrote"
    )]
    AuthorityKey,
    /// A text holds no certificate of an authority.
    #[error("no certificate of an authority in PEM form was found; expected the file that `init` made")]
    NoAuthority,
    /// Certificates could not be made.
    #[error("certificates could not be made: {0}; please report it")]
    Generate(#[from] rcgen::Error),
    /// A mistake in this program.
    #[error("internal error: {0}; please report it")]
    Internal(&'static str),
}

impl From<FileSetError> for IdentityError {
    fn from(error: FileSetError) -> Self {
        match error {
            FileSetError::Exists { folder, names } => Self::Exists { folder, names },
            error => Self::Files(error),
        }
    }
}
