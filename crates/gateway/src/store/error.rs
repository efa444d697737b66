//! Why the record of spending and decisions cannot be used.

use std::path::PathBuf;

/// Why the record cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file cannot be read or written.
    #[error("could not {doing} {}: {reason}; check the folder, its permissions and the space on the disk", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was to be done.
        doing: &'static str,
        /// What the system says.
        reason: String,
    },
    /// Another gateway has the file open.
    #[error(
        "the record {} is in use by another gateway; end it, or give this gateway a record of its own: two could exceed a budget",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error(
        "the record {} is damaged ({found}); nothing was changed or deleted; restore a copy, or move the file away to begin a new \
         record, in which budgets begin at zero",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        found: String,
    },
    /// The file is something else.
    #[error("{} is no record of a gateway ({found}); nothing was changed; name another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// The file was written by a newer version.
    #[error(
        "the record {} has schema version {found}, and this version of blindroute knows up to {known}; nothing was changed; install \
         the newer version again, or name another file",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// The key of the sessions is not the one that the record was written with.
    #[error(
        "the key {} is {found}, but the record beside it was written with it; restore it, or move the record away to begin a new one, \
         in which budgets begin at zero",
        path.display()
    )]
    Key {
        /// The key's file.
        path: PathBuf,
        /// What is wrong with it.
        found: &'static str,
    },
    /// SQLite could not do something.
    #[error("the record could not {doing}: {reason}; check the disk's space and health")]
    Sqlite {
        /// What was to be done.
        doing: &'static str,
        /// What SQLite says.
        reason: String,
    },
    /// More is waiting to be written than the queue holds.
    #[error(
        "the record's queue of {capacity} entries is full, and an entry was left out; check whether the disk is slow"
    )]
    Full {
        /// How many entries the queue holds.
        capacity: usize,
    },
    /// The record was closed.
    #[error("the record was closed; open it again")]
    Closed,
}

impl StoreError {
    /// From an error of SQLite, which names columns and statements, never values.
    pub(crate) fn sqlite(doing: &'static str) -> impl Fn(rusqlite::Error) -> Self {
        move |error| Self::Sqlite { doing, reason: error.to_string() }
    }
}
