//! The ledger in an SQLite file, which may hold several.
//!
//! A file of its own beside the database is locked while a process holds a ledger, as for ledgers in folders. The term guards the
//! rest: a claim is a transaction that changes the ledger's row only if the term and its nonce are still those of this process. The
//! journal is a write-ahead log that is synced with every commit, so a claim that returned is on disk. After a failed write nothing
//! more is claimed until a restart.

mod accounts;

use crate::row::{FORGET_EVERY, FORGET_STEP, Row, number, opened, overview};
use accounts::SqliteAccounts;
use blindroute_runtime::Role;
use blindroute_runtime::clients::{Account, Accounts, ClientKey};
use blindroute_runtime::ledger::{Claim, Ledger, LedgerError, Overview, Standing, hold};
use blindroute_runtime::messages::SessionId;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Stands in the file's header and says that it is ours: "blrl".
const APPLICATION: i64 = 0x626c_726c;
/// How long a transaction waits for those of other ledgers in the same file.
const PATIENCE: Duration = Duration::from_secs(10);

/// `other` holds the standing of the other server's ledger, as it is sent.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS ledgers (
        name TEXT PRIMARY KEY, ledger BLOB NOT NULL, term INTEGER NOT NULL, nonce BLOB NOT NULL, claimed INTEGER NOT NULL, other BLOB
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS claims (
        name TEXT NOT NULL, session BLOB NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (name, session)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS claims_number ON claims (name, number);
    CREATE TABLE IF NOT EXISTS clients (
        role TEXT NOT NULL, client BLOB NOT NULL, account BLOB NOT NULL, PRIMARY KEY (role, client)
    ) STRICT, WITHOUT ROWID;
";
const READ: &str = "SELECT ledger, term, nonce, claimed, other FROM ledgers WHERE name = ?1";
const OPEN: &str = "
    INSERT INTO ledgers (name, ledger, term, nonce, claimed, other) VALUES (?1, ?2, ?3, ?4, ?5, NULL)
    ON CONFLICT (name) DO UPDATE SET term = excluded.term, nonce = excluded.nonce";
const COUNT: &str = "
    UPDATE ledgers SET claimed = claimed + 1, other = coalesce(?4, other) WHERE name = ?1 AND term = ?2 AND nonce = ?3
    RETURNING claimed";
const ENTER: &str = "INSERT INTO claims (name, session, number) VALUES (?1, ?2, ?3)";
const FORGET: &str = "
    DELETE FROM claims WHERE name = ?1 AND session IN
    (SELECT session FROM claims WHERE name = ?1 AND number <= ?2 ORDER BY number LIMIT ?3)";

/// One of the ledgers in an SQLite file. The threads of one process share it; other processes are locked out.
#[derive(Debug)]
pub struct SqliteLedger {
    /// The file and the ledger's name, for errors.
    shown: String,
    name: String,
    kept: u64,
    state: Mutex<State>,
    _lock: File,
}

#[derive(Debug)]
struct State {
    connection: Connection,
    standing: Standing,
    other: Option<Standing>,
    stopped: bool,
}

impl SqliteLedger {
    /// Opens or creates a ledger, takes its lock and raises its term. At least the last `kept` sessions are refused.
    ///
    /// # Errors
    /// If another process holds it, the file is damaged or not of ledgers, or the disk fails.
    pub fn open(file: &Path, name: &str, kept: u64) -> Result<Self, LedgerError> {
        let shown = shown(file, name);
        let failed = |error: rusqlite::Error| failure(&shown, "open it", error);
        let lock = hold(&beside(file, &format!(".{name}.lock")), &shown)?;
        // Private, as are the files that SQLite makes beside it.
        private(file)?;
        let mut connection = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE, &shown)?;
        check(&connection, &shown)?;
        settings(&connection).map_err(failed)?;
        let all = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        all.execute_batch(SCHEMA).map_err(failed)?;
        all.pragma_update(None, "application_id", APPLICATION).map_err(failed)?;
        let before = read(&all, name, &shown)?;
        let Overview { standing, other } = opened(before.as_ref())?;
        let columns =
            params![name, standing.ledger.0, number(standing.term), standing.nonce.0, number(standing.claimed)];
        all.execute(OPEN, columns).map_err(failed)?;
        all.commit().map_err(failed)?;
        let state = Mutex::new(State { connection, standing, other, stopped: false });
        Ok(Self { shown, name: name.to_owned(), kept, state, _lock: lock })
    }

    /// What a ledger says about itself, also while a process holds it. Nothing is changed. `None` if there is none.
    ///
    /// # Errors
    /// If the file is damaged or not of ledgers, or cannot be read.
    pub fn look(file: &Path, name: &str) -> Result<Option<Overview>, LedgerError> {
        if !file.exists() {
            return Ok(None);
        }
        let shown = shown(file, name);
        let connection = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE, &shown)?;
        check(&connection, &shown)?;
        let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
        if tables.map_err(|error| failure(&shown, "read it", error))? == 0 {
            return Ok(None);
        }
        read(&connection, name, &shown)
    }

    /// Accounts of clients, also while processes hold ledgers in the file. Nothing is changed.
    ///
    /// # Errors
    /// As for [`SqliteLedger::look`].
    pub fn accounts_in(file: &Path, role: Role, clients: &[ClientKey]) -> Result<Vec<Account>, LedgerError> {
        if !file.exists() {
            return Ok(vec![Account::default(); clients.len()]);
        }
        let shown = shown(file, role.name());
        let connection = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE, &shown)?;
        check(&connection, &shown)?;
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'clients'";
        let tables = connection.query_row(tables, [], |row| row.get::<_, i64>(0));
        if tables.map_err(|error| failure(&shown, "read it", error))? == 0 {
            return Ok(vec![Account::default(); clients.len()]);
        }
        clients.iter().map(|client| accounts::read(&connection, role, *client, &shown)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked leaves at worst a transaction that was undone, or `stopped`.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a failed write nothing more is written, unless others only kept the file busy.
    fn stopping(&self, state: &mut State, during: &'static str, error: rusqlite::Error) -> LedgerError {
        state.stopped |= error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy);
        failure(&self.shown, during, error)
    }

    /// Counts and enters a session, and commits both.
    fn enter(&self, state: &mut State, session: SessionId, other: Option<&Standing>) -> rusqlite::Result<Option<u64>> {
        let State { connection, standing, .. } = state;
        let both = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let other = other.map(Standing::to_bytes);
        let ours = params![self.name, number(standing.term), standing.nonce.0, other];
        let claimed = both.prepare_cached(COUNT)?.query_row(ours, |row| row.get::<_, i64>(0)).optional()?;
        let Some(claimed) = claimed else { return Ok(None) };
        both.prepare_cached(ENTER)?.execute(params![self.name, session.0, claimed])?;
        let claimed = u64::try_from(claimed).unwrap_or_default();
        if claimed.is_multiple_of(FORGET_EVERY) {
            forget(&both, &self.name, claimed.saturating_sub(self.kept))?;
        }
        both.commit()?;
        Ok(Some(claimed))
    }
}

