//! `pair`: checks the other operators' manifests, pins their authorities, and writes the role's configuration.

use super::folder::Folder;
use super::manifest::Manifest;
use super::{configuration, pins, together};
use anyhow::bail;
use blindroute_console::files::print;
use blindroute_runtime::{Existing, NewFile, Role, write_together};
use clap::Args;
use std::path::PathBuf;

/// Check the manifests of the other operators, and write this role's configuration.
///
/// Roles that share a machine, a cloud account, an authority, a key or an address are refused.
#[derive(Debug, Args)]
pub struct PairArgs {
    /// This operator's folder
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    others: OthersArgs,
    /// Let roles share what they must not share, to try it out. It protects nothing then, and clients are told
    #[arg(long)]
    development: bool,
    /// Write the configuration anew if there is one
    #[arg(long)]
    replace: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The manifests of others, and what their operators say of them.
#[derive(Debug, Args)]
pub(super) struct OthersArgs {
    /// The manifests of the two others
    #[arg(long, value_name = "MANIFEST", required = true, num_args = 1..)]
    with: Vec<PathBuf>,
    /// The fingerprints that their operators read out
    #[arg(long, value_name = "DIGITS")]
    pub(super) fingerprint: Vec<String>,
}

impl OthersArgs {
    pub(super) fn open(&self) -> anyhow::Result<Vec<Manifest>> {
        self.with.iter().map(|path| Manifest::open(path)).collect()
    }
}

pub(super) fn run(args: &PairArgs) -> anyhow::Result<()> {
    let folder = Folder::open(&args.dir)?;
    let others = args.others.open()?;
    let peers: Vec<&Manifest> = others.iter().collect();
    let all: Vec<&Manifest> = std::iter::once(&folder.manifest).chain(&others).collect();
    together::check_roles(&all, &[Role::Server0, Role::Server1, Role::Dealer])?;
    pins::check(&args.dir, &peers, &args.others.fingerprint)?;
    together::check_apart(&all, args.development)?;

    let role = folder.manifest.role;
    let name = format!("{role}.toml");
    let path = args.dir.join(&name);
    let text = configuration::of_role(&folder.manifest, &folder.local, &peers, args.development);
    let kept = path.exists() && !args.replace;
    if kept && states_development(&path)? != args.development {
        bail!(
            "{} {} `development = true`; write it anew with --replace, or edit it",
            path.display(),
            if args.development { "does not say" } else { "says" }
        );
    }
    let mut contents: Vec<(String, String)> = peers.iter().map(|peer| (pins::name(peer), peer.pem())).collect();
    if !kept {
        contents.push((name, text));
    }
    let files: Vec<NewFile<'_>> =
        contents.iter().map(|(name, content)| NewFile { name, content: content.as_bytes(), private: false }).collect();
    write_together(&args.dir, &files, Existing::Replace)?;
    if kept {
        eprintln!("{} was kept; --replace writes it anew.", path.display());
    }
    if args.json {
        return print(&serde_json::json!({"role": role.name(), "configuration": path, "kept": kept}).to_string());
    }
    print(&path.display().to_string())
}

fn states_development(path: &std::path::Path) -> anyhow::Result<bool> {
    let table: toml::Table = std::fs::read_to_string(path)?.parse()?;
    Ok(table.get("development").and_then(toml::Value::as_bool).unwrap_or(false))
}
