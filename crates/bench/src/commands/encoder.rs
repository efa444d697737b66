//! `bench encoder`: the encoder alone, in the three variants of PPRoute's Table 3.

use crate::measure::check_tokens;
use crate::measure::encoder::measure_encoder;
use crate::options::Options;
use crate::published::{PUBLISHED_SHAPE, PUBLISHED_TOKENS, VARIANTS, Variant};
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
    let encoder = &bundle.parts().encoder;
    let is_published = (encoder.layers, encoder.hidden, encoder.ffn) == PUBLISHED_SHAPE;
    for &tokens in &args.tokens {
        let mut rows = Vec::new();
        for variant in &VARIANTS {
            let row = measure_encoder(&bundle, (variant.attention, variant.activation), tokens, *scene, *runs)?;
            if *json {
                print(true, &with(&row, &encoder_references(Some(variant).filter(|_| is_published), tokens))?, "")?;
            }
            row.figures.confirm(&format!("{} + {}, {tokens} tokens", row.ffn, row.attention))?;
            rows.push((variant, row));
        }
        if !*json {
            print(false, &(), &encoder_table(tokens, *scene, *runs, (&rows, is_published)))?;
        }
    }
    Ok(())
}

/// The figures of other systems for a variant, for JSON; without any, the encoder has another shape than theirs.
fn encoder_references(variant: Option<&Variant>, tokens: usize) -> serde_json::Value {
    let crypten = variant.and_then(|variant| variant.crypten(tokens));
    serde_json::json!({
        "pproute_published_seconds": variant.filter(|_| tokens == PUBLISHED_TOKENS).map(|variant| variant.pproute),
        "crypten_route_seconds": crypten.map(|known| known.0),
        "crypten_rounds": crypten.map(|known| known.1),
        "crypten_megabytes_sent": crypten.map(|known| known.2),
    })
}
