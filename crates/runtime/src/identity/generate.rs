//! Making an authority and the roles' certificates.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::authority::VALIDITY;
use super::{Authority, IdentityError, IdentityFiles};
use crate::file_set::{self, Existing, NewFile, write_together};
use crate::role::Role;

const AUTHORITY: &str = "authority.pem";

/// A folder with an authority's certificate and each role's certificate and key.
#[derive(Clone, Debug)]
pub struct CertificateFolder {
    directory: PathBuf,
}

impl CertificateFolder {
    /// Makes a fresh authority and one certificate per role in `directory`, valid for 397 days.
    ///
    /// Keys are readable only by their owner. The authority's own key is never written: it is wiped after signing, so
    /// nobody can add another certificate to a deployment later. Existing files are not overwritten.
    ///
    /// # Errors
    /// If the directory cannot be written, or already holds certificates.
    pub fn generate(directory: &Path) -> Result<CertificateFolder, IdentityError> {
        CertificateFolder::generate_for(directory, SystemTime::now(), VALIDITY)
    }

    /// As [`CertificateFolder::generate`], valid from a day before `from` (because clocks differ) until `validity`
    /// after it.
    ///
    /// # Errors
    /// As for [`CertificateFolder::generate`].
    pub fn generate_for(
        directory: &Path,
        from: SystemTime,
        validity: Duration,
    ) -> Result<CertificateFolder, IdentityError> {
        let names = Role::ALL.map(|role| [format!("{role}.key"), format!("{role}.pem")]);
        let all = names.iter().flatten().map(String::as_str).chain([AUTHORITY]);
        let names_taken = file_set::taken(directory, all);
        if !names_taken.is_empty() {
            return Err(IdentityError::Exists { folder: directory.to_owned(), names: names_taken });
        }
        let deployment = CertificateFolder { directory: directory.to_owned() };
        let authority = Authority::generate_for(from, validity)?;
        let issue = |role: Role| authority.issue_for(role, role.certificate_name(), from, validity);
        let issued = Role::ALL.into_iter().map(issue).collect::<Result<Vec<_>, _>>()?;
        let mut files = Vec::new();
        for ([key, certificate], issued) in names.iter().zip(&issued) {
            files.push(NewFile { name: key, content: issued.key.as_bytes(), private: true });
            files.push(NewFile { name: certificate, content: issued.certificate.as_bytes(), private: false });
        }
        // The last file: without it no party starts.
        files.push(NewFile { name: AUTHORITY, content: authority.certificate().as_bytes(), private: false });
        write_together(directory, &files, Existing::Refuse)?;
        Ok(deployment)
    }

    /// A folder that was made earlier. Its files are read when an endpoint is loaded.
    #[must_use]
    pub fn open(directory: &Path) -> CertificateFolder {
        CertificateFolder { directory: directory.to_owned() }
    }

    /// The authority's certificate.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.directory.join(AUTHORITY)
    }

    /// One role's files.
    #[must_use]
    pub fn identity(&self, role: Role) -> IdentityFiles {
        IdentityFiles {
            authority: self.authority(),
            authorities: BTreeMap::new(),
            certificate: self.directory.join(format!("{role}.pem")),
            key: self.directory.join(format!("{role}.key")),
        }
    }
}
