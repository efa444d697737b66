//! The keys that a server's passes are of, in a file that only its owner may read.

use super::PERIOD;
use crate::clients::ClientsError;
use crate::file_set::replace;
use blindroute_passes::{IssuerKey, KeyId, SECRET};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

const NAME: &str = "passes.keys";
const MAGIC: &[u8; 16] = b"blindroute pass\x01";
/// Bytes of a key: when it was made, in seconds since 1970, and its secret.
const ENTRY: usize = 8 + SECRET;
/// Bytes of the checksum at the end.
const SUM: usize = 8;

/// The key that issues, and the one before it.
#[derive(Debug)]
pub(super) struct Keys {
    path: PathBuf,
    /// The newest first, two at most.
    keys: Vec<(u64, Arc<IssuerKey>)>,
}

impl Keys {
    /// Those in a folder, which may be none.
    pub(super) fn open(folder: &Path) -> Result<Self, ClientsError> {
        let path = folder.join(NAME);
        let keys = if path.exists() { load(&path)? } else { Vec::new() };
        Ok(Self { path, keys })
    }

    /// Makes a new key if there is none, or the newest has issued for its period. Returns whether it did.
    pub(super) fn current(&mut self, now: SystemTime) -> Result<bool, ClientsError> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.keys.first().is_some_and(|(made, _)| now.saturating_sub(*made) < PERIOD.as_secs()) {
            return Ok(false);
        }
        // What is older than two periods is not taken any more, also if the server was away for long.
        let previous = self.keys.first().filter(|(made, _)| now.saturating_sub(*made) < 2 * PERIOD.as_secs()).cloned();
        let keys: Vec<_> = [(now, Arc::new(IssuerKey::generate()?))].into_iter().chain(previous).collect();
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAGIC.len() + keys.len() * ENTRY + SUM));
        bytes.extend_from_slice(MAGIC);
        for (made, key) in &keys {
            bytes.extend_from_slice(&made.to_le_bytes());
            bytes.extend_from_slice(&key.secret()?[..]);
        }
        let sum: [u8; 32] = Sha256::digest(&*bytes).into();
        bytes.extend_from_slice(&sum[..SUM]);
        // Durable before the first pass of it is issued.
        replace(&self.path, &bytes).map_err(|source| ClientsError::Io { path: self.path.clone(), source })?;
        self.keys = keys;
        tracing::info!("a new key issues passes; those of the key before are taken for another period");
        Ok(true)
    }

    /// The one that issues.
    pub(super) fn newest(&self) -> Result<Arc<IssuerKey>, ClientsError> {
        let missing = || ClientsError::Damaged { path: self.path.clone(), reason: "it has no key" };
        self.keys.first().map(|(_, key)| Arc::clone(key)).ok_or_else(missing)
    }

    /// The one of this name.
    pub(super) fn find(&self, id: &KeyId) -> Option<Arc<IssuerKey>> {
        self.keys.iter().find(|(_, key)| key.id() == *id).map(|(_, key)| Arc::clone(key))
    }

    /// The names of all.
    pub(super) fn ids(&self) -> Vec<KeyId> {
        self.keys.iter().map(|(_, key)| key.id()).collect()
    }
}

fn load(path: &Path) -> Result<Vec<(u64, Arc<IssuerKey>)>, ClientsError> {
    let io = |source| ClientsError::Io { path: path.to_owned(), source };
    let damaged = |reason| ClientsError::Damaged { path: path.to_owned(), reason };
    let bytes = Zeroizing::new(std::fs::read(path).map_err(io)?);
    let short = || damaged("it is too short");
    let (held, sum) = bytes.split_last_chunk::<SUM>().ok_or_else(short)?;
    let expected: [u8; 32] = Sha256::digest(held).into();
    if *sum != expected[..SUM] {
        return Err(damaged("its checksum is wrong"));
    }
    let (entries, rest) =
        held.strip_prefix(MAGIC).ok_or_else(|| damaged("it has no keys of passes"))?.as_chunks::<ENTRY>();
    if !rest.is_empty() || entries.len() > 2 {
        return Err(damaged("it has another length than one or two keys"));
    }
    let entry = |bytes: &[u8; ENTRY]| {
        let (made, secret) = bytes.split_first_chunk().ok_or_else(short)?;
        let secret = Zeroizing::new(<[u8; SECRET]>::try_from(secret).map_err(|_| short())?);
        Ok((u64::from_le_bytes(*made), Arc::new(IssuerKey::from_secret(&secret)?)))
    };
    entries.iter().map(entry).collect()
}
