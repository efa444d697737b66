//! What a program that started child processes does when it is told to stop.

use crate::terminal;
use anyhow::Context;
use blindroute_placement::remove_files;
use blindroute_runtime::Shutdown;

/// From now on a signal ends this process at once, but not before its files are gone. The children end with it.
///
/// # Errors
/// The system refused the handler.
pub fn clean_up() -> anyhow::Result<()> {
    clean_up_after(|| ())
}

/// The same, and before the files are gone, this is done: for instance a child is ended that does not end with this process.
///
/// # Errors
/// The system refused the handler.
pub fn clean_up_after(first: impl Fn() + Send + Sync + 'static) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("signals cannot be handled")?;
    let told = shutdown.clone();
    shutdown.on_trigger(move || {
        first();
        remove_files();
        let reason = told.reason().unwrap_or("a signal");
        terminal::say(&format!("error: stopped by {reason}; nothing is left running"));
        std::process::exit(told.exit_status().map_or(1, i32::from));
    });
    Ok(())
}
