//! `blindroute bench`: measurements whose answers are checked against the clear interpreter in the same run.
//!
//! A measurement runs in three steps, each in a folder of its own: `measure` runs a task under MPC and in the clear, `report`
//! puts the figures into lines and tables, `record` keeps them and compares them with those of the last time. `commands`
//! has a file per command, which joins the three. [`BenchCommand`] is what a program's command line takes, and [`run`] runs it;
//! the program has to have the commands `server` and `dealer` too, for it is started again as the servers and the dealer:
//!
//! ```no_run
//! use blindroute_bench::BenchCommand;
//! use clap::Parser;
//!
//! #[derive(Parser)]
//! enum Program {
//!     #[command(subcommand)]
//!     Bench(BenchCommand),
//! }
//!
//! # fn main() -> anyhow::Result<()> {
//! let Program::Bench(command) = Program::parse_from(["program", "bench", "matmul", "--tokens", "32"]);
//! blindroute_bench::run(command)
//! # }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod commands;
mod measure;
mod options;
mod published;
mod record;
mod report;

pub use measure::cosine;

use blindroute_console::signals;
use clap::Subcommand;

/// Measure, and check the answer against the clear interpreter.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// A whole route in placement full: encoder, router and choice between real processes
    Route(commands::route::BenchRouteArgs),
    /// The encoder alone: PPRoute's Table 3
    Encoder(commands::encoder::BenchEncoderArgs),
    /// The servers' part of placement head: rule, prices and choice
    Head(commands::head::BenchHeadArgs),
    /// Batches of texts in a nested pool of classifiers, at each depth and with capacities
    Classify(commands::classify::BenchClassifyArgs),
    /// Selection alone, ours and those of the literature: top-k by similarity, then the best by cost-aware score
    Select(commands::selection::BenchSelectArgs),
    /// Several routes at once: routes per second against latency, with sessions prepared as needed and from a full pool
    Throughput(commands::throughput::BenchThroughputArgs),
    /// The gateway between callers and a provider: what it adds to a call, beside direct calls and other proxies
    Gateway(commands::gateway::BenchGatewayArgs),
    /// Ring products of the encoder, by every kernel of this machine, on one core
    Matmul(commands::matmul::BenchMatmulArgs),
    /// Measure the standard set, and append it to the record
    Record(commands::record::BenchRecordArgs),
    /// Measure the standard set, or read it from a file, and compare it with the record's last; fails if it got worse
    Compare(commands::compare::BenchCompareArgs),
}

/// Runs a measurement.
///
/// # Errors
/// It cannot run, its answer is not the clear interpreter's, or it compares with the record and something got worse.
pub fn run(command: BenchCommand) -> anyhow::Result<()> {
    signals::clean_up_after(measure::gateway::stop_children)?;
    match command {
        BenchCommand::Route(args) => commands::route::run(&args),
        BenchCommand::Encoder(args) => commands::encoder::run(&args),
        BenchCommand::Head(args) => commands::head::run(&args),
        BenchCommand::Classify(args) => commands::classify::run(&args),
        BenchCommand::Select(args) => commands::selection::run(&args),
        BenchCommand::Throughput(args) => commands::throughput::run(&args),
        BenchCommand::Gateway(args) => commands::gateway::run(&args),
        BenchCommand::Matmul(args) => commands::matmul::run(&args),
        BenchCommand::Record(args) => commands::record::run(&args),
        BenchCommand::Compare(args) => commands::compare::run(&args),
    }
}
