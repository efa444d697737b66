//! `blindroute bench throughput`: several routes at once, each in a session of its own or several in one, with sessions
//! prepared as needed and from a pool of ready ones.

use super::measure::{check_tokens, print, start};
use super::prompts::prompts;
use super::throughputs::{FillingMeasurement, Latencies, Sample, Sessions, ThroughputMeasurement, round};
use crate::bundles;
use crate::commands::route::spinner;
use anyhow::Context;
use blindroute_placement::{PrivateRouter, SessionRequest};
use blindroute_protocol::{Output, Tensor};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::{Task, split_output, stack_inputs};
use blindroute_routing::tokenizer;
use blindroute_runtime::SessionOutcome;
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
    /// Sessions at once
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 2, 4], value_parser = clap::value_parser!(u8).range(1..=32))]
    concurrency: Vec<u8>,
    /// Prompts that share a session: different ones, all of one bucket; at most 4096 padded tokens
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1], value_parser = clap::value_parser!(u8).range(1..=64))]
    batch: Vec<u8>,
    /// Routes of each setting, a prompt each; rounded up to whole batches
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10000))]
    routes: u32,
    /// Sessions that the pool keeps ready; as many as sessions at once if not given
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

/// What is routed in each session, and what must come out.
struct Work<'a> {
    router: &'a PrivateRouter,
    request: SessionRequest,
    /// Of the whole batch.
    inputs: Vec<Tensor<f32>>,
    /// Of each prompt.
    expected: Vec<Output>,
}

/// How long a pool may take to be filled.
const FILL: Duration = Duration::from_secs(600);

/// Runs the measurements.
pub(super) fn run(args: &BenchThroughputArgs) -> anyhow::Result<()> {
    check_tokens(&args.tokens)?;
    for &tokens in &args.tokens {
        let most = Task::Route { router: 0, bucket: bucket(tokens)? }.most_prompts();
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

/// All settings of one length and batch, by processes of their own.
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
    // First, while the processes hold nothing of earlier sessions but the warm-up's.
    say("filling the pool");
    let filling = work.fill(&route, tokens, args.scene, most)?;
    if filling.is_none() {
        bar.suspend(|| {
            crate::terminal::say(&format!(
                "{batch} x {tokens} tokens: too much material to wait prepared, so only as needed"
            ));
        });
    }
    for &at_once in &args.concurrency {
        for sessions in Sessions::ALL {
            if sessions != Sessions::AsNeeded && filling.is_none() {
                continue;
            }
            say(&format!("{at_once} at once, {}", sessions.label()));
            let (samples, took, agreed) = work.sessions(args, at_once.into(), sessions)?;
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
                anyhow::bail!("a private answer ({tokens} tokens) is not the clear one; please report this");
            }
        }
    }
    bar.finish_and_clear();
    filling.map_or(Ok(()), |filling| print(args.json, &filling, &filling.line()))
}

fn bucket(tokens: usize) -> anyhow::Result<usize> {
    tokenizer::bucket(tokens).context("a bucket")
}

impl BenchThroughputArgs {
    /// Sessions kept ready for so many at once.
    fn kept(&self, at_once: u8) -> usize {
        self.pool.unwrap_or(at_once).into()
    }
}

impl<'a> Work<'a> {
    /// Different prompts of one bucket.
    fn new(router: &'a PrivateRouter, name: Option<&str>, tokens: usize, batch: usize) -> anyhow::Result<Self> {
        let (index, bucket) = (router.router_index(name)?, bucket(tokens)?);
        let task = Task::Route { router: index, bucket };
        let prompts = prompts(router, index, tokens, batch)?.into_iter();
        let (inputs, expected): (Vec<_>, Vec<_>) = prompts.map(|prompt| (prompt.inputs, prompt.expected)).unzip();
        let inputs = stack_inputs(&inputs)?;
        let request = router.request(task, batch)?;
        Ok(Self { router, request, inputs, expected })
    }

