//! `bench encoder`: the encoder alone, in the three variants of PPRoute's Table 3.

use crate::measure::check_tokens;
use crate::measure::encoder::measure_encoder;
use crate::options::Options;
use crate::published::{PUBLISHED_TOKENS, VARIANTS, Variant};
use crate::report::papers::encoder_table;
use crate::report::{print, with};
use blindroute_console::bundles::{self, Shipped};
use clap::Args;

/// Measure the encoder.
#[derive(Debug, Args)]
pub struct BenchEncoderArgs {
    /// Prompt lengths in tokens, 3 to 256
    #[arg(long, value_delimiter = ',', default_values_t = [256])]
    tokens: Vec<usize>,
    #[command(flatten)]
    common: Options,
}

/// Runs the measurement.
pub(crate) fn run(args: &BenchEncoderArgs) -> anyhow::Result<()> {
    let Options { runs, scene, json, bundle } = &args.common;
    check_tokens(&args.tokens)?;
    let bundle = bundles::open_or(bundle.as_deref(), Shipped::MiniLm)?;
    for &tokens in &args.tokens {
        let mut rows = Vec::new();
        for variant in &VARIANTS {
            let row = measure_encoder(&bundle, (variant.attention, variant.activation), tokens, *scene, *runs)?;
            if *json {
                print(true, &with(&row, &encoder_references(variant, tokens))?, "")?;
            }
            row.figures.confirm(&format!("{} + {}, {tokens} tokens", row.ffn, row.attention))?;
            rows.push((variant, row));
        }
        if !*json {
            print(false, &(), &encoder_table(tokens, *scene, *runs, &rows))?;
        }
    }
    Ok(())
}

/// The figures of other systems for a variant, for JSON.
fn encoder_references(variant: &Variant, tokens: usize) -> serde_json::Value {
    serde_json::json!({
        "pproute_published_seconds": (tokens == PUBLISHED_TOKENS).then_some(variant.pproute),
        "crypten_route_seconds": variant.crypten(tokens).map(|known| known.0),
        "crypten_rounds": variant.crypten(tokens).map(|known| known.1),
        "crypten_megabytes_sent": variant.crypten(tokens).map(|known| known.2),
    })
}
