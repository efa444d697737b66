//! `blindroute bench select`: selection alone.

use super::Common;
use super::measure::{Medians, measure, print, start};
use crate::bundles;
use crate::commands::route::spinner;
use blindroute_placement::{Bytes, PeakMemory};
use blindroute_protocol::{Shape, Tensor};
use blindroute_routing::program::Task;
use clap::Args;
use serde::Serialize;

/// Measure selections.
#[derive(Debug, Args)]
pub(crate) struct BenchSelectArgs {
    /// Candidates
    #[arg(long, default_value_t = 112)]
    candidates: usize,
    /// Survivors of the search
    #[arg(long, default_value_t = 4)]
    k: usize,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct SelectMeasurement {
    method: &'static str,
    candidates: usize,
    k: usize,
    ms: Medians,
    openings: u32,
    bytes: Bytes,
    peak_mib: PeakMemory,
    checked: bool,
    runs: u32,
}

/// Runs the measurement.
pub(super) fn run(args: &BenchSelectArgs) -> anyhow::Result<()> {
    let bundle = bundles::open(args.common.bundle.as_deref())?;
    let bar = spinner();
    let mut router = start(&bundle, &|step| bar.set_message(step.to_owned()))?;
    let task = Task::Select { candidates: args.candidates, keep: args.k };
    // Numbers without pattern or ties: cosines, and the same less a price.
    let fraction = |x: f64| x - x.floor();
    let similarity: Vec<f32> = (0..args.candidates).map(|i| fraction(i as f64 * 0.754_877_666) as f32).collect();
    let score =
        similarity.iter().enumerate().map(|(i, s)| s - 0.5 * fraction(i as f64 * 0.569_840_290) as f32).collect();
    let shape = Shape::row(args.candidates);
    let inputs = [Tensor::new(shape, similarity), Tensor::new(shape, score)];
    router.private(task, &inputs)?;
    let runs = measure(&mut router, task, &inputs, args.common.runs, &|run| bar.set_message(format!("run {run}")))?;
    bar.finish_and_clear();
    let measurement = SelectMeasurement {
        method: "unsorted top-k, all pairs at once",
        candidates: args.candidates,
        k: args.k,
        ms: runs.medians(),
        openings: runs.openings,
        bytes: runs.bytes,
        peak_mib: router.peak_memory(),
        checked: runs.agreed,
        runs: args.common.runs,
    };
    print(args.common.json, &measurement, &measurement.line())?;
    if !measurement.checked {
        anyhow::bail!("the private choice is not the clear one; please report this");
    }
    Ok(())
}

impl SelectMeasurement {
    fn line(&self) -> String {
        let costs = self.ms.line(self.openings, &self.bytes, &self.peak_mib);
        let checked = if self.checked { "answer checked" } else { "WRONG ANSWER" };
        format!("top {} of {} ({}): {costs}; {checked}", self.k, self.candidates, self.method)
    }
}
