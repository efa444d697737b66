//! One file of sessions.

use super::filter::Filter;
use super::head::{FIRST_MAGIC, Head, MAGIC, START};
use super::{IDENTIFIER, RECORD, record};
use crate::ledger::LedgerError;
use crate::messages::SessionId;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// One file, its length, and a filter of its sessions.
pub(super) struct Generation {
    pub(super) file: File,
    /// Where its records begin.
    start: u64,
    pub(super) length: u64,
    filter: Filter,
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Generation {
    /// A file that begins.
    pub(super) fn new(file: File, sessions: u64) -> Self {
        Self { file, start: START as u64, length: START as u64, filter: Filter::new(sessions) }
    }

    /// Reads all records into a filter, which has room for so many sessions. The length counts up to the last complete record; the
    /// file may have an incomplete one after it. Files of the first version have no head.
    pub(super) fn load(mut file: File, path: &Path, sessions: u64) -> Result<(Self, Option<Head>), LedgerError> {
        let io = |source| LedgerError::Io { path: path.to_owned(), source };
        let damaged = |reason| LedgerError::Damaged { path: path.to_owned(), reason };
        let mut magic = [0; MAGIC.len()];
        let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_exact(&mut magic));
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(damaged("it is too short")),
            read => read.map_err(io)?,
        }
        let (start, head) = if &magic == FIRST_MAGIC {
            (MAGIC.len() as u64, None)
        } else {
            (START as u64, Some(Head::read(&mut file).map_err(io)?.map_err(damaged)?))
        };
        let on_disk = file.metadata().map_err(io)?.len();
        let records = (on_disk - start) / RECORD as u64;
        let whole = start + records * RECORD as u64;
        let mut reader = BufReader::with_capacity(64 << 10, file.try_clone().map_err(io)?);
        reader.seek(SeekFrom::Start(start)).map_err(io)?;
        // A file of the first version may hold more sessions.
        let mut loaded = Self { file, start, length: whole, filter: Filter::new(records.max(sessions)) };
        let mut entry = [0; RECORD];
        for number in 0..records {
            reader.read_exact(&mut entry).map_err(io)?;
            let mut identifier = [0; IDENTIFIER];
            identifier.copy_from_slice(&entry[..IDENTIFIER]);
            let session = SessionId(identifier);
            if entry != record(&session) {
                // A crash may lengthen the file before the bytes of the last record are written.
                if number + 1 < records || whole < on_disk {
                    return Err(damaged("a record in the middle has a wrong checksum"));
                }
                loaded.length = whole - RECORD as u64;
                break;
            }
            loaded.filter.note(&session);
        }
        Ok((loaded, head))
    }

    pub(super) fn entries(&self) -> u64 {
        (self.length - self.start) / RECORD as u64
    }

    /// Whether the file is longer than its complete records.
    pub(super) fn is_torn(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() > self.length)
    }

    /// Writes a record, and makes it durable with everything that was written to the file before.
    pub(super) fn append(&mut self, session: &SessionId) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(&record(session))?;
        self.file.sync_data()?;
        self.length += RECORD as u64;
        self.filter.note(session);
        Ok(())
    }

    pub(super) fn holds(&mut self, session: &SessionId) -> io::Result<bool> {
        Ok(self.filter.maybe(session) && self.find(session)?)
    }

    fn find(&mut self, session: &SessionId) -> io::Result<bool> {
        let mut reader = self.records()?;
        let mut entry = [0; RECORD];
        loop {
            match reader.read_exact(&mut entry) {
                Ok(()) if entry[..IDENTIFIER] == session.0 => return Ok(true),
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// The complete records, as bytes.
    pub(super) fn records(&mut self) -> io::Result<impl Read> {
        self.file.seek(SeekFrom::Start(self.start))?;
        Ok(BufReader::with_capacity(64 << 10, (&self.file).take(self.length - self.start)))
    }
}
