//! The lock of a ledger that is a file of this machine.

use super::LedgerError;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

/// Opens or creates a lock file and takes its lock, until the file is dropped. `ledger` is named if another process holds it.
///
/// # Errors
/// If another process holds the lock, or the file cannot be opened.
pub fn hold(path: &Path, ledger: &str) -> Result<File, LedgerError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|source| LedgerError::Io { path: path.to_owned(), source })?;
    lock(&file, path, ledger)?;
    Ok(file)
}

/// Takes the lock. Retries for a moment, because a process that has just ended may still hold it, and so may a child
/// process that is being started and inherited the handle.
pub(super) fn lock(file: &File, path: &Path, ledger: &str) -> Result<(), LedgerError> {
    for _ in 0..50 {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            Err(TryLockError::Error(source)) => return Err(LedgerError::Io { path: path.to_owned(), source }),
        }
    }
    Err(LedgerError::Locked(ledger.to_owned()))
}
