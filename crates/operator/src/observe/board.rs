//! What probes are answered from: the party, and what was last found out about it.

use super::families::Readings;
use super::readiness::{Facts, Readiness};
use blindroute_placement::Observed;
use blindroute_runtime::{Role, Shutdown};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

/// What was found out at the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// What is wrong with the ledger.
    pub(super) ledger: Option<String>,
    /// Whether another process has taken it over.
    pub(super) taken_over: bool,
    /// The parties that were called: by how many seconds their clocks are ahead of the one here, if they said so, or why they do
    /// not answer.
    pub(super) parties: Vec<(Role, Result<Option<i64>, String>)>,
}

/// The state of the one party that this process runs.
#[derive(Debug, Default)]
pub(super) struct Board {
    party: OnceLock<(Observed, Shutdown)>,
    found: Mutex<Found>,
    ended: AtomicBool,
}

impl Board {
    pub(super) fn serving(&self, observed: Observed, shutdown: Shutdown) {
        // A process runs one party, once.
        self.party.set((observed, shutdown)).ok();
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// What was found out before.
    pub(super) fn found(&self, now: Found) -> Found {
        std::mem::replace(&mut self.lock(), now)
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the party serves or will.
    pub(super) fn is_alive(&self) -> bool {
        let fenced = self.party.get().is_some_and(|(observed, _)| observed.is_fenced());
        !self.ended.load(Ordering::Acquire) && !fenced && !self.lock().taken_over
    }

    pub(super) fn readiness(&self, now: SystemTime) -> Readiness {
        Readiness::of(&self.facts(), now)
    }

    fn facts(&self) -> Facts {
        let Some((observed, shutdown)) = self.party.get() else { return Facts::default() };
        let found = self.lock().clone();
        Facts {
            is_serving: true,
            stopping: shutdown.reason(),
            ledger: found.ledger,
            parties: found.parties,
            certificates: observed.certificates(),
            stored: observed.stored().map_or(0, |stored| stored.sessions),
        }
    }

    /// What metrics are read from; none before the party serves.
    pub(super) fn readings(&self, now: SystemTime) -> Option<Readings> {
        let (observed, _) = self.party.get()?;
        let parties = self.lock().parties.iter().map(|(party, answer)| (*party, answer.clone().ok())).collect();
        Some(Readings::of(observed, self.readiness(now).is_ready(), parties, now))
    }
}
