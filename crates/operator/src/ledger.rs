//! `ledger`: how a server's ledger stands, and what it knows of the other server's.

use anyhow::bail;
use blindroute_console::files::print;
use blindroute_runtime::config::{Configuration, ServerConfig};
use blindroute_runtime::ledger::{Overview, Standing, Witness};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The commands on a server's ledger of used sessions.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Say how the ledger stands, and what it knows of the other server's
    Show(ShowArgs),
    /// Accept another ledger of the other server, which was set up anew on purpose
    ForgetPeer(ForgetPeerArgs),
}

/// Say how a server's ledger stands, and what it knows of the other server's. The server may be running.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Configuration of the server (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Accept another ledger of the other server.
///
/// A server knows the ledger of the other one, and refuses another, as a server has that was restored from a copy. After the other
/// operator has set its server up anew on purpose, stop this server, run this command, and start it again. It then takes the first
/// ledger that it meets.
#[derive(Debug, Args)]
pub struct ForgetPeerArgs {
    /// Configuration of the server (TOML), which must not be running
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs one of them.
///
/// # Errors
/// The configuration or the ledger cannot be used.
pub fn run(command: &LedgerCommand) -> anyhow::Result<()> {
    match command {
        LedgerCommand::Show(args) => show(args),
        LedgerCommand::ForgetPeer(args) => forget_peer(args),
    }
}

fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let config = ServerConfig::load(&args.config)?.config;
    let found = blindroute_ledgers::look(config.role(), &config.state, config.ledger.as_ref())?;
    if args.json {
        let own = found.map(|found| json(&found.standing));
        let other = found.and_then(|found| found.other).map(|other| {
            let (other, disputed) = Witness::read(&other);
            let mut told = json(&other);
            told["disputed"] = disputed.into();
            told
        });
        return print(&serde_json::json!({ "ledger": own, "peer": other }).to_string());
    }
    let Some(Overview { standing, other }) = found else {
        eprintln!("this server has no ledger with a term so far: it gets one when it starts");
        return Ok(());
    };
    let other = other.as_ref().map_or_else(|| "not met so far".to_owned(), line_of_other);
    print(&format!("this server: {}\nother server: {other}", line(&standing)))
}

fn forget_peer(args: &ForgetPeerArgs) -> anyhow::Result<()> {
    let config = ServerConfig::load(&args.config)?.config;
    let known = blindroute_ledgers::look(config.role(), &config.state, config.ledger.as_ref())?;
    if known.is_none_or(|known| known.other.is_none()) {
        bail!("this server knows no ledger of the other one, so there is nothing to forget");
    }
    let ledger = blindroute_ledgers::open(config.role(), &config.state, config.ledger.as_ref())?;
    ledger.forget_other()?;
    eprintln!("forgotten: start this server again, and it takes the first ledger of the other server that it meets");
    Ok(())
}

/// What is stored of the other server's ledger.
fn line_of_other(stored: &Standing) -> String {
    let (known, disputed) = Witness::read(stored);
    let copied = if disputed { "; a copy of it was seen, so no later term is accepted" } else { "" };
    line(&known) + copied
}

fn line(standing: &Standing) -> String {
    let Standing { ledger, term, claimed, .. } = standing;
    format!("ledger {ledger}, term {term}, {claimed} sessions claimed")
}

fn json(standing: &Standing) -> serde_json::Value {
    let Standing { ledger, term, claimed, .. } = standing;
    serde_json::json!({ "id": ledger.to_string(), "term": term, "claimed": claimed })
}
