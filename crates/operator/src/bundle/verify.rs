//! `bundle verify`: are these files whole, unaltered, and of one split?

use anyhow::{Context, bail};
use blindroute_console::files::print;
use blindroute_protocol::Party;
use blindroute_routing::bundle::container::ContainerError;
use blindroute_routing::bundle::{Bundle, BundleError, PublicPart, ShareFile};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Check that bundles, public parts and shares are whole, unaltered and belong together.
///
/// Every digest in each file is checked. A share is also checked against the commitment in its public part, so name the public
/// part too.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The files: bundles, the public part of a split, and its shares
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    file: Vec<PathBuf>,
    /// Print one JSON object per file
    #[arg(long)]
    json: bool,
}

/// A file that was checked.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Checked {
    Bundle { digest: String, models: usize, routers: Vec<String> },
    PublicPart { deployment: String, models: usize, routers: Vec<String> },
    Share { deployment: String, party: usize },
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a Path,
    #[serde(flatten)]
    checked: &'a Checked,
}

/// A file that was read.
enum Read {
    Bundle(Box<Bundle>),
    PublicPart(Box<PublicPart>),
    /// Not checked against a public part yet.
    Share(Zeroizing<Vec<u8>>),
}

/// Checks the files in their order, and prints a line for each.
///
/// # Errors
/// A file is damaged, altered or of another kind, or a share is not of the public part.
pub fn verify(args: &VerifyArgs) -> anyhow::Result<()> {
    let read = |path: &PathBuf| read(path).with_context(|| format!("{}", path.display()));
    let files = args.file.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let publics: Vec<&PublicPart> = files
        .iter()
        .filter_map(|file| match file {
            Read::PublicPart(public) => Some(public.as_ref()),
            _ => None,
        })
        .collect();
    for (path, file) in args.file.iter().zip(&files) {
        let checked = check(file, &publics).with_context(|| format!("{}", path.display()))?;
        if args.json {
            print(&serde_json::to_string(&Line { file: path, checked: &checked })?)?;
        } else {
            print(&format!("{}: {}", path.display(), checked.line()))?;
        }
    }
    Ok(())
}

/// Reads a file of any of the three kinds. Reading checks all digests within the file.
fn read(path: &Path) -> anyhow::Result<Read> {
    let bytes = std::fs::read(path).context("cannot read the file; check the path and the permissions")?;
    let bytes = Zeroizing::new(bytes);
    match Bundle::read(&bytes) {
        Ok(read) => Ok(Read::Bundle(Box::new(read.bundle))),
        Err(BundleError::Container(ContainerError::Kind { found, .. })) if found == PublicPart::KIND => {
            Ok(Read::PublicPart(Box::new(PublicPart::read(&bytes)?)))
        }
        Err(BundleError::Container(ContainerError::Kind { found, .. })) if found == ShareFile::KIND => {
            Ok(Read::Share(bytes))
        }
        Err(error) => Err(error.into()),
    }
}

fn check(file: &Read, publics: &[&PublicPart]) -> anyhow::Result<Checked> {
    match file {
        Read::Bundle(bundle) => Ok(Checked::Bundle {
            digest: bundle.digest().to_string(),
            models: bundle.parts().models.len(),
            routers: bundle.parts().routers.iter().map(|router| router.name.clone()).collect(),
        }),
        Read::PublicPart(public) => Ok(Checked::PublicPart {
            deployment: public.digest.to_string(),
            models: public.models.len(),
            routers: public.plan.routers.iter().map(|router| router.name.clone()).collect(),
        }),
        Read::Share(bytes) => match publics {
            [public] => check_share(bytes, public),
            [] => bail!(
                "it is a server's share, and the commitment to check it against is in the public part: name both, as \
                 --file public.bin share0.bin"
            ),
            _ => bail!("it is a server's share, and {} public parts are named: name only its own", publics.len()),
        },
    }
}

/// Checks a share of either server against the commitment of its split.
fn check_share(bytes: &[u8], public: &PublicPart) -> anyhow::Result<Checked> {
    let share = match ShareFile::read(bytes, &public.expected_share(Party::Zero)) {
        Err(BundleError::OtherParty { .. }) => ShareFile::read(bytes, &public.expected_share(Party::One)),
        read => read,
    }?;
    share.weights(&public.plan.weights())?;
    Ok(Checked::Share { deployment: public.digest.to_string(), party: share.party().index() })
}

impl Checked {
    fn line(&self) -> String {
        let names = |models: &usize, routers: &[String]| {
            let routers = if routers.is_empty() { "none".to_owned() } else { routers.join(", ") };
            format!("{models} models; routers: {routers}")
        };
        match self {
            Self::Bundle { digest, models, routers } => {
                format!("a router bundle, whole and unaltered; digest {digest}; {}", names(models, routers))
            }
            Self::PublicPart { deployment, models, routers } => {
                let names = names(models, routers);
                format!("the public part of a split, whole and unaltered; deployment {deployment}; {names}")
            }
            Self::Share { deployment, party } => {
                format!("the share of server {party}, whole and unaltered; deployment {deployment}, as committed there")
            }
        }
    }
}
