//! Material of sessions to come, encrypted in a folder: what the dealer sent for them, as it was sent.
//!
//! Each stored session has two files. `NUMBER.material` is the dealer's stream in encrypted chunks, under a key of its own.
//! `NUMBER.key` holds that key, the dealer's grant and what the session is for, encrypted under the store's key, which lies
//! elsewhere. It is written last: a session without it is not there, and whoever has no such file any more cannot read the material,
//! whatever the disk still holds of it. So a session's key is destroyed when the session is used, before anything of it is read.
//!
//! The store does not decide whether a session may be used: the [ledger](crate::ledger) does, since a folder can be copied. Whoever
//! uses a session shows a claim that the ledger made after the session was stored, and of its use alone. A session that was stored so
//! many claims ago that the ledger may have forgotten such a claim is refused ([`KEPT`]).

mod counts;
mod error;
mod filling;
mod hours;
mod key;
mod label;
mod sealed;
mod taken;
#[cfg(test)]
mod tests;

pub use counts::StoreFigures;
pub use error::StoreError;
pub use filling::{Filling, Stored};
pub use hours::Hours;
pub use label::{Kind, Label};
pub use taken::{Reserved, StoredReader, Taken};

use crate::file_set::{create_private_directory, replace, sync};
use crate::ledger::{Claim, KEPT, hold};
use crate::messages::{Digest, SessionId};
use crate::role::Role;
use counts::Counts;
use label::Record;
use sealed::{StreamKey, sealed_length};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most sessions in a store, so that lists of them are short enough to be sent.
pub const MOST_STORED: usize = 1 << 15;
/// The most bytes of a file of keys. More is not read.
const KEYS_MAX: u64 = 4 << 10;
/// The file that says under which key the folder was filled.
const MADE_UNDER: &str = "made-under";

/// Where a store is, and how large it may become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// The folder of the material. No other server may use it.
    pub folder: PathBuf,
    /// The file of the store's key, outside of that folder. It is made if there is none.
    pub key: PathBuf,
    /// The most bytes in the folder.
    pub bytes: u64,
}

/// A server's stored material.
pub struct Store {
    folder: PathBuf,
    key: StreamKey,
    party: u8,
    limit: u64,
    state: Mutex<State>,
    counts: Counts,
    /// Held for as long as the store is open.
    _lock: File,
}

#[derive(Default)]
struct State {
    /// By number, so the oldest is first.
    held: BTreeMap<u64, Held>,
    /// Of all files, also those that are being written or read.
    bytes: u64,
    next: u64,
}

struct Held {
    label: Label,
    /// The bytes of its files; given back when they are gone.
    room: Room,
    /// Whether somebody is about to use it.
    reserved: bool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store of a server, or makes an empty one. What a crash left behind is removed, and so is what is damaged or over the
    /// limit.
    ///
    /// # Errors
    /// If the folder or the key cannot be used, or another process has the store.
    pub fn open(options: &StoreOptions, role: Role) -> Result<Arc<Self>, StoreError> {
        let StoreOptions { folder, key, bytes } = options;
        let failed = |source| StoreError::Io { path: folder.clone(), source };
        create_private_directory(folder).map_err(failed)?;
        let lock = hold(&folder.join("lock"), &format!("the store {}", folder.display()))?;
        let master = key::open_or_make(key, folder)?;
        if !is_made_under(folder, &master).map_err(failed)? {
            return Err(StoreError::OtherKey { folder: folder.clone(), path: key.clone() });
        }
        let store = Arc::new(Self {
            folder: folder.clone(),
            key: master,
            party: u8::from(role == Role::Server1),
            limit: *bytes,
            state: Mutex::default(),
            counts: Counts::default(),
            _lock: lock,
        });
        store.read_folder().map_err(failed)?;
        let StoreFigures { sessions, bytes, .. } = store.figures();
        tracing::info!(sessions, mib = bytes >> 20, "opened the store of prepared material");
        Ok(store)
    }

