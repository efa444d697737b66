//! Configuration files in TOML for the dealer, the servers and the client.
//!
//! Relative paths are relative to the configuration file. Unknown fields are warned about by name only, since a value
//! may be a secret in the wrong place; errors of the parser are shown without the line they quote, for the same
//! reason.

mod network;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::identity::IdentityFiles;
use crate::link::Timeouts;
use crate::role::Role;
use crate::service::{MAX_HANDSHAKES, share_of_one_client};

pub use network::NetworkConfig;

/// What to do about a file that cannot be read.
fn reading(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::InvalidData => "save it as UTF-8",
        _ => "check the path and the permissions",
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}; {hint}", path = path.display(), hint = reading(source))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no TOML, or a field has another type, or one is missing.
    #[error("{path}, line {line}: {message}; compare with the samples in crates/runtime/samples", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser said, without quoting the file.
        message: String,
    },
    /// A value makes no sense.
    #[error("{path}: {field} {problem}", path = path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The field's name.
        field: &'static str,
        /// What is wrong and what is expected.
        problem: &'static str,
    },
}

/// A certificate, its key and the authority.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IdentityConfig {
    /// The authority's certificate.
    pub authority: PathBuf,
    /// This role's certificate.
    pub certificate: PathBuf,
    /// This role's private key.
    pub key: PathBuf,
}

impl IdentityConfig {
    /// The files, for loading an endpoint.
    #[must_use]
    pub fn files(&self) -> IdentityFiles {
        IdentityFiles {
            authority: self.authority.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone(),
        }
    }

    fn resolve(&mut self, base: &Path) {
        for path in [&mut self.authority, &mut self.certificate, &mut self.key] {
            *path = base.join(&path);
        }
    }
}

/// Waits in seconds; each has a default.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct TimeoutsConfig {
    /// For a TCP connection.
    pub connect_seconds: f64,
    /// For a TLS handshake.
    pub handshake_seconds: f64,
    /// Without progress.
    pub stall_seconds: f64,
    /// For a whole message.
    pub message_seconds: f64,
    /// Of a server, for the input of a session whose material is all prepared.
    pub ready_seconds: f64,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        let Timeouts { connect, handshake, stall, message, ready } = Timeouts::default();
        TimeoutsConfig {
            connect_seconds: connect.as_secs_f64(),
            handshake_seconds: handshake.as_secs_f64(),
            stall_seconds: stall.as_secs_f64(),
            message_seconds: message.as_secs_f64(),
            ready_seconds: ready.as_secs_f64(),
        }
    }
}

impl TimeoutsConfig {
    /// The waits of a link. Call after loading, which checks the values; others are clamped to between 1 ms and 1 h.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        let wait = |seconds: f64| {
            // Only a value that is no number is left over.
            Duration::try_from_secs_f64(seconds.clamp(0.001, 3600.0)).unwrap_or(Timeouts::default().stall)
        };
        Timeouts {
            connect: wait(self.connect_seconds),
            handshake: wait(self.handshake_seconds),
            stall: wait(self.stall_seconds),
            message: wait(self.message_seconds),
            ready: wait(self.ready_seconds),
        }
    }

    fn problem(&self) -> Option<&'static str> {
        let Self { connect_seconds, handshake_seconds, stall_seconds, message_seconds, ready_seconds } = *self;
        let all = [connect_seconds, handshake_seconds, stall_seconds, message_seconds, ready_seconds];
        let good = all.iter().all(|seconds| (0.001..=3600.0).contains(seconds));
        (!good).then_some("must be between 0.001 and 3600 seconds each")
    }
}

const fn eight() -> usize {
    8
}

const fn handshakes() -> usize {
    MAX_HANDSHAKES
}

