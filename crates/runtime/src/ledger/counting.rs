//! A ledger whose claims are counted.

use std::sync::Arc;

use super::{Claim, Ledger, LedgerError, Standing};
use crate::clients::Accounts;
use crate::messages::SessionId;
use crate::role::Role;
use crate::tally::Tally;

/// Counts what another ledger takes and refuses.
#[derive(Debug)]
pub struct CountingLedger {
    ledger: Arc<dyn Ledger>,
    tally: Arc<Tally>,
}

impl CountingLedger {
    /// Counts into this tally.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>, tally: Arc<Tally>) -> Self {
        Self { ledger, tally }
    }
}

impl Ledger for CountingLedger {
    fn claim(&self, session: SessionId, other: Option<&Standing>) -> Result<Claim, LedgerError> {
        let claimed = self.ledger.claim(session, other);
        self.tally.claim(claimed.is_ok());
        claimed
    }

    fn check(&self) -> Result<(), LedgerError> {
        self.ledger.check()
    }

    fn standing(&self) -> Standing {
        self.ledger.standing()
    }

    fn other(&self) -> Option<Standing> {
        self.ledger.other()
    }

    fn entries(&self) -> Result<u64, LedgerError> {
        self.ledger.entries()
    }

    fn forget_other(&self) -> Result<(), LedgerError> {
        self.ledger.forget_other()
    }

    fn accounts(self: Arc<Self>, role: Role) -> Option<Arc<dyn Accounts>> {
        Arc::clone(&self.ledger).accounts(role)
    }
}
