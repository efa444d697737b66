//! From when until when certificates hold, also of those that no longer do.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::CertificateError;

use super::{IdentityError, IdentityFiles, certificates};
use crate::role::Role;

const DAY: u64 = 24 * 3600;
/// A certificate with less time left is warned of.
const SOON_DAYS: i64 = 30;

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

/// A certificate that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dated {
    /// "certificate" for the own one, "authority" for one that is trusted.
    pub what: &'static str,
    /// The role that it is for.
    pub role: Role,
    /// Its file.
    pub file: PathBuf,
    /// From when until when it holds; in a file with several, the one that ends first.
    pub validity: Validity,
}

impl Dated {
    /// The days that are left, if they are so few that it has to be renewed.
    #[must_use]
    pub fn ends_soon(&self, now: SystemTime) -> Option<i64> {
        let days = self.validity.days_left(now);
        (days < SOON_DAYS).then_some(days)
    }
}

/// The certificates in the files of a role.
pub(super) fn dated(own: Role, files: &IdentityFiles) -> Result<Vec<Dated>, IdentityError> {
    let file = |what, role, path: &PathBuf| {
        Ok::<_, IdentityError>(Dated { what, role, file: path.clone(), validity: of_file(path)? })
    };
    let mut all = vec![file("certificate", own, &files.certificate)?];
    for role in Role::ALL {
        for path in files.authorities_of(role) {
            if !all.iter().any(|other| other.file == *path) {
                all.push(file("authority", role, path)?);
            }
        }
    }
    Ok(all)
}

fn of_file(path: &Path) -> Result<Validity, IdentityError> {
    let all = certificates(path)?;
    let periods = all.iter().filter_map(|certificate| Validity::of(certificate));
    let first = periods.min_by_key(|validity| validity.until);
    first.ok_or_else(|| IdentityError::NotPem { path: path.to_owned(), what: "certificate" })
}

impl IdentityFiles {
    /// From when until when the authorities and the role's own certificate hold, whichever ends first.
    ///
    /// # Errors
    /// If a file is missing or holds no certificate.
    pub fn validity(&self) -> Result<[Validity; 2], IdentityError> {
        let own = of_file(&self.certificate)?;
        let all = dated(Role::Client, self)?.into_iter().filter(|dated| dated.what == "authority");
        let first = all.map(|dated| dated.validity).min_by_key(|validity| validity.until);
        Ok([first.unwrap_or(own), own])
    }
}

/// Why a certificate does not hold at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfTime {
    /// Its first or last moment, in seconds since 1970.
    limit: u64,
    /// What the clock of this machine says.
    now: u64,
}

impl OutOfTime {
    /// What a check of a certificate said, if that was about its period.
    #[must_use]
    pub fn of(error: &rustls::Error) -> Option<Self> {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => {
                Some(Self { limit: not_after.as_secs(), now: time.as_secs() })
            }
            rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => {
                Some(Self { limit: not_before.as_secs(), now: time.as_secs() })
            }
            _ => None,
        }
    }
}

impl fmt::Display for OutOfTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, now) = (moment(self.limit), moment(self.now));
        if self.limit < self.now {
            write!(
                f,
                "expired at {limit}, and the clock here says {now}: the certificate has expired, or the clocks differ"
            )
        } else {
            write!(
                f,
                "holds only from {limit}, and the clock here says {now}: the clocks differ by more than ten minutes"
            )
        }
    }
}

/// A time in words.
fn moment(seconds: u64) -> String {
    let time = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", time.hour(), time.minute(), time.second())
}
