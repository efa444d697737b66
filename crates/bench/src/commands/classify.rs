//! `bench classify`: sessions of a nested pool of classifiers, at each depth and with capacities.

use crate::measure::check_tokens;
use crate::measure::classify::{Classification, ClassifyMeasurement, measure_classify};
use crate::options::Options;
use crate::report::print;
use blindroute_console::bundles::{self, Shipped};
use clap::Args;

/// Measure classification: all texts at each depth, and with the task's capacities.
#[derive(Debug, Args)]
pub struct BenchClassifyArgs {
    /// The task; the pool's first if none is named
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Length of the texts in tokens, 3 to 256
    #[arg(long, default_value_t = 32)]
    tokens: usize,
    /// How many texts share a session
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(2..=64))]
    batch: u32,
    #[command(flatten)]
    common: Options,
}

/// Runs the measurement.
pub(crate) fn run(args: &BenchClassifyArgs) -> anyhow::Result<()> {
    let Options { runs, scene, json, bundle } = &args.common;
    check_tokens(&[args.tokens])?;
    let bundle = bundles::open_or(bundle.as_deref(), Shipped::Pool)?;
    let what = Classification { task: args.task.as_deref(), tokens: args.tokens, batch: args.batch as usize };
    let measured = measure_classify(&bundle, &what, *scene, *runs)?;
    for measurement in &measured {
        print(*json, measurement, &measurement.line())?;
        measurement.figures.confirm(&format!("{:?} texts go on", measurement.going))?;
    }
    if let [.., largest, routed] = measured.as_slice() {
        let ratio = |of: fn(&ClassifyMeasurement) -> f64| of(largest) / of(routed);
        let online = ratio(|measurement| measurement.figures.ms.online);
        let offline = ratio(|measurement| measurement.figures.ms.offline);
        let bytes = ratio(|measurement| measurement.figures.bytes.server0_sent as f64);
        let summary = serde_json::json!({"online": online, "offline": offline, "bytes": bytes});
        let line = format!(
            "all texts through all layers take {online:.2} times the online time of those with capacities, {offline:.2} times the \
             offline time, {bytes:.2} times the bytes"
        );
        print(*json, &summary, &line)?;
    }
    Ok(())
}
