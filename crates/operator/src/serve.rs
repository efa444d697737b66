//! `server` and `dealer`: the commands that run a party until it is stopped. `blindroute route` starts them as child processes.

use crate::health::called;
use crate::observe::{Calls, Observation};
use anyhow::Context;
use blindroute_placement::host::Host;
use blindroute_runtime::config::{Configuration, DealerConfig, ServerConfig};
use blindroute_runtime::{Role, Shutdown};
use clap::Args;
use std::path::{Path, PathBuf};

/// Run one of the two servers.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// Position of this server; its share file must be for the same position
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=1))]
    party: u8,
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Run the dealer.
#[derive(Debug, Args)]
pub struct DealerArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs a server until it is stopped.
pub fn server(args: &ServerArgs) -> anyhow::Result<()> {
    let config = ServerConfig::load(&args.config)?.config;
    if config.party != args.party {
        anyhow::bail!(
            "--party is {}, the configuration says {}; start the server with the configuration of its position",
            args.party,
            config.party
        );
    }
    let observation = Observation::start(config.observe.as_deref())?;
    let ledger = || blindroute_ledgers::open(config.role(), &config.state, config.ledger.as_ref());
    let host = Host::server(&config, ledger)?;
    let calls = Calls { parties: called(&config), timeouts: config.timeouts.timeouts() };
    run(host, (&args.config, config.exit_with_parent), &observation, calls)
}

/// Runs the dealer until it is stopped.
pub fn dealer(args: &DealerArgs) -> anyhow::Result<()> {
    let config = DealerConfig::load(&args.config)?.config;
    let observation = Observation::start(config.observe.as_deref())?;
    let ledger = || blindroute_ledgers::open(Role::Dealer, &config.state, config.ledger.as_ref());
    let host = Host::dealer(&config, ledger)?;
    let calls = Calls { parties: Vec::new(), timeouts: config.timeouts.timeouts() };
    run(host, (&args.config, config.exit_with_parent), &observation, calls)
}

/// Announces the party on stdout, and serves until a signal, or the end of standard input if a parent holds it.
fn run(
    host: Host,
    (config, exit_with_parent): (&Path, bool),
    observation: &Observation,
    calls: Calls,
) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("signals cannot be handled")?;
    let host = if exit_with_parent {
        shutdown.on_end_of(std::io::stdin()).context("standard input cannot be watched")?;
        // The parent removes the files after the start.
        host
    } else {
        host.following(config)
    };
    observation.serving(host.observed(), &shutdown, calls)?;
    host.announce(std::io::stdout())?;
    let ended = host.run(&shutdown);
    observation.ended();
    Ok(ended?)
}
