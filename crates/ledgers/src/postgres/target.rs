//! How a Postgres server is reached.

use blindroute_runtime::LedgerError;
use blindroute_runtime::config::LedgerConfig;
use blindroute_runtime::identity::client_of;
use postgres::config::{Host, SslMode, TargetSessionAttrs};
use postgres::{Client, Config, NoTls};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

/// Holds the password if no file does.
const PASSWORD: &str = "BLINDROUTE_LEDGER_PASSWORD";
/// For a connection, and for data that the other side does not acknowledge.
const CONNECT: Duration = Duration::from_secs(10);
/// After how long an idle connection is tested.
const IDLE: Duration = Duration::from_secs(30);

/// A database of a Postgres server, who asks, and how the connection is protected. It prints as the database's address only.
#[derive(Clone)]
pub struct PostgresTarget {
    config: Config,
    authority: Option<PathBuf>,
    shown: String,
}

impl std::fmt::Debug for PostgresTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresTarget({})", self.shown)
    }
}

impl PostgresTarget {
    /// That of a configuration, whose values were checked. The password is that of its file, or of the environment's variable
    /// `BLINDROUTE_LEDGER_PASSWORD` without one; there may be none.
    ///
    /// # Errors
    /// If the address cannot be understood, a file cannot be read, or the server is on another machine and has no authority.
    pub fn of(config: &LedgerConfig) -> Result<Self, LedgerError> {
        let password = match &config.password {
            Some(path) => Some(read_password(path)?),
            None => std::env::var(PASSWORD).ok().map(Zeroizing::new),
        };
        Self::new(&config.database, config.authority.as_deref(), password.as_ref().map(|password| password.as_str()))
    }

    /// The database at an address `postgres://USER@HOST/DATABASE`.
    ///
    /// # Errors
    /// If the address cannot be understood, or the server is on another machine and has no authority.
    pub fn new(address: &str, authority: Option<&Path>, password: Option<&str>) -> Result<Self, LedgerError> {
        // The address may hold a password by mistake, so it is not repeated.
        let problem =
            |problem: &str| LedgerError::Unsuitable { ledger: "in Postgres".to_owned(), problem: problem.to_owned() };
        let mut config = Config::from_str(address)
            .map_err(|_| problem("its address is not understood: expected postgres://USER@HOST/DATABASE"))?;
        if let Some(password) = password {
            config.password(password);
        }
        if authority.is_some() {
            config.ssl_mode(SslMode::Require);
        } else if !is_local(&config) {
            return Err(problem(
                "the server is not on this machine: expected `authority`, the authority of its certificate, in the table [ledger]",
            ));
        }
        config
            .application_name("blindroute")
            .connect_timeout(CONNECT)
            .tcp_user_timeout(CONNECT)
            .keepalives_idle(IDLE)
            // Of several servers the one that writes.
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        let shown = shown(&config);
        Ok(Self { config, authority: authority.map(Path::to_owned), shown })
    }

    /// Where the database is, without a password.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// A connection.
    pub(super) fn connect(&self, ledger: &str) -> Result<Client, LedgerError> {
        let database = |source| LedgerError::Database { ledger: ledger.to_owned(), during: "connect", source };
        match &self.authority {
            None => self.config.connect(NoTls).map_err(|error| database(Box::new(error))),
            Some(authority) => {
                let tls = client_of(authority).map_err(|error| database(Box::new(error)))?;
                self.config.connect(MakeRustlsConnect::new(tls)).map_err(|error| database(Box::new(error)))
            }
        }
    }
}

/// Whether all servers that the configuration names are on this machine.
fn is_local(config: &Config) -> bool {
    let name = |name: &str| name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    let host = |host: &Host| match host {
        Host::Tcp(host) => name(host),
        Host::Unix(_) => true,
    };
    config.get_hosts().iter().all(host) && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback)
}

fn shown(config: &Config) -> String {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(host) => host.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    format!("{} of {}", config.get_dbname().unwrap_or("the user's database"), hosts.join(", "))
}

fn read_password(path: &Path) -> Result<Zeroizing<String>, LedgerError> {
    let read = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = read.map_err(|source| LedgerError::Io { path: path.to_owned(), source })?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
