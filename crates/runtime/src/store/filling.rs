//! Storing a session's material.

use super::label::{Record, bound_of};
use super::sealed::{SealedWriter, StreamKey};
use super::{Held, Kind, Label, Room, Store, StoreError};
use crate::file_set::replace;
use crate::messages::{Digest, MaterialGrant, SessionId, Standing};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

/// A session whose material is being stored. Dropped before it is finished, it leaves nothing.
pub struct Filling {
    files: Files,
    writer: SealedWriter<Bounded>,
    key: StreamKey,
    session: SessionId,
}

/// A session that is stored durably and not [entered](Stored::enter) yet. Dropped before, it leaves nothing.
pub struct Stored {
    files: Files,
    label: Label,
    room: Room,
}

impl std::fmt::Debug for Filling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Filling")
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stored")
    }
}

/// The files of a session, which are removed unless they are kept.
struct Files {
    store: Arc<Store>,
    number: u64,
    kept: bool,
}

impl Drop for Files {
    fn drop(&mut self) {
        if !self.kept {
            self.store.remove(self.number);
        }
    }
}

/// A file that counts towards the store's limit before it grows.
struct Bounded {
    file: File,
    room: Room,
    /// Why the last write failed, if it was for want of room.
    full: Option<StoreError>,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.room.take(bytes.len() as u64) {
            self.full = Some(error);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Filling {
    pub(super) fn begin(
        store: &Arc<Store>,
        number: u64,
        session: SessionId,
        deployment: Digest,
    ) -> Result<Self, StoreError> {
        let (key, path) = (StreamKey::generate()?, store.material(number));
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|source| StoreError::Io { path, source })?;
        let files = Files { store: Arc::clone(store), number, kept: false };
        let inner = Bounded { file, room: Room::none(store), full: None };
        let writer = SealedWriter::new(inner, &key, bound_of(session, deployment, store.party));
        Ok(Self { files, writer, key, session })
    }

    /// Appends to the material.
    ///
    /// # Errors
    /// If there is no room, or the disk fails.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.writer.write_all(bytes);
        written.map_err(|source| match self.writer.inner_mut().full.take() {
            Some(full) => full,
            None => StoreError::Io { path: self.files.store.material(self.files.number), source },
        })
    }

    /// Makes it durable, with what the dealer granted for it. `standing` is that of the claim of its session.
    ///
    /// # Errors
    /// If there is no room, or the disk fails.
    pub fn finish(self, kind: Kind, standing: Standing, grant: MaterialGrant) -> Result<Stored, StoreError> {
        let Self { files, writer, key, session } = self;
        let Files { ref store, number, .. } = files;
        let failed = |source| StoreError::Io { path: store.material(number), source };
        let (Bounded { file, mut room, .. }, length) = writer.finish().map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull if source.get_ref().is_none() => StoreError::Full { bytes: store.limit },
            _ => failed(source),
        })?;
        file.sync_all().map_err(failed)?;
        let label = Label { kind, session, epoch: grant.epoch, standing, length };
        let keys = Record { label, key, grant }.seal(&store.key, store.party, number)?;
        room.take(keys.len() as u64)?;
        // This also makes the name of the material durable.
        replace(&store.keys(number), &keys).map_err(failed)?;
        Ok(Stored { files, label, room })
    }
}

impl Stored {
    /// Enters it: from now on it can be reserved.
    pub fn enter(mut self) {
        self.files.kept = true;
        let Self { files, label, room } = self;
        files.store.counts.filled();
        files.store.state().held.insert(files.number, Held { label, room, reserved: false });
    }
}
