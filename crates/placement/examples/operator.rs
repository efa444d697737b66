//! Hosts parties from their configuration files until a signal ends the process: one server, as an operator does, or
//! several parties for a test.
//!
//! Run with `cargo run --release --example operator -p blindroute-placement -- server server0.toml`, or with several pairs
//! of a role (`server` or `dealer`) and a file. Each party prints where it listens.

use blindroute_placement::host::Host;
use blindroute_runtime::config::{Configuration, DealerConfig, ServerConfig};
use blindroute_runtime::{FileLedger, Shutdown};
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut parties = Vec::new();
    for pair in arguments.chunks(2) {
        let host = match pair {
            [role, path] if role == "server" => {
                let config = ServerConfig::load(path.as_ref())?.config;
                Host::server(&config, || Ok(Arc::new(FileLedger::open(&config.state)?)))?.following(path.as_ref())
            }
            [role, path] if role == "dealer" => {
                let config = DealerConfig::load(path.as_ref())?.config;
                Host::dealer(&config, || Ok(Arc::new(FileLedger::open(&config.state)?)))?.following(path.as_ref())
            }
            _ => {
                return Err("unsupported arguments: expected pairs of server or dealer and a configuration file".into());
            }
        };
        host.announce(std::io::stdout())?;
        let shutdown = shutdown.clone();
        parties.push(std::thread::spawn(move || host.run(&shutdown)));
    }
    for party in parties {
        party.join().map_err(|_| "a party's thread panicked; please report it")??;
    }
    Ok(())
}
