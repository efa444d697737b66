//! `blindroute train pool-router`: the gains and the shares of a pool that was trained before.

use std::path::PathBuf;

use anyhow::Context;
use blindroute_console::files::check_out;
use blindroute_console::terminal;
use blindroute_lab::classifiers::{LabelledTexts, task_of, train_pool_router};

use super::report::finish;
use super::routing::RoutingArgs;

/// Train the router of a pool of classifiers.
#[derive(clap::Args, Debug)]
pub(crate) struct PoolRouterArgs {
    /// The bundle with the pool. Its encoder and heads, and tasks that are not named, stay as they are.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    routing: RoutingArgs,
    /// Where to write the bundle; may be the same file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Trains, writes the bundle, and prints how good each task is.
pub(crate) fn run(args: &PoolRouterArgs) -> anyhow::Result<()> {
    let PoolRouterArgs { from, routing, out, json } = args;
    check_out(out)?;
    routing.check()?;
    let bundle = blindroute_console::bundles::open(Some(from))?;
    let tasks =
        routing.texts(&bundle, &|name, files, how| LabelledTexts::read_for(task_of(&bundle, name)?, files, how))?;
    let bar = terminal::bar(0);
    let (options, checkpoint) = ((&routing.options(), routing.seed), routing.checkpoint(out));
    let trained = train_pool_router(&bundle, &tasks, options, Some(&checkpoint), &mut |progress| {
        bar.set_length(progress.pieces as u64);
        bar.set_position(progress.done as u64);
        tracing::info!("{} of {}: {}", progress.done, progress.pieces, progress.piece);
    });
    bar.finish_and_clear();
    let trained = trained.context("could not train the pool's router")?;
    let names = tasks.iter().map(|task| task.name.as_str()).collect::<Vec<_>>().join(", ");
    let note = format!("pool router ({names}, for {}): trained on {}", routing.network(), routing.source());
    finish(trained, &note, out, routing.network(), *json)
}