    /// One session: what it came to, and whether every answer is right.
    fn route(&self) -> anyhow::Result<(SessionOutcome, bool)> {
        let route = self.router.private(self.request, &self.inputs)?;
        let found = split_output(&route.output, self.request.batch)?;
        let agreed = found.iter().zip(&self.expected).all(|(found, expected)| found.bits == expected.bits);
        Ok((route, agreed && found.len() == self.expected.len()))
    }

    /// Waits until a pool of this many is full; says whether such sessions can wait at all.
    fn full(&self, count: usize) -> anyhow::Result<bool> {
        self.router.keep_ready(self.request, count)?;
        self.router.pause_filling(false);
        if self.router.wait_ready(self.request, FILL) {
            return Ok(true);
        }
        let status = self.router.ready(self.request);
        if status.refused {
            return Ok(false);
        }
        let why = status.failure.unwrap_or_else(|| format!("it took more than {} s", FILL.as_secs()));
        anyhow::bail!("the pool could not be filled: {why}; look at --tokens, --batch and --pool");
    }

    /// What filling an empty pool costs; nothing if such sessions cannot wait.
    fn fill(
        &self,
        route: &SessionOutcome,
        tokens: usize,
        scene: SceneName,
        count: usize,
    ) -> anyhow::Result<Option<FillingMeasurement>> {
        let servers = self.router.processes();
        let resident = || servers.map(|[zero, one, _]| [zero, one].map(rss_kib_of));
        let before = resident();
        if !self.full(count)? {
            return Ok(None);
        }
        let after = resident();
        let status = self.router.ready(self.request);
        let mib = |party: usize| {
            let [before, after] = [before?[party]?, after?[party]?];
            Some(round((after as f64 - before as f64) / 1024.0 / count as f64))
        };
        Ok(Some(FillingMeasurement {
            tokens,
            batch: self.request.batch,
            scene: scene.name(),
            sessions: count,
            filling_ms: round(status.filling_time.as_secs_f64() * 1000.0 / status.filled.max(1) as f64),
            material_bytes: route.servers.iter().map(|server| server.material_bytes).sum(),
            server0_mib: mib(0),
            server1_mib: mib(1),
        }))
    }

    /// All sessions of a setting: their times, how long they ran in all, and whether every answer was right.
    fn sessions(
        &self,
        args: &BenchThroughputArgs,
        at_once: usize,
        sessions: Sessions,
    ) -> anyhow::Result<(Vec<Sample>, Duration, bool)> {
        let count = (args.routes as usize).div_ceil(self.request.batch);
        let kept = args.pool.map_or(at_once, usize::from);
        let (mut samples, mut took, mut agreed) = (Vec::with_capacity(count), Duration::ZERO, true);
        while samples.len() < count {
            let round = match sessions {
                Sessions::AsNeeded => {
                    self.router.keep_ready(self.request, 0)?;
                    while self.router.ready(self.request).filling > 0 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    count
                }
                Sessions::Ready => {
                    self.full(kept)?;
                    self.router.pause_filling(true);
                    kept.min(count - samples.len())
                }
                Sessions::Filling => {
                    self.full(kept)?;
                    count
                }
            };
            let started = Instant::now();
            agreed &= self.round(round, at_once, &mut samples)?;
            took += started.elapsed();
        }
        Ok((samples, took, agreed))
    }

    /// So many sessions, by so many threads.
    fn round(&self, count: usize, at_once: usize, samples: &mut Vec<Sample>) -> anyhow::Result<bool> {
        let (begun, agreed) = (AtomicUsize::new(0), AtomicBool::new(true));
        let done = Mutex::new(std::mem::take(samples));
        let run = || {
            while begun.fetch_add(1, Ordering::Relaxed) < count {
                let started = Instant::now();
                let (SessionOutcome { waited, online, .. }, right) = self.route()?;
                agreed.fetch_and(right, Ordering::Relaxed);
                let sample = Sample { latency: started.elapsed(), waited, online };
                done.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
            }
            Ok(())
        };
        let ended: anyhow::Result<()> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..at_once.min(count)).map(|_| scope.spawn(run)).collect();
            let panicked = |_| Err(anyhow::anyhow!("a thread panicked; please report this"));
            threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(panicked))
        });
        ended?;
        *samples = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(agreed.into_inner())
    }
}
