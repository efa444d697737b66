//! `blindroute bench`: measurements whose answers are checked against the clear interpreter in the same run.

mod compare;
mod encoder;
mod head;
mod machine;
mod matmul;
mod measure;
mod prompts;
mod record;
mod records;
mod route;
mod select;
mod selections;
mod tables;
mod throughput;
mod throughputs;

pub(super) use measure::cosine;

use blindroute_runtime::SceneName;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Measure, and check the answer against the clear interpreter.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// A whole route in placement full: encoder, router and choice between real processes
    Route(route::BenchRouteArgs),
    /// The encoder alone: PPRoute's Table 3
    Encoder(encoder::BenchEncoderArgs),
    /// The servers' part of placement head: rule, prices and choice
    Head(head::BenchHeadArgs),
    /// Selection alone, ours and those of the literature: top-k by similarity, then the best by cost-aware score
    Select(select::BenchSelectArgs),
    /// Several routes at once: routes per second against latency, with sessions prepared as needed and from a full pool
    Throughput(throughput::BenchThroughputArgs),
    /// Ring products of the encoder, by every kernel of this machine, on one core
    Matmul(matmul::BenchMatmulArgs),
    /// Measure the standard set, and append it to the record
    Record(record::BenchRecordArgs),
    /// Measure the standard set, or read it from a file, and compare it with the record's last; fails if it got worse
    Compare(compare::BenchCompareArgs),
}

/// What the measurements take.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Measured runs after one to warm up; medians are reported
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Network between all parties, emulated: loopback (none), lan (0.1 ms one way, 10 Gbit/s) or wan (20 ms, 400 Mbit/s)
    #[arg(long, value_name = "SCENE", default_value_t)]
    scene: SceneName,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// The router bundle; the default one if none is named, and for the papers' programs minilm.blindroute
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// Runs a measurement.
pub(crate) fn run(command: BenchCommand) -> anyhow::Result<()> {
    blindroute_console::signals::clean_up()?;
    match command {
        BenchCommand::Route(args) => route::run(&args),
        BenchCommand::Encoder(args) => encoder::run(&args),
        BenchCommand::Head(args) => head::run(&args),
        BenchCommand::Select(args) => select::run(&args),
        BenchCommand::Throughput(args) => throughput::run(&args),
        BenchCommand::Matmul(args) => matmul::run(&args),
        BenchCommand::Record(args) => record::run(&args),
        BenchCommand::Compare(args) => compare::run(&args),
    }
}
