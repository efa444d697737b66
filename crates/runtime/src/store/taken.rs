//! Using a stored session.

use super::sealed::SealedReader;
use super::{Label, Room, Store, StoreError, is_of_use};
use crate::ledger::Claim;
use crate::messages::MaterialGrant;
use std::fs::{self, File};
use std::io::{self, Read};
use std::sync::Arc;

/// A stored session that somebody is about to use. Dropped before it is used, it is free again.
pub struct Reserved {
    store: Arc<Store>,
    number: u64,
    label: Label,
}

/// What was stored of a session. It is in the folder no more.
pub struct Taken {
    /// What it is for.
    pub label: Label,
    /// What the dealer granted.
    pub grant: MaterialGrant,
    /// What the dealer sent.
    pub material: StoredReader,
}

impl std::fmt::Debug for Reserved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reserved")
    }
}

impl std::fmt::Debug for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Taken")
    }
}

impl std::fmt::Debug for StoredReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredReader")
    }
}

impl Reserved {
    pub(super) fn new(store: &Arc<Store>, number: u64, label: Label) -> Self {
        Self { store: Arc::clone(store), number, label }
    }

    /// What it is for.
    #[must_use]
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// Drops it for good, since it is of no use.
    pub fn discard(self) {
        self.store.remove(self.number);
        self.store.counts.dropped(1);
    }

    /// Takes it out of the store, for the one use that was claimed. Its key is destroyed before this returns, and the room of its
    /// material is free once the reader is dropped.
    ///
    /// # Errors
    /// If it was damaged, or the claim is not that of its use, or the ledger may have forgotten an earlier one. It is dropped then.
    pub fn open(self, claim: &Claim) -> Result<Taken, StoreError> {
        let opened = self.read(claim);
        self.store.destroy_keys(self.number);
        // The open file stays readable, and its blocks are given back with it.
        fs::remove_file(self.store.material(self.number)).ok();
        let held = self.store.state().held.remove(&self.number);
        match opened {
            Ok((grant, reader)) => {
                self.store.counts.used();
                let material = StoredReader { reader, _room: held.map(|held| held.room) };
                Ok(Taken { label: self.label, grant, material })
            }
            Err(error) => {
                drop(held);
                self.store.counts.dropped(1);
                Err(error)
            }
        }
    }

    fn read(&self, claim: &Claim) -> Result<(MaterialGrant, SealedReader<File>), StoreError> {
        if !is_of_use(claim, &self.label) {
            return Err(StoreError::Forgotten);
        }
        let (record, _) = self.store.record(self.number)?;
        if record.label != self.label {
            return Err(StoreError::Damaged("a file of keys was exchanged"));
        }
        let path = self.store.material(self.number);
        let file = File::open(&path).map_err(|source| StoreError::Io { path, source })?;
        let bound = self.label.bound(self.store.party);
        Ok((record.grant, SealedReader::new(file, &record.key, bound, self.label.length)))
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(held) = self.store.state().held.get_mut(&self.number) {
            held.reserved = false;
        }
    }
}

/// The material of a stored session, an [`io::Read`]. What was altered is an error when it is read.
pub struct StoredReader {
    reader: SealedReader<File>,
    _room: Option<Room>,
}

impl StoredReader {
    /// Checks that all of it was read.
    ///
    /// # Errors
    /// If something is left over.
    pub fn finish(mut self) -> io::Result<()> {
        if self.reader.is_at_end()? {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "stored material is longer than its program needs"))
    }
}

impl Read for StoredReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.reader.read(bytes)
    }
}