/// The dealer's configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct DealerConfig {
    /// Where to listen, "host:port".
    pub listen: String,
    /// Certificates.
    pub identity: IdentityConfig,
    /// The public part of the bundle.
    pub bundle: PathBuf,
    /// Where the ledger lives; nobody else's.
    pub state: PathBuf,
    /// Sessions at once.
    #[serde(default = "eight")]
    pub max_sessions: usize,
    /// Callers at once that have not proven their role yet.
    #[serde(default = "handshakes")]
    pub max_handshakes: usize,
    /// Stop when standard input ends.
    #[serde(default)]
    pub exit_with_parent: bool,
    /// Waits.
    #[serde(default)]
    pub timeouts: TimeoutsConfig,
    /// Emulated links, for measurements: every party delays what it receives.
    pub network: Option<NetworkConfig>,
}

/// A server's configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ServerConfig {
    /// The position, 0 or 1.
    pub party: u8,
    /// Where to listen, "host:port".
    pub listen: String,
    /// The dealer, "host:port".
    pub dealer: String,
    /// The other server, "host:port"; needed by server 1, which calls server 0.
    pub peer: Option<String>,
    /// Certificates.
    pub identity: IdentityConfig,
    /// The public part of the bundle.
    pub bundle: PathBuf,
    /// This server's share of the bundle.
    pub share: PathBuf,
    /// Where the ledger lives; nobody else's.
    pub state: PathBuf,
    /// Sessions at once.
    #[serde(default = "eight")]
    pub max_sessions: usize,
    /// Sessions at once of one client, which is an address, or the first 64 bits of an IPv6 address; three quarters of
    /// `max_sessions` if it is not given.
    pub max_sessions_per_client: Option<usize>,
    /// Callers at once that have not proven their role yet.
    #[serde(default = "handshakes")]
    pub max_handshakes: usize,
    /// Serve embeddings and bare selections too: for measurements, since embeddings tell what the encoder is.
    #[serde(default)]
    pub measurements: bool,
    /// Stop when standard input ends.
    #[serde(default)]
    pub exit_with_parent: bool,
    /// Waits.
    #[serde(default)]
    pub timeouts: TimeoutsConfig,
    /// Emulated links, for measurements: every party delays what it receives.
    pub network: Option<NetworkConfig>,
}

impl ServerConfig {
    /// Sessions at once of one client.
    #[must_use]
    pub fn sessions_per_client(&self) -> usize {
        self.max_sessions_per_client.unwrap_or(share_of_one_client(self.max_sessions))
    }

    /// The role of this position.
    #[must_use]
    pub fn role(&self) -> Role {
        if self.party == 0 { Role::Server0 } else { Role::Server1 }
    }
}

/// The client's configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ClientConfig {
    /// Server 0, "host:port".
    pub server0: String,
    /// Server 1, "host:port".
    pub server1: String,
    /// Certificates.
    pub identity: IdentityConfig,
    /// The public part of the bundle.
    pub bundle: PathBuf,
    /// Waits.
    #[serde(default)]
    pub timeouts: TimeoutsConfig,
    /// Emulated links, for measurements: every party delays what it receives.
    pub network: Option<NetworkConfig>,
}

/// A configuration and what was strange about its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded<T> {
    /// The configuration, with its paths resolved.
    pub config: T,
    /// Names of fields that nothing reads.
    pub unknown_fields: Vec<String>,
}

/// One of the three configurations.
pub trait Configuration: DeserializeOwned {
    /// Makes relative paths relative to `base`.
    fn resolve(&mut self, base: &Path);

    /// The first value that makes no sense: field and problem.
    fn problem(&self) -> Option<(&'static str, &'static str)>;

    /// Reads a file, warns about unknown fields, checks the values.
    ///
    /// # Errors
    /// The file cannot be read or parsed, or a value makes no sense.
    fn load(path: &Path) -> Result<Loaded<Self>, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let parse = |error: toml::de::Error| ConfigError::Parse {
            path: path.to_owned(),
            line: error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count()),
            message: unquoted(error.message()),
        };
        let mut unknown_fields = Vec::new();
        let deserializer = toml::Deserializer::parse(&text).map_err(parse)?;
        let mut config: Self =
            serde_ignored::deserialize(deserializer, |field| unknown_fields.push(field.to_string())).map_err(parse)?;
        for field in &unknown_fields {
            tracing::warn!(path = %path.display(), field, "unknown field in the configuration; it has no effect");
        }
        if let Some((field, problem)) = config.problem() {
            return Err(ConfigError::Value { path: path.to_owned(), field, problem });
        }
        config.resolve(path.parent().unwrap_or(Path::new("")));
        Ok(Loaded { config, unknown_fields })
    }
}

