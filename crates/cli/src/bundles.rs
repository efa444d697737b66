//! Finding the bundle a command works on.

use anyhow::Context;
use blindroute_routing::bundle::Bundle;
use std::path::{Path, PathBuf};

/// The default bundle's place in the repository and beside an installed program.
const DEFAULT: &str = "bundles/default.blindroute";

/// Opens the bundle at `path`, or the default one; warns about what this version does not know.
pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<Bundle> {
    let path = match path {
        Some(path) => path.to_owned(),
        None => default_path()?,
    };
    let read = Bundle::open(&path).with_context(|| format!("bundle {}", path.display()))?;
    for name in &read.unknown {
        tracing::warn!(name, "unknown part of the bundle; it has no effect");
    }
    Ok(read.bundle)
}

fn default_path() -> anyhow::Result<PathBuf> {
    let executable = std::env::current_exe().ok();
    let beside =
        executable.as_deref().into_iter().flat_map(Path::ancestors).skip(1).take(5).map(|folder| folder.join(DEFAULT));
    let here = std::env::current_dir().ok().map(|folder| folder.join(DEFAULT));
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(DEFAULT);
    let mut places = here.into_iter().chain(beside).chain([built_from]);
    places.find(|place| place.is_file()).with_context(|| {
        format!(
            "the default bundle ({DEFAULT}) is neither here nor beside the program; name a bundle with --bundle FILE"
        )
    })
}
