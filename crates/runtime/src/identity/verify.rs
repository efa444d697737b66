//! Checks of certificates that rustls calls: of webpki, with a tolerance for clocks that differ, and for one role each.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::named;

/// How far the clocks of two parties may differ.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(600);

/// Checks the certificate of whoever is called.
#[derive(Debug)]
pub(super) struct Called(pub(super) Arc<WebPkiServerVerifier>);

/// Checks the certificates of callers.
#[derive(Debug)]
pub(super) struct Callers(pub(super) Arc<dyn ClientCertVerifier>);

/// Runs a check at this moment, and if the period of a certificate does not contain it, at the moment that a clock shows
/// which differs as much as is tolerated.
fn tolerant<T>(now: UnixTime, check: impl Fn(UnixTime) -> Result<T, Error>) -> Result<T, Error> {
    let first = match check(now) {
        Ok(checked) => return Ok(checked),
        Err(error) => error,
    };
    let seconds = match &first {
        Error::InvalidCertificate(CertificateError::ExpiredContext { .. }) => {
            now.as_secs().checked_sub(CLOCK_SKEW.as_secs())
        }
        Error::InvalidCertificate(CertificateError::NotValidYetContext { .. }) => {
            now.as_secs().checked_add(CLOCK_SKEW.as_secs())
        }
        _ => None,
    };
    let Some(seconds) = seconds else { return Err(first) };
    check(UnixTime::since_unix_epoch(Duration::from_secs(seconds))).map_err(|second| match second {
        Error::InvalidCertificate(
            CertificateError::ExpiredContext { .. } | CertificateError::NotValidYetContext { .. },
        ) => first,
        other => other,
    })
}

/// A certificate for several roles would let one party stand in for others.
fn one_role(certificate: &CertificateDer<'_>) -> Result<(), Error> {
    if named(certificate).len() > 1 {
        return Err(Error::General("the certificate names several roles, expected one".to_owned()));
    }
    Ok(())
}

/// The checks of signatures, which are those of the check within.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.0.verify_tls12_signature(message, certificate, signature)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.0.verify_tls13_signature(message, certificate, signature)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.supported_verify_schemes()
        }
    };
}

impl ServerCertVerifier for Called {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            tolerant(now, |now| self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now))?;
        one_role(end_entity)?;
        Ok(verified)
    }

    signatures!();
}

impl ClientCertVerifier for Callers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = tolerant(now, |now| self.0.verify_client_cert(end_entity, intermediates, now))?;
        one_role(end_entity)?;
        Ok(verified)
    }

    signatures!();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    /// A certificate that holds from 10000 to 20000.
    fn period(now: UnixTime) -> Result<(), Error> {
        let error = match now.as_secs() {
            ..10_000 => CertificateError::NotValidYetContext { time: now, not_before: at(10_000) },
            20_001.. => CertificateError::ExpiredContext { time: now, not_after: at(20_000) },
            _ => return Ok(()),
        };
        Err(Error::InvalidCertificate(error))
    }

    #[test]
    fn case_40_clocks_may_differ_by_ten_minutes_and_no_more() {
        for (now, good) in [(9_400, true), (9_399, false), (15_000, true), (20_600, true), (20_601, false)] {
            assert_eq!(tolerant(at(now), period).is_ok(), good, "{now}");
        }
        // The error has the true time, and another fault is not hidden by the first.
        let Err(Error::InvalidCertificate(CertificateError::ExpiredContext { time, .. })) =
            tolerant(at(30_000), period)
        else {
            panic!("another error")
        };
        assert_eq!(time, at(30_000));
        let foreign = |now: UnixTime| match now.as_secs() {
            20_001.. => period(now),
            _ => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        };
        let error = tolerant(at(20_300), foreign).unwrap_err();
        assert_eq!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer));
    }
}
