//! An authority: makes certificates, and signs what its operator states.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SigningKey, date_time_ymd,
};
use rustls::SignatureScheme;
use rustls::crypto::ring as provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::IdentityError;
use crate::messages::SessionId;
use crate::role::Role;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// A year and a month: long enough to renew once a year, short enough that a lost key expires.
pub(super) const VALIDITY: Duration = Duration::from_secs(397 * 24 * 3600);
/// Of an operator's authority, which signs a certificate a year.
const AUTHORITY_VALIDITY: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// The last line of a certificate in PEM form.
const END: &str = "-----END CERTIFICATE-----";

/// From when until when, since 1970.
type Period = (Duration, Duration);

/// From a day before `from`, because clocks differ, until `validity` after it.
fn period(from: SystemTime, validity: Duration) -> Period {
    let since_epoch = from.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since_epoch.saturating_sub(DAY), since_epoch + validity)
}

/// An authority with its key, which makes certificates for roles. The key is wiped when this is dropped.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority(redacted)")
    }
}

/// A certificate and its key, in PEM form.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: Zeroizing<String>,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issued(redacted)")
    }
}

impl Authority {
    /// A new authority of one operator, valid for ten years.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn generate() -> Result<Self, IdentityError> {
        Self::generate_for(SystemTime::now(), AUTHORITY_VALIDITY)
    }

    /// As [`Authority::generate`], valid from a day before `from` until `validity` after it.
    ///
    /// # Errors
    /// As for [`Authority::generate`].
    pub fn generate_for(from: SystemTime, validity: Duration) -> Result<Self, IdentityError> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        // A name of its own, so that a certificate of another deployment is reported as of an unknown issuer, not as a
        // bad signature.
        let name = SessionId::generate().map_err(|_| IdentityError::Internal("no randomness from the system"))?;
        authority.distinguished_name.push(DnType::CommonName, format!("blindroute authority {name}"));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        set_period(&mut authority, period(from, validity));
        let key = KeyPair::generate()?;
        let pem = authority.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(authority, key), pem })
    }

    /// The authority of a certificate and its key, both in PEM form.
    ///
    /// # Errors
    /// If the certificate cannot be parsed or the key is not its key.
    pub fn read(certificate: &str, key: &str) -> Result<Self, IdentityError> {
        let key = KeyPair::from_pem(key).map_err(|_| IdentityError::AuthorityKey)?;
        let stated = AuthorityCertificate::read(certificate)?;
        let Some(first) = stated.first() else { return Err(IdentityError::AuthorityKey) };
        if first.key != rcgen::PublicKeyData::subject_public_key_info(&key) {
            return Err(IdentityError::AuthorityKey);
        }
        let issuer = Issuer::from_ca_cert_pem(&first.pem, key)?;
        Ok(Self { issuer, pem: first.pem.clone() })
    }

    /// Its certificate, in PEM form.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.pem
    }

    /// Its private key, in PEM form.
    #[must_use]
    pub fn key(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// A certificate for a role with a new key, valid for 397 days. `name` is the certificate's common name.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn issue(&self, role: Role, name: &str) -> Result<Issued, IdentityError> {
        self.issue_for(role, name, SystemTime::now(), VALIDITY)
    }

    /// As [`Authority::issue`], valid from a day before `from`, because clocks differ, until `validity` after it.
    ///
    /// # Errors
    /// As for [`Authority::issue`].
    pub fn issue_for(
        &self,
        role: Role,
        name: &str,
        from: SystemTime,
        validity: Duration,
    ) -> Result<Issued, IdentityError> {
        let period = period(from, validity);
        let key = KeyPair::generate()?;
        let certificate = self.certify(role, name, period, &key)?;
        Ok(Issued { certificate, key: Zeroizing::new(key.serialize_pem()) })
    }

    /// A further certificate for a role's key that exists, valid for 397 days.
    ///
    /// # Errors
    /// If the key cannot be read.
    pub fn renew(&self, role: Role, name: &str, key: &str) -> Result<String, IdentityError> {
        self.certify(role, name, period(SystemTime::now(), VALIDITY), &KeyPair::from_pem(key)?)
    }

    fn certify(&self, role: Role, name: &str, period: Period, key: &KeyPair) -> Result<String, IdentityError> {
        let mut leaf = CertificateParams::new(vec![role.certificate_name().to_owned()])?;
        leaf.distinguished_name.push(DnType::CommonName, name);
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        set_period(&mut leaf, period);
        Ok(leaf.signed_by(key, &self.issuer)?.pem())
    }

    /// Signs bytes with the authority's key (ECDSA on P-256 with SHA-256).
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, IdentityError> {
        Ok(self.issuer.key().sign(bytes)?)
    }
}

/// The certificate of an authority, without its key.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorityCertificate {
    pem: String,
    /// The public key with its algorithm.
    key: Vec<u8>,
    /// The public key alone.
    point: Vec<u8>,
}

impl std::fmt::Debug for AuthorityCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuthorityCertificate({})", self.fingerprint())
    }
}

impl AuthorityCertificate {
    /// All certificates in a text in PEM form.
    ///
    /// # Errors
    /// If there is none, or one cannot be parsed.
    pub fn read(text: &str) -> Result<Vec<Self>, IdentityError> {
        let all: Option<Vec<Self>> =
            text.split_inclusive(END).filter(|part| part.contains(END)).map(Self::of).collect();
        all.filter(|all| !all.is_empty()).ok_or(IdentityError::NoAuthority)
    }

    fn of(pem: &str) -> Option<Self> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).ok()?;
        let key = parsed.public_key();
        let (key, point) = (key.raw.to_vec(), key.subject_public_key.data.to_vec());
        Some(Self { pem: format!("{}\n", pem.trim()), key, point })
    }

    /// The certificate in PEM form.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Whether both have the same key.
    #[must_use]
    pub fn has_key_of(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// SHA-256 of the public key, in groups of four hexadecimal digits, for reading out.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digits: Vec<String> = Sha256::digest(&self.key).chunks(2).map(base16ct::lower::encode_string).collect();
        digits.join(" ")
    }

    /// Whether this authority signed these bytes.
    #[must_use]
    pub fn signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let known = provider::default_provider().signature_verification_algorithms;
        let mut algorithms =
            known.mapping.iter().filter(|(scheme, _)| *scheme == SignatureScheme::ECDSA_NISTP256_SHA256);
        algorithms.any(|(_, algorithms)| {
            algorithms.iter().any(|algorithm| algorithm.verify_signature(&self.point, bytes, signature).is_ok())
        })
    }
}

fn set_period(parameters: &mut CertificateParams, (from, until): Period) {
    let epoch = date_time_ymd(1970, 1, 1);
    parameters.not_before = epoch + from;
    parameters.not_after = epoch + until;
}