impl Ledger for SqliteLedger {
    fn claim(&self, session: SessionId, other: Option<&Standing>) -> Result<Claim, LedgerError> {
        let mut state = self.state();
        if state.stopped {
            return Err(LedgerError::Stopped);
        }
        let fenced = LedgerError::Fenced { ledger: self.shown.clone(), ours: state.standing.term };
        let claimed = match self.enter(&mut state, session, other) {
            Ok(claimed) => claimed.ok_or(fenced)?,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                return Err(LedgerError::AlreadyUsed(session));
            }
            Err(error) => return Err(self.stopping(&mut state, "claim a session", error)),
        };
        state.standing.claimed = claimed;
        state.other = other.copied().or(state.other);
        Ok(Claim::new(session, state.standing))
    }

    fn check(&self) -> Result<(), LedgerError> {
        let state = self.state();
        if state.stopped {
            return Err(LedgerError::Stopped);
        }
        let found = read(&state.connection, &self.name, &self.shown)?.map(|found| found.standing);
        let Standing { ledger, term, nonce, .. } = state.standing;
        if found.is_some_and(|found| (found.ledger, found.term, found.nonce) == (ledger, term, nonce)) {
            Ok(())
        } else {
            Err(LedgerError::Fenced { ledger: self.shown.clone(), ours: term })
        }
    }

    fn standing(&self) -> Standing {
        self.state().standing
    }

    fn other(&self) -> Option<Standing> {
        self.state().other
    }

    fn entries(&self) -> Result<u64, LedgerError> {
        let state = self.state();
        let counted =
            state.connection.query_row("SELECT count(*) FROM claims WHERE name = ?1", [&self.name], |row| row.get(0));
        let counted: i64 = counted.map_err(|error| failure(&self.shown, "count its claims", error))?;
        Ok(u64::try_from(counted).unwrap_or_default())
    }

    fn forget_other(&self) -> Result<(), LedgerError> {
        let mut state = self.state();
        let forgotten = state.connection.execute("UPDATE ledgers SET other = NULL WHERE name = ?1", [&self.name]);
        forgotten.map_err(|error| failure(&self.shown, "forget the other server's ledger", error))?;
        state.other = None;
        Ok(())
    }

    fn accounts(self: Arc<Self>, role: Role) -> Option<Arc<dyn Accounts>> {
        Some(Arc::new(SqliteAccounts { ledger: self, role }))
    }
}

