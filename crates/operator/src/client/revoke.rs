//! `client revoke`.

use super::register;
use blindroute_runtime::clients::Register;
use clap::Args;
use std::path::PathBuf;

/// Refuse a client from its next session on. The server need not be restarted. Each operator revokes at its own server.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The client's name
    name: String,
    /// Configuration of the server (TOML), which names its register of clients
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Revokes a client.
///
/// # Errors
/// There is no such client, or the register cannot be written.
pub fn revoke(args: &RevokeArgs) -> anyhow::Result<()> {
    let (_, register) = register(&args.config)?;
    Register::revoke(&register, &args.name)?;
    eprintln!("{} is refused from its next session on. Tell the operator of the other server.", args.name);
    Ok(())
}
