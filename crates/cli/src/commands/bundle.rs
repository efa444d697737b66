//! `blindroute bundle`: show and split.

use super::bundle_import::{check_out, print, write_bundle};
use crate::bundles;
use blindroute_routing::bundle::{Bundle, SplitRandomness, split};
use blindroute_runtime::file_set::{self, Existing, NewFile, write_together};
use clap::{Args, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Make, inspect and split router bundles.
#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Make a bundle from the published weights of an encoder
    Import(super::bundle_import::ImportArgs),
    /// Let models join the pool of a bundle's routers, without training
    Add(super::bundle_add::AddArgs),
    /// Split a bundle into its public part and one share for each server
    Split(SplitArgs),
    /// Take the routers and the pool out of a bundle: the encoder that clients of placement head need
    Encoder(EncoderArgs),
    /// Say what a bundle holds
    Show(ShowArgs),
}

/// Split a bundle.
#[derive(Debug, Args)]
pub(crate) struct SplitArgs {
    /// The bundle; the default one if none is named
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Folder for public.bin, share0.bin and share1.bin
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace a split that the folder already holds
    #[arg(long)]
    force: bool,
}

/// Take the secret routers out of a bundle.
#[derive(Debug, Args)]
pub(crate) struct EncoderArgs {
    /// The bundle; the default one if none is named
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The bundle to write, with nothing but the encoder
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Say what a bundle holds.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The bundle; the default one if none is named
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs a bundle command.
pub(crate) fn run(command: BundleCommand) -> anyhow::Result<()> {
    match command {
        BundleCommand::Import(args) => super::bundle_import::run(args),
        BundleCommand::Add(args) => super::bundle_add::run(&args),
        BundleCommand::Split(args) => run_split(&args),
        BundleCommand::Encoder(args) => encoder(&args),
        BundleCommand::Show(args) => show(&args),
    }
}

/// The files of a split.
const SPLIT: [&str; 3] = ["share0.bin", "share1.bin", "public.bin"];

fn run_split(args: &SplitArgs) -> anyhow::Result<()> {
    let names = file_set::taken(&args.out, SPLIT);
    if !args.force && !names.is_empty() {
        anyhow::bail!(
            "{} already holds a split ({}), and each split is another deployment; name another folder with --out, or \
             replace the split with --force, give every party its new file and restart them all",
            args.out.display(),
            names.join(", ")
        );
    }
    let bundle = bundles::open(args.bundle.as_deref())?;
    let mut random = Zeroizing::new([0; SplitRandomness::BYTES]);
    getrandom::fill(random.as_mut_slice())
        .map_err(|error| anyhow::anyhow!("the operating system gave no randomness: {error}"))?;
    let parts = split(&bundle, &SplitRandomness::new(&random))?;
    let [zero, one] = &parts.shares;
    let files = [
        NewFile { name: SPLIT[0], content: zero, private: true },
        NewFile { name: SPLIT[1], content: one, private: true },
        // Last: no party starts without it.
        NewFile { name: SPLIT[2], content: &parts.public, private: false },
    ];
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    write_together(&args.out, &files, existing)?;
    eprintln!("public.bin goes to everybody, share0.bin to server 0 alone, share1.bin to server 1 alone.");
    Ok(writeln!(std::io::stdout(), "{}", args.out.display())?)
}

fn encoder(args: &EncoderArgs) -> anyhow::Result<()> {
    check_out(&args.out)?;
    let mut parts = bundles::open(args.bundle.as_deref())?.into_parts();
    parts.models.clear();
    parts.routers.clear();
    write_bundle(&Bundle::new(parts)?, &args.out)?;
    Ok(writeln!(std::io::stdout(), "{}", args.out.display())?)
}

fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let bundle = bundles::open(args.bundle.as_deref())?;
    let parts = bundle.parts();
    if !args.json {
        return print(&described(&bundle));
    }
    let routers: Vec<_> = parts
        .routers
        .iter()
        .map(|router| serde_json::json!({"name": router.name, "kind": router.kind(), "lambda": router.lambda}))
        .collect();
    let summary = serde_json::json!({
        "digest": bundle.digest().to_string(),
        "encoder": parts.encoder,
        "models": parts.models,
        "routers": routers,
        "origin": parts.origin,
    });
    print(&serde_json::to_string(&summary)?)
}

/// What a bundle holds, for people.
fn described(bundle: &Bundle) -> String {
    let parts = bundle.parts();
    let encoder = &parts.encoder;
    let mut lines = vec![
        format!("digest    {}", bundle.digest()),
        format!(
            "encoder   {} layers, hidden {}, feed-forward {}; {} attention, {}, norms {}, {} pooling; up to {} tokens",
            encoder.layers,
            encoder.hidden,
            encoder.ffn,
            encoder.attention,
            encoder.activation,
            encoder.norms,
            encoder.pooling,
            encoder.max_tokens
        ),
        format!("routers   {}", parts.routers.len()),
    ];
    for (place, router) in parts.routers.iter().enumerate() {
        let default = if place == 0 { ", the default" } else { "" };
        lines.push(format!("  {} ({}{default}), λ {}", router.name, router.kind(), router.lambda));
    }
    lines.push(format!("models    {}", parts.models.len()));
    lines.extend(parts.models.iter().map(|model| format!("  {}  {} {}", model.name, model.price, model.unit)));
    lines.push("origin".to_owned());
    lines.extend(parts.origin.lines().map(|line| format!("  {line}")));
    // Names come from files: no control character of theirs reaches the terminal.
    let plain = |line: &String| line.replace(char::is_control, "\u{fffd}");
    lines.iter().map(plain).collect::<Vec<_>>().join("\n")
}
