//! The gateway's configuration, in TOML.
//!
//! ```
//! use blindroute_gateway::config::{Config, Environment};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("gateway.toml");
//! std::fs::write(&path, "listen = \"127.0.0.1:9000\"\n[route]\nplacement = \"head\"\ndeadline = \"3s\"\n")?;
//! let config = Config::load(&path, &[], &Environment::process())?;
//! assert_eq!((config.listen.port(), config.route.deadline.as_secs()), (9000, 3));
//! assert!(config.is_echo());
//! # Ok(())
//! # }
//! ```
//!
//! All problems of a file are found at once, unknown fields among them. Each says the field and the line, what was expected and
//! what to do. Texts of the file are not quoted, because they may be secrets in the wrong place; the only ones shown are names
//! that one entry uses for another one. Keys are named by an environment variable or a file, never written in the configuration.
//! Relative paths are relative to the file.
//!
//! [`Reload`] keeps the configuration of a gateway that runs, [`check`](fn@check) says what a file means, and [`TEMPLATE`] is a file
//! with every field.

mod access;
mod changes;
mod check;
mod credential;
mod decimal;
mod duration;
mod environment;
mod limits;
mod model;
mod problem;
mod provider;
mod reader;
mod reload;
mod route;
mod rules;
mod secret;
mod stamp;
mod telemetry;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::de::DeTable;
use zeroize::Zeroizing;

pub use access::Access;
pub use changes::Changes;
pub use check::{ModelReport, PoolModel, ProviderReport, Report, Summary, check};
pub use credential::{Credential, Source};
pub use decimal::Decimal;
pub use environment::Environment;
pub use limits::{Budget, CallTimeouts, Delay, Embeddings, Privacy, Retries, Streams};
pub use model::{Model, ModelPrices};
pub use problem::{ConfigError, Problem};
pub use provider::Provider;
pub use reload::Reload;
pub use route::{OnFailure, Route};
pub use secret::Secret;
pub use telemetry::Telemetry;

use reader::{Lines, Reading, Table};

/// A configuration with every field and what it means. It loads as it stands; the tables of providers and models are comments.
pub const TEMPLATE: &str = include_str!("template.toml");

/// The configuration of a gateway.
///
/// Its JSON form and its `Debug` form hold no secret.
#[derive(Debug, PartialEq, Serialize)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The folder of the gateway's data.
    pub data: PathBuf,
    /// The longest body of a request, in MiB.
    pub max_body_mib: usize,
    /// Who may call the gateway.
    pub access: Access,
    /// How models are chosen.
    pub route: Route,
    /// Whom the gateway calls. Without any, a model that is built in repeats what it is sent.
    #[serde(rename = "provider")]
    pub providers: Vec<Provider>,
    /// What the gateway can call.
    #[serde(rename = "model")]
    pub models: Vec<Model>,
    /// What calls may cost.
    pub budget: Budget,
    /// How long calls may take.
    pub timeouts: CallTimeouts,
    /// How calls are made again.
    pub retries: Retries,
    /// What those who watch learn.
    pub privacy: Privacy,
    /// Who answers requests for embeddings.
    pub embeddings: Option<Embeddings>,
    /// Who is told how requests went.
    pub telemetry: Telemetry,
}

impl Default for Config {
    /// No provider, listening on this machine only. The data are in the user's folder, or without one in a folder
    /// `blindroute-gateway` where the program was started.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8088)),
            data: Environment::process().data_folder().unwrap_or_else(|| PathBuf::from("blindroute-gateway")),
            max_body_mib: 32,
            access: Access::default(),
            route: Route::default(),
            providers: Vec::new(),
            models: Vec::new(),
            budget: Budget::default(),
            timeouts: CallTimeouts::default(),
            retries: Retries::default(),
            privacy: Privacy::default(),
            embeddings: None,
            telemetry: Telemetry::default(),
        }
    }
}

impl Config {
    /// Reads a file. `pool` has the models of the bundle's pool, or none if they are not known.
    ///
    /// # Errors
    /// If the file cannot be read, or with all that is wrong in it.
    pub fn load(path: &Path, pool: &[PoolModel], environment: &Environment) -> Result<Self, ConfigError> {
        let text = read(path)?;
        Loaded::of(path, &text, pool, environment).good(path)
    }

