//! Certificates: authorities, and one certificate per role.
//!
//! A deployment has one authority for all roles ([`CertificateFolder::generate`]), or each operator has an authority of its own
//! ([`Authority`]). An authority vouches for the roles that it is trusted for, and for no other. [`Endpoint::load`] reads the
//! files of one role and checks them at once: that they exist, have not expired, and are from this role's authority and for this
//! role. So mistakes show when a process starts and not in a session. [`Endpoint::watching`] reads them again when they change.

mod authority;
mod error;
mod generate;
mod hand_over;
#[cfg(test)]
mod tests;
mod trust;
mod validity;
mod verify;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::{Resumption, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring as provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::{ClientConfig, ServerConfig};

pub use authority::{Authority, AuthorityCertificate, Issued};
pub use error::IdentityError;
pub use generate::CertificateFolder;
pub use validity::{Dated, OutOfTime, Validity, key_digest, key_digest_of_pem};
pub use watch::{Reloaded, WATCH};

use crate::clients::{ClientSecret, ClientToken};
use crate::messages::Spoken;
use crate::role::Role;
use crate::scene::{Path as ScenePath, Scene, SceneNetwork};
pub use trust::client_of;
use trust::{Source, names};
use watch::Held;

/// Makes the cryptography library of the links the default of this process, for other TLS connections such as those of
/// HTTP clients. Calling it again changes nothing.
pub fn choose_cryptography() {
    // An error only means that a default was set before.
    provider::default_provider().install_default().ok();
}

/// The paths of one role's certificate, key and authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The certificate of the authority that vouches for every role that `authorities` does not name.
    pub authority: PathBuf,
    /// The files with the authorities of single roles.
    pub authorities: BTreeMap<Role, Vec<PathBuf>>,
    /// The role's certificate.
    pub certificate: PathBuf,
    /// The role's private key.
    pub key: PathBuf,
}

impl IdentityFiles {
    /// The files with the authorities that may vouch for a role.
    #[must_use]
    pub fn authorities_of(&self, role: Role) -> &[PathBuf] {
        self.authorities.get(&role).map_or(std::slice::from_ref(&self.authority), Vec::as_slice)
    }
}

/// The checked certificate and key of one role, with which a process calls others and answers calls. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint {
    held: Arc<Held>,
    network: Option<SceneNetwork>,
    /// Of a client, what it shows to servers with a register of clients.
    secret: Option<Arc<ClientSecret>>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("role", &self.role()).finish_non_exhaustive()
    }
}

/// What a caller's verified certificate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The role that it names.
    pub(crate) role: Option<Role>,
    /// Whether its authority may vouch for that role.
    pub(crate) vouched: bool,
    /// Whether it is of a server that may hand over to this one.
    pub(crate) hands_over: bool,
}

impl Endpoint {
    /// Loads and checks the files of `role`.
    ///
    /// # Errors
    /// If a file is missing or not PEM, a certificate has expired or is from another authority or for another role, or
    /// the key does not belong to the certificate.
    pub fn load(role: Role, files: &IdentityFiles) -> Result<Endpoint, IdentityError> {
        let source = Source { role, files: files.clone(), calls: None, accepts: Vec::new(), spoken: Spoken::OURS };
        Ok(Endpoint { held: Arc::new(Held::load(source)?), network: None, secret: None })
    }

    /// The endpoint of other files, on the same emulated network.
    fn of(&self, source: Source) -> Result<Endpoint, IdentityError> {
        Ok(Endpoint { held: Arc::new(Held::load(source)?), network: self.network.clone(), secret: self.secret.clone() })
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.held.source.role
    }

    /// The same identity with emulated links, for measurements. Every party needs the same scene.
    #[must_use]
    pub fn in_scene(self, scene: Option<Scene>) -> Endpoint {
        Endpoint { network: scene.map(SceneNetwork::new), ..self }
    }

    /// The same identity in a program that speaks these versions of the messages, for tests of what programs of other versions meet.
    ///
    /// # Errors
    /// If the files cannot be used any more.
    pub fn speaking(&self, spoken: Spoken) -> Result<Endpoint, IdentityError> {
        self.of(Source { spoken, ..self.held.source.clone() })
    }

    pub(crate) fn spoken(&self) -> Spoken {
        self.held.source.spoken
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

    /// For a call of this role; whoever answers needs a certificate of an authority that may vouch for it.
    pub(crate) fn client_config(&self, peer: Role) -> Option<Arc<ClientConfig>> {
        self.held.trust().calling(peer)
    }

    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        self.held.trust().server.clone()
    }

    /// What a caller's certificate says, which was verified against all authorities together.
    pub(crate) fn caller(&self, chain: &[CertificateDer<'_>]) -> Caller {
        let trust = self.held.trust();
        let named = chain.first().map(named).unwrap_or_default();
        let role = named.first().copied().filter(|_| named.len() == 1);
        Caller {
            role,
            vouched: role.is_some_and(|role| trust.vouched(role, chain)),
            hands_over: role == Some(self.role()) && trust.hands_over(chain),
        }
    }

    /// Whether the other side proved to hold the key of this side's own certificate.
    pub(crate) fn has_own_key(&self, chain: &[CertificateDer<'_>]) -> bool {
        chain.first().and_then(|leaf| key_digest(leaf)).is_some_and(|key| key == self.held.trust().key)
    }

    /// The certificates that are expected of a peer that is called, for an error.
    pub(crate) fn expected_of(&self, peer: Role) -> String {
        format!("a certificate for {peer} by an authority in {}", names(self.held.source.called(peer)))
    }

    /// The certificates that are expected of callers of these roles, for an error.
    pub(crate) fn expected_of_callers(&self, roles: &[Role]) -> String {
        let files = &self.held.source.files;
        let of = |role: &Role| format!("for {role} by an authority in {}", names(files.authorities_of(*role)));
        format!("a certificate {}", roles.iter().map(of).collect::<Vec<_>>().join(", or "))
    }

    /// What another side has to trust, for an error.
    pub(crate) fn presented(&self) -> String {
        let Source { role, files, .. } = &self.held.source;
        format!("the authority of {} for {role}", files.certificate.display())
    }
}

/// The roles that a certificate names. One that names several is for none.
fn named(certificate: &CertificateDer<'_>) -> Vec<Role> {
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else { return Vec::new() };
    let names = |role: &Role| {
        ServerName::try_from(role.certificate_name()).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
    };
    Role::ALL.into_iter().filter(names).collect()
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
