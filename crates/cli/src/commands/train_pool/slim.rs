//! `blindroute train pool-slim`: a cheaper pool at nearly the same accuracy.

use std::path::PathBuf;

use anyhow::{Context, bail};
use blindroute_console::files::{check_out, print, write_bundle};
use blindroute_console::terminal;
use blindroute_lab::classifiers::{LabelledTexts, RoundReport, SlimOptions, SlimProgress, SlimRow, slim_pool, task_of};
use blindroute_routing::bundle::Bundle;

use super::routing::RoutingArgs;
use super::slim_report::table;

/// Make a pool of classifiers cheaper under MPC.
///
/// Lowers the loss on development texts plus BETA times the time of a text on the stated network, relative to that of the start. Each
/// round accepts changes while they lower it: a bit less in one of the encoder's widths, fewer units in its feed-forward networks, or
/// an exit less. Then the encoder and the heads are trained for the new widths and shape, and gains and shares as by `train pool-router`.
#[derive(clap::Args, Debug)]
pub(crate) struct PoolSlimArgs {
    /// The bundle with the pool. Tasks that are not named are left out: their heads would not fit the changed encoder.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    routing: RoutingArgs,
    /// The loss, in nats per text, that the whole time of a text is worth.
    #[arg(long, default_value_t = SlimOptions::default().beta)]
    beta: f64,
    /// The most rounds.
    #[arg(long, default_value_t = SlimOptions::default().rounds)]
    rounds: usize,
    /// The most changes that a round accepts.
    #[arg(long, default_value_t = SlimOptions::default().changes)]
    changes: usize,
    /// Training steps after the changes of a round.
    #[arg(long, default_value_t = SlimOptions::default().steps)]
    steps: usize,
    /// Tokens per training step, with padding.
    #[arg(long, default_value_t = SlimOptions::default().tokens)]
    tokens: usize,
    /// The largest learning rate of the layers; that of the heads is ten times as large.
    #[arg(long, default_value_t = SlimOptions::default().rate)]
    rate: f64,
    /// Bits of a stored weight of the layers. They decide about the size of the file, not about the cost under MPC.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(2..=16))]
    bits: u8,
    /// How many units of each feed-forward network go at a time; 0 for none.
    #[arg(long, default_value_t = SlimOptions::default().units)]
    units: usize,
    /// The most development texts of a task on which changes are tried.
    #[arg(long, default_value_t = SlimOptions::default().dev, value_name = "TEXTS")]
    dev: usize,
    /// Where to write the bundle with the cheaper pool.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Makes the pool cheaper, writes the bundle, and prints what each change saves and loses.
pub(crate) fn run(args: &PoolSlimArgs) -> anyhow::Result<()> {
    let PoolSlimArgs { from, routing, out, json, .. } = args;
    check_out(out)?;
    check(args)?;
    let start = blindroute_console::bundles::open(Some(from))?;
    let tasks =
        routing.texts(&start, &|name, files, how| LabelledTexts::read_for(task_of(&start, name)?, files, how))?;
    let checkpoint = routing.checkpoint(out);
    let bar = terminal::bar(args.steps as u64);
    let slimmed = slim_pool(&start, &tasks, &options(args), Some(&checkpoint), &mut |progress| match progress {
        SlimProgress::Alone(row) => tracing::info!("alone: {}", described(&row)),
        SlimProgress::Accepted(row) => tracing::info!("round {}: accepted {}", row.round, described(&row)),
        SlimProgress::Training(of) => {
            bar.set_position(of.step as u64);
            if of.step.is_multiple_of(50) {
                tracing::info!("{} of {} steps", of.step, of.steps);
            }
        }
        SlimProgress::Gains(of) => tracing::info!("{} of {}: {}", of.done, of.pieces, of.piece),
        SlimProgress::Round(round) => tracing::info!("{}", ended(&round)),
    });
    bar.finish_and_clear();
    let slimmed = slimmed.context("could not make the pool cheaper")?;
    let names = tasks.iter().map(|task| task.name.as_str()).collect::<Vec<_>>().join(", ");
    let (network, source) = (routing.network(), routing.source());
    let mut parts = slimmed.bundle.into_parts();
    parts.origin = format!("{}\npool made cheaper ({names}, for {network}): trained on {source}", parts.origin);
    let bundle = Bundle::new(parts)?;
    let bytes = write_bundle(&bundle, out)?;
    let digest = bundle.digest().to_string();
    print(&if *json {
        let report = serde_json::json!({
            "out": out, "bytes": bytes, "digest": digest, "network": network, "beta": args.beta, "report": slimmed.report,
        });
        report.to_string()
    } else {
        format!("{}: {bytes} bytes, digest {digest}\n{}", out.display(), table(&slimmed.report, network)?)
    })
}

fn options(args: &PoolSlimArgs) -> SlimOptions {
    SlimOptions {
        beta: args.beta,
        rounds: args.rounds,
        changes: args.changes,
        steps: args.steps,
        tokens: args.tokens,
        rate: args.rate,
        bits: Some(args.bits),
        units: args.units,
        dev: args.dev,
        seed: args.routing.seed,
        routing: args.routing.options(),
        ..SlimOptions::default()
    }
}

fn check(args: &PoolSlimArgs) -> anyhow::Result<()> {
    args.routing.check_training(args.tokens, args.rate)?;
    if args.dev == 0 {
        bail!("unsupported --dev 0: expected the number of texts on which changes are tried, such as 256");
    }
    Ok(())
}

fn described(row: &SlimRow) -> String {
    let (saved, rises) = (100.0 * row.saved.seconds, 100.0 * row.accuracy);
    let (what, value) = (&row.change, row.score.objective);
    format!("{what}: saves {saved:.1} % of the time, accuracy {rises:+.2} points, objective {value:.4}")
}

fn ended(of: &RoundReport) -> String {
    let RoundReport { round, changes, changed, trained, kept, routed } = of;
    let training = if *kept { "kept" } else { "not kept" };
    format!(
        "round {round}: {changes} changes, objective {:.4}, after training {:.4} ({training}), with new shares {:.4}",
        changed.objective, trained.objective, routed.objective
    )
}
