//! `blindroute calibrate`: the weight of cost for one's own prompts.

use std::path::PathBuf;

use blindroute_lab::Stop;
use blindroute_lab::comparison::calibrate_bundle;
use blindroute_lab::data::units_warning;
use blindroute_lab::evaluation::Bootstrap;
use blindroute_lab::evaluation::calibrate::{Calibration, Estimate, Options, Target, UserPrompts};

use blindroute_console::files::{check_out, print, write_file};

/// Find the weight of cost that brings your own prompts to a target cost or quality; `route --calibration` takes it.
#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("target").required(true))]
pub(crate) struct CalibrateArgs {
    /// Your prompts: JSON lines with prompt and, if it is known how each model did, scores by model from 0 to 1.
    #[arg(long, value_name = "FILE.jsonl")]
    prompts: PathBuf,
    /// The router bundle [default: the default bundle].
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Router of the bundle; the first if none is named.
    #[arg(long, value_name = "NAME")]
    router: Option<String>,
    /// The largest mean cost of the prompts, relative to the most expensive model.
    #[arg(long, value_name = "0..1", group = "target")]
    cost: Option<f64>,
    /// The mean score to reach at the lowest cost; needs scores.
    #[arg(long, value_name = "0..1", group = "target")]
    score: Option<f64>,
    /// How far the 95 % interval of the target may reach to either side.
    #[arg(long, default_value_t = 0.05, value_name = "NUMBER")]
    tolerance: f64,
    /// How many bootstrap resamples of the prompts the intervals come from.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(100..=100_000))]
    bootstrap: u32,
    /// The seed of all random choices.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to write the calibration.
    #[arg(long, value_name = "FILE.json")]
    out: PathBuf,
    /// Print the calibration as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Embeds the prompts here, finds the weight and writes the calibration.
pub(crate) fn run(args: &CalibrateArgs) -> anyhow::Result<()> {
    check_out(&args.out)?;
    let target = match (args.cost, args.score) {
        (Some(cost), None) => Target::Cost(cost),
        (None, Some(score)) => Target::Score(score),
        _ => anyhow::bail!("give one target: --cost or --score"),
    };
    let bundle = blindroute_console::bundles::open(args.bundle.as_deref())?;
    let models = &bundle.parts().models;
    if let Some(warning) = units_warning(models) {
        tracing::warn!("{warning}");
    }
    let user = UserPrompts::read(&args.prompts, models)?;
    let bootstrap = Bootstrap { resamples: args.bootstrap as usize, seed: args.seed };
    let options = Options { target, tolerance: args.tolerance, bootstrap };
    let mut shown = super::embedding::watch();
    let made = calibrate_bundle(&bundle, args.router.as_deref(), &user, &options, &mut shown, &Stop::never())?;
    drop(shown);
    let text = serde_json::to_string_pretty(&made)?;
    write_file(text.as_bytes(), &args.out)?;
    print(&if args.json { serde_json::to_string(&made)? } else { describe(&made, args) })
}

fn describe(made: &Calibration, args: &CalibrateArgs) -> String {
    let estimate = |estimate: &Estimate| format!("{:.4} ({:.4} to {:.4})", estimate.value, estimate.low, estimate.high);
    let mut text = format!(
        "router {}, {} prompts; in brackets 95 % intervals\n  λ     {}\n  cost  {}, relative to the most expensive model\n",
        made.router,
        made.prompts,
        estimate(&made.lambda),
        estimate(&made.cost)
    );
    if let Some(score) = &made.score {
        text.push_str(&format!("  score {}\n", estimate(score)));
    }
    text.push_str(&format!("{}: use it with blindroute route --calibration", args.out.display()));
    text
}
