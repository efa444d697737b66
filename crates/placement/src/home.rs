//! The folder of a deployment's files. It is removed with the deployment, however its process ends.
//!
//! Shares and keys are in it only until the parties that use them have read them: see [`Home::forget_secrets`]. Dropping a
//! [`Home`] removes the rest. A process that is stopped by a signal calls [`remove_files`] first. What a killed process
//! leaves is removed by the next start: every home holds a file that its owner keeps locked, and the system releases the
//! lock when the owner dies.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const PREFIX: &str = "blindroute-";
const LOCK: &str = "owner.lock";
/// The beginning of the names of the ledgers' folders. They are in use as long as their parties run, and hold no secret.
pub(crate) const STATE: &str = "state-";

/// The homes of this process.
static HOMES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A private temporary folder.
#[derive(Debug)]
pub(crate) struct Home {
    directory: tempfile::TempDir,
    _lock: File,
}

impl Home {
    /// Makes a folder, and removes those whose owners were killed.
    pub(crate) fn new() -> io::Result<Self> {
        Self::new_in(&std::env::temp_dir())
    }

    fn new_in(place: &Path) -> io::Result<Self> {
        sweep(place);
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(place)?;
        HOMES.lock().unwrap_or_else(PoisonError::into_inner).push(directory.path().to_owned());
        // It is locked before it gets its name, so nobody sees it unlocked while its owner lives.
        let (unnamed, named) = (directory.path().join("owner.new"), directory.path().join(LOCK));
        let lock = File::create_new(&unnamed)?;
        lock.lock()?;
        std::fs::rename(&unnamed, &named)?;
        Ok(Self { directory, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Removes everything but the ledgers and the lock (shares, keys and configurations), once all parties have read it. A
    /// process that is killed later leaves nothing secret behind.
    pub(crate) fn forget_secrets(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(self.path())? {
            let entry = entry?;
            let name = entry.file_name();
            if name == LOCK || name.to_str().is_some_and(|name| name.starts_with(STATE)) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())?;
            } else {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let path = self.path().to_owned();
        HOMES.lock().unwrap_or_else(PoisonError::into_inner).retain(|home| *home != path);
    }
}

/// Removes the files of all deployments of this process. A signal handler calls it before it ends the process.
pub fn remove_files() {
    for home in HOMES.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        // It may have been removed already.
        std::fs::remove_dir_all(home).ok();
    }
}

/// Removes homes whose owners no longer live, as far as possible. What belongs to others or is in use stays.
fn sweep(place: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !(ours && folder) {
            continue;
        }
        let Ok(lock) = File::options().write(true).open(entry.path().join(LOCK)) else { continue };
        if lock.try_lock().is_ok() {
            tracing::debug!(path = %entry.path().display(), "removing what a killed process left");
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_the_homes_of_ended_processes_are_removed() {
        let place = tempfile::tempdir().unwrap();
        let living = Home::new_in(place.path()).unwrap();
        let dead = place.path().join("blindroute-dead");
        std::fs::create_dir(&dead).unwrap();
        std::fs::write(dead.join(LOCK), b"").unwrap();
        let stranger = place.path().join("blindroute-notes");
        std::fs::create_dir(&stranger).unwrap();
        let next = Home::new_in(place.path()).unwrap();
        assert!(living.path().is_dir() && next.path().is_dir() && stranger.is_dir() && !dead.exists());
        for name in ["share0.bin", "server0.toml"] {
            std::fs::write(living.path().join(name), b"x").unwrap();
        }
        for name in ["certificates", "state-dealer"] {
            std::fs::create_dir(living.path().join(name)).unwrap();
            std::fs::write(living.path().join(name).join("file"), b"x").unwrap();
        }
        living.forget_secrets().unwrap();
        let mut left: Vec<_> =
            std::fs::read_dir(living.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [LOCK, "state-dealer"]);
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }
}
