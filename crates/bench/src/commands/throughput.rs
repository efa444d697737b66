//! `bench throughput`: several routes at once, each in a session of its own or several in one, with sessions prepared as
//! needed and from a pool of ready ones.

use crate::measure::latencies::{Latencies, Sessions, ThroughputMeasurement, round};
use crate::measure::load::{Work, bucket};
use crate::measure::{check_tokens, start};
use crate::report::print;
use blindroute_console::bundles;
use blindroute_console::terminal::{say as say_line, spinner};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::Task;
use blindroute_runtime::SceneName;
use clap::Args;
use std::path::PathBuf;

/// Measure several routes at once.
#[derive(Debug, Args)]
pub struct BenchThroughputArgs {
    /// Prompt lengths in tokens, 3 to 256
    #[arg(long, value_delimiter = ',', default_values_t = [32])]
    tokens: Vec<usize>,
    /// Sessions at once
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 2, 4], value_parser = clap::value_parser!(u8).range(1..=32))]
    concurrency: Vec<u8>,
    /// Prompts that share a session, all of one bucket; at most 4096 padded tokens
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1], value_parser = clap::value_parser!(u8).range(1..=64))]
    batch: Vec<u8>,
    /// Prompts to route per setting, rounded up to whole batches
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10000))]
    routes: u32,
    /// Sessions that the pool keeps ready; as many as run at once if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    pool: Option<u8>,
    /// Router of the bundle; the first if none is named
    #[arg(long)]
    router: Option<String>,
    /// Network between all parties, emulated: loopback (none), lan (0.1 ms one way, 10 Gbit/s), metro (0.5 ms, 1 Gbit/s) or wan
    /// (20 ms, 400 Mbit/s)
    #[arg(long, value_name = "SCENE", default_value_t)]
    scene: SceneName,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    /// The router bundle; the default one if none is named
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// Runs the measurements.
pub(crate) fn run(args: &BenchThroughputArgs) -> anyhow::Result<()> {
    check_tokens(&args.tokens)?;
    for &tokens in &args.tokens {
        let most = Task::route(0, bucket(tokens)?).most_prompts();
        if let Some(batch) = args.batch.iter().find(|batch| usize::from(**batch) > most) {
            anyhow::bail!("--batch {batch}: a session takes up to {most} prompts of {tokens} tokens");
        }
    }
    let bundle = bundles::open(args.bundle.as_deref())?;
    let mut heading = true;
    for &tokens in &args.tokens {
        for &batch in &args.batch {
            measure_batch(args, &bundle, tokens, batch.into(), &mut heading)?;
        }
    }
    Ok(())
}

/// Measures all settings of one length and batch with processes of their own.
fn measure_batch(
    args: &BenchThroughputArgs,
    bundle: &Bundle,
    tokens: usize,
    batch: usize,
    heading: &mut bool,
) -> anyhow::Result<()> {
    let bar = spinner();
    let say = |step: &str| bar.set_message(format!("{tokens} tokens, batches of {batch}: {step}"));
    let router = start(bundle, args.scene, &say)?;
    let work = Work::new(&router, args.router.as_deref(), tokens, batch)?;
    say("warm-up");
    let (route, _) = work.route()?;
    let most = args.concurrency.iter().map(|at_once| args.kept(*at_once)).max().unwrap_or(1);
    // First, while the processes hold memory of the warm-up only.
    say("filling the pool");
    let filling = work.fill(&route, tokens, args.scene, most)?;
    if filling.is_none() {
        // It suspends the bar itself.
        say_line(&format!("{batch} x {tokens} tokens: too much material to wait prepared, so only as needed"));
    }
    let count = (args.routes as usize).div_ceil(batch);
    for &at_once in &args.concurrency {
        for sessions in Sessions::ALL {
            if sessions != Sessions::AsNeeded && filling.is_none() {
                continue;
            }
            say(&format!("{at_once} at once, {}", sessions.label()));
            let (samples, took, agreed) = work.sessions(sessions, count, at_once.into(), args.kept(at_once))?;
            let routes = samples.len() * batch;
            let measurement = ThroughputMeasurement {
                tokens,
                batch,
                scene: args.scene.name(),
                sessions,
                concurrency: at_once.into(),
                pool: if sessions == Sessions::AsNeeded { 0 } else { args.kept(at_once) },
                routes,
                routes_per_second: round(routes as f64 / took.as_secs_f64()),
                ms: Latencies::of(&samples),
                openings: route.servers[0].openings,
                checked: agreed,
            };
            let line = measurement.line();
            let line =
                if std::mem::take(heading) { format!("{}\n{line}", ThroughputMeasurement::heading()) } else { line };
            bar.suspend(|| print(args.json, &measurement, &line))?;
            if !agreed {
                anyhow::bail!("a private answer ({tokens} tokens) is not the clear interpreter's; please report this");
            }
        }
    }
    bar.finish_and_clear();
    filling.map_or(Ok(()), |filling| print(args.json, &filling, &filling.line()))
}

impl BenchThroughputArgs {
    /// Sessions kept ready for so many at once.
    fn kept(&self, at_once: u8) -> usize {
        self.pool.unwrap_or(at_once).into()
    }
}
