//! `blindroute bench`: measurements whose answers are checked against the clear interpreter in the same run.

use crate::bundles;
use crate::commands::bench_matmul::BenchMatmulArgs;
use crate::commands::route::spinner;
use anyhow::Context;
use blindroute_placement::{Bytes, PeakMemory, PrivateRouter, Programs};
use blindroute_protocol::{Output, Shape, Tensor};
use blindroute_routing::bundle::{Activation, Attention, Bundle};
use blindroute_routing::program::Task;
use blindroute_routing::tokenizer;
use blindroute_runtime::session::Route;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// Measure, and check the answer against the clear interpreter.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// A whole route in placement full: encoder, router and choice between real processes
    Route(BenchRouteArgs),
    /// Selection alone: top-k by similarity, then the best by cost-aware score
    Select(BenchSelectArgs),
    /// Ring products of the encoder, by every kernel of this machine, on one core
    Matmul(BenchMatmulArgs),
}

/// Measure whole routes.
#[derive(Debug, Args)]
pub(crate) struct BenchRouteArgs {
    /// Prompt lengths in tokens, 3 to 256
    #[arg(long, value_delimiter = ',', default_values_t = [32, 128, 256])]
    tokens: Vec<usize>,
    /// Attention: softmax or 2relu; the bundle's if not given
    #[arg(long)]
    attention: Option<String>,
    /// Feed-forward activation: gelu or relu; the bundle's if not given
    #[arg(long)]
    ffn: Option<String>,
    /// Router of the bundle; the first if none is named
    #[arg(long)]
    router: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Measure selections.
#[derive(Debug, Args)]
pub(crate) struct BenchSelectArgs {
    /// Candidates
    #[arg(long, default_value_t = 112)]
    candidates: usize,
    /// Survivors of the search
    #[arg(long, default_value_t = 4)]
    k: usize,
    #[command(flatten)]
    common: Common,
}

/// What both measurements take.
#[derive(Debug, Args)]
struct Common {
    /// Measured runs after one to warm up; medians are reported
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// The router bundle; the default one if none is named
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Medians {
    offline: f64,
    online: f64,
    clear: f64,
}

#[derive(Debug, Serialize)]
struct RouteMeasurement {
    tokens: usize,
    attention: String,
    ffn: String,
    router: String,
    ms: Medians,
    openings: u32,
    bytes: Bytes,
    peak_mib: PeakMemory,
    embedding_cosine: f64,
    checked: bool,
    runs: u32,
}

#[derive(Debug, Serialize)]
struct SelectMeasurement {
    method: &'static str,
    candidates: usize,
    k: usize,
    ms: Medians,
    openings: u32,
    bytes: Bytes,
    peak_mib: PeakMemory,
    checked: bool,
    runs: u32,
}

/// Runs a measurement.
pub(crate) fn run(command: BenchCommand) -> anyhow::Result<()> {
    match command {
        BenchCommand::Route(args) => bench_route(&args),
        BenchCommand::Select(args) => bench_select(&args),
        BenchCommand::Matmul(args) => super::bench_matmul::run(&args),
    }
}

/// Text of ordinary words, to be cut to any length.
const TEXT: &str = "A company sells three kinds of boxes and wants to know how many of each it should make next month, given \
    the orders of the last year, the price of paper, and the time that one worker needs for a box. Explain step by step. ";

fn bench_route(args: &BenchRouteArgs) -> anyhow::Result<()> {
    let mut parts = bundles::open(args.common.bundle.as_deref())?.into_parts();
    if let Some(attention) = &args.attention {
        parts.encoder.attention = attention.parse::<Attention>()?;
    }
    if let Some(ffn) = &args.ffn {
        parts.encoder.activation = ffn.parse::<Activation>()?;
    }
    let bundle = Bundle::new(parts)?;
    for &tokens in &args.tokens {
        if !(3..=tokenizer::MAX_TOKENS).contains(&tokens) {
            anyhow::bail!("--tokens {tokens}: expected 3 to {}", tokenizer::MAX_TOKENS);
        }
    }
    for &tokens in &args.tokens {
        // Fresh processes, so that the peaks are those of this length.
        let measurement = measure_route(&bundle, args, tokens)?;
        print(args.common.json, &measurement, &measurement.line())?;
        if !measurement.checked {
            anyhow::bail!("the private answer at {tokens} tokens is not the clear one; please report this");
        }
    }
    Ok(())
}

fn measure_route(bundle: &Bundle, args: &BenchRouteArgs, tokens: usize) -> anyhow::Result<RouteMeasurement> {
    let bar = spinner();
    let mut router = start(bundle, &|step| bar.set_message(format!("{tokens} tokens: {step}")))?;
    let mut ids = router.tokens(&TEXT.repeat(8))?.ids;
    let end = ids.last().copied().context("the text has tokens")?;
    ids.truncate(tokens - 1);
    ids.push(end);
    let bucket = tokenizer::bucket(ids.len()).context("a bucket")?;
    let index = router.router_index(args.router.as_deref())?;
    let task = Task::Route { router: index, bucket };
    let lambda = router.public().lambdas[index];
    let inputs = router.encoder_inputs(&ids, bucket)?.with_lambda(lambda);
    // Warm-up: sets the model up, and shows how exact the embedding is.
    let embed = Task::Embed { bucket };
    let tokens_alone = router.encoder_inputs(&ids, bucket)?.tensors;
    let clear = router.clear(embed, tokens_alone.clone())?.0;
    let embedding_cosine = cosine(&router.private(embed, &tokens_alone)?.output, &clear);
    let runs = measure(&mut router, task, &inputs, args.common.runs, &|run| {
        bar.set_message(format!("{tokens} tokens: run {run}"))
    })?;
    bar.finish_and_clear();
    Ok(RouteMeasurement {
        tokens,
        attention: bundle.parts().encoder.attention.to_string(),
        ffn: bundle.parts().encoder.activation.to_string(),
        router: router.public().plan.routers[index].name.clone(),
        ms: runs.medians(),
        openings: runs.openings,
        bytes: runs.bytes,
        peak_mib: router.peak_memory(),
        embedding_cosine,
        checked: runs.agreed && embedding_cosine >= 0.999,
        runs: args.common.runs,
    })
}

fn bench_select(args: &BenchSelectArgs) -> anyhow::Result<()> {
    let bundle = bundles::open(args.common.bundle.as_deref())?;
    let bar = spinner();
    let mut router = start(&bundle, &|step| bar.set_message(step.to_owned()))?;
    let task = Task::Select { candidates: args.candidates, keep: args.k };
    // Numbers without pattern or ties: cosines, and the same less a price.
    let fraction = |x: f64| x - x.floor();
    let similarity: Vec<f32> = (0..args.candidates).map(|i| fraction(i as f64 * 0.754_877_666) as f32).collect();
    let score =
        similarity.iter().enumerate().map(|(i, s)| s - 0.5 * fraction(i as f64 * 0.569_840_290) as f32).collect();
    let shape = Shape::row(args.candidates);
    let inputs = [Tensor::new(shape, similarity), Tensor::new(shape, score)];
    router.private(task, &inputs)?;
    let runs = measure(&mut router, task, &inputs, args.common.runs, &|run| bar.set_message(format!("run {run}")))?;
    bar.finish_and_clear();
    let measurement = SelectMeasurement {
        method: "unsorted top-k, all pairs at once",
        candidates: args.candidates,
        k: args.k,
        ms: runs.medians(),
        openings: runs.openings,
        bytes: runs.bytes,
        peak_mib: router.peak_memory(),
        checked: runs.agreed,
        runs: args.common.runs,
    };
    print(args.common.json, &measurement, &measurement.line())?;
    if !measurement.checked {
        anyhow::bail!("the private choice is not the clear one; please report this");
    }
    Ok(())
}

fn start(bundle: &Bundle, progress: &dyn Fn(&str)) -> anyhow::Result<PrivateRouter> {
    let programs = Programs { executable: std::env::current_exe().context("this program's own path")? };
    Ok(PrivateRouter::with_children(bundle, &programs, progress)?)
}

/// Several runs of one task.
struct Runs {
    offline: Vec<Duration>,
    online: Vec<Duration>,
    clear: Vec<Duration>,
    openings: u32,
    bytes: Bytes,
    agreed: bool,
}

impl Runs {
    fn medians(&self) -> Medians {
        let median = |times: &[Duration]| {
            let mut sorted = times.to_vec();
            sorted.sort_unstable();
            sorted.get(sorted.len() / 2).map_or(f64::NAN, |time| (time.as_secs_f64() * 1e5).round() / 100.0)
        };
        Medians { offline: median(&self.offline), online: median(&self.online), clear: median(&self.clear) }
    }
}

fn measure(
    router: &mut PrivateRouter,
    task: Task,
    inputs: &[Tensor<f32>],
    runs: u32,
    progress: &dyn Fn(u32),
) -> anyhow::Result<Runs> {
    let mut result = Runs {
        offline: Vec::new(),
        online: Vec::new(),
        clear: Vec::new(),
        openings: 0,
        bytes: Bytes::default(),
        agreed: true,
    };
    for run in 1..=runs {
        progress(run);
        let (expected, clear) = router.clear(task, inputs.to_vec())?;
        let Route { output, offline, online, servers: [zero, one], bytes_sent } = router.private(task, inputs)?;
        result.agreed &= output.bits == expected.bits;
        result.offline.push(offline);
        result.online.push(online);
        result.clear.push(clear);
        result.openings = zero.openings;
        result.bytes = Bytes {
            server0_sent: zero.bytes_sent,
            server1_sent: one.bytes_sent,
            client_sent: bytes_sent,
            material: zero.material_bytes + one.material_bytes,
        };
    }
    Ok(result)
}

fn cosine(a: &Output, b: &Output) -> f64 {
    let (a, b) = (a.values.concat(), b.values.concat());
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

fn mib(peak: &PeakMemory) -> String {
    let show = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |mib| mib.to_string());
    format!("{}/{}/{}/{}", show(peak.server0), show(peak.server1), show(peak.dealer), show(peak.client))
}

impl Medians {
    fn line(&self, openings: u32, bytes: &Bytes, peak: &PeakMemory) -> String {
        format!(
            "online {:.1} ms, offline {:.1} ms, clear {:.2} ms ({:.1}x); {openings} openings; bytes: servers {} + {}, client {}, \
             material {}; peak MiB (server 0/1, dealer, client) {}",
            self.online,
            self.offline,
            self.clear,
            self.online / self.clear,
            bytes.server0_sent,
            bytes.server1_sent,
            bytes.client_sent,
            bytes.material,
            mib(peak)
        )
    }
}

impl RouteMeasurement {
    fn line(&self) -> String {
        let costs = self.ms.line(self.openings, &self.bytes, &self.peak_mib);
        let checked = if self.checked { "answer checked" } else { "WRONG ANSWER" };
        format!("{} tokens, {} + {}, {}: {costs}; {checked}", self.tokens, self.attention, self.ffn, self.router)
    }
}

impl SelectMeasurement {
    fn line(&self) -> String {
        let costs = self.ms.line(self.openings, &self.bytes, &self.peak_mib);
        let checked = if self.checked { "answer checked" } else { "WRONG ANSWER" };
        format!("top {} of {} ({}): {costs}; {checked}", self.k, self.candidates, self.method)
    }
}

#[allow(clippy::print_stdout)]
pub(crate) fn print(json: bool, measurement: &impl Serialize, line: &str) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(measurement)?);
    } else {
        println!("{line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_the_sorted_times() {
        let times = [30, 10, 20].map(Duration::from_millis).to_vec();
        let runs = Runs {
            offline: times.clone(),
            online: times.clone(),
            clear: times,
            openings: 0,
            bytes: Bytes::default(),
            agreed: true,
        };
        assert!((runs.medians().online - 20.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_cosine_of_parallel_vectors_is_one() {
        let of = |values: [f64; 2]| Output { values: vec![values.to_vec()], bits: Vec::new() };
        assert!((cosine(&of([1.0, 2.0]), &of([2.0, 4.0])) - 1.0).abs() < 1e-12);
        assert!(cosine(&of([1.0, 0.0]), &of([0.0, 1.0])).abs() < 1e-12);
    }
}
