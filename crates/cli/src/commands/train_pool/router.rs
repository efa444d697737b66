//! `blindroute train pool-router`: the gains and the shares of a pool that was trained before, or its gain for a larger encoder.

use std::path::PathBuf;

use anyhow::Context;
use blindroute_console::files::check_out;
use blindroute_console::terminal;
use blindroute_lab::classifiers::{
    CascadeTexts, GainProgress, LabelledFiles, LabelledTexts, TaskReading, check_cascade, task_of,
    train_cascade_router, train_pool_router,
};

use super::report::{finish, finish_cascade};
use super::routing::RoutingArgs;

/// Train the router of a pool of classifiers.
#[derive(clap::Args, Debug)]
pub(crate) struct PoolRouterArgs {
    /// The bundle with the pool. Its encoder and heads, and tasks that are not named, stay as they are.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The bundle of a larger encoder for the same tasks, with the same labels in the same order. Only the gain at the last exit is trained
    /// then, which says which texts go on to that encoder (`classify --larger`); the other gains and the shares stay.
    #[arg(long, value_name = "FILE")]
    larger: Option<PathBuf>,
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
    let PoolRouterArgs { from, larger, routing, out, json } = args;
    check_out(out)?;
    routing.check()?;
    let bundle = blindroute_console::bundles::open(Some(from))?;
    let larger =
        larger.as_ref().map(|path| Ok::<_, anyhow::Error>((path, blindroute_console::bundles::open(Some(path))?)));
    let larger = larger.transpose()?;
    let tasks = routing.texts(&bundle, &|name, files, how| {
        if let Some((_, larger)) = &larger {
            check_cascade(&bundle, larger, name)?;
        }
        LabelledTexts::read_for(task_of(&bundle, name)?, files, how)
    })?;
    let names = tasks.iter().map(|task| task.name.as_str()).collect::<Vec<_>>().join(", ");
    let (options, checkpoint) = ((&routing.options(), routing.seed), routing.checkpoint(out));
    let bar = terminal::bar(0);
    let mut on_piece = |progress: &GainProgress| {
        bar.set_length(progress.pieces as u64);
        bar.set_position(progress.done as u64);
        tracing::info!("{} of {}: {}", progress.done, progress.pieces, progress.piece);
    };
    let failed = "could not train the pool's router";
    let Some((path, larger)) = larger else {
        let trained = train_pool_router(&bundle, &tasks, options, Some(&checkpoint), &mut on_piece);
        bar.finish_and_clear();
        let note = format!("pool router ({names}, for {}): trained on {}", routing.network(), routing.source());
        return finish(trained.context(failed)?, &note, out, routing.network(), *json);
    };
    let read = |name: &str, files: &LabelledFiles, how: TaskReading<'_>| {
        LabelledTexts::read_for(task_of(&larger, name)?, files, how)
    };
    let read =
        routing.texts(&larger, &read).with_context(|| format!("could not read the texts for {}", path.display()))?;
    let both: Vec<CascadeTexts> =
        tasks.into_iter().zip(read).map(|(small, large)| CascadeTexts { small, large }).collect();
    let trained = train_cascade_router((&bundle, &larger), &both, options, Some(&checkpoint), &mut on_piece);
    bar.finish_and_clear();
    let (network, digest) = (routing.network(), larger.digest());
    let note = format!("router to bundle {digest} ({names}, for {network}): trained on {}", routing.source());
    finish_cascade(trained.context(failed)?, &note, out, network, *json)
}
