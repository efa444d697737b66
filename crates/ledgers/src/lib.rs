//! Ledgers in databases: SQLite and Postgres, beside the runtime's own in a folder. Programs for operators link them; whoever hosts
//! a party in a process of their own need not.
//!
//! A database may hold the ledgers of many parties of one operator, each under a name of its own. Each row of a table belongs to one
//! of them, but those of clients' accounts, which all ledgers of one role share. What a ledger has to do is documented at [`blindroute_runtime::Ledger`].
//!
//! ```
//! use blindroute_ledgers::SqliteLedger;
//! use blindroute_runtime::ledger::KEPT;
//! use blindroute_runtime::{Ledger, LedgerError, SessionId};
//!
//! # fn main() -> Result<(), LedgerError> {
//! # let home = tempfile::tempdir().expect("a folder");
//! let ledger = SqliteLedger::open(&home.path().join("ledgers.sqlite"), "server0", KEPT)?;
//! let claim = ledger.claim(SessionId([1; 16]), None)?;
//! assert_eq!(claim.standing().claimed, 1);
//! assert!(matches!(ledger.claim(SessionId([1; 16]), None), Err(LedgerError::AlreadyUsed(_))));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod postgres;
mod row;
mod sqlite;

pub use postgres::{PostgresLedger, PostgresTarget};
pub use sqlite::SqliteLedger;

use blindroute_runtime::clients::{Account, ClientKey};
use blindroute_runtime::config::LedgerConfig;
use blindroute_runtime::ledger::{KEPT, Overview};
use blindroute_runtime::{FileLedger, Ledger, LedgerError, Role};
use std::path::Path;
use std::sync::Arc;

/// Opens a party's ledger: in the database that its configuration names, or in its folder `state`.
///
/// # Errors
/// If another process holds it, it is damaged, or cannot be written or reached.
pub fn open(role: Role, state: &Path, config: Option<&LedgerConfig>) -> Result<Arc<dyn Ledger>, LedgerError> {
    Ok(match Place::of(role, state, config)? {
        Place::Folder(state) => Arc::new(FileLedger::open(state)?),
        Place::Sqlite(file, name) => Arc::new(SqliteLedger::open(file, &name, KEPT)?),
        Place::Postgres(target, name) => Arc::new(PostgresLedger::open(*target, &name, KEPT)?),
    })
}

/// What a party's ledger says about itself, also while the party runs. Nothing is changed. `None` if there is none so far.
///
/// # Errors
/// If it is damaged, or cannot be read or reached.
pub fn look(role: Role, state: &Path, config: Option<&LedgerConfig>) -> Result<Option<Overview>, LedgerError> {
    match Place::of(role, state, config)? {
        Place::Folder(state) => FileLedger::look(state),
        Place::Sqlite(file, name) => SqliteLedger::look(file, &name),
        Place::Postgres(target, name) => PostgresLedger::look(*target, &name),
    }
}

/// Accounts of clients, also while the party runs, if they are beside its ledger in a database. Nothing is changed. `None` if the ledger is in a
/// folder, where they are in a file of their own.
///
/// # Errors
/// If they are damaged, or cannot be read or reached.
pub fn accounts(
    role: Role,
    state: &Path,
    config: Option<&LedgerConfig>,
    clients: &[ClientKey],
) -> Result<Option<Vec<Account>>, LedgerError> {
    Ok(match Place::of(role, state, config)? {
        Place::Folder(_) => None,
        Place::Sqlite(file, _) => Some(SqliteLedger::accounts_in(file, role, clients)?),
        Place::Postgres(target, _) => Some(PostgresLedger::accounts_in(&target, role, clients)?),
    })
}

/// Where a ledger is, and its name there.
enum Place<'a> {
    Folder(&'a Path),
    Sqlite(&'a Path, String),
    Postgres(Box<PostgresTarget>, String),
}

impl<'a> Place<'a> {
    fn of(role: Role, state: &'a Path, config: Option<&'a LedgerConfig>) -> Result<Self, LedgerError> {
        let Some(config) = config else { return Ok(Self::Folder(state)) };
        let name = config.name.clone().unwrap_or_else(|| role.to_string());
        Ok(match config.database.strip_prefix("sqlite:") {
            Some(file) => Self::Sqlite(Path::new(file), name),
            None => Self::Postgres(Box::new(PostgresTarget::of(config)?), name),
        })
    }
}
