//! `bench matmul`: the ring products of the encoder, by every kernel of this machine, on one core.

use crate::measure::kernels::{MatmulMeasurement, Product, measure_product};
use crate::report::print;
use blindroute_ring::Kernel;
use clap::Args;

/// Measure ring products.
#[derive(Debug, Args)]
pub struct BenchMatmulArgs {
    /// Prompt lengths in tokens
    #[arg(long, value_delimiter = ',', default_values_t = [32, 128, 256], value_parser = tokens)]
    tokens: Vec<usize>,
    /// Kernels: portable, avx2, avx512, avx512ifma, amx; all that this machine has if none is named
    #[arg(long, value_delimiter = ',')]
    kernel: Vec<String>,
    /// Measured runs of at least 10 ms each; the median is reported
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

fn tokens(text: &str) -> Result<usize, String> {
    let tokens = text.parse().map_err(|_| "expected a number".to_owned())?;
    if (1..=4096).contains(&tokens) { Ok(tokens) } else { Err("expected 1 to 4096".to_owned()) }
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
    let mut done = |measurement: &MatmulMeasurement| {
        print(args.json, measurement, &measurement.line())?;
        anyhow::ensure!(
            measurement.checked,
            "the product by {} is not the portable one; please report this",
            measurement.kernel
        );
        Ok(())
    };
    for &tokens in &args.tokens {
        for product in Product::of_a_layer(tokens) {
            measure_product::<u32>(product, u32::BITS, &kernels, args.runs, &mut done)?;
            measure_product::<u64>(product, u64::BITS, &kernels, args.runs, &mut done)?;
            measure_product::<u64>(product, 40, &kernels, args.runs, &mut done)?;
        }
    }
    Ok(())
}