    /// Finds what the folder holds.
    fn read_folder(self: &Arc<Self>) -> io::Result<()> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            match name.split_once('.') {
                Some((number, "key")) => numbers.extend(number.parse::<u64>().ok()),
                // What was about to be written, or to be forgotten, when the server ended.
                Some((number, "used")) if number.parse::<u64>().is_ok() => destroy(&self.folder.join(name)),
                Some(("", rest)) if rest.starts_with("blindroute-") => destroy(&self.folder.join(name)),
                _ => {}
            }
        }
        numbers.sort_unstable();
        for number in &numbers {
            if let Err(error) = self.read(*number) {
                tracing::warn!(%error, "a stored session is dropped");
                self.remove(*number);
                self.counts.dropped(1);
            }
        }
        // Material whose file of keys was never written, or is gone.
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            let is_material = path.extension().is_some_and(|extension| extension == "material");
            if is_material && number.is_some_and(|number| !self.state().held.contains_key(&number)) {
                fs::remove_file(&path)?;
            }
        }
        self.state().next = numbers.last().map_or(1, |last| last + 1);
        Ok(())
    }

    /// Enters a session that is in the folder.
    fn read(self: &Arc<Self>, number: u64) -> Result<(), StoreError> {
        let (record, keys) = self.record(number)?;
        let label = record.label;
        let path = self.material(number);
        let metadata = fs::metadata(&path).map_err(|source| StoreError::Io { path, source })?;
        if metadata.len() != sealed_length(label.length) {
            return Err(StoreError::Damaged("the material has another length than it was stored with"));
        }
        let mut room = Room::none(self);
        room.take(keys + metadata.len())?;
        self.state().held.insert(number, Held { label, room, reserved: false });
        Ok(())
    }

    /// The file of keys of a session, and its length.
    fn record(&self, number: u64) -> Result<(Record, u64), StoreError> {
        let path = self.keys(number);
        let failed = |source| StoreError::Io { path: path.clone(), source };
        let length = fs::metadata(&path).map_err(failed)?.len();
        if length > KEYS_MAX {
            return Err(StoreError::Damaged("a file of keys is too long"));
        }
        let sealed = fs::read(&path).map_err(failed)?;
        Ok((Record::open(&sealed, &self.key, self.party, number)?, length))
    }

    /// The figures of now.
    #[must_use]
    pub fn figures(&self) -> StoreFigures {
        let [filled, used, dropped] = self.counts.read();
        let state = self.state();
        let (sessions, bytes) = (state.held.len() as u64, state.bytes);
        StoreFigures { sessions, bytes, limit: self.limit, filled, used, dropped }
    }

    /// How many sessions of this kind are stored and free.
    #[must_use]
    pub fn count(&self, kind: &Kind) -> usize {
        self.state().held.values().filter(|held| held.is_free(kind)).count()
    }

    /// All that are stored.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionId> {
        self.state().held.values().map(|held| held.label.session).collect()
    }

    /// Begins to store the material of a session.
    ///
    /// # Errors
    /// If there is no room, or the folder cannot be written to.
    pub fn begin(self: &Arc<Self>, session: SessionId, deployment: Digest) -> Result<Filling, StoreError> {
        let number = {
            let mut state = self.state();
            if state.held.len() >= MOST_STORED || state.bytes >= self.limit {
                return Err(StoreError::Full { bytes: self.limit });
            }
            state.next += 1;
            state.next - 1
        };
        Filling::begin(self, number, session, deployment)
    }

    /// Reserves the oldest stored session of this kind. Nobody else gets it meanwhile.
    #[must_use]
    pub fn reserve(self: &Arc<Self>, kind: &Kind) -> Option<Reserved> {
        self.reserve_if(|held| held.is_free(kind))
    }

    /// Reserves this stored session, if it is there, free and of this kind.
    #[must_use]
    pub fn reserve_session(self: &Arc<Self>, kind: &Kind, session: SessionId) -> Option<Reserved> {
        self.reserve_if(|held| held.is_free(kind) && held.label.session == session)
    }

    fn reserve_if(self: &Arc<Self>, fits: impl Fn(&Held) -> bool) -> Option<Reserved> {
        let mut state = self.state();
        let (number, held) = state.held.iter_mut().find(|(_, held)| fits(held))?;
        held.reserved = true;
        Some(Reserved::new(self, *number, held.label))
    }

    /// Drops all stored sessions but these and those that somebody is about to use. Returns how many were dropped.
    pub fn keep(&self, keep: impl Fn(&Label) -> bool) -> usize {
        let state = self.state();
        let dropped = state.held.iter().filter(|(_, held)| !held.reserved && !keep(&held.label));
        let dropped: Vec<u64> = dropped.map(|(number, _)| *number).collect();
        drop(state);
        dropped.iter().for_each(|number| self.remove(*number));
        self.counts.dropped(dropped.len());
        dropped.len()
    }

    /// Removes the files of a session, the one of its keys first.
    fn remove(&self, number: u64) {
        self.destroy_keys(number);
        fs::remove_file(self.material(number)).ok();
        // Its room is given back once the files are gone, and not under the lock.
        let held = self.state().held.remove(&number);
        drop(held);
    }

    /// Makes the material of a session unreadable, whatever the disk still holds of it.
    fn destroy_keys(&self, number: u64) {
        let used = self.folder.join(format!("{number}.used"));
        // If the server ends in between, it finds the new name when it starts.
        if fs::rename(self.keys(number), &used).is_ok() {
            destroy(&used);
        }
        if let Err(error) = sync(&self.folder) {
            tracing::warn!(%error, "the folder of the store cannot be made durable; what was used is in the ledger");
        }
    }

    fn keys(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.key"))
    }

    fn material(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.material"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn is_free(&self, kind: &Kind) -> bool {
        !self.reserved && self.label.kind == *kind
    }
}

