//! `blindroute bench matmul`: the ring products of the encoder, by every kernel of this machine, on one core.

use super::measure::print;
use anyhow::Context;
use blindroute_ring::{Kernel, MatrixLayout, MatrixWord, PackedMatrix, Prg, Seed, matmul};
use clap::Args;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Measure ring products.
#[derive(Debug, Args)]
pub(crate) struct BenchMatmulArgs {
    /// Prompt lengths in tokens
    #[arg(long, value_delimiter = ',', default_values_t = [32, 128, 256], value_parser = tokens)]
    tokens: Vec<usize>,
    /// Kernels: portable, avx2, avx512, amx; all that this machine has if none is named
    #[arg(long, value_delimiter = ',')]
    kernel: Vec<String>,
    /// Measured runs of at least 10 ms each; the median is reported
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

fn tokens(text: &str) -> Result<usize, String> {
    let tokens = text.parse().map_err(|_| "expected a number".to_owned())?;
    if (1..=4096).contains(&tokens) { Ok(tokens) } else { Err("expected 1 to 4096".to_owned()) }
}

/// A product of the encoder.
#[derive(Clone, Copy)]
struct Product {
    name: &'static str,
    batch: usize,
    rows: usize,
    inner: usize,
    columns: usize,
    layout: MatrixLayout,
}

impl Product {
    /// The products of one layer of MiniLM: 12 heads of 32. Weights are packed once and the second factor of attention's
    /// products every time, so packing counts there.
    fn of_a_layer(tokens: usize) -> [Self; 7] {
        let weights = |name, inner, columns| Self {
            name,
            batch: 1,
            rows: tokens,
            inner,
            columns,
            layout: MatrixLayout::RowMajor,
        };
        let attention = |name, inner, columns, layout| Self { name, batch: 12, rows: tokens, inner, columns, layout };
        [
            weights("queries, keys, values", 384, 1152),
            weights("attention output", 384, 384),
            weights("feed-forward in", 384, 1536),
            weights("feed-forward out", 1536, 384),
            weights("mean", 384, 1),
            attention("attention scores", 32, tokens, MatrixLayout::Transposed),
            attention("attention values", tokens, 32, MatrixLayout::RowMajor),
        ]
    }

    fn multiply_adds(&self) -> usize {
        self.batch * self.rows * self.inner * self.columns
    }
}

#[derive(Debug, Serialize)]
struct MatmulMeasurement {
    kernel: &'static str,
    word: u32,
    ring: u32,
    product: &'static str,
    batch: usize,
    rows: usize,
    inner: usize,
    columns: usize,
    packing_included: bool,
    gmac_per_second: f64,
    /// Speed as a multiple of the portable kernel's.
    ratio: f64,
    checked: bool,
    runs: u32,
}

/// Runs the measurement.
pub(crate) fn run(args: &BenchMatmulArgs) -> anyhow::Result<()> {
    let mut kernels = Kernel::available();
    for name in &args.kernel {
        let known = kernels.iter().map(|kernel| kernel.name()).collect::<Vec<_>>().join(", ");
        let found = kernels.iter().any(|kernel| kernel.name() == name);
        anyhow::ensure!(found, "--kernel {name}: this machine has {known}");
    }
    // The portable kernel is what the others are checked against.
    kernels.retain(|kernel| {
        args.kernel.is_empty() || *kernel == Kernel::Portable || args.kernel.iter().any(|name| kernel.name() == name)
    });
    for &tokens in &args.tokens {
        for product in Product::of_a_layer(tokens) {
            measure::<u32>(args, &kernels, product, u32::BITS)?;
            measure::<u64>(args, &kernels, product, u64::BITS)?;
            measure::<u64>(args, &kernels, product, 40)?;
        }
    }
    Ok(())
}

fn measure<W: MatrixWord>(
    args: &BenchMatmulArgs,
    kernels: &[Kernel],
    product: Product,
    ring: u32,
) -> anyhow::Result<()> {
    let Product { batch, rows, inner, columns, .. } = product;
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).context("the system's random numbers")?;
    let mut random = Prg::new(&Seed::new(seed));
    let (left, right) = (random.words::<W>(batch * rows * inner), random.words::<W>(batch * inner * columns));
    let mut expected: Option<(Vec<W>, f64)> = None;
    for &kernel in kernels {
        let mut out = vec![W::ZERO; batch * rows * columns];
        let speed = time(args.runs, kernel, product, ring, &left, &right, &mut out);
        out.iter_mut().for_each(|word| *word = word.low_bits(ring));
        let (portable, portable_speed) = expected.get_or_insert_with(|| (out.clone(), speed));
        let measurement = MatmulMeasurement {
            kernel: kernel.name(),
            word: W::BITS,
            ring,
            product: product.name,
            batch,
            rows,
            inner,
            columns,
            packing_included: batch > 1,
            gmac_per_second: (speed * 1e3).round() / 1e3,
            ratio: (speed / *portable_speed * 1e2).round() / 1e2,
            checked: *portable == out,
            runs: args.runs,
        };
        print(args.json, &measurement, &measurement.line())?;
        if !measurement.checked {
            anyhow::bail!("the product by {} is not the portable one; please report this", kernel.name());
        }
    }
    Ok(())
}

/// Billions of multiply-adds a second: the median of the runs.
fn time<W: MatrixWord>(
    runs: u32,
    kernel: Kernel,
    product: Product,
    ring: u32,
    left: &[W],
    right: &[W],
    out: &mut [W],
) -> f64 {
    const RUN: Duration = Duration::from_millis(10);
    let Product { batch, rows, inner, columns, layout, .. } = product;
    let pack = |right: &[W]| PackedMatrix::pack_with(kernel, right, inner, columns, layout, ring);
    let weights = (batch == 1).then(|| pack(right));
    let mut multiply = || match &weights {
        Some(weights) => matmul(left, weights, out),
        None => {
            let heads = left.chunks(rows * inner).zip(right.chunks(inner * columns));
            for ((left, right), out) in heads.zip(out.chunks_mut(rows * columns)) {
                matmul(left, &pack(right), out);
            }
        }
    };
    // To warm up, and to see how often a run has to multiply.
    let start = Instant::now();
    multiply();
    let once = start.elapsed().max(Duration::from_nanos(1));
    let times = RUN.div_duration_f64(once).ceil().clamp(1.0, 1e5) as u32;
    let mut seconds: Vec<f64> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            (0..times).for_each(|_| multiply());
            start.elapsed().as_secs_f64() / f64::from(times)
        })
        .collect();
    seconds.sort_unstable_by(f64::total_cmp);
    product.multiply_adds() as f64 / 1e9 / seconds[seconds.len() / 2]
}

impl MatmulMeasurement {
    fn line(&self) -> String {
        let batch = if self.batch > 1 { format!("{} x ", self.batch) } else { String::new() };
        let packing = if self.packing_included { ", packing included" } else { "" };
        let checked = if self.checked { "checked" } else { "WRONG PRODUCT" };
        format!(
            "{batch}{}x{}x{} ({}{packing}), u{} ring {}, {}: {:.2} GMAC/s ({:.1}x portable); {checked}",
            self.rows,
            self.inner,
            self.columns,
            self.product,
            self.word,
            self.ring,
            self.kernel,
            self.gmac_per_second,
            self.ratio
        )
    }
}
