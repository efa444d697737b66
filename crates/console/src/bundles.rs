//! Finding the bundle a command works on: the one that is named, or one that comes with the program.
//!
//! The default bundle is part of the program, so that the program alone can route, and no file of the current folder decides
//! which pool of models is used. The other one is a file beside the program, which is recognised by its digest.

use crate::program;
use anyhow::{Context, bail};
use blindroute_routing::bundle::Bundle;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The digests of the bundles that are files beside the program.
const MINILM_DIGEST: &str = "f9ffa5a5742b749f3b98486b6a86f959eee4ba4771b4c0eafa37972122672a27";
const POOL_DIGEST: &str = "a31ef0ba65d3b2d8bf4d835918f8ce78c8dae5c58822baba67fb45f2f617ccfe";

/// A bundle that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shipped {
    /// The router that is used if none is named: a student's encoder, distilled to be cheap.
    Default,
    /// The published encoder with softmax and GELU: the teacher, and the papers' program.
    MiniLm,
    /// The nested pool of classifiers that is used if none is named.
    Pool,
}

impl Shipped {
    /// Its file's name, without the ending.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::MiniLm => "minilm",
            Self::Pool => "pool",
        }
    }

    /// The digest of its file; none of the one in the program.
    fn digest(self) -> Option<&'static str> {
        match self {
            Self::Default => None,
            Self::MiniLm => Some(MINILM_DIGEST),
            Self::Pool => Some(POOL_DIGEST),
        }
    }

    /// How to have another one, for people.
    fn instead(self) -> &'static str {
        match self {
            Self::Pool => "make one with `blindroute train pool`, and name it with --bundle FILE",
            _ => {
                "make one with `blindroute bundle import`, or name a bundle with --bundle FILE (distil: --teacher FILE)"
            }
        }
    }

    /// Reads it, from the program or wherever it lies.
    pub fn open(self) -> anyhow::Result<Bundle> {
        let Some(expected) = self.digest() else {
            let bundle = blindroute_placement::default_bundle();
            let bundle = bundle.context("the bundle in this program; install blindroute again")?;
            tracing::info!(bundle = "default, in the program", digest = %bundle.digest(), "bundle");
            return Ok(bundle);
        };
        let file = format!("{}.blindroute", self.name());
        let places = places(&file);
        let Some(path) = places.iter().find(|place| place.is_file()) else {
            bail!(
                "{file} was not found at: {}; copy it there from the folder bundles of blindroute's source, or {}",
                listed(&places),
                self.instead()
            );
        };
        let bundle = read(path)?;
        let found = bundle.digest().to_string();
        if found != expected {
            bail!(
                "{} is not the bundle that came with this program (digest {found}, expected {expected}); put that one \
                 there, or name this one with --bundle FILE (distil: --teacher FILE) if you mean it",
                path.display()
            );
        }
        Ok(bundle)
    }
}

fn listed(places: &[PathBuf]) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Where a bundle's file that is not in the program may lie, the nearest first.
fn places(file: &str) -> Vec<PathBuf> {
    let executable = std::env::current_exe().ok().and_then(|path| path.canonicalize().ok());
    // An interpreter's path leads out of its environment when links are followed, and the environment is where packages are.
    let executables = program::named().into_iter().chain(executable.as_deref());
    let folders = places_of(executables, std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME"));
    folders.into_iter().map(|folder| folder.join(file)).collect()
}

/// The folders where bundles may lie.
fn places_of<'a>(
    executables: impl IntoIterator<Item = &'a Path>,
    data: Option<OsString>,
    home: Option<OsString>,
) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for folder in executables.into_iter().filter_map(Path::parent) {
        folders.push(folder.join("bundles"));
        folders.extend(folder.parent().map(|prefix| prefix.join("share/blindroute")));
    }
    let data = data.map(PathBuf::from).filter(|path| path.is_absolute());
    let data = data.or_else(|| Some(PathBuf::from(home.filter(|home| !home.is_empty())?).join(".local/share")));
    folders.extend(data.map(|data| data.join("blindroute")));
    // The source that this program was built from.
    folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles"));
    folders
}

/// Opens the bundle at `path`, or the default one; warns about what this version does not know.
pub fn open(path: Option<&Path>) -> anyhow::Result<Bundle> {
    open_or(path, Shipped::Default)
}

/// Opens the bundle at `path`, or this one.
pub fn open_or(path: Option<&Path>, otherwise: Shipped) -> anyhow::Result<Bundle> {
    path.map_or_else(|| otherwise.open(), read)
}

/// The name, for reports, of the bundle at `path` or of the default one.
pub fn name(path: Option<&Path>) -> String {
    path.map_or_else(|| Shipped::Default.name().to_owned(), |path| path.display().to_string())
}

/// Opens the bundle at `path`; warns about what this version does not know.
///
/// # Errors
/// The file cannot be read, or is not a bundle.
pub fn read(path: &Path) -> anyhow::Result<Bundle> {
    let read = Bundle::open(path).with_context(|| format!("bundle {}", path.display()))?;
    for name in &read.unknown {
        tracing::warn!(name, "unknown part of the bundle; it has no effect");
    }
    tracing::info!(bundle = %path.display(), digest = %read.bundle.digest(), "bundle");
    Ok(read.bundle)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_other_bundles_are_those_whose_digests_are_known() {
        for (shipped, digest) in [(Shipped::MiniLm, MINILM_DIGEST), (Shipped::Pool, POOL_DIGEST)] {
            assert_eq!(shipped.open().unwrap().digest().to_string(), digest);
        }
    }

    #[test]
    fn nothing_is_looked_for_in_the_current_folder() {
        let of = |data: Option<&str>, home: Option<&str>| {
            let places = places_of(Some(Path::new("/opt/bin/blindroute")), data.map(Into::into), home.map(Into::into));
            assert!(places.iter().all(|place| place.is_absolute()), "{places:?}");
            places.into_iter().map(|place| place.display().to_string()).take(3).collect::<Vec<_>>()
        };
        let beside = ["/opt/bin/bundles", "/opt/share/blindroute"];
        assert_eq!(of(Some("/data"), Some("/home/me"))[..2], beside);
        assert_eq!(of(Some("/data"), Some("/home/me"))[2], "/data/blindroute");
        // A relative XDG_DATA_HOME is to be ignored.
        assert_eq!(of(Some("data"), Some("/home/me"))[2], "/home/me/.local/share/blindroute");
        of(None, None);
        // An environment of packages, whose interpreter is a link.
        let two = places_of([Path::new("/venv/bin/python"), Path::new("/usr/bin/python3")], None, None);
        assert_eq!(
            two[1..4],
            ["/venv/share/blindroute", "/usr/bin/bundles", "/usr/share/blindroute"].map(PathBuf::from)
        );
        of(None, Some(""));
    }
}
