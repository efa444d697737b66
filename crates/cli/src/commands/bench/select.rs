//! `blindroute bench select`: selection alone.

use super::Common;
use super::measure::{Figures, measure, print, start};
use crate::bundles;
use crate::commands::route::spinner;
use blindroute_protocol::{Shape, Tensor};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::Task;
use blindroute_runtime::SceneName;
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

#[derive(Clone, Debug, Serialize)]
pub(super) struct SelectMeasurement {
    method: &'static str,
    candidates: usize,
    k: usize,
    #[serde(flatten)]
    pub(super) figures: Figures,
}

/// Runs the measurement.
pub(super) fn run(args: &BenchSelectArgs) -> anyhow::Result<()> {
    let Common { runs, scene, json, bundle } = &args.common;
    let bundle = bundles::open(bundle.as_deref())?;
    let measurement = measure_select(&bundle, args.candidates, args.k, *scene, *runs)?;
    print(*json, &measurement, &measurement.line())?;
    measurement.figures.confirm("selection")
}

/// Selections by processes of their own.
pub(super) fn measure_select(
    bundle: &Bundle,
    candidates: usize,
    k: usize,
    scene: SceneName,
    runs: u32,
) -> anyhow::Result<SelectMeasurement> {
    let bar = spinner();
    let mut router = start(bundle, scene, &|step| bar.set_message(step.to_owned()))?;
    let task = Task::Select { candidates, keep: k };
    // Numbers without pattern or ties: cosines, and the same less a price.
    let fraction = |x: f64| x - x.floor();
    let similarity: Vec<f32> = (0..candidates).map(|i| fraction(i as f64 * 0.754_877_666) as f32).collect();
    let score =
        similarity.iter().enumerate().map(|(i, s)| s - 0.5 * fraction(i as f64 * 0.569_840_290) as f32).collect();
    let shape = Shape::row(candidates);
    let inputs = [Tensor::new(shape, similarity), Tensor::new(shape, score)];
    router.private(task, &inputs)?;
    let runs = measure(&mut router, task, &inputs, runs, &|run| bar.set_message(format!("run {run}")))?;
    bar.finish_and_clear();
    let figures = runs.figures(&router, scene);
    Ok(SelectMeasurement { method: "unsorted top-k, all pairs at once", candidates, k, figures })
}

impl SelectMeasurement {
    pub(super) fn line(&self) -> String {
        format!("top {} of {} ({}): {}", self.k, self.candidates, self.method, self.figures.line())
    }
}
