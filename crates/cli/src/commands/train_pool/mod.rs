//! `blindroute train pool`: a nested pool of classifiers.

mod report;
mod router;
mod routing;
mod slim;
mod slim_report;

use std::path::PathBuf;

use anyhow::Context;
use blindroute_lab::classifiers::{LabelledTexts, PoolOptions, PoolProgress, train_pool};

use blindroute_console::files::check_out;
use blindroute_console::terminal;
use report::finish;
use routing::RoutingArgs;

pub(crate) use router::{PoolRouterArgs, run as run_router};
pub(super) use routing::estimate;
pub(crate) use slim::{PoolSlimArgs, run as run_slim};

/// Train a pool of classifiers.
#[derive(clap::Args, Debug)]
pub(crate) struct PoolArgs {
    /// The bundle whose encoder the training starts from. Its attention is linear.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    routing: RoutingArgs,
    /// After how many layers texts may leave; the last is the encoder's number of layers.
    #[arg(long, value_delimiter = ',', value_name = "N,...", required = true)]
    exits: Vec<usize>,
    /// Training steps.
    #[arg(long, default_value_t = 2000)]
    steps: usize,
    /// Tokens per training step, with padding.
    #[arg(long, default_value_t = 1024)]
    tokens: usize,
    /// The largest learning rate of the layers; that of the heads is ten times as large.
    #[arg(long, default_value_t = 1e-4)]
    rate: f64,
    /// Bits of a stored weight of the layers; training rounds to them at every step.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(2..=16))]
    bits: u8,
    /// Train a gate over the exits together with layers and heads, so that these learn which answers will count. The gains start from it.
    #[arg(long)]
    gated: bool,
    /// Where to write the bundle with the pool.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Trains, writes the bundle, and prints how good each task is.
pub(crate) fn run(args: &PoolArgs) -> anyhow::Result<()> {
    let PoolArgs { routing, out, json, .. } = args;
    check_out(out)?;
    routing.check_training(args.tokens, args.rate)?;
    let start = blindroute_console::bundles::open(Some(&args.from))?;
    let tasks = routing.texts(&start, &LabelledTexts::read)?;
    let mut options = PoolOptions::new(args.exits.clone());
    (options.steps, options.tokens, options.rate) = (args.steps, args.tokens, args.rate);
    (options.seed, options.bits) = (routing.seed, Some(args.bits));
    (options.gated, options.routing) = (args.gated, routing.options());
    let checkpoint = routing.checkpoint(out);
    let bar = terminal::bar(args.steps as u64);
    let mut mean = Mean::default();
    let trained = train_pool(&start, &tasks, &options, Some(&checkpoint), &mut |progress| {
        mean.add(progress);
        bar.set_position(progress.step as u64);
        if progress.step.is_multiple_of(50) {
            tracing::info!(step = progress.step, "{}", mean.described());
            mean = Mean::default();
        }
    });
    bar.finish_and_clear();
    let trained = trained.context("could not train the pool")?;
    let note = format!("pool (exits after {:?} layers): trained on {}", args.exits, routing.source());
    finish(trained, &note, out, routing.network(), *json)
}

/// The mean of what the steps since the last line say.
#[derive(Default)]
struct Mean {
    steps: f64,
    entropies: Vec<f64>,
    excess: f64,
}

impl Mean {
    fn add(&mut self, progress: &PoolProgress) {
        self.steps += 1.0;
        self.entropies.resize(progress.entropies.len(), 0.0);
        self.entropies.iter_mut().zip(&progress.entropies).for_each(|(sum, entropy)| *sum += entropy);
        self.excess += progress.excess.unwrap_or(0.0);
    }

    fn described(&self) -> String {
        let entropies = self.entropies.iter().map(|sum| format!("{:.4}", sum / self.steps));
        let entropies = entropies.collect::<Vec<_>>().join(", ");
        format!("cross entropies by exit {entropies}, excess {:.5}", self.excess / self.steps)
    }
}
