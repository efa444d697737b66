//! `blindroute classify`: labels for texts, from a nested pool of classifiers, or a cascade of them.

mod lines;
mod open;

use super::route::{print_cost, print_pair};
use super::route_many;
use super::servers::ServersArgs;
use anyhow::Context;
use blindroute_console::{signals, terminal};
use blindroute_placement::{Cascade, ClassifyOptions, ClassifyReport, Placement, PlacementError, Policy, Text};
use blindroute_routing::program::BundlePlan;
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::PathBuf;

/// Find the label of a text, privately.
///
/// Without --config, a dealer and two servers run here as child processes, with fresh certificates and shares.
#[derive(Debug, Args)]
pub(crate) struct ClassifyArgs {
    /// The text
    #[arg(required_unless_present = "input", conflicts_with = "input")]
    text: Option<std::ffi::OsString>,
    /// The second text, for a task that takes pairs
    #[arg(long, value_name = "TEXT", conflicts_with = "input")]
    text2: Option<String>,
    /// Task of the bundle's pool; the first if none is named
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Where the classifiers run: full is private, local is not
    #[arg(long, value_enum, default_value_t = PlacementArg::Full)]
    placement: PlacementArg,
    /// Who learns after how many layers each text leaves: hidden (nobody) or open (you and the servers; a single text is spared
    /// layers too)
    #[arg(long, value_enum, default_value_t = PolicyArg::Hidden)]
    policy: PolicyArg,
    /// With policy open and several --config: texts that go on past the first exit do so with another pair of servers, to which the first
    /// pair hands them over
    #[arg(long)]
    hand_over: bool,
    /// All texts leave after so many layers, one of the pool's exits, and none is repeated to fill a session; without it a single text
    /// goes through all layers, unless the policy is open
    #[arg(long, value_name = "LAYERS")]
    depth: Option<usize>,
    /// With many texts: the share of a session's texts that goes on past each exit but the last, such as 0.5,0.25; the task's own if
    /// none are given
    #[arg(long, value_name = "SHARES", value_delimiter = ',', conflicts_with_all = ["text", "depth"], allow_hyphen_values = true)]
    capacity: Option<Vec<f32>>,
    /// Give the scores of all labels too; servers refuse that unless their configuration has `scores = true`
    #[arg(long)]
    scores: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Classify many texts: one {"id", "text"} per line ("text2" too for pairs), "-" for standard input; prints one line of JSON per
    /// text
    #[arg(long, value_name = "FILE.jsonl")]
    input: Option<PathBuf>,
    /// With many texts: N of one size (bucket) share a session, at most 4096 padded tokens such as 16 texts of 256; the servers see
    /// how many. 1 runs each text alone, with policy hidden through all layers
    #[arg(long, value_name = "N", default_value_t = 32, conflicts_with = "text", allow_hyphen_values = true)]
    batch: usize,
    #[command(flatten)]
    servers: ServersArgs,
    /// A bundle with a pool of classifiers; pool.blindroute beside this program if none is named (with --config it is needed for
    /// local only)
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// With policy open: the bundle of a larger encoder for the same task. Texts go on to it, from their tokens, if the router of the
    /// bundle before says that it does better. Repeat it for one that is larger still
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "larger_config"])]
    larger: Vec<PathBuf>,
    /// The same with servers: the client configuration (TOML) of a larger encoder's servers
    #[arg(long, value_name = "FILE", requires = "config")]
    larger_config: Vec<PathBuf>,
}

/// Where the classifiers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PlacementArg {
    /// Everything on this machine, in the clear: for public classifiers
    Local,
    /// Everything under MPC
    Full,
}

/// Who learns after how many layers each text leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PolicyArg {
    /// Nobody: of a session's texts, the servers choose a public number in secret
    Hidden,
    /// You and the servers: texts whose gain exceeds the bundle's threshold go on
    Open,
}

/// Classifies one text or many.
pub(crate) fn run(args: &ClassifyArgs) -> anyhow::Result<()> {
    // The text is checked before anything is started.
    let text = args
        .text
        .as_ref()
        .map(|text| text.to_str().context("the text is not UTF-8: convert it, for instance with iconv"))
        .transpose()?;
    if [text, args.text2.as_deref()].into_iter().flatten().any(|text| text.trim().is_empty()) {
        anyhow::bail!("the text is empty; give the text to classify, or --input FILE.jsonl");
    }
    let text = text.map(|text| Text { text, text2: args.text2.as_deref() });
    if let Some(path) = &args.input {
        route_many::check(path, route_many::Form::Text)?;
    }
    let options = args.options();
    signals::clean_up()?;
    let bar = terminal::spinner();
    let check = |plans: &[&BundlePlan]| -> Result<(), PlacementError> {
        Cascade::check_plans(plans, &options)?;
        if let (Some(text), Some(plan)) = (&text, plans.first()) {
            options.check_text(plan, text)?;
        }
        Ok(())
    };
    let router = open::open(args, &check, &bar)?;
    if let Some(path) = &args.input {
        return lines::classify(path, &router, &options, &bar);
    }
    bar.set_message("classifying");
    let texts: Vec<Text<'_>> = text.into_iter().collect();
    let answer = router.classify_batch(&texts, &options)?.pop().context("it got no answer; please report this")?;
    bar.finish_and_clear();
    print(&answer?, args.json)
}

impl ClassifyArgs {
    fn options(&self) -> ClassifyOptions {
        let mut options = ClassifyOptions::default().with_batch(self.batch);
        options.placement = match self.placement {
            PlacementArg::Local => Placement::Local,
            PlacementArg::Full => Placement::Full,
        };
        options.policy = match self.policy {
            PolicyArg::Hidden => Policy::Hidden,
            PolicyArg::Open => Policy::Open,
        };
        (options.task, options.depth, options.scores) = (self.task.clone(), self.depth, self.scores);
        options.capacities = self.capacity.clone();
        options.hand_over = self.hand_over;
        options
    }
}

fn print(report: &ClassifyReport, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(report)?)?;
        return Ok(out.flush()?);
    }
    writeln!(out, "{}", report.label)?;
    if let Some(scores) = &report.scores {
        let scores: Vec<_> = scores.iter().map(|(label, score)| format!("{label} {score:.3}")).collect();
        writeln!(out, "  scores    {}", scores.join(", "))?;
    }
    writeln!(out, "  task      {}, placement {:?}", report.task, report.placement)?;
    if let Some(encoder) = report.encoder {
        writeln!(out, "  encoder   {encoder}, {}", report.bundle.name)?;
    }
    let bucket = report.bucket.map(|bucket| format!(", padded to {bucket}")).unwrap_or_default();
    writeln!(out, "  tokens    {}{bucket}", report.tokens)?;
    if let Some(note) = &report.cut_from {
        writeln!(out, "  note      {note}")?;
    }
    match report.depth {
        Some(layers) => writeln!(out, "  depth     {layers} layers")?,
        None => writeln!(out, "  capacity  {:?} of {} texts", report.capacities, report.batch)?,
    }
    if report.leaked_bits > 0 {
        let (bits, plural) = (report.leaked_bits, if report.leaked_bits == 1 { "" } else { "s" });
        let encoder = if report.encoder.is_some() { "at which encoder, and " } else { "" };
        writeln!(out, "  leaked    at most {bits} bit{plural}: {encoder}after how many layers the text left")?;
    }
    print_pair(&mut out, report.pair.as_ref())?;
    print_cost(&mut out, (&report.ms, &report.bytes, report.openings), &report.seen)
}
