//! `blindroute bench encoder`: the encoder alone, in the three variants of PPRoute's Table 3.

use super::Common;
use super::measure::{Figures, check_tokens, ids, measure, start, variant};
use super::tables;
use crate::bundles::{self, Shipped};
use crate::commands::route::spinner;
use anyhow::Context;
use blindroute_routing::bundle::{Activation, Attention, Bundle};
use blindroute_routing::program::Measurement;
use blindroute_routing::tokenizer;
use blindroute_runtime::SceneName;
use clap::Args;
use serde::Serialize;

/// Measure the encoder.
#[derive(Debug, Args)]
pub(crate) struct BenchEncoderArgs {
    /// Prompt lengths in tokens, 3 to 256
    #[arg(long, value_delimiter = ',', default_values_t = [256])]
    tokens: Vec<usize>,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct EncoderMeasurement {
    pub(super) tokens: usize,
    pub(super) attention: String,
    pub(super) ffn: String,
    #[serde(flatten)]
    pub(super) figures: Figures,
    /// The least cosine with the clear interpreter's embedding.
    pub(super) embedding_cosine: f64,
}

/// Runs the measurement.
pub(super) fn run(args: &BenchEncoderArgs) -> anyhow::Result<()> {
    let Common { runs, scene, json, bundle } = &args.common;
    check_tokens(&args.tokens)?;
    let bundle = bundles::open_or(bundle.as_deref(), Shipped::MiniLm)?;
    tables::encoders(&bundle, &args.tokens, *scene, *runs, *json)
}

/// Embeddings of one length by processes of their own.
pub(super) fn measure_encoder(
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
    router.private(router.request(task, 1)?, &inputs)?;
    let runs = measure(&router, task, &inputs, runs, &|run| bar.set_message(format!("{name}: run {run}")))?;
    bar.finish_and_clear();
    let (attention, ffn) = (attention.to_string(), activation.to_string());
    let figures = runs.figures(&router, scene);
    Ok(EncoderMeasurement { tokens, attention, ffn, figures, embedding_cosine: runs.cosine })
}
