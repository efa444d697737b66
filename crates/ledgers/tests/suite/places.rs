//! Where a test's ledger is.

use crate::server::Server;
use blindroute_ledgers::{PostgresLedger, PostgresTarget, SqliteLedger};
use blindroute_runtime::ledger::{KEPT, Overview};
use blindroute_runtime::{FileLedger, Ledger, LedgerError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// An empty place for a ledger of one kind.
pub(crate) enum Place {
    Folder(tempfile::TempDir),
    Sqlite(tempfile::TempDir),
    Postgres(&'static Server, String),
}

/// A copy of a ledger.
pub(crate) enum Copied {
    Files(tempfile::TempDir),
    /// The name of its rows.
    Rows(String),
}

/// Runs a test with each kind.
pub(crate) fn each(test: impl Fn(&Place)) {
    for kind in ["folder", "sqlite"] {
        eprintln!("with {kind}");
        test(&Place::of(kind));
    }
    if let Some(server) = postgres() {
        eprintln!("with postgres");
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        test(&Place::Postgres(server, format!("test{}", NUMBER.fetch_add(1, Ordering::SeqCst))));
    }
}

/// The server that all tests share; `None`, with a word, where Postgres is not installed.
pub(crate) fn postgres() -> Option<&'static Server> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    SHARED.get_or_init(Server::start).as_ref()
}

impl Place {
    pub(crate) fn of(kind: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        if kind == "folder" { Self::Folder(home) } else { Self::Sqlite(home) }
    }

    pub(crate) fn open(&self) -> Result<Arc<dyn Ledger>, LedgerError> {
        self.keeping(KEPT)
    }

    pub(crate) fn keeping(&self, kept: u64) -> Result<Arc<dyn Ledger>, LedgerError> {
        Ok(match self {
            Self::Folder(home) => Arc::new(FileLedger::keeping(home.path(), kept)?),
            Self::Sqlite(home) => Arc::new(SqliteLedger::open(&file(home.path()), "server0", kept)?),
            Self::Postgres(server, name) => Arc::new(PostgresLedger::open(target(server), name, kept)?),
        })
    }

    pub(crate) fn look(&self) -> Option<Overview> {
        match self {
            Self::Folder(home) => FileLedger::look(home.path()),
            Self::Sqlite(home) => SqliteLedger::look(&file(home.path()), "server0"),
            Self::Postgres(server, name) => PostgresLedger::look(target(server), name),
        }
        .unwrap()
    }

    /// Copies a ledger that nobody holds, as a backup does.
    pub(crate) fn copy(&self) -> Copied {
        match self {
            Self::Folder(home) | Self::Sqlite(home) => {
                let copy = tempfile::tempdir().unwrap();
                copy_files(home.path(), copy.path());
                Copied::Files(copy)
            }
            Self::Postgres(server, name) => {
                let copy = format!("{name}copy");
                server.sql(&format!(
                    "CREATE TABLE {copy}l AS SELECT * FROM blindroute_ledgers WHERE name = '{name}';
                     CREATE TABLE {copy}c AS SELECT * FROM blindroute_claims WHERE name = '{name}'"
                ));
                Copied::Rows(copy)
            }
        }
    }

    /// Puts a copy back.
    pub(crate) fn restore(&self, copied: &Copied) {
        match (self, copied) {
            (Self::Folder(home) | Self::Sqlite(home), Copied::Files(copy)) => {
                std::fs::read_dir(home.path()).unwrap().for_each(|entry| std::fs::remove_file(entry.unwrap().path()).unwrap());
                copy_files(copy.path(), home.path());
            }
            (Self::Postgres(server, name), Copied::Rows(copy)) => server.sql(&format!(
                "DELETE FROM blindroute_ledgers WHERE name = '{name}'; DELETE FROM blindroute_claims WHERE name = '{name}';
                 INSERT INTO blindroute_ledgers SELECT * FROM {copy}l; INSERT INTO blindroute_claims SELECT * FROM {copy}c"
            )),
            _ => panic!("a copy of another kind"),
        }
    }

    /// Takes the lock from whoever holds the ledger, as a broken connection or a lost lock file does. False where that cannot be.
    pub(crate) fn unlock(&self) -> bool {
        match self {
            Self::Folder(_) => return false,
            Self::Sqlite(home) => std::fs::remove_file(home.path().join("ledgers.sqlite.server0.lock")).unwrap(),
            Self::Postgres(server, _) => server.sql(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'blindroute'",
            ),
        }
        true
    }
}

pub(crate) fn file(home: &Path) -> PathBuf {
    home.join("ledgers.sqlite")
}

pub(crate) fn target(server: &Server) -> PostgresTarget {
    PostgresTarget::new(&server.address(), None, None).unwrap()
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
