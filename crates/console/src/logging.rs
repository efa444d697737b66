//! Logs go to stderr; stdout is for results.

use crate::terminal::Stderr;
use std::ffi::OsStr;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging at the level that the number of `-v` or the variable `BLINDROUTE_LOG` sets.
pub fn start(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        // Of our crates, not of the TLS library.
        _ => "debug,rustls=warn",
    };
    let filter = EnvFilter::try_from_env("BLINDROUTE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let coloured = coloured(std::io::stderr().is_terminal(), std::env::var_os("NO_COLOR").as_deref());
    // A second start, as in tests, changes nothing.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(coloured);
    log.with_writer(|| Stderr).with_target(false).try_init().ok();
}

/// Colours are for terminals whose user did not refuse them (<https://no-color.org>).
fn coloured(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_no_colours_gets_none() {
        assert!(coloured(true, None) && coloured(true, Some(OsStr::new(""))));
        assert!(!coloured(true, Some(OsStr::new("1"))) && !coloured(true, Some(OsStr::new("0"))));
        assert!(!coloured(false, None));
    }
}
