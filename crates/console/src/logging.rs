//! Logs go to stderr; stdout is for results.

use crate::terminal::Stderr;
use std::ffi::OsStr;
use std::io::IsTerminal;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

/// Starts logging at the level that the number of `-v` or the variable `BLINDROUTE_LOG` sets. Libraries are only heard when they warn,
/// whatever the variable says: below that, those of TLS and databases write what parties have in common, such as the random values of
/// handshakes and the ids of sessions.
pub fn start(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("BLINDROUTE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let coloured = coloured(std::io::stderr().is_terminal(), std::env::var_os("NO_COLOR").as_deref());
    // A second start, as in tests, changes nothing.
    let lines = tracing_subscriber::fmt::layer().with_ansi(coloured).with_writer(|| Stderr).with_target(false);
    tracing_subscriber::registry().with(filter).with(filter_fn(is_heard)).with(lines).try_init().ok();
}

/// Whether lines of this kind are logged at all.
fn is_heard(kind: &Metadata<'_>) -> bool {
    *kind.level() <= Level::WARN || is_ours(kind.target())
}

fn is_ours(target: &str) -> bool {
    let krate = target.split("::").next().unwrap_or(target);
    krate == "blindroute" || krate.starts_with("blindroute_")
}

/// Colours are for terminals whose user did not refuse them (<https://no-color.org>).
fn coloured(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_from_our_crates() {
        assert!(
            ["blindroute", "blindroute_runtime::service", "blindroute_gateway::request"]
                .iter()
                .all(|target| is_ours(target))
        );
        assert!(
            ["rustls::client", "tokio_postgres::query", "log", "", "blindroutex"].iter().all(|target| !is_ours(target))
        );
    }

    #[test]
    fn who_wants_no_colours_gets_none() {
        assert!(coloured(true, None) && coloured(true, Some(OsStr::new(""))));
        assert!(!coloured(true, Some(OsStr::new("1"))) && !coloured(true, Some(OsStr::new("0"))));
        assert!(!coloured(false, None));
    }
}
