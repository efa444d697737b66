//! Ring products of the encoder by every kernel, on one core.

use anyhow::Context;
use blindroute_ring::{Kernel, MatrixLayout, MatrixWord, PackedMatrix, Prg, Seed, matmul};
use serde::Serialize;
use std::time::{Duration, Instant};

/// A product of the encoder.
#[derive(Clone, Copy)]
pub(crate) struct Product {
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
    pub(crate) fn of_a_layer(tokens: usize) -> [Self; 7] {
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

/// How fast a kernel multiplies.
#[derive(Debug, Serialize)]
pub(crate) struct MatmulMeasurement {
    pub(crate) kernel: &'static str,
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
    pub(crate) checked: bool,
    runs: u32,
}

/// Random factors of a product in a ring of so many bits.
struct Factors<W> {
    product: Product,
    ring: u32,
    left: Vec<W>,
    right: Vec<W>,
}

/// Multiplies by each kernel, the first of which is the one that the others are checked against, and gives each measurement to
/// `done`.
pub(crate) fn measure_product<W: MatrixWord>(
    product: Product,
    ring: u32,
    kernels: &[Kernel],
    runs: u32,
    done: &mut dyn FnMut(&MatmulMeasurement) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let factors = Factors::<W>::random(product, ring)?;
    let Product { batch, rows, inner, columns, .. } = product;
    let mut expected: Option<(Vec<W>, f64)> = None;
    for &kernel in kernels {
        let mut out = vec![W::ZERO; batch * rows * columns];
        let speed = factors.speed(kernel, runs, &mut out);
        out.iter_mut().for_each(|word| *word = word.low_bits(ring));
        let (portable, portable_speed) = expected.get_or_insert_with(|| (out.clone(), speed));
        done(&MatmulMeasurement {
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
            runs,
        })?;
    }
    Ok(())
}

/// The shortest time of a run.
const RUN: Duration = Duration::from_millis(10);

impl<W: MatrixWord> Factors<W> {
    fn random(product: Product, ring: u32) -> anyhow::Result<Self> {
        let mut seed = [0; 16];
        getrandom::fill(&mut seed).context("the system's random numbers")?;
        let mut random = Prg::new(&Seed::new(seed));
        let Product { batch, rows, inner, columns, .. } = product;
        let (left, right) = (random.words(batch * rows * inner), random.words(batch * inner * columns));
        Ok(Self { product, ring, left, right })
    }

    /// Billions of multiply-adds per second: the median of the runs.
    fn speed(&self, kernel: Kernel, runs: u32, out: &mut [W]) -> f64 {
        let Self { product, ring, left, right } = self;
        let Product { batch, rows, inner, columns, layout, .. } = *product;
        let pack = |right: &[W]| PackedMatrix::pack_with(kernel, right, inner, columns, layout, *ring);
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
}

impl MatmulMeasurement {
    pub(crate) fn line(&self) -> String {
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
