//! Why stored material cannot be used.

use crate::ledger::LedgerError;
use crate::messages::NoRandomness;
use std::io;
use std::path::PathBuf;

/// Why the store, or what is in it, cannot be used. It holds no key and nothing of the material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file with the key cannot be read or made.
    #[error("the store's key {path}: {source}; check `key` in the table [store] and the file's permissions", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file with the key holds something else.
    #[error(
        "{path} is not a key of a store: it has {found} bytes, expected 32; name the file that a server made, or a new one, which this \
         server then makes",
        path = path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
    },
    /// Others than its owner may read the file with the key.
    #[error("others than the owner may read the store's key {path}: expected mode 600; run chmod 600 on it", path = path.display())]
    KeyIsOpen {
        /// The file.
        path: PathBuf,
    },
    /// The material was stored under another key.
    #[error(
        "the store {folder} was filled under another key than {path}: name that key, or stop this server and remove the folder, which \
         empties the store",
        folder = folder.display(), path = path.display()
    )]
    OtherKey {
        /// The store's folder.
        folder: PathBuf,
        /// The file of the key.
        path: PathBuf,
    },
    /// The key is where the material is.
    #[error(
        "the store's key {path} is inside the store's folder: expected a place apart, so that whoever copies the folder cannot read it",
        path = path.display()
    )]
    KeyInside {
        /// The file.
        path: PathBuf,
    },
    /// A file or the folder cannot be read or written.
    #[error("the store {path}: {source}; check `folder` in the table [store], its permissions and the disk", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the store.
    #[error(transparent)]
    Locked(#[from] LedgerError),
    /// There is no room.
    #[error(
        "the store is full: it may take {bytes} bytes, as `bytes` in the table [store] says; raise it, or keep fewer sessions"
    )]
    Full {
        /// The most bytes.
        bytes: u64,
    },
    /// A stored session was altered, truncated or exchanged.
    #[error("stored material is damaged ({0}), so it is dropped; look at the disk")]
    Damaged(&'static str),
    /// The ledger may have forgotten whether the material was used.
    #[error(
        "stored material is of another ledger, or of so many sessions ago that the ledger may have forgotten it, so it is dropped"
    )]
    Forgotten,
    /// The operating system gave no randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

impl StoreError {
    /// Whether there is no room, in the store or on the disk.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}
