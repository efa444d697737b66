//! What is counted, what is written, and that no text of a user is in either.

mod canary;
mod counts;
mod format;
mod health;

use super::{Metrics, Names};

fn metrics() -> Metrics {
    Metrics::new(Names::new(["openai", "anthropic"], ["gpt-4o-mini", "claude \"sonnet\"\\\n"]))
}
