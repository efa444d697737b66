//! `health`: do the parties that a configuration names answer?
//!
//! Each is called as the configuration's role, with mutual TLS, and nothing is asked of it: no session begins. A party that
//! accepts the call has the expected role, a valid certificate of an authority that is trusted for it, and room for this caller.

use anyhow::{Context, bail};
use blindroute_console::files::print;
use blindroute_placement::health::call;
use blindroute_placement::host::endpoint;
use blindroute_runtime::config::{ClientConfig, Configuration, IdentityConfig, NetworkConfig, ServerConfig};
use blindroute_runtime::{Endpoint, Role, Timeouts};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Ask the parties that a configuration names whether they answer.
///
/// The client's configuration names both servers, a server's configuration the dealer, and server 1's also server 0. The exit
/// status is 0 only if all of them answer.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Configuration file (TOML) of the client or of a server
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Whom a role calls, and how.
struct Calls {
    endpoint: Endpoint,
    timeouts: Timeouts,
    parties: Vec<(Role, String)>,
}

#[derive(Debug, Serialize)]
struct Answer {
    party: &'static str,
    address: String,
    answers: bool,
    /// Until the connection was made and both sides were proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    milliseconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct Health<'a> {
    role: &'static str,
    healthy: bool,
    parties: &'a [Answer],
}

/// Calls every party once, and prints which of them answer.
///
/// # Errors
/// The configuration or its certificates cannot be used, or a party does not answer.
pub fn run(args: &HealthArgs) -> anyhow::Result<()> {
    let Calls { endpoint, timeouts, parties } = calls(&args.config)?;
    let answers = std::thread::scope(|scope| {
        let call = |(party, address)| {
            let endpoint = &endpoint;
            scope.spawn(move || Answer::of(party, address, endpoint, &timeouts))
        };
        let calling: Vec<_> = parties.into_iter().map(call).collect();
        let answers = calling.into_iter().map(|thread| thread.join().ok());
        answers.collect::<Option<Vec<_>>>().context("a thread panicked; please report it")
    })?;
    let missing = answers.iter().filter(|answer| !answer.answers).count();
    if args.json {
        let health = Health { role: endpoint.role().name(), healthy: missing == 0, parties: &answers };
        print(&serde_json::to_string(&health)?)?;
    } else {
        print(&answers.iter().map(Answer::line).collect::<Vec<_>>().join("\n"))?;
    }
    if missing > 0 {
        bail!("parties that do not answer: {missing} of {}", answers.len());
    }
    Ok(())
}

/// Reads the configuration of any role.
fn calls(path: &Path) -> anyhow::Result<Calls> {
    let of = |role, identity: &IdentityConfig, network: Option<NetworkConfig>, timeouts, parties| {
        anyhow::Ok(Calls { endpoint: endpoint(role, identity, network)?, timeouts, parties })
    };
    let fields: toml::Table = std::fs::read_to_string(path).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
    if fields.contains_key("party") {
        let config = ServerConfig::load(path)?.config;
        return of(config.role(), &config.identity, config.network, config.timeouts.timeouts(), called(&config));
    }
    if fields.contains_key("listen") && !fields.contains_key("server0") {
        bail!(
            "{} is the dealer's configuration, and the dealer calls no party: give the configuration of a server, which calls \
             the dealer, or of the client",
            path.display()
        );
    }
    let config = ClientConfig::load(path)?.config;
    let parties = vec![(Role::Server0, config.server0), (Role::Server1, config.server1)];
    of(Role::Client, &config.identity, config.network, config.timeouts.timeouts(), parties)
}

/// Whom a server calls.
pub(crate) fn called(config: &ServerConfig) -> Vec<(Role, String)> {
    let dealer = (Role::Dealer, config.dealer.clone());
    let peer = config.peer.clone().filter(|_| config.role() == Role::Server1);
    std::iter::once(dealer).chain(peer.map(|peer| (Role::Server0, peer))).collect()
}

impl Answer {
    fn of(party: Role, address: String, endpoint: &Endpoint, timeouts: &Timeouts) -> Self {
        let called = call(party, &address, endpoint, timeouts).map(|answering| answering.took);
        Self {
            party: party.name(),
            address,
            answers: called.is_ok(),
            milliseconds: called.as_ref().ok().map(|took| (took.as_secs_f64() * 1e4).round() / 10.0),
            problem: called.err().map(|error| error.to_string()),
        }
    }

    fn line(&self) -> String {
        let Self { party, address, milliseconds, problem, .. } = self;
        match problem {
            Some(problem) => format!("{party}  {address}  does not answer: {problem}"),
            None => format!("{party}  {address}  answers ({:.1} ms)", milliseconds.unwrap_or_default()),
        }
    }
}
