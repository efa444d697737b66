//! Whole routes.

use super::runs::{Figures, measure};
use super::{SAME, cosine, ids, start};
use anyhow::Context;
use blindroute_console::terminal::spinner;
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::{Measurement, SessionRequest, Task};
use blindroute_routing::tokenizer;
use blindroute_runtime::SceneName;
use serde::Serialize;

/// What whole routes of one length took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RouteMeasurement {
    pub(crate) tokens: usize,
    pub(crate) attention: String,
    pub(crate) ffn: String,
    pub(crate) router: String,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    pub(crate) embedding_cosine: f64,
}

/// Measures whole routes of one length with processes of their own.
pub(crate) fn measure_route(
    bundle: &Bundle,
    router: Option<&str>,
    tokens: usize,
    scene: SceneName,
    runs: u32,
) -> anyhow::Result<RouteMeasurement> {
    let name = router;
    let bar = spinner();
    let router = start(bundle, scene, &|step| bar.set_message(format!("{tokens} tokens: {step}")))?;
    let ids = ids(&router, tokens)?;
    let bucket = tokenizer::bucket(ids.len()).context("a bucket")?;
    let index = router.router_index(name)?;
    let task = Task::route(index, bucket);
    let lambda = router.public().lambdas[index];
    let inputs = router.route_inputs(index, &ids, bucket, lambda)?;
    // The warm-up sets the weights up, and shows how exact the embedding is.
    let embed = Measurement::Embed { bucket };
    let tokens_alone = router.encoder_inputs(&ids, bucket)?.tensors;
    let clear = router.clear(embed, tokens_alone.clone())?.0;
    let embedding_cosine = cosine(&router.private(SessionRequest::new(embed), &tokens_alone)?.output, &clear);
    let runs = measure(&router, SessionRequest::new(task), &inputs, runs, &|run| {
        bar.set_message(format!("{tokens} tokens: run {run}"));
    })?;
    bar.finish_and_clear();
    let mut figures = runs.figures(&router, scene);
    figures.checked &= embedding_cosine >= SAME;
    Ok(RouteMeasurement {
        tokens,
        attention: bundle.parts().encoder.attention.to_string(),
        ffn: bundle.parts().encoder.activation.to_string(),
        router: router.public().plan.routers[index].name.clone(),
        figures,
        embedding_cosine,
    })
}

impl RouteMeasurement {
    pub(crate) fn line(&self) -> String {
        let RouteMeasurement { tokens, attention, ffn, router, figures, .. } = self;
        format!("{tokens} tokens, {attention} + {ffn}, {router}: {}", figures.line())
    }
}
