//! Several routes at once, each in a session of its own or several in one.

use super::latencies::{FillingMeasurement, Sample, Sessions, round};
use super::prompts::prompts;
use anyhow::Context;
use blindroute_placement::{PrivateRouter, SessionRequest};
use blindroute_protocol::{Output, Tensor};
use blindroute_routing::program::{Task, split_output, stack_inputs};
use blindroute_routing::tokenizer;
use blindroute_runtime::SessionOutcome;
use blindroute_runtime::{SceneName, rss_kib_of};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What each session routes, and the answers it must give.
pub(crate) struct Work<'a> {
    router: &'a PrivateRouter,
    request: SessionRequest,
    /// Of the whole batch.
    inputs: Vec<Tensor<f32>>,
    /// Of each prompt.
    expected: Vec<Output>,
}

/// The longest time to fill a pool.
const FILL: Duration = Duration::from_secs(600);

/// The bucket of a length.
pub(crate) fn bucket(tokens: usize) -> anyhow::Result<usize> {
    tokenizer::bucket(tokens).context("a bucket")
}

impl<'a> Work<'a> {
    /// Different prompts of one bucket.
    pub(crate) fn new(
        router: &'a PrivateRouter,
        name: Option<&str>,
        tokens: usize,
        batch: usize,
    ) -> anyhow::Result<Self> {
        let (index, bucket) = (router.router_index(name)?, bucket(tokens)?);
        let task = Task::route(index, bucket);
        let prompts = prompts(router, index, tokens, batch)?.into_iter();
        let (inputs, expected): (Vec<_>, Vec<_>) = prompts.map(|prompt| (prompt.inputs, prompt.expected)).unzip();
        let inputs = stack_inputs(&inputs)?;
        let request = SessionRequest::new(task).with_batch(batch);
        Ok(Self { router, request, inputs, expected })
    }

    /// Runs one session: its outcome, and whether every answer is right.
    pub(crate) fn route(&self) -> anyhow::Result<(SessionOutcome, bool)> {
        let route = self.router.private(self.request, &self.inputs)?;
        let found = split_output(&route.output, self.request.batch)?;
        let agreed = found.iter().zip(&self.expected).all(|(found, expected)| found.bits == expected.bits);
        Ok((route, agreed && found.len() == self.expected.len()))
    }

    /// Waits until a pool of this many sessions is full; says whether sessions of this size can be kept ready at all.
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

    /// What filling an empty pool costs; nothing if sessions of this size cannot be kept ready.
    pub(crate) fn fill(
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

    /// Runs `count` sessions, with `kept` sessions in the pool where they come from one. Gives their times, how long they ran in
    /// all, and whether every answer was right.
    pub(crate) fn sessions(
        &self,
        sessions: Sessions,
        count: usize,
        at_once: usize,
        kept: usize,
    ) -> anyhow::Result<(Vec<Sample>, Duration, bool)> {
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

    /// Runs `count` sessions on `at_once` threads.
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
