//! `bundle`: the files that a provider gives out, and that operators check before they start with them.

mod show;
mod split;
mod verify;

pub use show::{ShowArgs, show};
pub use split::{SplitArgs, split};
pub use verify::{VerifyArgs, verify};

use blindroute_routing::bundle::Bundle;
use std::path::Path;

/// Opens the bundle at a path, or the one that the program takes where none is named.
pub type OpenBundle = fn(Option<&Path>) -> anyhow::Result<Bundle>;
