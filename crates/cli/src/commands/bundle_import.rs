//! `blindroute bundle import`: published weights to a bundle.

use std::path::{Path, PathBuf};

use anyhow::Context;
use blindroute_routing::bundle::{
    Activation, Attention, Bundle, BundleError, EncoderConfig, ImportOptions, Pooling, Precision,
};

/// Make a bundle of published encoder weights, without routers yet (see `blindroute train`).
#[derive(clap::Args, Debug)]
pub struct ImportArgs {
    /// The encoder's weights, as published (a BERT of all-MiniLM-L6-v2's shape).
    #[arg(long, value_name = "model.safetensors")]
    weights: PathBuf,
    /// The tokenizer published with them.
    #[arg(long, value_name = "tokenizer.json")]
    tokenizer: PathBuf,
    /// How attention scores become weights: softmax (the real model's) or 2relu (faster under MPC).
    #[arg(long, default_value = "2relu", value_parser = setting::<Attention>)]
    attention: Attention,
    /// The feed-forward network's non-linearity: gelu (the real model's) or relu (faster under MPC).
    #[arg(long, default_value = "relu", value_parser = setting::<Activation>)]
    ffn: Activation,
    /// How hidden states become one embedding: mean or cls.
    #[arg(long, default_value = "mean", value_parser = setting::<Pooling>)]
    pooling: Pooling,
    /// Keep the weights as published, 4 bytes a number, instead of quantised to a quarter of the size.
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

fn setting<T: std::str::FromStr<Err = BundleError>>(name: &str) -> Result<T, String> {
    name.parse().map_err(|error: BundleError| error.to_string())
}

/// Imports, writes, and says what was made.
pub fn run(args: ImportArgs) -> anyhow::Result<()> {
    let config = EncoderConfig {
        attention: args.attention,
        activation: args.ffn,
        pooling: args.pooling,
        ..EncoderConfig::minilm()
    };
    let precision = if args.exact { Precision::Exact } else { Precision::default() };
    let options = ImportOptions { precision, origin: args.origin };
    let weights = read(&args.weights)?;
    let tokenizer = read(&args.tokenizer)?;
    let bundle = Bundle::from_safetensors(&weights, config, &tokenizer, &options)
        .with_context(|| format!("could not import {}", args.weights.display()))?;
    let bytes = write_bundle(&bundle, &args.out)?;
    let digest = bundle.digest();
    print(&if args.json {
        serde_json::json!({"out": args.out, "bytes": bytes, "digest": digest.to_string()}).to_string()
    } else {
        format!("{}: {bytes} bytes, digest {digest}", args.out.display())
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("could not read {}; check the path", path.display()))
}

/// One answer on stdout.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout().lock(), "{text}").context("could not write to stdout")
}

/// Writes a bundle through a file beside it, so that no half-written bundle is ever found under its name.
pub(super) fn write_bundle(bundle: &Bundle, path: &Path) -> anyhow::Result<usize> {
    use std::io::Write as _;
    let bytes = bundle.write()?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let context = || format!("could not write {}; name a file in a folder that can be written", path.display());
    let mut file = tempfile::Builder::new().permissions(permissions()).tempfile_in(folder).with_context(context)?;
    file.write_all(&bytes).with_context(context)?;
    file.persist(path).with_context(context)?;
    Ok(bytes.len())
}

/// A bundle holds secrets of a provider only where the provider put some; the user's umask decides who reads it.
#[cfg(unix)]
fn permissions() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}
