//! `blindroute bench`: measurements whose answers are checked against the clear interpreter in the same run.

mod measure;
mod route;
mod select;
mod selections;

use clap::{Args, Subcommand};
use route::BenchRouteArgs;
use select::BenchSelectArgs;
use std::path::PathBuf;

/// Measure, and check the answer against the clear interpreter.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// A whole route in placement full: encoder, router and choice between real processes
    Route(BenchRouteArgs),
    /// Selection alone, ours and those of the literature: top-k by similarity, then the best by cost-aware score
    Select(BenchSelectArgs),
}

/// What both measurements take.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Measured runs after one to warm up; medians are reported
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// The router bundle; the default one if none is named
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// Runs a measurement.
pub(crate) fn run(command: BenchCommand) -> anyhow::Result<()> {
    match command {
        BenchCommand::Route(args) => route::run(&args),
        BenchCommand::Select(args) => select::run(&args),
    }
}
