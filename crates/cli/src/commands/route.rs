//! `blindroute route`: the main job.

use super::route_many::{self, Form, Many};
use super::servers::ServersArgs;
use anyhow::Context;
use blindroute_console::placement::PlacementArg;
use blindroute_console::{bundles, program, signals, terminal};
use blindroute_lab::evaluation::calibrate::Calibration;
use blindroute_placement::{
    Bytes, Milliseconds, PairUsed, PlacementError, PrivateRouter, RankedModel, RouteOptions, RouteReport, UnknownText,
    check_lambda,
};
use blindroute_routing::program::MOST_RANKED;
use clap::Args;
use indicatif::ProgressBar;
use std::io::Write;
use std::path::PathBuf;

/// Choose a model for a prompt, privately.
///
/// Without --config, a dealer and two servers run here as child processes, with fresh certificates and shares.
#[derive(Debug, Args)]
pub(crate) struct RouteArgs {
    /// The prompt
    #[arg(required_unless_present_any = ["input", "lines"], conflicts_with_all = ["input", "lines"])]
    prompt: Option<std::ffi::OsString>,
    /// Where the encoder and the router's rule run: full and head are private, local is not
    #[arg(long, value_enum, default_value_t = PlacementArg::Full)]
    placement: PlacementArg,
    /// Router of the bundle; the first if none is named
    #[arg(long, value_name = "NAME")]
    router: Option<String>,
    /// Weight of cost, 0 to 15; the router's own if none is given
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    lambda: Option<f32>,
    /// Take the weight of cost from this calibration (see `blindroute calibrate`)
    #[arg(long, value_name = "FILE.json", conflicts_with = "lambda")]
    calibration: Option<PathBuf>,
    /// Name the best N models, 1 to 4, the best first: the next is for when the first does not answer. Servers and dealer see N
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=MOST_RANKED as i64))]
    ranked: u8,
    /// The model for prompts that the router can hardly read: more than --unknown-share of their characters are not in its
    /// vocabulary. Their sessions run as for any other prompt
    #[arg(long, value_name = "NAME")]
    unknown_model: Option<String>,
    /// For --unknown-model, the largest share of unknown characters for which the router still chooses, 0 to 1
    #[arg(long, value_name = "NUMBER", default_value_t = 0.5, requires = "unknown_model", allow_hyphen_values = true)]
    unknown_share: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Route many prompts: one {"id", "prompt"} (or "messages", or a line of OpenAI's batch files) per line, "-" for standard input; prints one
    /// line of JSON per prompt
    #[arg(long, value_name = "FILE.jsonl")]
    input: Option<PathBuf>,
    /// Route many prompts: one per line, "-" for standard input; prints the chosen model of each (with --ranked the best ones, with
    /// tabs between them), or JSON with --json
    #[arg(long, value_name = "FILE", conflicts_with = "input")]
    lines: Option<PathBuf>,
    /// With many prompts: sessions at once
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "prompt", value_parser = clap::value_parser!(u8).range(1..=32))]
    concurrency: u8,
    /// With many prompts: up to N that wait together and have one size (bucket) share a session; the servers see how many. A
    /// session takes at most 4096 padded tokens, such as 16 prompts of 256
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "prompt", value_parser = clap::value_parser!(u8).range(1..=64))]
    batch: u8,
    /// With many prompts: keep N prepared sessions for each size (bucket) that has occurred, with --batch for full batches. Each
    /// takes memory of the servers, and one of their max_sessions
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "prompt", value_parser = clap::value_parser!(u8).range(0..=16))]
    session_pool: u8,
    /// With many prompts: keep each answer in FILE, and take from it what an earlier run of the same request answered. After an
    /// interruption give the same command again: it prints everything. FILE holds salted digests of the prompts, no prompt
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    journal: Option<PathBuf>,
    #[command(flatten)]
    servers: ServersArgs,
    /// The router bundle; the default one, which is part of this program, if none is named (with --config it is needed for
    /// head and local only)
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// Routes one prompt or many.
pub(crate) fn run(args: &RouteArgs) -> anyhow::Result<()> {
    // The prompt is checked before anything is started.
    let prompt = args
        .prompt
        .as_ref()
        .map(|prompt| prompt.to_str().context("the prompt is not UTF-8: convert it, for instance with iconv"))
        .transpose()?;
    if prompt.is_some_and(|prompt| prompt.trim().is_empty()) {
        anyhow::bail!("the prompt is empty; give the text to route, or --input FILE.jsonl");
    }
    if let Some(lambda) = args.lambda {
        check_lambda(lambda)?;
    }
    if args.session_pool > 0 && args.placement == PlacementArg::Local {
        anyhow::bail!(
            "--session-pool keeps sessions of the servers ready, and placement local asks no server; leave it out"
        );
    }
    let many = args.many();
    if let Some(many) = &many {
        route_many::check(many.path, many.form)?;
    }
    let calibration = args.calibration.as_deref().map(Calibration::open).transpose()?;
    if let Some(calibration) = &calibration {
        check_lambda(calibration.weight())?;
    }
    let unknown = args.unknown_model.clone().map(|model| UnknownText { share: args.unknown_share, model });
    signals::clean_up()?;
    let bar = terminal::spinner();
    let router = open(args, unknown.as_ref(), &bar)?.with_patience(args.servers.patience(&bar));
    let mut options = RouteOptions::default().with_placement(args.placement.into()).with_ranking(args.ranked.into());
    (options.router, options.lambda, options.unknown_text) = (args.router.clone(), args.lambda, unknown);
    router.check(&options)?;
    let index = router.router_index(options.router.as_deref())?;
    if let Some(calibration) = &calibration {
        let public = router.public();
        calibration.check(&public.plan.routers[index].name, &public.models)?;
        options.lambda = Some(calibration.weight());
    }
    match many {
        // At least a session for each pair of servers.
        Some(many) => Many { concurrency: many.concurrency.max(router.pairs()), ..many }.route(&router, &options, &bar),
        None => {
            bar.set_message("routing");
            let report = router.route(prompt.unwrap_or_default(), &options)?;
            bar.finish_and_clear();
            print(&report, args.json)
        }
    }
}

