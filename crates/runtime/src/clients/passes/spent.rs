//! Which passes were used, in a file beside the keys.

use crate::clients::ClientsError;
use crate::file_set::replace;
use blindroute_passes::KeyId;
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const NAME: &str = "passes.spent";
const MAGIC: &[u8; 16] = b"blindroute used\x01";
/// Bytes of an entry: half of a key's name, a pass's name, checksum.
const ENTRY: usize = 16 + 16 + 8;

/// The names of used passes, for each key.
type Used = HashMap<[u8; 16], HashSet<[u8; 16]>>;

/// The passes that were used, of all keys that are still taken.
#[derive(Debug)]
pub(super) struct Spent {
    path: PathBuf,
    file: File,
    used: Used,
}

impl Spent {
    /// Opens or creates the file in a folder, and forgets what is not of these keys.
    pub(super) fn open(folder: &Path, keys: &[KeyId]) -> Result<Self, ClientsError> {
        let path = folder.join(NAME);
        let mut used = if path.exists() { load(&path)? } else { Used::new() };
        keep(&mut used, keys);
        let file = rewrite(&path, &used).map_err(|source| ClientsError::Io { path: path.clone(), source })?;
        Ok(Self { path, file, used })
    }

    /// Forgets what is not of these keys.
    pub(super) fn keep(&mut self, keys: &[KeyId]) -> Result<(), ClientsError> {
        keep(&mut self.used, keys);
        self.file = rewrite(&self.path, &self.used).map_err(|source| self.io(source))?;
        Ok(())
    }

    /// Enters these passes of a key, durably, if none of them is there. Returns whether it did.
    pub(super) fn spend(&mut self, key: &KeyId, names: &[[u8; 16]]) -> Result<bool, ClientsError> {
        let key = half(key);
        let used = self.used.entry(key).or_default();
        if names.iter().any(|name| used.contains(name)) {
            return Ok(false);
        }
        // Before the disk has them: what may be there already is not taken again after a failure.
        used.extend(names);
        let bytes: Vec<u8> = names.iter().flat_map(|name| entry(&key, name)).collect();
        self.file.write_all(&bytes).and_then(|()| self.file.sync_data()).map_err(|source| self.io(source))?;
        Ok(true)
    }

    fn io(&self, source: io::Error) -> ClientsError {
        ClientsError::Io { path: self.path.clone(), source }
    }
}

fn half(key: &KeyId) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&key.0[..16]);
    half
}

fn keep(used: &mut Used, keys: &[KeyId]) {
    let keys: Vec<_> = keys.iter().map(half).collect();
    used.retain(|key, _| keys.contains(key));
}

fn entry(key: &[u8; 16], name: &[u8; 16]) -> [u8; ENTRY] {
    let mut out = [0; ENTRY];
    out[..16].copy_from_slice(key);
    out[16..32].copy_from_slice(name);
    let sum: [u8; 32] = Sha256::digest(&out[..32]).into();
    out[32..].copy_from_slice(&sum[..8]);
    out
}

/// What the file holds. What a crash left incomplete at the end was never acted upon.
fn load(path: &Path) -> Result<Used, ClientsError> {
    let damaged = |reason| ClientsError::Damaged { path: path.to_owned(), reason };
    let bytes = std::fs::read(path).map_err(|source| ClientsError::Io { path: path.to_owned(), source })?;
    let entries = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("it has no used passes"))?;
    let (entries, _incomplete) = entries.as_chunks::<ENTRY>();
    let mut used = Used::new();
    for (place, bytes) in entries.iter().enumerate() {
        let (Some(key), Some(name)) = (bytes.first_chunk(), bytes[16..].first_chunk()) else { continue };
        if entry(key, name) == *bytes {
            used.entry(*key).or_default().insert(*name);
        } else if entries[place..].iter().all(|bytes| bytes.iter().all(|byte| *byte == 0)) {
            // A crash of the machine may lengthen the file before the bytes are written.
            break;
        } else {
            return Err(damaged("an entry has a wrong checksum"));
        }
    }
    Ok(used)
}

/// Writes the file anew, and opens it for more.
fn rewrite(path: &Path, used: &Used) -> io::Result<File> {
    let mut bytes = MAGIC.to_vec();
    used.iter().for_each(|(key, names)| names.iter().for_each(|name| bytes.extend_from_slice(&entry(key, name))));
    replace(path, &bytes)?;
    OpenOptions::new().append(true).open(path)
}
