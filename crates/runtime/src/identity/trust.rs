//! What an endpoint is made of: its own certificate and key, and for each role the authorities that may vouch for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::validity::{OutOfTime, dated};
use super::verify::{Called, Callers};
use super::{Dated, IdentityError, IdentityFiles, certificates, crypto, key_digest, pem_error};
use super::{without_resumption, without_tickets};
use crate::messages::Spoken;
use crate::role::Role;

/// The files of an endpoint, which are read at its start and again when one of them changes.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) role: Role,
    pub(super) files: IdentityFiles,
    /// The authority of another pair whose server of this position is called.
    pub(super) calls: Option<PathBuf>,
    /// The authorities whose servers of this position may hand over: `None` is this deployment's own.
    pub(super) accepts: Vec<Option<PathBuf>>,
    /// The versions of the messages that are offered.
    pub(super) spoken: Spoken,
}

/// What the files of a [`Source`] held when they were read.
pub(super) struct Trust {
    pub(super) server: Arc<ServerConfig>,
    /// For calls, by the role that is called.
    calls: Vec<Arc<ClientConfig>>,
    /// For callers' certificates, by the role that they name.
    vouching: Vec<Arc<dyn ClientCertVerifier>>,
    /// For servers of this position that hand over.
    hands_over: Option<Arc<dyn ClientCertVerifier>>,
    /// The digest of the own certificate's public key.
    pub(super) key: [u8; 32],
    pub(super) dated: Vec<Dated>,
}

impl Source {
    /// The files with the authorities that are expected where `role` is called.
    pub(super) fn called(&self, role: Role) -> &[PathBuf] {
        match &self.calls {
            Some(path) => std::slice::from_ref(path),
            None => self.files.authorities_of(role),
        }
    }

    fn accepted(&self) -> Vec<PathBuf> {
        let of = |from: &Option<PathBuf>| match from {
            Some(path) => vec![path.clone()],
            None => self.files.authorities_of(self.role).to_vec(),
        };
        self.accepts.iter().flat_map(of).collect()
    }

    /// Every file, each once.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let mut all = vec![self.files.certificate.clone(), self.files.key.clone()];
        all.extend(Role::ALL.iter().flat_map(|role| self.files.authorities_of(*role)).cloned());
        all.extend(self.calls.clone());
        all.extend(self.accepted());
        all.sort();
        all.dedup();
        all
    }

    /// Reads and checks all files.
    pub(super) fn read(&self) -> Result<Trust, IdentityError> {
        let Self { role, files, .. } = self;
        let chain = certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| pem_error(&files.key, "private key", e))?;
        let provider = Arc::new(crypto());
        let own = Arc::new(trusted(*role, files.authorities_of(*role))?);
        self.check(&chain, &own, &provider)?;
        let leaf = chain.first().ok_or(IdentityError::Internal("an empty chain"))?;
        let key_digest = key_digest(leaf).ok_or(IdentityError::Internal("a certificate without a key"))?;

        let internal = |_| IdentityError::Internal("TLS 1.3 cannot be configured");
        let wrong_key = |source| IdentityError::Key { path: files.key.clone(), source };
        let (mut calls, mut vouching, mut union) = (Vec::new(), Vec::new(), RootCertStore::empty());
        for peer in Role::ALL {
            let roots = Arc::new(trusted(peer, files.authorities_of(peer))?);
            union.roots.extend(roots.roots.iter().cloned());
            vouching.push(callers(roots, &provider)?);
            let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&[&TLS13])
                .map_err(internal)?
                .dangerous()
                .with_custom_certificate_verifier(called(trusted(peer, self.called(peer))?, &provider)?)
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(wrong_key)?;
            without_resumption(&mut client);
            client.alpn_protocols = self.spoken.names();
            calls.push(Arc::new(client));
        }
        let accepted = self.accepted();
        let hands_over = if accepted.is_empty() {
            None
        } else {
            let roots = trusted(*role, &accepted)?;
            union.roots.extend(roots.roots.iter().cloned());
            Some(callers(Arc::new(roots), &provider)?)
        };
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(internal)?
            .with_client_cert_verifier(callers(Arc::new(union), &provider)?)
            .with_single_cert(chain, key)
            .map_err(wrong_key)?;
        without_tickets(&mut server);
        server.alpn_protocols = self.spoken.names();
        let dated = dated(*role, files)?;
        Ok(Trust { server: Arc::new(server), calls, vouching, hands_over, key: key_digest, dated })
    }

    /// Checks the own certificate in the way a peer does.
    fn check(
        &self,
        chain: &[CertificateDer<'static>],
        roots: &RootCertStore,
        provider: &Arc<CryptoProvider>,
    ) -> Result<(), IdentityError> {
        let Self { role, files, .. } = self;
        let name = ServerName::try_from(role.certificate_name())
            .map_err(|_| IdentityError::Internal("a role's certificate name is not a DNS name"))?;
        let (leaf, rest) = chain.split_first().ok_or(IdentityError::Internal("an empty chain"))?;
        let verified = called(roots.clone(), provider)?.verify_server_cert(leaf, rest, &name, &[], UnixTime::now());
        let path = files.certificate.clone();
        verified.map(|_| ()).map_err(|source| match OutOfTime::of(&source) {
            Some(period) => IdentityError::OutOfTime { path, period },
            None => IdentityError::Rejected {
                path,
                role: *role,
                authority: names(files.authorities_of(*role)).into(),
                source: source.into(),
            },
        })
    }
}

