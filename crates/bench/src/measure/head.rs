//! What the servers do in placement `head`.

use super::runs::{Figures, measure};
use super::{ids, start};
use anyhow::Context;
use blindroute_console::terminal::spinner;
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::{self, Measurement, SessionRequest, Task};
use blindroute_routing::tokenizer;
use blindroute_runtime::SceneName;
use serde::Serialize;

/// What the servers' part of placement `head` took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HeadMeasurement {
    pub(crate) router: String,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// Measures placement `head` with processes of its own. The embedding is computed in the clear and not timed.
pub(crate) fn measure_head(
    bundle: &Bundle,
    router: Option<&str>,
    scene: SceneName,
    runs: u32,
) -> anyhow::Result<HeadMeasurement> {
    let name = router;
    let bar = spinner();
    let router = start(bundle, scene, &|step| bar.set_message(step.to_owned()))?;
    let index = router.router_index(name)?;
    let ids = ids(&router, 32)?;
    let bucket = tokenizer::bucket(ids.len()).context("a bucket")?;
    let embedding = router.clear(Measurement::Embed { bucket }, router.encoder_inputs(&ids, bucket)?.tensors)?.0;
    let values: Vec<f32> = program::embedding(&embedding).iter().map(|x| *x as f32).collect();
    let inputs = router.head_inputs(index, &ids, &values, router.public().lambdas[index]);
    let task = Task::head(index);
    router.private(SessionRequest::new(task), &inputs)?;
    let runs =
        measure(&router, SessionRequest::new(task), &inputs, runs, &|run| bar.set_message(format!("run {run}")))?;
    bar.finish_and_clear();
    let figures = runs.figures(&router, scene);
    Ok(HeadMeasurement { router: router.public().plan.routers[index].name.clone(), figures })
}

impl HeadMeasurement {
    pub(crate) fn line(&self) -> String {
        format!("head, {}: {}", self.router, self.figures.line())
    }
}