/// Forgets some of the claims up to this number, the oldest first.
fn forget(all: &Transaction<'_>, name: &str, last: u64) -> rusqlite::Result<()> {
    all.prepare_cached(FORGET)?.execute(params![name, number(last), FORGET_STEP]).map(drop)
}

fn read(connection: &Connection, name: &str, shown: &str) -> Result<Option<Overview>, LedgerError> {
    let columns = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Row> {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    };
    let found = connection.query_row(READ, [name], columns).optional();
    found.map_err(|error| failure(shown, "read its row", error))?.map(|row| overview(row, shown)).transpose()
}

fn connect(file: &Path, flags: OpenFlags, shown: &str) -> Result<Connection, LedgerError> {
    let opened = Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let waiting = opened.and_then(|connection| connection.busy_timeout(PATIENCE).map(|()| connection));
    waiting.map_err(|error| failure(shown, "open it", error))
}

/// Refuses a file that is damaged, or holds something else.
fn check(connection: &Connection, shown: &str) -> Result<(), LedgerError> {
    let failed = |error| failure(shown, "check it", error);
    let unsuitable = |problem: String| LedgerError::Unsuitable { ledger: shown.to_owned(), problem };
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if application != APPLICATION && (application != 0 || tables > 0) {
        return Err(unsuitable(format!(
            "it is an SQLite file of application {application} with {tables} tables and indexes; expected a new file or one of ledgers"
        )));
    }
    let checked: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if checked == "ok" {
        Ok(())
    } else {
        Err(unsuitable(format!("it is damaged ({checked}); set this party up anew (docs/OPERATOR.md, Ledgers)")))
    }
}

fn settings(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // Every commit is synced.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}

/// Creates the file if it is missing, readable by its user only.
fn private(file: &Path) -> Result<(), LedgerError> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop).map_err(|source| LedgerError::Io { path: file.to_owned(), source })
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn shown(file: &Path, name: &str) -> String {
    format!("{name} in {}", file.display())
}

fn failure(shown: &str, during: &'static str, error: rusqlite::Error) -> LedgerError {
    LedgerError::Database { ledger: shown.to_owned(), during, source: Box::new(error) }
}