impl Trust {
    /// For a call of this role.
    pub(super) fn calling(&self, role: Role) -> Option<Arc<ClientConfig>> {
        self.calls.get(place(role)).cloned()
    }

    /// Whether this chain, which names `role`, is of an authority that may vouch for that role.
    pub(super) fn vouched(&self, role: Role, chain: &[CertificateDer<'_>]) -> bool {
        self.vouching.get(place(role)).is_some_and(|verifier| verifies(verifier, chain))
    }

    /// Whether this chain is of an authority whose servers may hand over.
    pub(super) fn hands_over(&self, chain: &[CertificateDer<'_>]) -> bool {
        self.hands_over.as_ref().is_some_and(|verifier| verifies(verifier, chain))
    }
}

/// TLS towards a server of another kind, such as a database: its certificate must be of these authorities and name the host, and
/// this side shows none.
///
/// # Errors
/// If the file of the authorities cannot be read, or holds none.
pub fn client_of(authority: &Path) -> Result<ClientConfig, IdentityError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority)? {
        roots.add(certificate).map_err(|_| pem_error(authority, "certificate", pem::Error::NoItemsFound))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto())).with_protocol_versions(&[&TLS13]);
    let builder = builder.map_err(|_| IdentityError::Internal("TLS 1.3 cannot be configured"))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn place(role: Role) -> usize {
    Role::ALL.iter().position(|other| *other == role).unwrap_or_default()
}

fn verifies(verifier: &Arc<dyn ClientCertVerifier>, chain: &[CertificateDer<'_>]) -> bool {
    let Some((leaf, rest)) = chain.split_first() else { return false };
    verifier.verify_client_cert(leaf, rest, UnixTime::now()).is_ok()
}

/// The names of files, for an error.
pub(super) fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
}

/// The check of callers' certificates against these authorities.
fn callers(
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, IdentityError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
    let verifier = verifier.map_err(|_| IdentityError::Internal("client certificates cannot be verified"))?;
    Ok(Arc::new(Callers(verifier)))
}

/// The check of the certificate of whoever is called, against these authorities.
fn called(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Arc<Called>, IdentityError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    let verifier = verifier.map_err(|_| IdentityError::Internal("certificates cannot be verified"))?;
    Ok(Arc::new(Called(verifier)))
}

/// A store of the authorities in these files.
fn trusted(role: Role, paths: &[PathBuf]) -> Result<RootCertStore, IdentityError> {
    let mut roots = RootCertStore::empty();
    for path in paths {
        for certificate in certificates(path)? {
            add(&mut roots, certificate, role, path)?;
        }
    }
    Ok(roots)
}

fn add(
    roots: &mut RootCertStore,
    certificate: CertificateDer<'static>,
    role: Role,
    path: &Path,
) -> Result<(), IdentityError> {
    roots.add(certificate).map_err(|source| IdentityError::Authority { path: path.to_owned(), role, source })
}
