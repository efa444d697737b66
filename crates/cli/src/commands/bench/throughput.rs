//! `blindroute bench throughput`: several routes at once, with sessions prepared as needed and from a pool of ready ones.

use super::measure::{check_tokens, ids, print, start};
use super::throughputs::{FillingMeasurement, Latencies, Sample, Sessions, ThroughputMeasurement, round};
use crate::bundles;
use crate::commands::route::spinner;
use anyhow::Context;
use blindroute_placement::PrivateRouter;
use blindroute_protocol::{Output, Tensor};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::Task;
use blindroute_routing::tokenizer;
use blindroute_runtime::session::Route;
use blindroute_runtime::{SceneName, rss_kib_of};
use clap::Args;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Measure several routes at once.
#[derive(Debug, Args)]
pub(crate) struct BenchThroughputArgs {
    /// Prompt lengths in tokens, 3 to 256
    #[arg(long, value_delimiter = ',', default_values_t = [32])]
    tokens: Vec<usize>,
    /// Routes at once
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 2, 4], value_parser = clap::value_parser!(u8).range(1..=32))]
    concurrency: Vec<u8>,
    /// Routes of each setting
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10000))]
    routes: u32,
    /// Sessions that the pool keeps ready; as many as routes at once if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    pool: Option<u8>,
    /// Router of the bundle; the first if none is named
    #[arg(long)]
    router: Option<String>,
    /// Network between all parties, emulated: loopback (none), lan (0.1 ms one way, 10 Gbit/s) or wan (20 ms, 400 Mbit/s)
    #[arg(long, value_name = "SCENE", default_value_t)]
    scene: SceneName,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// The router bundle; the default one if none is named
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// What is routed, and what must come out.
struct Work<'a> {
    router: &'a PrivateRouter,
    task: Task,
    inputs: Vec<Tensor<f32>>,
    expected: Output,
}

/// How long a pool may take to be filled.
const FILL: Duration = Duration::from_secs(600);

/// Runs the measurements.
pub(super) fn run(args: &BenchThroughputArgs) -> anyhow::Result<()> {
    check_tokens(&args.tokens)?;
    let bundle = bundles::open(args.bundle.as_deref())?;
    let mut heading = true;
    for &tokens in &args.tokens {
        measure_tokens(args, &bundle, tokens, &mut heading)?;
    }
    Ok(())
}

/// All settings of one length, by processes of their own.
fn measure_tokens(
    args: &BenchThroughputArgs,
    bundle: &Bundle,
    tokens: usize,
    heading: &mut bool,
) -> anyhow::Result<()> {
    let bar = spinner();
    let say = |step: &str| bar.set_message(format!("{tokens} tokens: {step}"));
    let router = start(bundle, args.scene, &say)?;
    let index = router.router_index(args.router.as_deref())?;
    let ids = ids(&router, tokens)?;
    let bucket = tokenizer::bucket(ids.len()).context("a bucket")?;
    let task = Task::Route { router: index, bucket };
    let inputs = router.encoder_inputs(&ids, bucket)?.with_lambda(router.public().lambdas[index]);
    let expected = router.clear(task, inputs.clone())?.0;
    let work = Work { router: &router, task, inputs, expected };
    say("warm-up");
    let (route, _) = work.route()?;
    let most = args.concurrency.iter().map(|at_once| args.kept(*at_once)).max().unwrap_or(1);
    // First, while the processes hold nothing of earlier sessions but the warm-up's.
    say("filling the pool");
    let filling = work.fill(&route, tokens, args.scene, most)?;
    for &at_once in &args.concurrency {
        for sessions in Sessions::ALL {
            say(&format!("{at_once} at once, {}", sessions.label()));
            let (samples, took, agreed) = work.routes(args, at_once.into(), sessions)?;
            let measurement = ThroughputMeasurement {
                tokens,
                scene: args.scene.name(),
                sessions,
                concurrency: at_once.into(),
                pool: if sessions == Sessions::AsNeeded { 0 } else { args.kept(at_once) },
                routes: args.routes,
                routes_per_second: round(samples.len() as f64 / took.as_secs_f64()),
                ms: Latencies::of(&samples),
                checked: agreed,
            };
            let line = measurement.line();
            let line =
                if std::mem::take(heading) { format!("{}\n{line}", ThroughputMeasurement::heading()) } else { line };
            bar.suspend(|| print(args.json, &measurement, &line))?;
            if !agreed {
                anyhow::bail!("a private answer ({tokens} tokens) is not the clear one; please report this");
            }
        }
    }
    bar.finish_and_clear();
    print(args.json, &filling, &filling.line())
}

