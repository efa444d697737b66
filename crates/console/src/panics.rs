//! What a panic says: where it was, and not its message. A message may quote what the program was at, for instance the text in which an
//! index was wrong, and prompts do not belong in logs.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

/// The variable that has messages written too, for those who look for a fault with texts of their own.
pub const MESSAGES: &str = "BLINDROUTE_PANIC_MESSAGES";

/// From now on, a panic of any thread is an error in the log that names its place. Where `RUST_BACKTRACE` asks for it, the functions that
/// were called follow; these are names of the program.
pub fn start() {
    if std::env::var_os(MESSAGES).is_none() {
        std::panic::set_hook(Box::new(tell));
    }
}

fn tell(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    tracing::error!(
        "the program failed at {place}; please report this. The message is left out, since it may quote a text: set {MESSAGES}=1 to see it"
    );
    let calls = Backtrace::capture();
    if calls.status() == BacktraceStatus::Captured {
        tracing::error!("the functions that were called:\n{calls}");
    }
}
