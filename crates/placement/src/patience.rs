//! What a router does while no session can be prepared.

use blindroute_runtime::{Retry, Waiting};
use std::fmt;
use std::sync::Arc;

/// How long a router tries again if no session can be prepared, for instance because a server restarts or is full, and who
/// is told meanwhile. Nothing of a prompt has been sent by then.
#[derive(Clone, Default)]
pub struct Patience {
    /// How long to try again; 60 s by default.
    pub retry: Retry,
    /// Called before each pause.
    pub notice: Option<Notice>,
}

/// Called before each pause between two tries, by the thread that waits.
pub type Notice = Arc<dyn Fn(&Waiting<'_>) + Send + Sync>;

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patience").field("retry", &self.retry).finish_non_exhaustive()
    }
}

impl From<Retry> for Patience {
    fn from(retry: Retry) -> Self {
        Self { retry, notice: None }
    }
}
