//! `blindroute bundle import`: published weights to a bundle.

use std::path::{Path, PathBuf};

use anyhow::Context;
use blindroute_console::files::{check_out, folder_of, print, write_bundle};
use blindroute_routing::{
    bundle::{
        Activation, Attention, Bundle, BundleError, EncoderConfig, ImportOptions, ImportedEncoder, Pooling, Precision,
        ProgramChoices, PublishedFiles,
    },
    program::check_ranges,
    tokenizer::Window,
};
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// Make a bundle of a published BERT encoder (all-MiniLM, bge, e5, gte and their like), without routers yet (see `blindroute train`).
#[derive(clap::Args, Debug)]
pub(crate) struct ImportArgs {
    /// The encoder's weights, as published: F32, F16 or BF16.
    #[arg(long, value_name = "model.safetensors")]
    weights: PathBuf,
    /// The tokenizer published with them.
    #[arg(long, value_name = "tokenizer.json")]
    tokenizer: PathBuf,
    /// The encoder's sizes, as published [default: the file of that name beside the weights].
    #[arg(long, value_name = "config.json")]
    config: Option<PathBuf>,
    /// How attention scores become weights [default: softmax, which published encoders are trained with]. 2relu is faster
    /// under MPC, and gives worse embeddings until `blindroute distil` has trained them.
    #[arg(long, value_parser = one_of::<Attention>(&["softmax", "2relu"]))]
    attention: Option<Attention>,
    /// The feed-forward network's non-linearity [default: hidden_act of config.json]. relu is faster under MPC than gelu, and gives
    /// worse embeddings if the encoder was not trained with it.
    #[arg(long, value_parser = one_of::<Activation>(&["gelu", "relu"]))]
    ffn: Option<Activation>,
    /// How hidden states become one embedding [default: as 1_Pooling/config.json beside config.json says, or mean].
    #[arg(long, value_parser = one_of::<Pooling>(&["mean", "cls"]))]
    pooling: Option<Pooling>,
    /// Which 256 tokens of a longer prompt are kept: the first, the last, or the first 128 and the last 128.
    #[arg(long, default_value = "head", value_parser = one_of::<Window>(&["head", "tail", "both"]))]
    window: Window,
    /// Keep the weights as published, 4 bytes per number, instead of quantised to a quarter of the size.
    #[arg(long)]
    exact: bool,
    /// Where the weights come from and under which licence, for people; kept in the bundle.
    #[arg(long, default_value = "encoder: not stated", value_name = "TEXT")]
    origin: String,
    /// Where to write the bundle.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print what was made as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Reads one of these names of a type.
pub(super) fn one_of<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: std::str::FromStr<Err = BundleError> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| name.parse::<T>())
}

/// Imports, writes, and says what was made.
pub(crate) fn run(args: ImportArgs) -> anyhow::Result<()> {
    check_out(&args.out)?;
    let precision = if args.exact { Precision::Exact } else { Precision::default() };
    let choices =
        ProgramChoices { attention: args.attention, activation: args.ffn, pooling: args.pooling, window: args.window };
    let options = ImportOptions { precision, choices, origin: args.origin };
    let config_path = args.config.unwrap_or_else(|| folder_of(&args.weights).join("config.json"));
    // The pooling of sentence-transformers models is in a file beside it.
    let beside = folder_of(&config_path);
    let (weights, tokenizer) = (read(&args.weights)?, read(&args.tokenizer)?);
    let config = std::fs::read(&config_path).with_context(|| {
        format!(
            "could not read {}, which says how many layers and heads the encoder has; download the config.json published with the \
             weights, and name it with --config",
            config_path.display()
        )
    })?;
    let pooling = read_if_there(&beside.join("1_Pooling").join("config.json"))?;
    let modules = read_if_there(&beside.join("modules.json"))?;
    let published = PublishedFiles {
        weights: &weights,
        config: &config,
        tokenizer: &tokenizer,
        pooling: pooling.as_deref(),
        modules: modules.as_deref(),
    };
    let ImportedEncoder { bundle, leftovers, mut notes } =
        Bundle::import(&published, &options).with_context(|| format!("could not import {}", args.weights.display()))?;
    if let Err(error) = check_ranges(&bundle) {
        notes.push(format!(
            "{error}: under MPC, in placement full, its routes would be wrong; use placement local or head, or distil a student"
        ));
    }
    for note in &notes {
        tracing::warn!("{note}");
    }
    let bytes = write_bundle(&bundle, &args.out)?;
    let (digest, encoder) = (bundle.digest(), &bundle.parts().encoder);
    print(&if args.json {
        serde_json::json!({
            "out": args.out, "bytes": bytes, "digest": digest.to_string(), "encoder": encoder, "left_out": leftovers,
            "notes": notes,
        })
        .to_string()
    } else {
        let mut text = format!("{}: {bytes} bytes, digest {digest}\nencoder: {}", args.out.display(), shape(encoder));
        if !leftovers.is_empty() {
            text.push_str(&format!("\nleft out, for they are not the encoder's: {}", leftovers.join(", ")));
        }
        text
    })
}

/// An encoder's program in words.
fn shape(encoder: &EncoderConfig) -> String {
    let EncoderConfig { layers, hidden, heads, ffn, vocabulary, attention, activation, pooling, .. } = encoder;
    format!(
        "{layers} layers of width {hidden}, {heads} heads, feed-forward width {ffn}, {vocabulary} tokens, {attention}, {activation}, \
         {pooling} pooling"
    )
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("could not read {}; check the path", path.display()))
}

fn read_if_there(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    if path.is_file() { read(path).map(Some) } else { Ok(None) }
}
