//! What a router does while no session can be prepared.

use blindroute_runtime::{Retry, Waiting};
use std::fmt;
use std::sync::Arc;

/// For how long a router tries again for a session that could not be prepared, as while a server restarts or is full, and
/// who is told meanwhile. Nothing of a prompt has left by then.
#[derive(Clone, Default)]
pub struct Patience {
    /// For how long; 60 s by default.
    pub retry: Retry,
    /// Told before each pause.
    pub notice: Option<Notice>,
}

/// Hears of each pause before a next try, from whichever thread waits.
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
