//! From when until when certificates hold, also of those that no longer do.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{IdentityError, IdentityFiles, certificates};

const DAY: u64 = 24 * 3600;

/// From when until when a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Its first moment.
    pub from: SystemTime,
    /// Its last moment.
    pub until: SystemTime,
}

impl Validity {
    /// Of a certificate in DER; none if it is no certificate. Nothing else of it is checked.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let moment = |seconds: i64| UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let period = parsed.validity();
        Some(Self { from: moment(period.not_before.timestamp()), until: moment(period.not_after.timestamp()) })
    }

    /// The whole days that are left; fewer than none if it has expired.
    #[must_use]
    pub fn days_left(&self, now: SystemTime) -> i64 {
        let days = |time: Duration| i64::try_from(time.as_secs() / DAY).unwrap_or(i64::MAX);
        match self.until.duration_since(now) {
            Ok(left) => days(left),
            Err(past) => -1 - days(past.duration()),
        }
    }

    /// Whether it holds at this moment.
    #[must_use]
    pub fn holds(&self, now: SystemTime) -> bool {
        self.from <= now && now <= self.until
    }
}

/// SHA-256 of the public key in a certificate in DER; none if it is no certificate. Nothing else of it is checked.
#[must_use]
pub fn key_digest(certificate: &[u8]) -> Option<[u8; 32]> {
    use sha2::{Digest as _, Sha256};
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(Sha256::digest(parsed.public_key().raw).into())
}

/// The same of the first certificate in PEM.
#[must_use]
pub fn key_digest_of_pem(pem: &str) -> Option<[u8; 32]> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    key_digest(&CertificateDer::from_pem_slice(pem.as_bytes()).ok()?)
}

impl IdentityFiles {
    /// From when until when the authority and the role's own certificate hold, whichever of a file's certificates ends first.
    ///
    /// # Errors
    /// If a file is missing or holds no certificate.
    pub fn validity(&self) -> Result<[Validity; 2], IdentityError> {
        let of = |path: &std::path::PathBuf| {
            let all = certificates(path)?;
            let periods = all.iter().filter_map(|certificate| Validity::of(certificate));
            let first = periods.min_by_key(|validity| validity.until);
            first.ok_or_else(|| IdentityError::NotPem { path: path.clone(), what: "certificate" })
        };
        Ok([of(&self.authority)?, of(&self.certificate)?])
    }
}
