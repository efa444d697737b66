//! The encoder alone.

use super::runs::{Figures, measure};
use super::{ids, start, variant};
use anyhow::Context;
use blindroute_console::terminal::spinner;
use blindroute_routing::bundle::{Activation, Attention, Bundle};
use blindroute_routing::program::{Measurement, SessionRequest};
use blindroute_routing::tokenizer;
use blindroute_runtime::SceneName;
use serde::Serialize;

/// What embeddings of one length took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct EncoderMeasurement {
    pub(crate) tokens: usize,
    pub(crate) attention: String,
    pub(crate) ffn: String,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    /// The smallest cosine with the clear interpreter's embedding.
    pub(crate) embedding_cosine: f64,
}

/// Measures embeddings of one length with processes of their own.
pub(crate) fn measure_encoder(
    bundle: &Bundle,
    (attention, activation): (Attention, Activation),
    tokens: usize,
    scene: SceneName,
    runs: u32,
) -> anyhow::Result<EncoderMeasurement> {
    let bundle = variant(bundle.clone(), Some(attention), Some(activation))?;
    let bar = spinner();
    let name = format!("{tokens} tokens, {activation} + {attention}");
    let router = start(&bundle, scene, &|step| bar.set_message(format!("{name}: {step}")))?;
    let ids = ids(&router, tokens)?;
    let bucket = tokenizer::bucket(ids.len()).context("a bucket")?;
    let (task, inputs) = (Measurement::Embed { bucket }, router.encoder_inputs(&ids, bucket)?.tensors);
    router.private(SessionRequest::new(task), &inputs)?;
    let runs = measure(&router, SessionRequest::new(task), &inputs, runs, &|run| {
        bar.set_message(format!("{name}: run {run}"))
    })?;
    bar.finish_and_clear();
    let (attention, ffn) = (attention.to_string(), activation.to_string());
    let figures = runs.figures(&router, scene);
    Ok(EncoderMeasurement { tokens, attention, ffn, figures, embedding_cosine: runs.cosine })
}
