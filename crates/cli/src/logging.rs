//! Logs go to stderr; stdout is for results.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging at the level of `-v`s, or of `BLINDROUTE_LOG`.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        // Ours, not the TLS library's.
        _ => "debug,rustls=warn",
    };
    let filter = EnvFilter::try_from_env("BLINDROUTE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    // A second start, as in tests, changes nothing.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stderr().is_terminal());
    log.with_writer(std::io::stderr).with_target(false).try_init().ok();
}
