//! `blindroute bench route`: whole routes.

use super::Common;
use super::measure::{Medians, cosine, measure, print, start};
use crate::bundles;
use crate::commands::route::spinner;
use anyhow::Context;
use blindroute_placement::{Bytes, PeakMemory};
use blindroute_routing::bundle::{Activation, Attention, Bundle};
use blindroute_routing::program::Task;
use blindroute_routing::tokenizer;
use clap::Args;
use serde::Serialize;

/// Measure whole routes.
#[derive(Debug, Args)]
pub(crate) struct BenchRouteArgs {
    /// Prompt lengths in tokens, 3 to 256
    #[arg(long, value_delimiter = ',', default_values_t = [32, 128, 256])]
    tokens: Vec<usize>,
    /// Attention: softmax or 2relu; the bundle's if not given
    #[arg(long)]
    attention: Option<String>,
    /// Feed-forward activation: gelu or relu; the bundle's if not given
    #[arg(long)]
    ffn: Option<String>,
    /// Router of the bundle; the first if none is named
    #[arg(long)]
    router: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct RouteMeasurement {
    tokens: usize,
    attention: String,
    ffn: String,
    router: String,
    ms: Medians,
    openings: u32,
    bytes: Bytes,
    peak_mib: PeakMemory,
    embedding_cosine: f64,
    checked: bool,
    runs: u32,
}

/// Text of ordinary words, to be cut to any length.
const TEXT: &str = "A company sells three kinds of boxes and wants to know how many of each it should make next month, given \
    the orders of the last year, the price of paper, and the time that one worker needs for a box. Explain step by step. ";

/// Runs the measurement.
pub(super) fn run(args: &BenchRouteArgs) -> anyhow::Result<()> {
    let mut parts = bundles::open(args.common.bundle.as_deref())?.into_parts();
    if let Some(attention) = &args.attention {
        parts.encoder.attention = attention.parse::<Attention>()?;
    }
    if let Some(ffn) = &args.ffn {
        parts.encoder.activation = ffn.parse::<Activation>()?;
    }
    let bundle = Bundle::new(parts)?;
    for &tokens in &args.tokens {
        if !(3..=tokenizer::MAX_TOKENS).contains(&tokens) {
            anyhow::bail!("--tokens {tokens}: expected 3 to {}", tokenizer::MAX_TOKENS);
        }
    }
    for &tokens in &args.tokens {
        // Fresh processes, so that the peaks are those of this length.
        let measurement = measure_route(&bundle, args, tokens)?;
        print(args.common.json, &measurement, &measurement.line())?;
        if !measurement.checked {
            anyhow::bail!("the private answer at {tokens} tokens is not the clear one; please report this");
        }
    }
    Ok(())
}

fn measure_route(bundle: &Bundle, args: &BenchRouteArgs, tokens: usize) -> anyhow::Result<RouteMeasurement> {
    let bar = spinner();
    let mut router = start(bundle, &|step| bar.set_message(format!("{tokens} tokens: {step}")))?;
    let mut ids = router.tokens(&TEXT.repeat(8))?.ids;
    let end = ids.last().copied().context("the text has tokens")?;
    ids.truncate(tokens - 1);
    ids.push(end);
    let bucket = tokenizer::bucket(ids.len()).context("a bucket")?;
    let index = router.router_index(args.router.as_deref())?;
    let task = Task::Route { router: index, bucket };
    let lambda = router.public().lambdas[index];
    let inputs = router.encoder_inputs(&ids, bucket)?.with_lambda(lambda);
    // Warm-up: sets the model up, and shows how exact the embedding is.
    let embed = Task::Embed { bucket };
    let tokens_alone = router.encoder_inputs(&ids, bucket)?.tensors;
    let clear = router.clear(embed, tokens_alone.clone())?.0;
    let embedding_cosine = cosine(&router.private(embed, &tokens_alone)?.output, &clear);
    let runs = measure(&mut router, task, &inputs, args.common.runs, &|run| {
        bar.set_message(format!("{tokens} tokens: run {run}"))
    })?;
    bar.finish_and_clear();
    Ok(RouteMeasurement {
        tokens,
        attention: bundle.parts().encoder.attention.to_string(),
        ffn: bundle.parts().encoder.activation.to_string(),
        router: router.public().plan.routers[index].name.clone(),
        ms: runs.medians(),
        openings: runs.openings,
        bytes: runs.bytes,
        peak_mib: router.peak_memory(),
        embedding_cosine,
        checked: runs.agreed && embedding_cosine >= 0.999,
        runs: args.common.runs,
    })
}

impl RouteMeasurement {
    fn line(&self) -> String {
        let costs = self.ms.line(self.openings, &self.bytes, &self.peak_mib);
        let checked = if self.checked { "answer checked" } else { "WRONG ANSWER" };
        format!("{} tokens, {} + {}, {}: {costs}; {checked}", self.tokens, self.attention, self.ffn, self.router)
    }
}
