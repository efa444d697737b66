//! `bench classify`: sessions of a nested pool of classifiers, at each depth and with capacities.

use crate::measure::check_tokens;
use crate::measure::classify::{Classification, ClassifyMeasurement, measure_classify};
use crate::measure::classify_open::{OpenMeasurement, measure_open};
use crate::options::Options;
use crate::report::print;
use blindroute_console::bundles::{self, Shipped};
use blindroute_routing::bundle::Bundle;
use clap::{Args, ValueEnum};

/// Measure classification: all texts at each depth and with the task's capacities, or with policy open beside the largest model alone.
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
    /// hidden: batches of inputs with the task's capacities; open: texts that leave where their gain says, each alone and in batches,
    /// beside the same through all layers
    #[arg(long, value_enum, default_value_t = PolicyArg::Hidden)]
    policy: PolicyArg,
    #[command(flatten)]
    common: Options,
}

/// Who learns after how many layers each text leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PolicyArg {
    Hidden,
    Open,
}

/// Runs the measurement.
pub(crate) fn run(args: &BenchClassifyArgs) -> anyhow::Result<()> {
    check_tokens(&[args.tokens])?;
    let bundle = bundles::open_or(args.common.bundle.as_deref(), Shipped::Pool)?;
    let what = Classification { task: args.task.as_deref(), tokens: args.tokens, batch: args.batch as usize };
    match args.policy {
        PolicyArg::Hidden => hidden(&bundle, &what, &args.common),
        PolicyArg::Open => open(&bundle, &what, &args.common),
    }
}

fn hidden(bundle: &Bundle, what: &Classification<'_>, options: &Options) -> anyhow::Result<()> {
    let Options { runs, scene, json, .. } = options;
    let measured = measure_classify(bundle, what, *scene, *runs)?;
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

fn open(bundle: &Bundle, what: &Classification<'_>, options: &Options) -> anyhow::Result<()> {
    let measured = measure_open(bundle, what, options.scene, options.runs)?;
    for measurement in &measured {
        print(options.json, measurement, &measurement.line())?;
        measurement.confirm()?;
    }
    for pair in measured.chunks_exact(2) {
        let ratio = |of: fn(&OpenMeasurement) -> f64| of(&pair[0]) / of(&pair[1]);
        let online = ratio(|measurement| measurement.online);
        let bytes = ratio(|measurement| measurement.server_bytes as f64);
        let batch = pair[0].batch;
        let summary = serde_json::json!({"batch": batch, "online": online, "bytes": bytes});
        let line = format!(
            "{batch} texts a session: all layers take {online:.2} times the online time of policy open, {bytes:.2} times the bytes"
        );
        print(options.json, &summary, &line)?;
    }
    Ok(())
}
