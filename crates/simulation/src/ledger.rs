//! The sessions in a party's ledger, read without the program: what is on the disk counts.

use anyhow::{Context, ensure};
use blindroute_runtime::SessionId;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};

/// Where a party keeps its ledger.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    /// In its folder `state`.
    Folder,
    /// In an SQLite file in its folder `state`.
    Sqlite,
    /// In Postgres, under this address and name.
    Postgres(String, String),
}

/// The key of names in the logs of all parties, which are compared with the ledgers here.
pub(crate) const NAMES: &str = "simulation";

/// The file of an SQLite ledger, in the folder `state`.
const SQLITE: &str = "ledgers.sqlite";
/// A folder's files hold three pages and then records of an identifier and a checksum.
const START: usize = 3 * 4096;
const RECORD: usize = 24;
const IDENTIFIER: usize = 16;

impl Storage {
    /// The table of a configuration.
    pub(crate) fn table(&self) -> String {
        match self {
            Self::Folder => String::new(),
            Self::Sqlite => format!("\n[ledger]\ndatabase = \"sqlite:state/{SQLITE}\"\n"),
            Self::Postgres(address, name) => format!("\n[ledger]\ndatabase = \"{address}\"\nname = \"{name}\"\n"),
        }
    }

    /// All sessions that are claimed. Each is there once, or this is an error.
    ///
    /// # Errors
    /// If the ledger cannot be read, or holds a session twice.
    pub(crate) fn claimed(&self, state: &Path) -> anyhow::Result<Vec<SessionId>> {
        let mut claimed = match self {
            Self::Folder => of_folder(state)?,
            Self::Sqlite => of_sqlite(&state.join(SQLITE))?,
            Self::Postgres(address, name) => of_postgres(address, name)?,
        };
        claimed.sort_unstable_by_key(|session| session.0);
        ensure!(claimed.windows(2).all(|pair| pair[0] != pair[1]), "a session is twice in a ledger of {state:?}");
        Ok(claimed)
    }
}

fn of_folder(state: &Path) -> anyhow::Result<Vec<SessionId>> {
    let files: Vec<PathBuf> = ["sessions.ledger", "sessions.ledger.old"].map(|name| state.join(name)).into();
    let mut claimed = Vec::new();
    for file in files.into_iter().filter(|file| file.exists()) {
        let bytes = std::fs::read(&file)?;
        let records = bytes.get(START..).context("a ledger is shorter than its head")?;
        claimed.extend(records.chunks_exact(RECORD).filter_map(|record| session(&record[..IDENTIFIER])));
    }
    Ok(claimed)
}

fn of_sqlite(file: &Path) -> anyhow::Result<Vec<SessionId>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mut rows = connection.prepare("SELECT session FROM claims")?;
    let sessions = rows.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
    sessions.map(|bytes| session(&bytes?).context("a session of another length")).collect()
}

fn of_postgres(address: &str, name: &str) -> anyhow::Result<Vec<SessionId>> {
    let mut client = postgres::Client::connect(address, postgres::NoTls)?;
    let rows = client.query("SELECT session FROM blindroute_claims WHERE name = $1", &[&name])?;
    rows.iter().map(|row| session(row.get::<_, &[u8]>(0)).context("a session of another length")).collect()
}

fn session(bytes: &[u8]) -> Option<SessionId> {
    bytes.try_into().ok().map(SessionId)
}

/// As the parties' logs write it.
pub(crate) fn named(session: SessionId) -> String {
    session.name_under(NAMES)
}
