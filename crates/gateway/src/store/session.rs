//! Names of sessions, which the record holds under a key only.
//!
//! The record holds the hash of the name and of a random key. The key is in a file of its own beside the record, so that a copy of the
//! record alone tells nothing about names. Whoever has both files can test guesses of a name, so a name must not come from texts alone.

use super::error::StoreError;
use super::schema::{create_private, file_error};
use rusqlite::{Connection, OptionalExtension as _};
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A session as the record knows it. It is shown as its first eight hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionTag(pub(super) [u8; 16]);

impl fmt::Display for SessionTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", base16ct::HexDisplay(&self.0[..4]))
    }
}

impl fmt::Debug for SessionTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionTag({self})")
    }
}

impl Serialize for SessionTag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The key of the names.
pub(super) struct SessionKey(Zeroizing<[u8; 32]>);

impl SessionKey {
    /// Reads the key beside a record, or makes one for a new record.
    pub(super) fn load(record: &Path, connection: &Connection) -> Result<Self, StoreError> {
        let path = path(record);
        let sqlite = StoreError::sqlite("read the check of its key");
        let known: Option<Vec<u8>> = connection
            .query_row("SELECT value FROM meta WHERE name = 'key'", [], |row| row.get(0))
            .optional()
            .map_err(sqlite)?;
        let wrong = |found| StoreError::Key { path: path.clone(), found };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => Some(Zeroizing::new(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(file_error(&path, "read")(error)),
        };
        let key = match (bytes, &known) {
            (Some(bytes), _) if bytes.len() == 32 => {
                let mut key = Zeroizing::new([0; 32]);
                key.copy_from_slice(&bytes);
                Self(key)
            }
            (Some(bytes), None) if bytes.is_empty() => Self::create(&path)?,
            (Some(_), _) => return Err(wrong("not of 32 bytes")),
            (None, Some(_)) => return Err(wrong("missing")),
            (None, None) => Self::create(&path)?,
        };
        let check = key.hash("check", "");
        match known {
            Some(known) if known != check => return Err(wrong("another one")),
            Some(_) => {}
            None => {
                connection
                    .execute("INSERT INTO meta (name, value) VALUES ('key', ?)", [&check[..]])
                    .map_err(StoreError::sqlite("write the check of its key"))?;
            }
        }
        Ok(key)
    }

    fn create(path: &Path) -> Result<Self, StoreError> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut key[..]).map_err(|error| StoreError::File {
            path: path.to_owned(),
            doing: "draw the random bytes of",
            reason: error.to_string(),
        })?;
        create_private(path)?;
        let mut file = std::fs::OpenOptions::new().write(true).open(path).map_err(file_error(path, "open"))?;
        file.write_all(&key[..]).and_then(|()| file.sync_all()).map_err(file_error(path, "write"))?;
        Ok(Self(key))
    }

    /// What the record knows a session as.
    pub(super) fn tag(&self, name: &str) -> SessionTag {
        let mut tag = [0; 16];
        tag.copy_from_slice(&self.hash("session", name)[..16]);
        SessionTag(tag)
    }

    fn hash(&self, purpose: &str, text: &str) -> [u8; 32] {
        // The key has one length and the purposes are ours, so no two inputs are equal.
        Sha256::new()
            .chain_update(&self.0[..])
            .chain_update(purpose)
            .chain_update([0])
            .chain_update(text)
            .finalize()
            .into()
    }
}

/// Where the key of a record is.
pub(super) fn path(record: &Path) -> PathBuf {
    beside(record, "key")
}

/// The file beside a record with this ending.
pub(super) fn beside(record: &Path, ending: &str) -> PathBuf {
    let mut name = record.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}