    /// Whether there is no provider, so that the model that is built in answers everything.
    #[must_use]
    pub fn is_echo(&self) -> bool {
        self.providers.is_empty()
    }

    /// The provider of this name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    /// The model that callers ask for by this name.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }

    /// The model that stands for this model of the router's pool.
    #[must_use]
    pub fn model_of_pool(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.pool.iter().any(|known| known == name))
    }

    fn read(table: Table<'_>) -> Self {
        let default = Self::default();
        let expected = "an address and a port, for instance \"127.0.0.1:8088\"";
        let listen = table.text("listen", expected, |text| address(text).is_some()).and_then(address);
        let data = table.file("data").or_else(|| table.reading.environment.data_folder());
        if data.is_none() && !table.has("data") {
            let problem = table.problem("data", "neither this field nor XDG_DATA_HOME nor HOME");
            table.note(problem.expected("a folder for the gateway's data"));
        }
        let body = table.whole_number("max_body_mib", 1..=1024).and_then(|number| usize::try_from(number).ok());
        let config = Self {
            listen: listen.unwrap_or(default.listen),
            data: data.unwrap_or(default.data),
            max_body_mib: body.unwrap_or(default.max_body_mib),
            access: Access::read(table.table("access")),
            route: Route::read(table.table("route")),
            providers: table.tables("provider").into_iter().map(Provider::read).collect(),
            models: table.tables("model").into_iter().map(Model::read).collect(),
            budget: Budget::read(table.table("budget")),
            timeouts: CallTimeouts::read(table.table("timeouts")),
            retries: Retries::read(table.table("retries")),
            privacy: Privacy::read(table.table("privacy")),
            embeddings: Embeddings::read(table.table("embeddings")),
            telemetry: Telemetry::read(table.table("telemetry")),
        };
        table.finish();
        config
    }
}

/// An address of this machine.
fn address(text: &str) -> Option<SocketAddr> {
    let port = text.strip_prefix("localhost:").and_then(|port| port.parse::<u16>().ok());
    port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).or_else(|| text.parse().ok())
}

/// The text of a file, whose memory is cleared: headers of providers may be keys.
fn read(path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    Ok(Zeroizing::new(text))
}

/// What came of a text, good or not.
struct Loaded {
    config: Config,
    problems: Vec<Problem>,
    lines: Lines,
    files: Vec<(PathBuf, stamp::Stamp)>,
}

impl Loaded {
    /// Reads a text of the file `path` and checks it.
    fn of(path: &Path, text: &str, pool: &[PoolModel], environment: &Environment) -> Self {
        Self::with_fields(path, text, pool, environment).0
    }

    /// The same with the names of all fields that there are, in the file or not.
    fn with_fields(path: &Path, text: &str, pool: &[PoolModel], environment: &Environment) -> (Self, BTreeSet<String>) {
        let base = path.parent().unwrap_or(Path::new(""));
        let reading = Reading { text, base, environment, found: RefCell::default() };
        let (table, errors) = DeTable::parse_recoverable(text);
        let config = if errors.is_empty() {
            Config::read(Table::whole(&reading, table.get_ref()))
        } else {
            // What could be read of it would only have more problems.
            errors.iter().for_each(|error| reading.note(syntax(&reading, error)));
            Config::default()
        };
        let found = reading.found.into_inner();
        let mut problems = found.problems;
        if errors.is_empty() {
            problems.extend(rules::problems(&config, &found.lines, pool));
        }
        problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        (Self { config, problems, lines: found.lines, files: found.files }, found.fields)
    }

    /// The configuration, if nothing is wrong.
    fn good(self, path: &Path) -> Result<Config, ConfigError> {
        let Self { config, problems, .. } = self;
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid { path: path.to_owned(), problems }) }
    }
}

/// What the parser said, whose messages do not quote the text.
fn syntax(reading: &Reading<'_>, error: &toml::de::Error) -> Problem {
    let line = error.span().map(|span| reading.line(&span));
    Problem::new("", line, format!("what is no TOML ({})", error.message())).expected("a file in TOML")
}
