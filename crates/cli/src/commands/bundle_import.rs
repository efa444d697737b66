//! `blindroute bundle import`: published weights to a bundle.

use std::path::{Path, PathBuf};

use anyhow::Context;
use blindroute_routing::bundle::{
    Activation, Attention, Bundle, BundleError, EncoderConfig, ImportOptions, Pooling, Precision,
};
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// Make a bundle of published encoder weights, without routers yet (see `blindroute train`).
#[derive(clap::Args, Debug)]
pub(crate) struct ImportArgs {
    /// The encoder's weights, as published (a BERT of all-MiniLM-L6-v2's shape).
    #[arg(long, value_name = "model.safetensors")]
    weights: PathBuf,
    /// The tokenizer published with them.
    #[arg(long, value_name = "tokenizer.json")]
    tokenizer: PathBuf,
    /// How attention scores become weights: softmax is the real model's, 2relu faster under MPC.
    #[arg(long, default_value = "2relu", value_parser = one_of::<Attention>(&["softmax", "2relu"]))]
    attention: Attention,
    /// The feed-forward network's non-linearity: gelu is the real model's, relu faster under MPC.
    #[arg(long, default_value = "relu", value_parser = one_of::<Activation>(&["gelu", "relu"]))]
    ffn: Activation,
    /// How hidden states become one embedding.
    #[arg(long, default_value = "mean", value_parser = one_of::<Pooling>(&["mean", "cls"]))]
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
    writeln!(std::io::stdout().lock(), "{}", crate::terminal::plain(text)).context("could not write to stdout")
}

/// An error if this file surely cannot be written: better now than after the work.
pub(super) fn check_out(path: &Path) -> anyhow::Result<()> {
    if !folder_of(path).is_dir() || path.is_dir() {
        anyhow::bail!("could not write {}; name a file in a folder that can be written", path.display());
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes a bundle, see [`write_file`].
pub(super) fn write_bundle(bundle: &Bundle, path: &Path) -> anyhow::Result<usize> {
    let bytes = bundle.write()?;
    write_file(&bytes, path)?;
    Ok(bytes.len())
}

/// Writes a file through one beside it, so that none is ever found half-written under its name. A file that is there is
/// replaced, and hands down who may read it.
pub(super) fn write_file(bytes: &[u8], path: &Path) -> anyhow::Result<()> {
    use std::io::Write as _;
    let context = || format!("could not write {}; name a file in a folder that can be written", path.display());
    // Through a link, the file behind it is the one to replace.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut builder = tempfile::Builder::new();
    // Like any other output: the user's umask decides who reads it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder_of(&target)).with_context(context)?;
    if let Ok(old) = std::fs::metadata(&target) {
        file.as_file().set_permissions(old.permissions()).with_context(context)?;
    }
    file.write_all(bytes).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    file.persist(&target).with_context(context)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_is_replaced_whole_and_stays_as_private_as_it_was() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let home = tempfile::tempdir().unwrap();
        let (path, link) = (home.path().join("out"), home.path().join("link"));
        write_file(b"old", &path).unwrap();
        let reader = std::fs::File::open(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write_file(b"newer", &link).unwrap();
        assert!(link.is_symlink() && std::fs::read(&path).unwrap() == b"newer");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        // Who reads the old file has it whole.
        assert_eq!(std::io::read_to_string(reader).unwrap(), "old");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 2, "no temporary file stays");
    }
}
