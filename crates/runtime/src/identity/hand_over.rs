//! Certificates of servers of other pairs, which may be of other authorities.

use super::{Endpoint, IdentityError, callers, certificates, crypto, trusted, without_resumption, without_tickets};
use crate::role::Role;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use std::path::Path;
use std::sync::Arc;

/// The authorities whose servers may hand over to this one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Accepted {
    /// This deployment's own.
    own: bool,
    /// Others.
    others: bool,
}

impl Endpoint {
    /// The same identity for calling the server of the same position in a pair with another authority. Only servers of that
    /// authority are accepted there.
    ///
    /// # Errors
    /// If the file holds no certificates.
    pub fn calling(&self, authority: &Path) -> Result<Endpoint, IdentityError> {
        let roots = trusted(self.role, authority, &certificates(authority)?)?;
        let mut client = ClientConfig::builder_with_provider(Arc::new(crypto()))
            .with_protocol_versions(&[&TLS13])
            .map_err(|_| IdentityError::Internal("TLS 1.3 cannot be configured"))?
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::clone(&self.client.client_auth_cert_resolver));
        without_resumption(&mut client);
        Ok(Endpoint { client: Arc::new(client), ..self.clone() })
    }

    /// The same identity, which servers of the same position may hand over to: those of its own authority, where there is `None`,
    /// and those of the authorities in these files. Whoever has a certificate of another authority may do nothing else.
    ///
    /// # Errors
    /// If a file holds no certificates.
    pub fn accepting_hand_over<'a>(
        &self,
        authorities: impl IntoIterator<Item = Option<&'a Path>>,
    ) -> Result<Endpoint, IdentityError> {
        let mut accepted = Accepted::default();
        let mut all = self.authority.to_vec();
        for path in authorities {
            let found = path.map(certificates).transpose()?;
            match (path, found) {
                (Some(path), Some(found)) if found != *self.authority => {
                    trusted(self.role, path, &found)?;
                    all.extend(found);
                    accepted.others = true;
                }
                _ => accepted.own = true,
            }
        }
        let roots = Arc::new(trusted(self.role, Path::new("(all authorities)"), &all)?);
        let provider = Arc::new(crypto());
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(|_| IdentityError::Internal("TLS 1.3 cannot be configured"))?
            .with_client_cert_verifier(callers(roots, &provider)?)
            .with_cert_resolver(Arc::clone(&self.server.cert_resolver));
        without_tickets(&mut server);
        Ok(Endpoint { server: Arc::new(server), accepted, ..self.clone() })
    }

    /// Whether a certificate that was verified is of this deployment's own authority.
    pub(crate) fn is_own(&self, chain: &[CertificateDer<'_>]) -> bool {
        if !self.accepted.others {
            return true;
        }
        let Some((leaf, rest)) = chain.split_first() else { return false };
        self.own.verify_client_cert(leaf, rest, UnixTime::now()).is_ok()
    }

    /// Whether a caller of this role, with a certificate of its own authority or another one, may hand over to this server.
    pub(crate) fn takes_over_from(&self, caller: Role, own: bool) -> bool {
        caller == self.role && if own { self.accepted.own } else { self.accepted.others }
    }
}
