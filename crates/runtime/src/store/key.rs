//! The key of a store. The keys of all stored sessions are encrypted under it.

use super::StoreError;
use super::sealed::StreamKey;
use crate::file_set::replace;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Bytes of the key's file.
const BYTES: usize = 32;

/// Reads the key of a store, or makes one if there is none. It must be outside of the store's folder.
pub(super) fn open_or_make(path: &Path, folder: &Path) -> Result<StreamKey, StoreError> {
    let failed = |source| StoreError::Key { path: path.to_owned(), source };
    if is_inside(path, folder).map_err(failed)? {
        return Err(StoreError::KeyInside { path: path.to_owned() });
    }
    if !path.exists() {
        let key = StreamKey::generate()?;
        replace(path, key.expose()).map_err(failed)?;
        tracing::info!(path = %path.display(), "made a key for the store");
        return Ok(key);
    }
    let mut file = fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        return Err(StoreError::KeyIsOpen { path: path.to_owned() });
    }
    if metadata.len() != BYTES as u64 {
        return Err(StoreError::NoKey { path: path.to_owned(), found: metadata.len() });
    }
    let mut bytes = Zeroizing::new([0; BYTES]);
    file.read_exact(&mut *bytes).map_err(failed)?;
    Ok(StreamKey::new(&bytes))
}

/// Whether a file is in a folder that is there, or below it.
fn is_inside(path: &Path, folder: &Path) -> io::Result<bool> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok(parent.canonicalize()?.starts_with(folder.canonicalize()?))
}
