//! Certificates: one private authority per deployment, one certificate per role.
//!
//! [`CertificateFolder::generate`] makes them. [`Endpoint::load`] reads the files of one role and checks them at once:
//! that they exist, have not expired, and are from this authority and for this role. So mistakes show when a process
//! starts and not in a session.

mod error;
mod generate;
mod hand_over;
#[cfg(test)]
mod tests;
mod validity;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier as _;
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring as provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

pub use error::IdentityError;
pub use generate::CertificateFolder;
pub use validity::{Validity, key_digest, key_digest_of_pem};

use crate::clients::{ClientSecret, ClientToken};
use crate::role::Role;
use crate::scene::{Path as ScenePath, Scene, SceneNetwork};

/// Makes the cryptography library of the links the default of this process, for other TLS connections such as those of
/// HTTP clients. Calling it again changes nothing.
pub fn choose_cryptography() {
    // An error only means that a default was set before.
    provider::default_provider().install_default().ok();
}

/// The paths of one role's certificate, key and authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The authority's certificate.
    pub authority: PathBuf,
    /// The role's certificate.
    pub certificate: PathBuf,
    /// The role's private key.
    pub key: PathBuf,
}

/// The checked certificate and key of one role, with which a process calls others and answers calls. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint {
    role: Role,
    /// The deployment's own authority, and a check for its certificates.
    authority: Arc<[CertificateDer<'static>]>,
    own: Arc<dyn ClientCertVerifier>,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    /// Whose servers of this position may hand over to this one.
    accepted: hand_over::Accepted,
    network: Option<SceneNetwork>,
    /// Of a client, what it shows to servers with a register of clients.
    secret: Option<Arc<ClientSecret>>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("role", &self.role).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Loads and checks the files of `role`.
    ///
    /// # Errors
    /// If a file is missing or not PEM, a certificate has expired or is from another authority or for another role, or
    /// the key does not belong to the certificate.
    pub fn load(role: Role, files: &IdentityFiles) -> Result<Endpoint, IdentityError> {
        let authority = certificates(&files.authority)?;
        let chain = certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| pem_error(&files.key, "private key", e))?;
        let roots = trusted(role, &files.authority, &authority)?;
        let (roots, provider) = (Arc::new(roots), Arc::new(crypto()));
        check(role, &chain, &files.certificate, &roots, &provider)?;

        let internal = |_| IdentityError::Internal("TLS 1.3 cannot be configured");
        let wrong_key = |source| IdentityError::Key { path: files.key.clone(), source };
        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(internal)?
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(wrong_key)?;
        without_resumption(&mut client);
        let own = callers(roots, &provider)?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(internal)?
            .with_client_cert_verifier(Arc::clone(&own))
            .with_single_cert(chain, key)
            .map_err(wrong_key)?;
        without_tickets(&mut server);
        let (client, server) = (Arc::new(client), Arc::new(server));
        let accepted = hand_over::Accepted::default();
        Ok(Endpoint { role, authority: authority.into(), own, client, server, accepted, network: None, secret: None })
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The same identity with emulated links, for measurements. Every party needs the same scene.
    #[must_use]
    pub fn in_scene(self, scene: Option<Scene>) -> Endpoint {
        Endpoint { network: scene.map(SceneNetwork::new), ..self }
    }

    /// The same identity with a client's secret.
    #[must_use]
    pub fn with_secret(self, secret: ClientSecret) -> Endpoint {
        Endpoint { secret: Some(Arc::new(secret)), ..self }
    }

    /// What this client shows to a server.
    pub(crate) fn token(&self, server: Role) -> Option<ClientToken> {
        self.secret.as_ref().map(|secret| secret.token(server))
    }

    /// The emulated link to a role's machine, if links are emulated.
    pub(crate) fn path(&self, peer: Option<Role>) -> Option<ScenePath> {
        self.network.as_ref().map(|network| network.path(peer))
    }

    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        self.client.clone()
    }

    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }
}

/// Whether this certificate, which was already verified, names `role`.
pub(crate) fn certifies(certificate: &CertificateDer<'_>, role: Role) -> bool {
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else { return false };
    ServerName::try_from(role.certificate_name()).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
}

/// Both identities are proven anew in every connection; no TLS session state is kept.
fn without_resumption(client: &mut ClientConfig) {
    client.resumption = Resumption::disabled();
    client.enable_sni = true;
}

fn without_tickets(server: &mut ServerConfig) {
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
}

/// The check of callers' certificates against these authorities.
fn callers(
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, IdentityError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
    verifier.map_err(|_| IdentityError::Internal("client certificates cannot be verified"))
}

/// A store of these authorities, from a file.
fn trusted(role: Role, path: &Path, authority: &[CertificateDer<'static>]) -> Result<RootCertStore, IdentityError> {
    let mut roots = RootCertStore::empty();
    for certificate in authority {
        let rejected = |source| IdentityError::Rejected { path: path.to_owned(), role, source };
        roots.add(certificate.clone()).map_err(rejected)?;
    }
    Ok(roots)
}

/// The library *ring*, with AES-128-GCM as first choice: encryption limits the speed of long messages, and 128 bits are
/// enough.
fn crypto() -> CryptoProvider {
    let mut provider = provider::default_provider();
    provider.cipher_suites = vec![
        provider::cipher_suite::TLS13_AES_128_GCM_SHA256,
        provider::cipher_suite::TLS13_AES_256_GCM_SHA384,
        provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    provider
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let all: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, pem::Error>>);
    match all {
        Ok(found) if found.is_empty() => Err(pem_error(path, "certificate", pem::Error::NoItemsFound)),
        Ok(found) => Ok(found),
        Err(error) => Err(pem_error(path, "certificate", error)),
    }
}

fn pem_error(path: &Path, what: &'static str, error: pem::Error) -> IdentityError {
    match error {
        pem::Error::Io(source) => IdentityError::Read { path: path.to_owned(), what, source },
        // The other errors may quote the file, which may be a key, so they are not passed on.
        _ => IdentityError::NotPem { path: path.to_owned(), what },
    }
}

/// Checks the own certificate in the way a peer does.
fn check(
    role: Role,
    chain: &[CertificateDer<'static>],
    path: &Path,
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<(), IdentityError> {
    let rejected = |source| IdentityError::Rejected { path: path.to_owned(), role, source };
    let name = ServerName::try_from(role.certificate_name())
        .map_err(|_| IdentityError::Internal("a role's certificate name is not a DNS name"))?;
    let (leaf, rest) = chain.split_first().ok_or(IdentityError::Internal("an empty chain"))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
        .build()
        .map_err(|_| IdentityError::Internal("certificates cannot be verified"))?;
    verifier.verify_server_cert(leaf, rest, &name, &[], UnixTime::now()).map_err(rejected)?;
    Ok(())
}
