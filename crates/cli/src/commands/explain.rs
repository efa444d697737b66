//! `blindroute explain`: what a request costs, from the cost meter, without running it.

use blindroute_console::bundles::Shipped;
use blindroute_console::files::print;
use blindroute_protocol::{Meter, Tuning};
use blindroute_routing::bundle::{MOST_EXITS, PoolShape};
use blindroute_routing::program::{BundlePlan, MOST_RANKED, SessionRequest, Task, Work};
use blindroute_routing::tokenizer::{MAX_TOKENS, bucket};
use blindroute_runtime::scene::SceneName;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Say what a route or a classification costs: openings, bytes, and how long servers wait for the network.
///
/// The figures come from the cost meter, which computes them from public shapes. Nothing runs, so the time does not include the servers'
/// own work.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// The bundle; one that comes with the program if none is named, for --task its pool
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The router; the bundle's first if neither this nor --task is given
    #[arg(long, value_name = "NAME", conflicts_with = "task")]
    router: Option<String>,
    /// The task of the bundle's pool of classifiers
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Tokens of a prompt or text, which is padded to 32, 64, 128 or 256
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=MAX_TOKENS as i64))]
    tokens: u32,
    /// How many prompts or texts share a session
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    batch: u32,
    /// With a router: how many models the answer names
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "task", value_parser = clap::value_parser!(u8).range(1..=MOST_RANKED as i64))]
    ranked: u8,
    /// With --task: how many texts of the batch go on past each exit but the last, as 16,8; those of the task if not given
    #[arg(long, value_name = "TEXTS,...", value_delimiter = ',', requires = "task")]
    going: Vec<usize>,
    /// An encoder with so many layers instead of the bundle's
    #[arg(long, conflicts_with = "task")]
    layers: Option<usize>,
    /// An encoder of this width instead of the bundle's
    #[arg(long, conflicts_with = "task")]
    hidden: Option<usize>,
    /// An encoder with so many attention heads instead of the bundle's
    #[arg(long, conflicts_with = "task")]
    heads: Option<usize>,
    /// An encoder with a feed-forward network of this width instead of the bundle's
    #[arg(long, conflicts_with = "task")]
    ffn: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What a request costs on one network.
#[derive(Debug, Serialize)]
struct Row {
    network: &'static str,
    tuning: String,
    openings: usize,
    server_bytes: usize,
    material_bytes: usize,
    waiting_ms: f64,
}

/// Prints the costs.
pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<()> {
    let shipped = if args.task.is_some() { Shipped::Pool } else { Shipped::Default };
    let bundle = blindroute_console::bundles::open_or(args.bundle.as_deref(), shipped)?;
    let plan = Arc::new(shaped(args, BundlePlan::of(&bundle))?);
    let asked = Asked {
        router: args.router.as_deref(),
        task: args.task.as_deref(),
        bucket: bucket(args.tokens as usize).unwrap_or(MAX_TOKENS),
        batch: args.batch as usize,
        going: &args.going,
    };
    let task = asked.task(&plan)?.with_ranked(args.ranked.into());
    let request = SessionRequest::new(task).with_batch(args.batch as usize);
    let rows =
        SceneName::ALL.map(|scene| row(&plan, request, scene)).into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    if args.json {
        let task = Work::Task(task);
        return print(&serde_json::json!({"request": task, "batch": args.batch, "networks": rows}).to_string());
    }
    let mut lines = vec![format!(
        "{:9} {:7} {:>8} {:>18} {:>12} {:>12}",
        "network", "tuning", "openings", "each server sends", "material", "waiting"
    )];
    lines.extend(rows.iter().map(|row| {
        format!(
            "{:9} {:7} {:>8} {:>15.2} MB {:>9.2} MB {:>9.1} ms",
            row.network,
            row.tuning,
            row.openings,
            row.server_bytes as f64 / 1e6,
            row.material_bytes as f64 / 1e6,
            row.waiting_ms
        )
    }));
    print(&lines.join("\n"))
}

