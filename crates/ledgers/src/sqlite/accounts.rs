//! Accounts of clients in an SQLite file, which the ledgers of one role in it share.

use super::{SqliteLedger, failure};
use crate::row::{account, of_accounts};
use blindroute_runtime::clients::{Account, Accounts, Asking, ClientKey, ClientsError, Refusal};
use blindroute_runtime::{LedgerError, Role};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::sync::Arc;

const READ: &str = "SELECT account FROM clients WHERE role = ?1 AND client = ?2";
const WRITE: &str = "
    INSERT INTO clients (role, client, account) VALUES (?1, ?2, ?3)
    ON CONFLICT (role, client) DO UPDATE SET account = excluded.account";

/// The accounts beside a ledger.
#[derive(Debug)]
pub(super) struct SqliteAccounts {
    pub(super) ledger: Arc<SqliteLedger>,
    pub(super) role: Role,
}

impl SqliteAccounts {
    fn change(&self, client: ClientKey, asking: Asking) -> Result<Result<Account, Refusal>, LedgerError> {
        let shown = &self.ledger.shown;
        let mut state = self.ledger.state();
        if state.stopped {
            return Err(LedgerError::Stopped);
        }
        // Nobody else writes to the file until it ends. It is undone if it is dropped.
        let begun = state.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let both = begun.map_err(|error| failure(shown, "count a client", error))?;
        let after = match read(&both, self.role, client, shown)?.admit(asking) {
            Ok(after) => after,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let row = params![self.role.name(), client.0, after.to_bytes()];
        let written = both.prepare_cached(WRITE).and_then(|mut write| write.execute(row));
        match written.and_then(|_| both.commit()) {
            Ok(()) => Ok(Ok(after)),
            Err(error) => Err(self.ledger.stopping(&mut state, "count a client", error)),
        }
    }
}

impl Accounts for SqliteAccounts {
    fn admit(&self, client: ClientKey, asking: Asking) -> Result<Result<Account, Refusal>, ClientsError> {
        self.change(client, asking).map_err(of_accounts)
    }

    fn of(&self, client: ClientKey) -> Result<Account, ClientsError> {
        read(&self.ledger.state().connection, self.role, client, &self.ledger.shown).map_err(of_accounts)
    }
}

pub(super) fn read(
    connection: &Connection,
    role: Role,
    client: ClientKey,
    shown: &str,
) -> Result<Account, LedgerError> {
    let row = params![role.name(), client.0];
    let found = connection.prepare_cached(READ).and_then(|mut read| read.query_row(row, |row| row.get(0)).optional());
    let found: Option<Vec<u8>> = found.map_err(|error| failure(shown, "read a client's account", error))?;
    account(found.as_deref(), shown)
}
