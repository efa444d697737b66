//! Accounts of clients in a Postgres database, which the ledgers of one role in it share.

use super::holder::{Holder, failure};
use super::{PostgresLedger, PostgresTarget};
use crate::row::{account, of_accounts};
use blindroute_runtime::clients::{Account, Accounts, Asking, ClientKey, ClientsError, Refusal};
use blindroute_runtime::{LedgerError, Role};
use postgres::{GenericClient, Transaction};
use std::sync::Arc;

const READ: &str = "SELECT account FROM blindroute_clients WHERE role = $1 AND client = $2";
/// Also waits for whoever changes it, and keeps others from it.
const HOLD: &str = "SELECT account FROM blindroute_clients WHERE role = $1 AND client = $2 FOR UPDATE";
const BEGIN: &str = "
    INSERT INTO blindroute_clients (role, client, account) VALUES ($1, $2, $3) ON CONFLICT (role, client) DO NOTHING";
const WRITE: &str = "UPDATE blindroute_clients SET account = $3 WHERE role = $1 AND client = $2";

/// The accounts beside a ledger.
#[derive(Debug)]
pub(super) struct PostgresAccounts {
    pub(super) ledger: Arc<PostgresLedger>,
    pub(super) role: Role,
}

/// A change of one account.
#[derive(Clone, Copy)]
struct Change {
    role: Role,
    client: ClientKey,
    asking: Asking,
}

/// What came of it; the bytes of an account that is none of ours are an error.
type Told = Result<Result<Account, Refusal>, LedgerError>;

impl Accounts for PostgresAccounts {
    fn admit(&self, client: ClientKey, asking: Asking) -> Result<Result<Account, Refusal>, ClientsError> {
        let (shown, change) = (self.ledger.shown.clone(), Change { role: self.role, client, asking });
        self.ledger.ask(move |holder| change.told_by(holder, &shown)).map_err(of_accounts)
    }

    fn of(&self, client: ClientKey) -> Result<Account, ClientsError> {
        let (shown, role) = (self.ledger.shown.clone(), self.role);
        let read = move |holder: &mut Holder| {
            let found =
                holder.with_client("read a client's account", |database| found(database, READ, role, client))?;
            account(found.as_deref(), &shown)
        };
        self.ledger.ask(read).map_err(of_accounts)
    }
}

impl Change {
    fn told_by(self, holder: &mut Holder, shown: &str) -> Told {
        holder.with_client("count a client", |database| {
            let mut all = database.transaction()?;
            let told = self.made(&mut all, shown)?;
            if matches!(told, Ok(Ok(_))) {
                all.commit()?;
            }
            // Else it is undone.
            Ok(told)
        })?
    }

    fn made(self, all: &mut Transaction<'_>, shown: &str) -> Result<Told, postgres::Error> {
        let Self { role, client, asking } = self;
        let before = match found(all, HOLD, role, client)? {
            Some(bytes) => Some(bytes),
            None => {
                // Of two that begin it at once, one waits here for the other.
                let empty = Account::default().to_bytes();
                all.execute(BEGIN, &[&role.name(), &client.0.as_slice(), &empty.as_slice()])?;
                found(all, HOLD, role, client)?
            }
        };
        let after = match account(before.as_deref(), shown).map(|before| before.admit(asking)) {
            Ok(Ok(after)) => after,
            refused => return Ok(refused),
        };
        all.execute(WRITE, &[&role.name(), &client.0.as_slice(), &after.to_bytes().as_slice()])?;
        Ok(Ok(Ok(after)))
    }
}

/// What the database says of clients, without a ledger.
pub(super) fn look(target: &PostgresTarget, role: Role, clients: &[ClientKey]) -> Result<Vec<Account>, LedgerError> {
    let shown = format!("{role} in {}", target.shown());
    let failed = |error| failure(&shown, "read clients' accounts", error);
    let mut database = target.connect(&shown)?;
    let there = database.query_one("SELECT to_regclass('blindroute_clients') IS NOT NULL", &[]).map_err(failed)?;
    if !there.get::<_, bool>(0) {
        return Ok(vec![Account::default(); clients.len()]);
    }
    let mut read =
        |client: &ClientKey| account(found(&mut database, READ, role, *client).map_err(failed)?.as_deref(), &shown);
    clients.iter().map(&mut read).collect()
}

fn found(
    database: &mut impl GenericClient,
    statement: &str,
    role: Role,
    client: ClientKey,
) -> Result<Option<Vec<u8>>, postgres::Error> {
    let row = database.query_opt(statement, &[&role.name(), &client.0.as_slice()])?;
    row.map(|row| row.try_get(0)).transpose()
}
