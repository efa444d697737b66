//! `blindroute bench route`: whole routes.

use super::Common;
use super::measure::{Figures, SAME, check_tokens, cosine, ids, measure, print, start, variant};
use super::tables;
use crate::bundles::{self, Shipped};
use crate::commands::route::spinner;
use anyhow::Context;
use blindroute_routing::bundle::{Activation, Attention, Bundle};
use blindroute_routing::program::{Measurement, Task};
use blindroute_routing::tokenizer;
use blindroute_runtime::SceneName;
use clap::Args;
use serde::Serialize;

/// Measure whole routes.
#[derive(Debug, Args)]
pub(crate) struct BenchRouteArgs {
    /// Prompt lengths in tokens, 3 to 256; 32, 128 and 256 if not given, with --table 256
    #[arg(long, value_delimiter = ',')]
    tokens: Vec<usize>,
    /// Attention, of the shipped minilm.blindroute if no bundle is named: softmax or 2relu; the bundle's if not given
    #[arg(long)]
    attention: Option<String>,
    /// Feed-forward activation, likewise: gelu or relu; the bundle's if not given
    #[arg(long)]
    ffn: Option<String>,
    /// Router of the bundle; the first if none is named
    #[arg(long)]
    router: Option<String>,
    /// Print PPRoute's Tables 1 and 2: CSCR and UniRoute, each with gelu + softmax and with relu + 2relu
    #[arg(long, conflicts_with_all = ["attention", "ffn", "router"])]
    table: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct RouteMeasurement {
    pub(super) tokens: usize,
    pub(super) attention: String,
    pub(super) ffn: String,
    pub(super) router: String,
    #[serde(flatten)]
    pub(super) figures: Figures,
    pub(super) embedding_cosine: f64,
}

/// Runs the measurement.
pub(super) fn run(args: &BenchRouteArgs) -> anyhow::Result<()> {
    let Common { runs, scene, json, bundle } = &args.common;
    check_tokens(&args.tokens)?;
    // The papers' programs are of the published weights; a student's weights are for its own program.
    let other = args.table || args.attention.is_some() || args.ffn.is_some();
    let bundle = bundles::open_or(bundle.as_deref(), if other { Shipped::MiniLm } else { Shipped::Default })?;
    if args.table {
        let tokens = if args.tokens.is_empty() { vec![256] } else { args.tokens.clone() };
        return tables::routes(&bundle, &tokens, *scene, *runs, *json);
    }
    let attention = args.attention.as_deref().map(str::parse::<Attention>).transpose()?;
    let activation = args.ffn.as_deref().map(str::parse::<Activation>).transpose()?;
    let bundle = variant(bundle, attention, activation)?;
    let tokens = if args.tokens.is_empty() { vec![32, 128, 256] } else { args.tokens.clone() };
    for tokens in tokens {
        // Fresh processes, so that the peaks are those of this length.
        let measurement = measure_route(&bundle, args.router.as_deref(), tokens, *scene, *runs)?;
        print(*json, &measurement, &measurement.line())?;
        measurement.figures.confirm(&format!("{tokens} tokens"))?;
    }
    Ok(())
}

/// Whole routes of one length, by processes of their own.
pub(super) fn measure_route(
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
    let task = Task::Route { router: index, bucket };
    let lambda = router.public().lambdas[index];
    let inputs = router.encoder_inputs(&ids, bucket)?.with_lambda(lambda);
    // Warm-up: sets the model up, and shows how exact the embedding is.
    let embed = Measurement::Embed { bucket };
    let tokens_alone = router.encoder_inputs(&ids, bucket)?.tensors;
    let clear = router.clear(embed, tokens_alone.clone())?.0;
    let embedding_cosine = cosine(&router.private(router.request(embed, 1)?, &tokens_alone)?.output, &clear);
    let runs = measure(&router, task, &inputs, runs, &|run| {
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
    pub(super) fn line(&self) -> String {
        let RouteMeasurement { tokens, attention, ffn, router, figures, .. } = self;
        format!("{tokens} tokens, {attention} + {ffn}, {router}: {}", figures.line())
    }
}
