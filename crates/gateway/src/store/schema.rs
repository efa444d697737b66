//! The record's file: its checks, its versions and its settings.

use super::error::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

/// Stands in the file's header and says that it is ours: "blrg".
const APPLICATION: i64 = 0x626c_7267;

/// How long a statement waits for another program, such as one that reads the file or copies it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The steps from each version of the schema to the next. A step that was released never changes.
pub(super) const STEPS: [&str; 2] = [SPENDING, DECISIONS];

/// `state` is 0 while a call is reserved and 1 once it is settled; `amount` is the reservation until then. `sums` has what
/// was spent or reserved in each day (`span` 0), each month (1) and ever (2), of all calls (an empty session) and of each session.
const SPENDING: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE spending (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, session BLOB, model TEXT NOT NULL, provider TEXT NOT NULL,
        state INTEGER NOT NULL, reserved INTEGER NOT NULL, amount INTEGER NOT NULL, estimated INTEGER NOT NULL,
        input INTEGER NOT NULL, cached INTEGER NOT NULL, cache_write INTEGER NOT NULL, output INTEGER NOT NULL, reference INTEGER
    ) STRICT;
    CREATE INDEX spending_at ON spending (at);
    CREATE INDEX spending_open ON spending (id) WHERE state = 0;
    CREATE TABLE sums (
        span INTEGER NOT NULL, begins INTEGER NOT NULL, session BLOB NOT NULL, spent INTEGER NOT NULL, calls INTEGER NOT NULL,
        compared INTEGER NOT NULL, compared_spent INTEGER NOT NULL, reference INTEGER NOT NULL,
        PRIMARY KEY (span, begins, session)
    ) STRICT, WITHOUT ROWID;
";

const DECISIONS: &str = "
    CREATE TABLE decisions (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, session BLOB, model TEXT NOT NULL, previous TEXT, why TEXT NOT NULL,
        placement TEXT NOT NULL, router TEXT NOT NULL, waited_ms INTEGER NOT NULL, online_ms INTEGER NOT NULL,
        upstream_ms INTEGER NOT NULL, total_ms INTEGER NOT NULL, openings INTEGER NOT NULL, bytes INTEGER NOT NULL, pair TEXT,
        status INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX decisions_at ON decisions (at);
";

/// Opens or creates the file, and brings it to the version that the steps lead to.
pub(super) fn open(path: &Path, steps: &[&str]) -> Result<Connection, StoreError> {
    create_private(path)?;
    let opened = |error: rusqlite::Error| failure(path, &error);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let number = |connection: &Connection, pragma: &str| -> Result<i64, StoreError> {
        connection.pragma_query_value(None, pragma, |row| row.get(0)).map_err(opened)
    };
    let application = number(&connection, "application_id")?;
    let version = number(&connection, "user_version")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(opened)?;
    if application != APPLICATION && (tables > 0 || application != 0) {
        let found = format!("an SQLite file of application {application} with {tables} tables and indexes");
        return Err(StoreError::Foreign { path: path.to_owned(), found });
    }
    let known = steps.len() as i64;
    if version > known {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known });
    }
    let checked: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(opened)?;
    if checked != "ok" {
        return Err(StoreError::Damaged { path: path.to_owned(), found: checked });
    }
    settings(&connection).map_err(opened)?;
    let all = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(opened)?;
    for step in steps.iter().skip(usize::try_from(version).unwrap_or(0)) {
        all.execute_batch(step).map_err(opened)?;
    }
    all.pragma_update(None, "application_id", APPLICATION).map_err(opened)?;
    all.pragma_update(None, "user_version", known).map_err(opened)?;
    all.commit().map_err(opened)?;
    Ok(connection)
}

/// The version of a file's schema, and the newest that is known here. Nothing is changed.
pub(super) fn version(path: &Path) -> Result<(i64, i64), StoreError> {
    let opened = |error: rusqlite::Error| failure(path, &error);
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let number = |pragma: &str| -> Result<i64, StoreError> {
        connection.pragma_query_value(None, pragma, |row| row.get(0)).map_err(opened)
    };
    let (application, version, known) = (number("application_id")?, number("user_version")?, STEPS.len() as i64);
    if application != APPLICATION {
        let found = format!("an SQLite file of application {application}");
        return Err(StoreError::Foreign { path: path.to_owned(), found });
    }
    if version > known {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known });
    }
    Ok((version, known))
}

/// A second connection, which only reads.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "query_only", true).map_err(|error| failure(path, &error))?;
    Ok(connection)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| failure(path, &error))?;
    connection.busy_timeout(PATIENCE).map_err(|error| failure(path, &error))?;
    Ok(connection)
}

fn settings(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What is deleted is overwritten.
    connection.pragma_update(None, "secure_delete", "ON")?;
    // In pages of 4 KiB: as much as the journal may keep. Each checkpoint waits for the disk twice, and so do the calls of that moment;
    // at SQLite's own 1,000 pages that would be more than one call in a hundred.
    connection.pragma_update(None, "wal_autocheckpoint", 4096)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // In KiB: at most 4 MiB of pages in memory.
    connection.pragma_update(None, "cache_size", -4096)?;
    connection.pragma_update_and_check(None, "journal_size_limit", 16 * 1024 * 1024, |_| Ok(()))
}

/// Creates a file that only its user reads; one that others could read is closed to them. SQLite gives the files beside it the
/// same permissions.
pub(super) fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(file_error(path, "open"))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().map_err(file_error(path, "read"))?.permissions().mode();
        if mode & 0o077 != 0 {
            let private = std::fs::Permissions::from_mode(mode & 0o700);
            file.set_permissions(private).map_err(file_error(path, "close to other users"))?;
        }
    }
    Ok(())
}

/// From an error of the system.
pub(super) fn file_error(path: &Path, doing: &'static str) -> impl Fn(std::io::Error) -> StoreError {
    move |error| StoreError::File { path: path.to_owned(), doing, reason: error.to_string() }
}

/// From an error of SQLite as it opens the file.
fn failure(path: &Path, error: &rusqlite::Error) -> StoreError {
    let (path, found) = (path.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => StoreError::Damaged { path, found },
        _ => StoreError::File { path, doing: "open", reason: found },
    }
}
