//! `bundle show`: what a bundle holds.

use super::OpenBundle;
use blindroute_console::contents;
use blindroute_console::files::print;
use clap::Args;
use std::path::PathBuf;

/// Say what a bundle holds.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The bundle; the default one if none is named
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Prints what the bundle holds. `open` finds the bundle where none is named.
///
/// # Errors
/// The bundle cannot be read.
pub fn show(args: &ShowArgs, open: OpenBundle) -> anyhow::Result<()> {
    let bundle = open(args.bundle.as_deref())?;
    print(&if args.json { serde_json::to_string(&contents::summary(&bundle))? } else { contents::described(&bundle) })
}
