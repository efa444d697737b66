//! `bench head`: what the servers do in placement `head`.

use crate::measure::head::measure_head;
use crate::options::Options;
use crate::report::print;
use blindroute_console::bundles;
use clap::Args;

/// Measure the servers' part of placement head.
#[derive(Debug, Args)]
pub struct BenchHeadArgs {
    /// Router of the bundle; the first if none is named
    #[arg(long)]
    router: Option<String>,
    #[command(flatten)]
    common: Options,
}

/// Runs the measurement.
pub(crate) fn run(args: &BenchHeadArgs) -> anyhow::Result<()> {
    let Options { runs, scene, json, bundle } = &args.common;
    let bundle = bundles::open(bundle.as_deref())?;
    let measurement = measure_head(&bundle, args.router.as_deref(), *scene, *runs)?;
    print(*json, &measurement, &measurement.line())?;
    measurement.figures.confirm("head")
}
