//! Making an authority and the roles' certificates.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use zeroize::Zeroizing;

use super::{IdentityError, IdentityFiles};
use crate::file_set::{self, Existing, NewFile, write_together};
use crate::messages::SessionId;
use crate::role::Role;

const AUTHORITY: &str = "authority.pem";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// A year and a month: long enough to renew once a year, short enough that a lost key expires.
const VALIDITY: Duration = Duration::from_secs(397 * 24 * 3600);

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
        let since_epoch = from.duration_since(UNIX_EPOCH).unwrap_or_default();
        let period = (since_epoch.saturating_sub(DAY), since_epoch + validity);

        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        // A name of its own, so that a certificate of another deployment is reported as of an unknown issuer, not as a
        // bad signature.
        let name = SessionId::generate().map_err(|_| IdentityError::Internal("no randomness from the system"))?;
        authority.distinguished_name.push(DnType::CommonName, format!("blindroute authority {name}"));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        set_period(&mut authority, period);
        let authority_key = KeyPair::generate()?;
        let certificate = authority.self_signed(&authority_key)?;
        let authority_pem = certificate.pem();
        let issuer = Issuer::new(authority, authority_key);

        let mut pems = Vec::with_capacity(Role::ALL.len());
        for role in Role::ALL {
            let mut leaf = CertificateParams::new(vec![role.certificate_name().to_owned()])?;
            leaf.distinguished_name.push(DnType::CommonName, role.certificate_name());
            leaf.use_authority_key_identifier_extension = true;
            leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            set_period(&mut leaf, period);
            let key = KeyPair::generate()?;
            let certificate = leaf.signed_by(&key, &issuer)?;
            pems.push((Zeroizing::new(key.serialize_pem()), certificate.pem()));
        }
        let mut files = Vec::new();
        for ([key, certificate], (key_pem, certificate_pem)) in names.iter().zip(&pems) {
            files.push(NewFile { name: key, content: key_pem.as_bytes(), private: true });
            files.push(NewFile { name: certificate, content: certificate_pem.as_bytes(), private: false });
        }
        // The last file: without it no party starts.
        files.push(NewFile { name: AUTHORITY, content: authority_pem.as_bytes(), private: false });
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
            certificate: self.directory.join(format!("{role}.pem")),
            key: self.directory.join(format!("{role}.key")),
        }
    }
}

fn set_period(parameters: &mut CertificateParams, (from, until): (Duration, Duration)) {
    let epoch = date_time_ymd(1970, 1, 1);
    parameters.not_before = epoch + from;
    parameters.not_after = epoch + until;
}
