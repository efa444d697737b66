//! `client`: who may ask this server, and how much.

mod add;
mod list;
mod revoke;

pub use add::{AddArgs, add};
pub use list::{ListArgs, list};
pub use revoke::{RevokeArgs, revoke};

use anyhow::{Context, bail};
use blindroute_runtime::config::{Configuration, ServerConfig};
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// The commands on a server's register of clients.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Register a client at this server
    Add(AddArgs),
    /// Refuse a client from its next session on
    Revoke(RevokeArgs),
    /// Say which clients there are, and how much each has asked for
    List(ListArgs),
}

/// Runs one of them.
///
/// # Errors
/// The configuration or the register cannot be used, or the client is not there.
pub fn run(command: &ClientCommand) -> anyhow::Result<()> {
    match command {
        ClientCommand::Add(args) => add(args),
        ClientCommand::Revoke(args) => revoke(args),
        ClientCommand::List(args) => list(args),
    }
}

/// A server's configuration, and its register.
fn register(path: &Path) -> anyhow::Result<(ServerConfig, PathBuf)> {
    let config = ServerConfig::load(path)?.config;
    let Some(register) = config.clients.clone() else {
        bail!(
            "{} names no register of clients, so this server answers every client of the deployment: add the line `clients = \
             \"clients.toml\"` before the first table, and restart the server once it has its clients",
            path.display()
        );
    };
    let folder = register.parent().context("the register has no folder")?;
    if !folder.as_os_str().is_empty() && !folder.is_dir() {
        bail!("{} is no folder: make it, or name another register in {}", folder.display(), path.display());
    }
    Ok((config, register))
}