/// Bytes that count towards the limit until this is dropped.
struct Room {
    store: std::sync::Weak<Store>,
    bytes: u64,
}

impl Room {
    fn none(store: &Arc<Store>) -> Self {
        Self { store: Arc::downgrade(store), bytes: 0 }
    }

    /// Takes more, if there is as much.
    fn take(&mut self, bytes: u64) -> Result<(), StoreError> {
        let Some(store) = self.store.upgrade() else { return Ok(()) };
        let mut state = store.state();
        let taken = state.bytes.checked_add(bytes).filter(|all| *all <= store.limit);
        state.bytes = taken.ok_or(StoreError::Full { bytes: store.limit })?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(store) = self.store.upgrade() {
            store.state().bytes -= self.bytes;
        }
    }
}

/// The id under which the use of a stored session is claimed in the ledger. No session has it by chance.
#[must_use]
pub fn use_of(stored: SessionId) -> SessionId {
    let mut hash = Sha256::new();
    hash.update(b"blindroute use of stored material\0");
    hash.update(stored.0);
    let digest: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    SessionId(id)
}

/// Whether the ledger still knew of an earlier use of what was stored at this label when it made this claim.
fn is_of_use(claim: &Claim, label: &Label) -> bool {
    let (now, then) = (claim.standing(), label.standing);
    let since = now.claimed.checked_sub(then.claimed);
    claim.session() == use_of(label.session) && now.ledger == then.ledger && since.is_some_and(|claims| claims < KEPT)
}

/// Whether the folder was filled under this key; an empty one is from now on.
fn is_made_under(folder: &Path, key: &StreamKey) -> io::Result<bool> {
    let mut hash = Sha256::new();
    hash.update(b"blindroute key of a store\0");
    hash.update(key.expose());
    let digest: [u8; 32] = hash.finalize().into();
    let path = folder.join(MADE_UNDER);
    match fs::read(&path) {
        Ok(found) => Ok(found == digest),
        Err(error) if error.kind() == io::ErrorKind::NotFound => replace(&path, &digest).map(|()| true),
        Err(error) => Err(error),
    }
}

/// Overwrites a file before it is removed. File systems and disks may keep copies all the same.
fn destroy(path: &Path) {
    let overwrite = || {
        let length = fs::metadata(path)?.len().min(KEYS_MAX);
        let mut file = File::options().write(true).open(path)?;
        file.write_all(&vec![0; length as usize])?;
        file.sync_data()
    };
    if let Err(error) = overwrite().and_then(|()| fs::remove_file(path)) {
        tracing::warn!(%error, "a key of used material cannot be destroyed; look at the folder of the store");
    }
}