impl BenchThroughputArgs {
    /// Sessions kept ready for so many routes at once.
    fn kept(&self, at_once: u8) -> usize {
        self.pool.unwrap_or(at_once).into()
    }
}

impl Work<'_> {
    /// One route: what it came to, and whether that is right.
    fn route(&self) -> anyhow::Result<(Route, bool)> {
        let route = self.router.private(self.task, &self.inputs)?;
        let agreed = route.output.bits == self.expected.bits;
        Ok((route, agreed))
    }

    /// Waits until a pool of this many is full.
    fn full(&self, count: usize) -> anyhow::Result<()> {
        self.router.keep_ready(self.task, count)?;
        self.router.pause_filling(false);
        if !self.router.wait_ready(self.task, FILL)? {
            let failure = self.router.ready(self.task)?.failure;
            let why = failure.unwrap_or_else(|| format!("it took more than {} s", FILL.as_secs()));
            anyhow::bail!("the pool could not be filled: {why}; look at --tokens and --pool");
        }
        Ok(())
    }

    /// What filling an empty pool costs.
    fn fill(&self, route: &Route, tokens: usize, scene: SceneName, count: usize) -> anyhow::Result<FillingMeasurement> {
        let servers = self.router.deployment().map(blindroute_placement::Deployment::processes);
        let resident = || servers.map(|[zero, one, _]| [zero, one].map(rss_kib_of));
        let before = resident();
        self.full(count)?;
        let after = resident();
        let status = self.router.ready(self.task)?;
        let mib = |party: usize| {
            let [before, after] = [before?[party]?, after?[party]?];
            Some(round((after as f64 - before as f64) / 1024.0 / count as f64))
        };
        Ok(FillingMeasurement {
            tokens,
            scene: scene.name(),
            sessions: count,
            filling_ms: round(status.filling_time.as_secs_f64() * 1000.0 / status.filled.max(1) as f64),
            material_bytes: route.servers.iter().map(|server| server.material_bytes).sum(),
            server0_mib: mib(0),
            server1_mib: mib(1),
        })
    }

    /// All routes of a setting: their times, how long routes ran in all, and whether every answer was right.
    fn routes(
        &self,
        args: &BenchThroughputArgs,
        at_once: usize,
        sessions: Sessions,
    ) -> anyhow::Result<(Vec<Sample>, Duration, bool)> {
        let routes = args.routes as usize;
        let kept = args.pool.map_or(at_once, usize::from);
        let (mut samples, mut took, mut agreed) = (Vec::with_capacity(routes), Duration::ZERO, true);
        while samples.len() < routes {
            let round = match sessions {
                Sessions::AsNeeded => {
                    self.router.keep_ready(self.task, 0)?;
                    while self.router.ready(self.task)?.filling > 0 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    routes
                }
                Sessions::Ready => {
                    self.full(kept)?;
                    self.router.pause_filling(true);
                    kept.min(routes - samples.len())
                }
                Sessions::Filling => {
                    self.full(kept)?;
                    routes
                }
            };
            let started = Instant::now();
            agreed &= self.round(round, at_once, &mut samples)?;
            took += started.elapsed();
        }
        Ok((samples, took, agreed))
    }

    /// So many routes, by so many threads.
    fn round(&self, routes: usize, at_once: usize, samples: &mut Vec<Sample>) -> anyhow::Result<bool> {
        let (begun, agreed) = (AtomicUsize::new(0), AtomicBool::new(true));
        let done = Mutex::new(std::mem::take(samples));
        let run = || {
            while begun.fetch_add(1, Ordering::Relaxed) < routes {
                let started = Instant::now();
                let (Route { waited, online, .. }, right) = self.route()?;
                agreed.fetch_and(right, Ordering::Relaxed);
                let sample = Sample { latency: started.elapsed(), waited, online };
                done.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
            }
            Ok(())
        };
        let ended: anyhow::Result<()> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..at_once.min(routes)).map(|_| scope.spawn(run)).collect();
            let panicked = |_| Err(anyhow::anyhow!("a thread panicked; please report this"));
            threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(panicked))
        });
        ended?;
        *samples = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(agreed.into_inner())
    }
}
