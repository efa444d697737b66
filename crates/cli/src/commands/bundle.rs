//! `blindroute bundle`: make, change, inspect and split router bundles.

use blindroute_console::bundles;
use blindroute_console::files::{check_out, write_bundle};
use blindroute_operator::bundle::{ShowArgs, SplitArgs, VerifyArgs, show, split, verify};
use blindroute_routing::bundle::Bundle;
use clap::{Args, Subcommand};
use std::io::Write;
use std::path::PathBuf;

/// Make, inspect and split router bundles.
#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Make a bundle from the published weights of an encoder
    Import(super::bundle_import::ImportArgs),
    /// Let models join the pool of a bundle's routers, without training
    Add(super::bundle_add::AddArgs),
    /// Choose the rings of an encoder with linear attention
    Widths(super::bundle_widths::WidthsArgs),
    /// Split a bundle into its public part and one share for each server
    Split(SplitArgs),
    /// Make a bundle of the encoder alone, without routers and pool, for clients of placement head
    Encoder(EncoderArgs),
    /// Say what a bundle holds
    Show(ShowArgs),
    /// Check that bundles, public parts and shares are whole, unaltered and belong together
    Verify(VerifyArgs),
}

/// Make a bundle of the encoder alone.
#[derive(Debug, Args)]
pub(crate) struct EncoderArgs {
    /// The bundle; the default one if none is named
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The bundle to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs a bundle command.
pub(crate) fn run(command: BundleCommand) -> anyhow::Result<()> {
    match command {
        BundleCommand::Import(args) => super::bundle_import::run(args),
        BundleCommand::Add(args) => super::bundle_add::run(&args),
        BundleCommand::Widths(args) => super::bundle_widths::run(&args),
        BundleCommand::Split(args) => split(&args, bundles::open),
        BundleCommand::Encoder(args) => encoder(&args),
        BundleCommand::Show(args) => show(&args, bundles::open),
        BundleCommand::Verify(args) => verify(&args),
    }
}

fn encoder(args: &EncoderArgs) -> anyhow::Result<()> {
    check_out(&args.out)?;
    let mut parts = bundles::open(args.bundle.as_deref())?.into_parts();
    parts.models.clear();
    parts.routers.clear();
    write_bundle(&Bundle::new(parts)?, &args.out)?;
    Ok(writeln!(std::io::stdout(), "{}", args.out.display())?)
}
