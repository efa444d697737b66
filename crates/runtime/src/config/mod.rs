//! Configuration files in TOML for the dealer, the servers and the client.
//!
//! Relative paths are relative to the configuration file. Warnings about unknown fields give only the field's name,
//! because its value may be a secret in the wrong place. For the same reason the parser's errors are shown without the
//! line that they quote.

mod audit;
mod choices;
mod hand_over;
mod identity;
mod ledger;
mod limits;
mod network;
mod store;
#[cfg(test)]
mod tests;
mod timeouts;
mod versions;

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::role::Role;
use crate::service::share_of_one_client;

pub use audit::AuditConfig;
pub use choices::ChoicesConfig;
pub use hand_over::{AcceptHandOverConfig, HandOverConfig};
pub use identity::IdentityConfig;
pub use ledger::LedgerConfig;
use limits::{eight, five_minutes, handshakes, handshaking, issuing, passing, per_client, sessions};
pub use network::NetworkConfig;
pub use store::{KeepConfig, StoreConfig};
pub use timeouts::TimeoutsConfig;
pub use versions::{NextConfig, Rolling, VersionFiles};

/// The hint for a file that cannot be read.
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
    /// The file is not TOML, or a field is missing or has another type.
    #[error("{path}, line {line}: {message}; compare with the samples in crates/runtime/samples", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The number of the line, counted from 1.
        line: usize,
        /// What the parser said, without quoting the file.
        message: String,
    },
    /// A value is not allowed.
    #[error("{path}: {field} {problem}", path = path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The field's name.
        field: &'static str,
        /// What is wrong and what was expected.
        problem: &'static str,
    },
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
    /// The version of the bundle that takes its place.
    pub next: Option<NextConfig>,
    /// The folder of the ledger. No other party may use it.
    pub state: PathBuf,
    /// The database of the ledger, if it is not in that folder.
    pub ledger: Option<LedgerConfig>,
    /// The most sessions at once.
    #[serde(default = "eight")]
    pub max_sessions: usize,
    /// The most callers at once that have not proven their role yet.
    #[serde(default = "handshakes")]
    pub max_handshakes: usize,
    /// Whether roles of this deployment share what they must not share, so that it protects nothing. Clients are told.
    #[serde(default)]
    pub development: bool,
    /// Whether to stop when standard input ends.
    #[serde(default)]
    pub exit_with_parent: bool,
    /// Where probes and metrics are answered, "host:port", for the operator's own network; nowhere without it.
    pub observe: Option<String>,
    /// Timeouts.
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
    /// This server's share of the bundle, which may be sealed.
    pub share: PathBuf,
    /// The version of the bundle that takes their place.
    pub next: Option<NextConfig>,
    /// The key that opens a sealed share.
    pub sealing_key: Option<PathBuf>,
    /// The folder of the ledger. No other party may use it.
    pub state: PathBuf,
    /// The database of the ledger, if it is not in that folder.
    pub ledger: Option<LedgerConfig>,
    /// The most sessions at once.
    #[serde(default = "eight")]
    pub max_sessions: usize,
    /// The most sessions at once of one client, which is an IPv4 address or the first 64 bits of an IPv6 address. The
    /// default is three quarters of `max_sessions`.
    pub max_sessions_per_client: Option<usize>,
    /// The most callers at once that have not proven their role yet.
    #[serde(default = "handshakes")]
    pub max_handshakes: usize,
    /// Whether to serve embeddings and bare selections too. For measurements only: embeddings reveal the encoder.
    #[serde(default)]
    pub measurements: bool,
    /// Whether to serve the scores of a classifier's labels too: enough of them are a copy of the classifier.
    #[serde(default)]
    pub scores: bool,
    /// The register of the clients that it answers. Without one it answers every client of the deployment.
    pub clients: Option<PathBuf>,
    /// Whether it issues passes to these clients, and takes those in place of a name.
    #[serde(default)]
    pub passes: bool,
    /// Whether roles of this deployment share what they must not share, so that it protects nothing. Clients are told.
    #[serde(default)]
    pub development: bool,
    /// Whether to stop when standard input ends.
    #[serde(default)]
    pub exit_with_parent: bool,
    /// Where probes and metrics are answered, "host:port", for the operator's own network; nowhere without it.
    pub observe: Option<String>,
    /// Timeouts.
    #[serde(default)]
    pub timeouts: TimeoutsConfig,
    /// Emulated links, for measurements: every party delays what it receives.
    pub network: Option<NetworkConfig>,
    /// How far the other server is; both servers need the same values. See [`ServerConfig::distance`].
    pub between_servers: Option<NetworkConfig>,
    /// How many sessions are opened to check the dealer; both servers need the same.
    #[serde(default)]
    pub audit: AuditConfig,
    /// Whether it counts the choices that clients report; both servers need it. Without the table it does not.
    pub choices: Option<ChoicesConfig>,
    /// The pairs that it hands sessions over to.
    #[serde(default)]
    pub hand_over: Vec<HandOverConfig>,
    /// The pairs that may hand sessions over to it; none without a table.
    #[serde(default)]
    pub accept_hand_over: Vec<AcceptHandOverConfig>,
    /// Where it stores material of sessions to come; nowhere without a table.
    pub store: Option<StoreConfig>,
}