impl Configuration for DealerConfig {
    fn resolve(&mut self, base: &Path) {
        self.identity.resolve(base);
        for path in [&mut self.bundle, &mut self.state] {
            *path = base.join(&path);
        }
    }

    fn problem(&self) -> Option<(&'static str, &'static str)> {
        address("listen", &self.listen)
            .or_else(|| sessions(self.max_sessions))
            .or_else(|| handshaking(self.max_handshakes))
            .or_else(|| self.timeouts.problem().map(|problem| ("timeouts", problem)))
            .or_else(|| network(self.network.as_ref()))
    }
}

impl Configuration for ServerConfig {
    fn resolve(&mut self, base: &Path) {
        self.identity.resolve(base);
        for path in [&mut self.bundle, &mut self.share, &mut self.state] {
            *path = base.join(&path);
        }
    }

    fn problem(&self) -> Option<(&'static str, &'static str)> {
        let peer = match (&self.peer, self.party) {
            (_, 2..) => Some(("party", "must be 0 or 1")),
            (None, 1) => Some(("peer", "is missing: server 1 calls server 0 and needs its \"host:port\"")),
            (peer, _) => peer.as_deref().and_then(|peer| address("peer", peer)),
        };
        peer.or_else(|| address("listen", &self.listen))
            .or_else(|| address("dealer", &self.dealer))
            .or_else(|| sessions(self.max_sessions))
            .or_else(|| per_client(self.max_sessions_per_client, self.max_sessions))
            .or_else(|| handshaking(self.max_handshakes))
            .or_else(|| self.timeouts.problem().map(|problem| ("timeouts", problem)))
            .or_else(|| network(self.network.as_ref()))
    }
}

impl Configuration for ClientConfig {
    fn resolve(&mut self, base: &Path) {
        self.identity.resolve(base);
        self.bundle = base.join(&self.bundle);
    }

    fn problem(&self) -> Option<(&'static str, &'static str)> {
        let same = (self.server0 == self.server1)
            .then_some(("server1", "is server0's address too: two operators must run the two servers"));
        same.or_else(|| address("server0", &self.server0))
            .or_else(|| address("server1", &self.server1))
            .or_else(|| self.timeouts.problem().map(|problem| ("timeouts", problem)))
            .or_else(|| network(self.network.as_ref()))
    }
}

fn address(field: &'static str, text: &str) -> Option<(&'static str, &'static str)> {
    let good = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    (!good).then_some((field, "must be \"host:port\""))
}

fn network(network: Option<&NetworkConfig>) -> Option<(&'static str, &'static str)> {
    network.and_then(NetworkConfig::problem).map(|problem| ("network", problem))
}

fn sessions(count: usize) -> Option<(&'static str, &'static str)> {
    (!(1..=1024).contains(&count)).then_some(("max_sessions", "must be between 1 and 1024"))
}

fn per_client(count: Option<usize>, all: usize) -> Option<(&'static str, &'static str)> {
    let good = count.is_none_or(|count| (1..=all).contains(&count));
    (!good).then_some(("max_sessions_per_client", "must be between 1 and max_sessions"))
}

fn handshaking(count: usize) -> Option<(&'static str, &'static str)> {
    (!(1..=4096).contains(&count)).then_some(("max_handshakes", "must be between 1 and 4096"))
}

/// Removes what the parser quotes from the file as a value: `invalid type: string "hunter2"` keeps no hunter2.
fn unquoted(message: &str) -> String {
    message.split('"').step_by(2).collect::<Vec<_>>().join("(a value)")
}