/// The plan with the shape that the options ask for.
fn shaped(args: &ExplainArgs, mut plan: BundlePlan) -> anyhow::Result<BundlePlan> {
    let encoder = &mut plan.encoder;
    let sizes = [
        ("--layers", args.layers, &mut encoder.layers, 64),
        ("--hidden", args.hidden, &mut encoder.hidden, 8192),
        ("--heads", args.heads, &mut encoder.heads, 1024),
        ("--ffn", args.ffn, &mut encoder.ffn, 65_536),
    ];
    let mut other = false;
    for (option, given, size, most) in sizes {
        let Some(given) = given else { continue };
        if !(1..=most).contains(&given) {
            anyhow::bail!("unsupported {option} {given}: expected 1 to {most}");
        }
        other |= *size != given;
        *size = given;
    }
    if !encoder.hidden.is_multiple_of(encoder.heads) {
        let (hidden, heads) = (encoder.hidden, encoder.heads);
        anyhow::bail!(
            "a width of {hidden} for {heads} attention heads: expected a multiple; give --hidden and --heads"
        );
    }
    if other {
        plan.pool = None;
    }
    Ok(plan)
}

/// What sessions ask of a bundle, by its names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The router; the first if neither this nor a task is named.
    pub(super) router: Option<&'a str>,
    /// The task of the pool of classifiers.
    pub(super) task: Option<&'a str>,
    pub(super) bucket: usize,
    pub(super) batch: usize,
    /// How many texts go on past each exit but the last; the task's own numbers if empty.
    pub(super) going: &'a [usize],
}

impl Asked<'_> {
    /// The task of sessions with a bundle of this plan.
    pub(super) fn task(&self, plan: &BundlePlan) -> anyhow::Result<Task> {
        let bucket = self.bucket;
        let Some(name) = self.task else {
            let known = || plan.routers.iter().map(|router| router.name.clone()).collect::<Vec<_>>().join(", ");
            let router = plan.router(self.router);
            let router = router.ok_or_else(|| match self.router {
                Some(name) => anyhow::anyhow!("the bundle has no router {name:?}; it has: {}", known()),
                None => anyhow::anyhow!(
                    "the bundle has no routers; name a task of its pool (explain: --task), or another bundle"
                ),
            })?;
            return Ok(Task::route(router, bucket));
        };
        let Some(pool) = &plan.pool else {
            anyhow::bail!("the bundle has no pool of classifiers; name a bundle that `blindroute train pool` made");
        };
        let Some(classifier) = pool.task(Some(name)) else {
            let known: Vec<&str> = pool.tasks.iter().map(|task| task.task.name.as_str()).collect();
            anyhow::bail!("the pool has no task {name:?}; it has: {}", known.join(", "));
        };
        let (exit, capacities) = (pool.exits.len() - 1, self.capacities(pool, classifier)?);
        Ok(Task::classify(classifier, bucket, exit, capacities))
    }

    /// By exit but the last, how many texts go on.
    fn capacities(&self, pool: &PoolShape, classifier: usize) -> anyhow::Result<[usize; MOST_EXITS - 1]> {
        let stages = pool.exits.len() - 1;
        let texts: Vec<usize> = if self.going.is_empty() {
            pool.tasks[classifier].task.going(self.batch)
        } else if self.going.len() == stages {
            self.going.to_vec()
        } else {
            let found = self.going.len();
            anyhow::bail!("--going names {found} numbers, expected {stages}: one for each exit but the last");
        };
        let mut capacities = [0; MOST_EXITS - 1];
        capacities[..stages].copy_from_slice(&texts);
        Ok(capacities)
    }
}

fn row(plan: &Arc<BundlePlan>, request: SessionRequest, scene: SceneName) -> anyhow::Result<Row> {
    let network = super::train_pool::estimate(scene);
    let request = match &network {
        Some(network) => network.tune(plan, request)?,
        None => request.with_tuning(Tuning::default()),
    };
    let cost = Meter::cost(&request.program(plan)?)?;
    let waiting = network.map_or(Duration::ZERO, |network| network.estimate(&cost));
    Ok(Row {
        network: scene.name(),
        tuning: format!("{:?}", request.tuning.unwrap_or_default()).to_lowercase(),
        openings: cost.openings,
        server_bytes: cost.opening_bytes,
        material_bytes: cost.material_bytes,
        waiting_ms: (waiting.as_secs_f64() * 1e5).round() / 1e2,
    })
}