impl RouteArgs {
    /// The input of many prompts, if that is what is asked for.
    fn many(&self) -> Option<Many<'_>> {
        let (path, form) = match (&self.input, &self.lines) {
            (Some(path), _) => (path, Form::Object),
            (None, Some(path)) => (path, Form::Prompt),
            (None, None) => return None,
        };
        let [concurrency, batch, session_pool] = [self.concurrency, self.batch, self.session_pool].map(usize::from);
        let journal = self.journal.as_deref();
        Some(Many { path, form, json: self.json, concurrency, batch, session_pool, journal })
    }
}

fn open(args: &RouteArgs, unknown: Option<&UnknownText>, bar: &ProgressBar) -> anyhow::Result<PrivateRouter> {
    bar.set_message("reading the bundle");
    if let Some(router) = args.servers.connect(args.bundle.as_deref())? {
        return Ok(router);
    }
    let (bundle, name) = (bundles::open(args.bundle.as_deref())?, bundles::name(args.bundle.as_deref()));
    if args.placement == PlacementArg::Local {
        return ServersArgs::start(&bundle, name, None, bar);
    }
    // Before three processes are started in vain.
    let known: Vec<String> = bundle.parts().routers.iter().map(|router| router.name.clone()).collect();
    if known.is_empty() || args.router.as_ref().is_some_and(|name| !known.contains(name)) {
        return Err(PlacementError::UnknownRouter { name: args.router.clone().unwrap_or_default(), known }.into());
    }
    if let Some(unknown) = unknown {
        unknown.place(&bundle.parts().models)?;
    }
    ServersArgs::start(&bundle, name, Some(program::children()?), bar)
}

fn print(report: &RouteReport, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(report)?)?;
        return Ok(out.flush()?);
    }
    writeln!(out, "{}", report.model)?;
    writeln!(out, "  price     {} {}", report.price, report.price_unit)?;
    for RankedModel { model, price, price_unit } in report.ranking.iter().skip(1) {
        writeln!(out, "  then      {model}, price {price} {price_unit}")?;
    }
    writeln!(out, "  router    {} (lambda {}), placement {:?}", report.router, report.lambda, report.placement)?;
    let bucket = report.bucket.map(|bucket| format!(", padded to {bucket}")).unwrap_or_default();
    let unknown = if report.unknown > 0 { format!(", {} unknown", report.unknown) } else { String::new() };
    writeln!(out, "  tokens    {}{unknown}{bucket}", report.tokens)?;
    for note in report.cut_from.iter().chain(&report.unknown_note) {
        writeln!(out, "  note      {note}")?;
    }
    print_pair(&mut out, report.pair.as_ref())?;
    print_cost(&mut out, (&report.ms, &report.bytes, report.openings), report.seen)
}

/// Prints which of several pairs of servers answered.
pub(super) fn print_pair(out: &mut impl Write, pair: Option<&PairUsed>) -> std::io::Result<()> {
    pair.map_or(Ok(()), |pair| writeln!(out, "  pair      {pair}"))
}

/// Prints what an answer took, and who saw what, as the last lines for people.
pub(super) fn print_cost(
    out: &mut impl Write,
    (ms, bytes, openings): (&Milliseconds, &Bytes, u32),
    seen: &str,
) -> anyhow::Result<()> {
    writeln!(
        out,
        "  time      client {:.0} ms, offline {:.0} ms, online {:.0} ms, total {:.0} ms",
        ms.client, ms.offline, ms.online, ms.total
    )?;
    writeln!(out, "  openings  {openings}")?;
    writeln!(
        out,
        "  bytes     server 0 sent {}, server 1 sent {}, client sent {}, dealer sent {}",
        bytes.server0_sent, bytes.server1_sent, bytes.client_sent, bytes.material
    )?;
    writeln!(out, "  seen by   {seen}")?;
    Ok(out.flush()?)
}
