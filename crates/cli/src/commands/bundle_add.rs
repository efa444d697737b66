//! `blindroute bundle add`: models that join a bundle's pool.

use std::path::PathBuf;

use blindroute_lab::routers::fingerprint::Fingerprints;
use blindroute_lab::routers::join::{Options, join};

use blindroute_console::files::{check_out, print, write_bundle};

use super::train::{embed, load};

/// Let models join the pool of a bundle's UniRoute and CSCR routers: a price and a descriptor each, no training.
#[derive(clap::Args, Debug)]
pub(crate) struct AddArgs {
    /// The bundle.
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// The data set that its routers were trained on, with the new models in models.json and outcomes.csv.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The fingerprints that its CSCR router was trained with and the new models' [default: outcome fingerprints].
    #[arg(long, value_name = "FILE.json")]
    descriptors: Option<PathBuf>,
    /// Weight of a new model's overall error in each of UniRoute's clusters, in prompts.
    #[arg(long, default_value_t = 10.0, value_name = "N")]
    smoothing: f32,
    /// The seed that the CSCR router was trained with.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where the new models' outcomes come from and under which licence, for people; kept in the bundle [default: the
    /// folder's name].
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// A file that keeps embeddings, so that an interrupted embedding is continued, and the next one is quick.
    #[arg(long, value_name = "FILE")]
    embeddings: Option<PathBuf>,
    /// Where to write the bundle with the larger pool; may be the same file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print what was made as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Adds the models, writes the bundle, and says which joined.
pub(crate) fn run(args: &AddArgs) -> anyhow::Result<()> {
    check_out(&args.out)?;
    if !(args.smoothing.is_finite() && args.smoothing >= 0.0) {
        anyhow::bail!("unsupported --smoothing {}: expected a number of 0 or more", args.smoothing);
    }
    let dataset = load(&args.data)?;
    let bundle = blindroute_console::bundles::open(Some(&args.bundle))?;
    let fingerprints = args.descriptors.as_deref().map(Fingerprints::read).transpose()?;
    let embedded = embed(&bundle, &dataset, args.embeddings.as_deref())?;
    let folder = args.data.file_name().map(|name| name.to_string_lossy().into_owned());
    let source = args.source.clone().or(folder).unwrap_or_else(|| "not stated".to_owned());
    let options = Options { smoothing: args.smoothing, seed: args.seed, fingerprints: fingerprints.as_ref() };
    let joined = join(bundle, &dataset, &embedded, &options, &source)?;
    for router in &joined.left_out {
        tracing::warn!("the router {router} cannot take a model without training and is left out; train it again");
    }
    let bytes = write_bundle(&joined.bundle, &args.out)?;
    let digest = joined.bundle.digest();
    print(&if args.json {
        let (added, left_out) = (&joined.added, &joined.left_out);
        serde_json::json!({
            "out": args.out, "bytes": bytes, "digest": digest.to_string(), "added": added, "left_out": left_out,
        })
        .to_string()
    } else {
        format!("{}: {bytes} bytes, digest {digest}\nadded {}", args.out.display(), joined.added.join(", "))
    })
}
