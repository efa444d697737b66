//! `client list`.

use super::register;
use blindroute_console::files::print;
use blindroute_runtime::clients::{ClientKey, Counts, Register, Registered, Usage};
use blindroute_runtime::config::ServerConfig;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::time::SystemTime;

/// Say which clients there are, and how much each has asked for.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Configuration of the server (TOML), which names its register of clients
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Listed {
    client: String,
    credential: String,
    routes_per_day: u64,
    routes_per_minute: u64,
    alarm_at: u64,
    revoked: bool,
    routes_today: u64,
    routes: u64,
    /// The most bits that its answers can have told about the router.
    bits_at_most: f64,
}

/// Prints the clients of a server.
///
/// # Errors
/// The register or the counts cannot be read.
pub fn list(args: &ListArgs) -> anyhow::Result<()> {
    let (config, path) = register(&args.config)?;
    let clients = if path.exists() { Register::load(&path)?.clients } else { Vec::new() };
    let listed: Vec<Listed> = counts(&config, &clients)?
        .into_iter()
        .zip(clients)
        .map(|(counts, client)| Listed {
            credential: client.credential.to_string(),
            client: client.name,
            routes_per_day: client.routes_per_day,
            routes_per_minute: client.routes_per_minute,
            alarm_at: client.alarm_at,
            revoked: client.revoked,
            routes_today: counts.today,
            routes: counts.ever,
            bits_at_most: counts.bits,
        })
        .collect();
    if args.json {
        return print(&serde_json::json!({ "clients": listed }).to_string());
    }
    if listed.is_empty() {
        eprintln!("no client is registered, so this server answers nobody: add one with `client add`");
        return Ok(());
    }
    print(&listed.iter().map(Listed::line).collect::<Vec<_>>().join("\n"))
}

/// What each of these clients has asked for: all lanes together if accounts are in a database.
fn counts(config: &ServerConfig, clients: &[Registered]) -> anyhow::Result<Vec<Counts>> {
    let (now, keys) = (SystemTime::now(), clients.iter().map(|client| ClientKey::of(&client.name)).collect::<Vec<_>>());
    if let Some(accounts) = blindroute_ledgers::accounts(config.role(), &config.state, config.ledger.as_ref(), &keys)? {
        return Ok(accounts.iter().map(|account| account.counts(now)).collect());
    }
    let usage = Usage::read(&config.state)?;
    Ok(clients.iter().map(|client| usage.of(&client.name, now)).collect())
}

impl Listed {
    fn line(&self) -> String {
        let Self { client, routes_today, routes_per_day, routes, alarm_at, bits_at_most, .. } = self;
        let revoked = if self.revoked { ", revoked" } else { "" };
        let alarm = if routes >= alarm_at { ", alarm" } else { "" };
        format!(
            "{client}  {routes_today} of {routes_per_day} routes today, {routes} in all, at most {bits_at_most:.0} bits \
             about the router{alarm}{revoked}"
        )
    }
}
