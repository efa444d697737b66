//! `blindroute similarity`: an encoder's similarities beside people's judgement.

use std::path::PathBuf;

use blindroute_lab::Stop;
use blindroute_lab::encoders::similarity::{correlation, read_pairs};

use blindroute_console::files::print;

/// Compare an encoder's similarities with people's judgement, as on STS-B: Spearman's correlation.
#[derive(clap::Args, Debug)]
pub(crate) struct SimilarityArgs {
    /// The bundle whose encoder is measured [default: the default bundle].
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Pairs of texts: JSON lines with text, text2 and label.
    #[arg(long, value_name = "FILE")]
    pairs: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Embeds all texts and prints the correlation.
pub(crate) fn run(args: &SimilarityArgs) -> anyhow::Result<()> {
    let pairs = read_pairs(&args.pairs)?;
    let bundle = blindroute_console::bundles::open(args.bundle.as_deref())?;
    let spearman = correlation(&bundle, &pairs, &mut super::embedding::watch(), &Stop::never())?;
    print(&if args.json {
        serde_json::json!({"pairs": pairs.len(), "spearman": spearman, "bundle": bundle.digest().to_string()})
            .to_string()
    } else {
        format!("Spearman's correlation over {} pairs: {spearman:.4}", pairs.len())
    })
}
