//! A server's ledger, and what it has seen of the other server's.

use super::SessionError;
use crate::ledger::{Claim, Ledger, LedgerError, Standing, Witness};
use crate::messages::SessionId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A server claims sessions here, and compares the other server's claims with those before.
pub(super) struct OwnLedger {
    ledger: Arc<dyn Ledger>,
    witness: Mutex<Witness>,
}

impl OwnLedger {
    pub(super) fn new(ledger: Arc<dyn Ledger>) -> Self {
        let witness = Mutex::new(Witness::new(ledger.other()));
        Self { ledger, witness }
    }

    /// Claims a session. What was seen of the other server so far becomes durable with it.
    pub(super) fn claim(&self, session: SessionId) -> Result<Claim, LedgerError> {
        let seen = self.witness().to_store();
        self.ledger.claim(session, seen.as_ref())
    }

    /// Takes note of the other server's claim of a session.
    ///
    /// # Errors
    /// If its ledger does not go on from where it was.
    pub(super) fn see(&self, found: &Standing) -> Result<(), SessionError> {
        let seen = self.witness().see(found);
        seen.map_err(|error| {
            tracing::error!(%error, "sessions with the other server are refused");
            SessionError::LedgerRefused(error)
        })
    }

    fn witness(&self) -> MutexGuard<'_, Witness> {
        // A panic cannot leave it half changed.
        self.witness.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
