//! `server` and `dealer`: the commands that run a party until it is stopped. `blindroute route` starts them as child processes.

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
    let ledger = blindroute_ledgers::open(config.role(), &config.state, config.ledger.as_ref())?;
    run(Host::server(&config, ledger)?, &args.config, config.exit_with_parent)
}

/// Runs the dealer until it is stopped.
pub fn dealer(args: &DealerArgs) -> anyhow::Result<()> {
    let config = DealerConfig::load(&args.config)?.config;
    let ledger = blindroute_ledgers::open(Role::Dealer, &config.state, config.ledger.as_ref())?;
    run(Host::dealer(&config, ledger)?, &args.config, config.exit_with_parent)
}

/// Announces the party on stdout, and serves until a signal, or the end of standard input if a parent holds it.
fn run(host: Host, config: &Path, exit_with_parent: bool) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("signals cannot be handled")?;
    let host = if exit_with_parent {
        shutdown.on_end_of(std::io::stdin()).context("standard input cannot be watched")?;
        // The parent removes the files after the start.
        host
    } else {
        host.following(config)
    };
    host.announce(std::io::stdout())?;
    Ok(host.run(&shutdown)?)
}
