//! Which passes were used, in a file beside the keys.

use crate::clients::ClientsError;
use crate::clients::records::{self, SUM, summed};
use blindroute_passes::KeyId;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const NAME: &str = "passes.spent";
const MAGIC: &[u8; 16] = b"blindroute used\x01";
/// Bytes of an entry: half of a key's name, a pass's name, checksum.
const ENTRY: usize = 16 + 16 + SUM;

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
        let mut used = load(&path)?;
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
    summed(out)
}

fn load(path: &Path) -> Result<Used, ClientsError> {
    let mut used = Used::new();
    records::load(path, MAGIC, |bytes: &[u8; ENTRY]| {
        if let (Some(key), Some(name)) = (bytes.first_chunk(), bytes[16..].first_chunk()) {
            used.entry(*key).or_default().insert(*name);
        }
    })?;
    Ok(used)
}

/// Writes the file anew, and opens it for more.
fn rewrite(path: &Path, used: &Used) -> io::Result<File> {
    let entries = used.iter().flat_map(|(key, names)| names.iter().map(|name| entry(key, name)));
    records::rewrite(path, MAGIC, entries).map(|(file, _)| file)
}
