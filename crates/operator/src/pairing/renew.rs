//! `renew`: a new certificate under the same authority, a new authority beside the old one, or the old one's end.

use super::folder::{AUTHORITY, Folder, MANIFEST};
use anyhow::bail;
use blindroute_console::files::print;
use blindroute_runtime::{Authority, Existing, NewFile, write_together};
use clap::Args;
use std::path::PathBuf;

/// Make a new certificate, or a new authority beside the old one.
///
/// Without an option, the role's key gets a new certificate, valid for 397 days. A party that runs takes it up within seconds.
/// A new authority takes three steps: `renew --authority`, after which all peers pair again with the new manifest; `renew`; and
/// when all have paired, `renew --retire`, after which they pair once more.
#[derive(Debug, Args)]
pub struct RenewArgs {
    /// The operator's folder
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Make a new authority beside the old one, and a manifest with both
    #[arg(long, conflicts_with = "retire")]
    authority: bool,
    /// Leave the old authorities out, of the manifest too
    #[arg(long)]
    retire: bool,
    /// The authority's key, if it is kept elsewhere
    #[arg(long, value_name = "FILE")]
    authority_key: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RenewArgs) -> anyhow::Result<()> {
    let folder = Folder::open(&args.dir)?;
    let key = args.authority_key.as_deref();
    let (done, written) = if args.authority {
        (
            "a new authority, beside the old one; give the manifest to all peers",
            begin(&folder, folder.authorities(key)?)?,
        )
    } else if args.retire {
        ("the old authorities are left out; give the manifest to all peers", retire(&folder, &folder.newest(key)?)?)
    } else {
        ("a new certificate; the running party takes it up within seconds", certificate(&folder, &folder.newest(key)?)?)
    };
    let paths: Vec<PathBuf> = written.iter().map(|name| args.dir.join(name)).collect();
    let fingerprints = Folder::open(&args.dir)?.manifest.fingerprints();
    if args.json {
        return print(&serde_json::json!({"written": paths, "fingerprints": fingerprints}).to_string());
    }
    eprintln!("{done}");
    print(&paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join("\n"))
}

fn certificate(folder: &Folder, authority: &Authority) -> anyhow::Result<Vec<String>> {
    let role = folder.manifest.role;
    let key = folder.read(&format!("{role}.key"))?;
    let certificate = authority.renew(role, role.certificate_name(), &key)?;
    let name = format!("{role}.pem");
    write(folder, &[NewFile { name: &name, content: certificate.as_bytes(), private: false }])?;
    Ok(vec![name])
}

fn begin(folder: &Folder, old: Vec<Authority>) -> anyhow::Result<Vec<String>> {
    if old.len() > 1 {
        bail!("two authorities overlap already; end the old one with `renew --retire` first");
    }
    let new = Authority::generate()?;
    let all: Vec<&Authority> = std::iter::once(&new).chain(&old).collect();
    let (name, key) = (folder.next_key()?, new.key());
    restate(folder, &all, Some(NewFile { name: &name, content: key.as_bytes(), private: true }))?;
    Ok(vec![name, AUTHORITY.to_owned(), MANIFEST.to_owned()])
}

fn retire(folder: &Folder, newest: &Authority) -> anyhow::Result<Vec<String>> {
    restate(folder, &[newest], None)?;
    Ok(vec![AUTHORITY.to_owned(), MANIFEST.to_owned()])
}

/// Writes these authorities, and a manifest that they sign.
fn restate(folder: &Folder, authorities: &[&Authority], key: Option<NewFile<'_>>) -> anyhow::Result<()> {
    let all: String = authorities.iter().map(|authority| authority.certificate()).collect();
    let manifest = folder.manifest.content.clone().signed(authorities)?;
    let mut files = Vec::from_iter(key);
    files.push(NewFile { name: AUTHORITY, content: all.as_bytes(), private: false });
    files.push(NewFile { name: MANIFEST, content: manifest.as_bytes(), private: false });
    write(folder, &files)
}

fn write(folder: &Folder, files: &[NewFile<'_>]) -> anyhow::Result<()> {
    Ok(write_together(&folder.path, files, Existing::Replace)?)
}