impl ServerConfig {
    /// The most sessions at once of one client.
    #[must_use]
    pub fn sessions_per_client(&self) -> usize {
        self.max_sessions_per_client.unwrap_or(share_of_one_client(self.max_sessions))
    }

    /// The folder of what it counts of the choices that clients report.
    #[must_use]
    pub fn choices_folder(&self) -> PathBuf {
        self.state.join("choices")
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
    /// The name by which servers of other pairs know these, if they hand sessions over to them.
    pub name: Option<String>,
    /// Server 0, "host:port".
    pub server0: String,
    /// Server 1, "host:port".
    pub server1: String,
    /// Certificates.
    pub identity: IdentityConfig,
    /// The client's secret, by which servers with a register of clients know it.
    pub secret: Option<PathBuf>,
    /// How many passes it asks each server for at a time, to show them in place of its token; without it, it shows the token.
    pub passes: Option<usize>,
    /// The public part of the bundle.
    pub bundle: PathBuf,
    /// The version of the bundle that takes its place: it is asked for as soon as all parties hold it.
    pub next: Option<NextConfig>,
    /// Whether the models that are chosen are reported to the servers, which learn only sums of many reports.
    #[serde(default)]
    pub report_choices: bool,
    /// How long such a report waits at most, in seconds; it is sent at a random time until then.
    #[serde(default = "five_minutes")]
    pub report_within_seconds: f64,
    /// Timeouts.
    #[serde(default)]
    pub timeouts: TimeoutsConfig,
    /// Emulated links, for measurements: every party delays what it receives.
    pub network: Option<NetworkConfig>,
}

/// A configuration, and the fields of its file that were ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded<T> {
    /// The configuration, with its paths resolved.
    pub config: T,
    /// Names of unknown fields.
    pub unknown_fields: Vec<String>,
}

/// The line of a parser's error, counted from 1, and what it says without quoting the text.
pub(crate) fn located(text: &str, error: &toml::de::Error) -> (usize, String) {
    let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
    (line, unquoted(error.message()))
}

/// One of the three configurations.
pub trait Configuration: DeserializeOwned {
    /// Makes relative paths relative to `base`.
    fn resolve(&mut self, base: &Path);

    /// The first value that is not allowed: the field, and what is wrong with it.
    fn problem(&self) -> Option<(&'static str, &'static str)>;

    /// Reads a file, warns about unknown fields and checks the values.
    ///
    /// # Errors
    /// If the file cannot be read or parsed, or a value is not allowed.
    fn load(path: &Path) -> Result<Loaded<Self>, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let parse = |error: toml::de::Error| {
            let (line, message) = located(&text, &error);
            ConfigError::Parse { path: path.to_owned(), line, message }
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
        NextConfig::resolve(&mut self.next, base);
        self.ledger.iter_mut().for_each(|ledger| ledger.resolve(base));
    }

    fn problem(&self) -> Option<(&'static str, &'static str)> {
        address("listen", &self.listen)
            .or_else(|| observed(self.observe.as_deref()))
            .or_else(|| sessions(self.max_sessions))
            .or_else(|| handshaking(self.max_handshakes))
            .or_else(|| self.timeouts.problem().map(|problem| ("timeouts", problem)))
            .or_else(|| network::emulated(self.network.as_ref()))
            .or_else(|| NextConfig::problem(self.next.as_ref(), false))
            .or_else(|| self.ledger.as_ref().and_then(LedgerConfig::problem))
    }
}

