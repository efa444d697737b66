//! `blindroute bundle widths`: the fewest bits with which a polynomial encoder still gives its embeddings.

use std::path::PathBuf;

use blindroute_lab::encoders::student::Corpus;
use blindroute_lab::encoders::widths::{Fit, WidthOptions, fit_widths, unusual_texts};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::tokenizer::{BUCKETS, MAX_TOKENS};

use blindroute_console::files::{check_out, print, write_bundle};

/// Choose the fraction bits and ranges of an encoder with linear attention: the fewest bytes for which its embeddings stay.
#[derive(clap::Args, Debug)]
pub(crate) struct WidthsArgs {
    /// The bundle.
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Texts to measure the encoder on: JSON lines with the field text or prompt; lines of another split than train are
    /// skipped. Unusual texts, such as one token many times, are added.
    #[arg(long, value_name = "FILE", required = true)]
    text: Vec<PathBuf>,
    /// How many of the texts are used, of all lengths.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    texts: u32,
    /// The largest mean of 1 - cosine between the embeddings under MPC and in the clear.
    #[arg(long, default_value_t = 1e-4, value_name = "NUMBER")]
    loss: f64,
    /// How many bits larger than these texts need each range is.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=8))]
    margin: u32,
    /// The bucket whose bytes count.
    #[arg(long, default_value_t = 128, value_name = "TOKENS")]
    bucket: usize,
    /// A width that is given instead of chosen, as weights=10; may be given several times. Widths other than those of the bundle
    /// that a student was trained for need `distil --widths`.
    #[arg(long, value_name = "NAME=BITS", value_parser = width)]
    set: Vec<(String, u32)>,
    /// Where to write the bundle with these widths; may be the same file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print what was chosen as one JSON object.
    #[arg(long)]
    json: bool,
}

fn width(text: &str) -> Result<(String, u32), String> {
    let problem = || format!("{text} is not a width; expected NAME=BITS, as weights=10");
    let (name, bits) = text.split_once('=').ok_or_else(problem)?;
    Ok((name.to_owned(), bits.parse().map_err(|_| problem())?))
}

/// Chooses the widths, writes the bundle, and says what they cost and lose.
pub(crate) fn run(args: &WidthsArgs) -> anyhow::Result<()> {
    check_out(&args.out)?;
    if !(args.loss.is_finite() && args.loss > 0.0) {
        anyhow::bail!("unsupported --loss {}: expected a number above 0, such as 0.0001", args.loss);
    }
    if !BUCKETS.contains(&args.bucket) {
        anyhow::bail!("unsupported --bucket {}: expected 32, 64, 128 or 256", args.bucket);
    }
    let bundle = blindroute_console::bundles::open(Some(&args.bundle))?;
    let tokenizer = bundle.tokenizer()?;
    let corpus = Corpus::read(&args.text, &tokenizer, MAX_TOKENS)?;
    let mut texts = corpus.of_all_lengths(args.texts as usize);
    for text in unusual_texts() {
        let mut ids = tokenizer.encode(&text)?.ids;
        ids.truncate(MAX_TOKENS);
        texts.push(ids);
    }
    let options = WidthOptions { given: args.set.clone(), loss: args.loss, margin: args.margin, bucket: args.bucket };
    let mut first: Option<Fit> = None;
    let fit = fit_widths(&bundle, &texts, &options, &mut |fit| {
        tracing::info!(bytes = fit.opening_bytes, loss = fit.loss, "{:?}", fit.widths);
        first.get_or_insert(*fit);
    })?;
    let before = first.unwrap_or(fit);
    let mut parts = bundle.into_parts();
    parts.encoder.widths = fit.widths;
    let bundle = Bundle::new(parts)?;
    let bytes = write_bundle(&bundle, &args.out)?;
    let digest = bundle.digest();
    print(&if args.json {
        serde_json::json!({
            "out": args.out, "bytes": bytes, "digest": digest.to_string(), "widths": fit.widths, "texts": texts.len(),
            "loss": fit.loss, "largest_loss": fit.worst, "bucket": args.bucket,
            "opening_bytes": fit.opening_bytes, "opening_bytes_before": before.opening_bytes,
            "material_bytes": fit.material_bytes, "material_bytes_before": before.material_bytes,
        })
        .to_string()
    } else {
        format!(
            "{}: {bytes} bytes, digest {digest}\n{}\nan embedding of {} tokens: {} bytes sent by each server ({} before), {} of \
             material ({} before)\n1 - cosine to the clear embedding over {} texts: {:.1e} on average, {:.1e} at most",
            args.out.display(),
            serde_json::to_string(&fit.widths)?,
            args.bucket,
            fit.opening_bytes,
            before.opening_bytes,
            fit.material_bytes,
            before.material_bytes,
            texts.len(),
            fit.loss,
            fit.worst,
        )
    })
}
