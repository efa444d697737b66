//! `bundle split`: the public part and one share per server.

use super::OpenBundle;
use crate::pairing::Manifest;
use blindroute_routing::bundle::{PublicPart, SplitRandomness, split as split_bundle};
use blindroute_runtime::Role;
use blindroute_runtime::file_set::{self, Existing, NewFile, write_together};
use blindroute_runtime::sealing::{Belongs, SealingPublicKey, seal};
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
    /// The manifests of server 0 and server 1: each share is written so that only its server can read it
    #[arg(long = "for", value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
    /// Replace a split that is already in the folder
    #[arg(long)]
    force: bool,
}

/// The files of a split, and the shares' names if they are sealed. The public part comes last: no party starts without it.
const SPLIT: [&str; 3] = ["share0.bin", "share1.bin", "public.bin"];
const SEALED: [&str; 2] = ["share0.sealed", "share1.sealed"];

/// Writes the three files of a split. `open` finds the bundle where none is named.
///
/// # Errors
/// The folder holds a split already, the bundle or a manifest cannot be read or a file cannot be written.
pub fn split(args: &SplitArgs, open: OpenBundle) -> anyhow::Result<()> {
    let keys = keys(&args.manifests)?;
    let names = file_set::taken(&args.out, SPLIT.into_iter().chain(SEALED));
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
    let shares = match &keys {
        None => parts.shares,
        Some(keys) => {
            let digest = *PublicPart::read(&parts.public)?.digest.as_bytes();
            let [zero, one] = &parts.shares;
            let seal = |(role, key): &(Role, SealingPublicKey), share: &[u8]| {
                anyhow::Ok(Zeroizing::new(seal(key, &Belongs { role: *role, digest }, share)?))
            };
            [seal(&keys[0], zero)?, seal(&keys[1], one)?]
        }
    };
    let [zero, one] = if keys.is_some() { SEALED } else { [SPLIT[0], SPLIT[1]] };
    let files = [
        NewFile { name: zero, content: &shares[0], private: true },
        NewFile { name: one, content: &shares[1], private: true },
        NewFile { name: SPLIT[2], content: &parts.public, private: false },
    ];
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    write_together(&args.out, &files, existing)?;
    // A replaced split leaves no share of the other kind behind, which fits nothing any more and may be in the clear.
    let written = [zero, one, SPLIT[2]];
    for old in SPLIT.into_iter().chain(SEALED).filter(|name| !written.contains(name)) {
        std::fs::remove_file(args.out.join(old)).ok();
    }
    eprintln!("{} goes to everybody, {zero} to server 0 alone, {one} to server 1 alone.", SPLIT[2]);
    Ok(writeln!(std::io::stdout(), "{}", args.out.display())?)
}

/// The keys of server 0 and server 1, from their manifests.
fn keys(manifests: &[PathBuf]) -> anyhow::Result<Option<[(Role, SealingPublicKey); 2]>> {
    if manifests.is_empty() {
        return Ok(None);
    }
    let mut all = manifests.iter().map(|path| Manifest::open(path)).collect::<anyhow::Result<Vec<_>>>()?;
    all.sort_by_key(Manifest::role);
    let [zero, one] = all.as_slice() else {
        anyhow::bail!("--for names {} manifests, expected two: of server 0 and of server 1", all.len());
    };
    if (zero.role(), one.role()) != (Role::Server0, Role::Server1) {
        anyhow::bail!("--for names the manifests of {} and {}, expected server0 and server1", zero.role(), one.role());
    }
    for manifest in &all {
        eprintln!("{}: {}", manifest.role(), manifest.fingerprints().join(" and "));
    }
    eprintln!("Compare these fingerprints with the operators by telephone before you send the shares.");
    let (first, second) = (zero.sealing_key()?, one.sealing_key()?);
    if first == second {
        anyhow::bail!("both manifests have one key, so one server could read both shares; ask the operators");
    }
    Ok(Some([(Role::Server0, first), (Role::Server1, second)]))
}
