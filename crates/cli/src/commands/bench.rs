//! `blindroute bench`.
use clap::Subcommand;
/// Measure.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {}
pub(crate) fn run(command: BenchCommand) -> anyhow::Result<()> { match command {} }
