//! Finding the bundle a command works on.

use anyhow::Context;
use blindroute_routing::bundle::Bundle;
use std::path::{Path, PathBuf};

/// A bundle of the repository, which also lies beside an installed program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shipped {
    /// The router of whoever names none: a student's encoder, distilled to be cheap.
    Default,
    /// The published encoder with softmax and GELU: the teacher, and the papers' program.
    MiniLm,
}

impl Shipped {
    /// Its file's name, without the ending.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::MiniLm => "minilm",
        }
    }

    /// Reads it, wherever it lies.
    pub(crate) fn open(self) -> anyhow::Result<Bundle> {
        read(&self.find()?)
    }

    fn find(self) -> anyhow::Result<PathBuf> {
        let place = format!("bundles/{}.blindroute", self.name());
        let executable = std::env::current_exe().ok();
        let beside = executable
            .as_deref()
            .into_iter()
            .flat_map(Path::ancestors)
            .skip(1)
            .take(5)
            .map(|folder| folder.join(&place));
        let here = std::env::current_dir().ok().map(|folder| folder.join(&place));
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(&place);
        let mut places = here.into_iter().chain(beside).chain([built_from]);
        places.find(|place| place.is_file()).with_context(|| {
            format!(
                "{place} is neither here nor beside the program; name a bundle with --bundle FILE, or --teacher FILE"
            )
        })
    }
}

/// Opens the bundle at `path`, or the default one; warns about what this version does not know.
pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<Bundle> {
    open_or(path, Shipped::Default)
}

/// Opens the bundle at `path`, or this one.
pub(crate) fn open_or(path: Option<&Path>, otherwise: Shipped) -> anyhow::Result<Bundle> {
    path.map_or_else(|| otherwise.open(), read)
}

fn read(path: &Path) -> anyhow::Result<Bundle> {
    let read = Bundle::open(path).with_context(|| format!("bundle {}", path.display()))?;
    for name in &read.unknown {
        tracing::warn!(name, "unknown part of the bundle; it has no effect");
    }
    Ok(read.bundle)
}
