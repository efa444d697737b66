//! `bundle split`: the public part and one share per server.

use super::OpenBundle;
use blindroute_routing::bundle::{SplitRandomness, split as split_bundle};
use blindroute_runtime::file_set::{self, Existing, NewFile, write_together};
use clap::Args;
use std::io::Write;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Split a bundle.
#[derive(Debug, Args)]
pub struct SplitArgs {
    /// The bundle; the default one if none is named
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Folder for public.bin, share0.bin and share1.bin
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace a split that is already in the folder
    #[arg(long)]
    force: bool,
}

/// The files of a split.
const SPLIT: [&str; 3] = ["share0.bin", "share1.bin", "public.bin"];

/// Writes the three files of a split. `open` finds the bundle where none is named.
///
/// # Errors
/// The folder holds a split already, the bundle cannot be read or a file cannot be written.
pub fn split(args: &SplitArgs, open: OpenBundle) -> anyhow::Result<()> {
    let names = file_set::taken(&args.out, SPLIT);
    if !args.force && !names.is_empty() {
        anyhow::bail!(
            "{} already holds a split ({}), and each split is another deployment; name another folder with --out, or \
             replace the split with --force, give every party its new file and restart them all",
            args.out.display(),
            names.join(", ")
        );
    }
    let bundle = open(args.bundle.as_deref())?;
    let mut random = Zeroizing::new([0; SplitRandomness::BYTES]);
    getrandom::fill(random.as_mut_slice())
        .map_err(|error| anyhow::anyhow!("the operating system gave no randomness: {error}"))?;
    let parts = split_bundle(&bundle, &SplitRandomness::new(&random))?;
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
