//! The options that most measurements share.

use blindroute_runtime::SceneName;
use clap::Args;
use std::path::PathBuf;

/// Runs, network, bundle and form of the output.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Measured runs after one warm-up run; medians are reported
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) runs: u32,
    /// Network between all parties, emulated: loopback (none), lan (0.1 ms one way, 10 Gbit/s), metro (0.5 ms, 1 Gbit/s) or wan
    /// (20 ms, 400 Mbit/s)
    #[arg(long, value_name = "SCENE", default_value_t)]
    pub(crate) scene: SceneName,
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
    /// The router bundle; the default one if none is named, and for the papers' programs minilm.blindroute
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
}