impl Configuration for ServerConfig {
    fn resolve(&mut self, base: &Path) {
        self.identity.resolve(base);
        let own = [&mut self.bundle, &mut self.share, &mut self.state];
        let optional = self.sealing_key.iter_mut().chain(&mut self.clients);
        own.into_iter().chain(optional).for_each(|path| *path = base.join(&path));
        NextConfig::resolve(&mut self.next, base);
        self.ledger.iter_mut().for_each(|ledger| ledger.resolve(base));
        self.resolve_hand_over(base);
        StoreConfig::resolve(&mut self.store, base);
    }

    fn problem(&self) -> Option<(&'static str, &'static str)> {
        let peer = match (&self.peer, self.party) {
            (_, 2..) => Some(("party", "is out of range: expected 0 or 1")),
            (None, 1) => Some(("peer", "is missing: expected the \"host:port\" of server 0, which server 1 calls")),
            (peer, _) => peer.as_deref().and_then(|peer| address("peer", peer)),
        };
        peer.or_else(|| address("listen", &self.listen))
            .or_else(|| issuing(self.passes, self.clients.is_some()))
            .or_else(|| address("dealer", &self.dealer))
            .or_else(|| observed(self.observe.as_deref()))
            .or_else(|| sessions(self.max_sessions))
            .or_else(|| per_client(self.max_sessions_per_client, self.max_sessions))
            .or_else(|| handshaking(self.max_handshakes))
            .or_else(|| self.timeouts.problem().map(|problem| ("timeouts", problem)))
            .or_else(|| network::emulated(self.network.as_ref()))
            .or_else(|| network::between_servers(self.between_servers.as_ref()))
            .or_else(|| self.audit.problem())
            .or_else(|| self.choices.as_ref().and_then(|choices| choices.problem(self.development)))
            .or_else(|| self.hand_over_problem())
            .or_else(|| StoreConfig::problem(self.store.as_ref(), self.party))
            .or_else(|| NextConfig::problem(self.next.as_ref(), true))
            .or_else(|| self.ledger.as_ref().and_then(LedgerConfig::problem))
    }
}

impl Configuration for ClientConfig {
    fn resolve(&mut self, base: &Path) {
        self.identity.resolve(base);
        for path in std::iter::once(&mut self.bundle).chain(&mut self.secret) {
            *path = base.join(&path);
        }
        NextConfig::resolve(&mut self.next, base);
    }

    fn problem(&self) -> Option<(&'static str, &'static str)> {
        let same = (self.server0 == self.server1).then_some((
            "server1",
            "is the same address as server0: expected another server, since two operators must run the two servers",
        ));
        same.or_else(|| address("server0", &self.server0))
            .or_else(|| address("server1", &self.server1))
            .or_else(|| passing(self.passes, self.secret.is_some()))
            .or_else(|| self.timeouts.problem().map(|problem| ("timeouts", problem)))
            .or_else(|| network::emulated(self.network.as_ref()))
            .or_else(|| NextConfig::problem(self.next.as_ref(), false))
            .or_else(|| hand_over::name_problem("name", self.name.as_deref().as_slice()))
            .or_else(|| limits::waiting("report_within_seconds", self.report_within_seconds))
    }
}

fn observed(listen: Option<&str>) -> Option<(&'static str, &'static str)> {
    listen.and_then(|listen| address("observe", listen))
}

fn address(field: &'static str, text: &str) -> Option<(&'static str, &'static str)> {
    let good = |text: &str| {
        text.rsplit_once(':').is_some_and(|(host, port)| !host.trim().is_empty() && port.parse::<u16>().is_ok())
    };
    // What others call may be several addresses of one party.
    let all = if ["listen", "observe"].contains(&field) { good(text) } else { text.split(", ").all(good) };
    (!all).then_some((field, "is not an address: expected \"host:port\", for instance \"server0.example:4100\""))
}

/// Removes values that the parser quotes from the file: `invalid type: string "hunter2"` becomes `... string (a
/// value)`.
fn unquoted(message: &str) -> String {
    message.split('"').step_by(2).collect::<Vec<_>>().join("(a value)")
}
