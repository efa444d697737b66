//! The durable record of consumed sessions: material is used at most once, across restarts and crashes.
//!
//! Each party has one append-only file. [`Ledger::consume`] returns only after its record is on disk, and the caller
//! uses the material only after that. So after a crash every session whose material may have been used has a complete
//! record. An incomplete last record belongs to a call of `consume` that never returned; its material was not used, and
//! the record is removed safely. A damaged record elsewhere cannot come from a crash: the ledger then refuses to open.
//!
//! Time and memory are bounded. When a file holds `GENERATION` sessions it becomes the old file, which replaces the old
//! file before it, and a new file begins. A filter for each file answers "certainly new" for almost every identifier,
//! and the others are looked up in the file. So at least the last half a million sessions are refused, and older ones
//! are forgotten. That is safe, because material is never derived from an identifier. The dealer draws a session's
//! seeds from the operating system when it grants them, keeps them only for that session and does not store them. If a
//! forgotten session is begun again, all parties get other material. Everything else that an identifier names
//! (connections that wait for each other, a stream under way) exists only for minutes.
//!
//! Beginning a new file is safe against crashes. The full file is complete and on disk; the new file is written and
//! synced beside it. Then the full file is renamed to the old one's name, and the new file to the current one's. A
//! crash between the two renamings leaves no current file, and the next start creates an empty one. A separate lock
//! file is held during all of this.

mod filter;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::messages::SessionId;
use filter::Filter;

const NAME: &str = "sessions.ledger";
const OLD: &str = "sessions.ledger.old";
const NEW: &str = "sessions.ledger.new";
const LOCK: &str = "sessions.lock";
const MAGIC: &[u8; 16] = b"blindroute used\x01";
const IDENTIFIER: usize = 16;
/// Bytes of a record: an identifier and its checksum.
const RECORD: usize = IDENTIFIER + 8;
/// Sessions in one file. It is then 12 MiB long, so that an unnecessary look-up takes milliseconds.
const GENERATION: u64 = 1 << 19;

/// Why a session cannot be recorded as consumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The session was consumed before.
    #[error("session {0} was used before; a session can be used only once: start a new session")]
    AlreadyUsed(SessionId),
    /// Another process holds the state directory.
    #[error("{path} is in use by another process; give every party its own state directory, or stop the other process", path = .0.display())]
    Locked(PathBuf),
    /// The file is not a ledger, or was damaged.
    #[error("{path} is damaged ({reason}), so used sessions cannot be refused: restore the file, or set up a new deployment with an empty state directory", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is damaged.
        reason: &'static str,
    },
    /// An earlier write failed. Nothing can be recorded until a restart.
    #[error("the ledger stopped after a failed write; free disk space or fix the disk, then restart")]
    Stopped,
    /// The system reported an error.
    #[error("the ledger {path} failed: {source}; check the disk and the permissions", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The sessions that a party has consumed. The threads of one process share it; other processes are locked out.
#[derive(Debug)]
pub struct Ledger {
    directory: PathBuf,
    generation: u64,
    state: Mutex<State>,
    _lock: File,
}

#[derive(Debug)]
struct State {
    current: Generation,
    old: Option<Generation>,
    stopped: bool,
}

/// One file, its length, and a filter of its sessions.
struct Generation {
    file: File,
    length: u64,
    filter: Filter,
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens or creates the ledger in a state directory and takes its lock.
    ///
    /// # Errors
    /// If another process holds it, a file is damaged, or the disk fails.
    pub fn open(directory: &Path) -> Result<Ledger, LedgerError> {
        Self::with_generation(directory, GENERATION)
    }

    /// With another number of sessions for each file.
    fn with_generation(directory: &Path, generation: u64) -> Result<Ledger, LedgerError> {
        let path = directory.join(NAME);
        let io = |source| LedgerError::Io { path: path.clone(), source };
        crate::file_set::create_private_directory(directory).map_err(io)?;
        let held = private().create(true).open(directory.join(LOCK)).map_err(io)?;
        lock(&held, &path)?;
        let new = directory.join(NEW);
        if new.exists() {
            // A crash interrupted its creation, so it holds no session.
            std::fs::remove_file(&new).map_err(io)?;
        }
        let file = private().create(true).open(&path).map_err(io)?;
        // Earlier versions of the program lock this file.
        lock(&file, &path)?;
        let current = open_current(file, &path, directory, generation)?;
        let old = open_old(&directory.join(OLD), generation)?;
        let state = Mutex::new(State { current, old, stopped: false });
        Ok(Ledger { directory: directory.to_owned(), generation, state, _lock: held })
    }

    /// Records durably that a session is consumed. Call this before its material is used for the first time.
    ///
    /// # Errors
    /// If the session was consumed before, or the record could not be made durable. Do not use the material then.
    pub fn consume(&self, session: SessionId) -> Result<(), LedgerError> {
        // A thread that panicked here leaves at worst a failed write, which `stopped` covers.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let io = |source| LedgerError::Io { path: self.directory.join(NAME), source };
        if state.stopped {
            return Err(LedgerError::Stopped);
        }
        let State { current, old, .. } = &mut *state;
        for generation in [Some(current), old.as_mut()].into_iter().flatten() {
            if generation.filter.maybe(&session) && generation.find(&session).map_err(io)? {
                return Err(LedgerError::AlreadyUsed(session));
            }
        }
        state.stopped = true;
        if state.current.entries() >= self.generation {
            let next = begin(&self.directory, self.generation).map_err(io)?;
            state.old = Some(std::mem::replace(&mut state.current, next));
        }
        state.current.append(&session).map_err(io)?;
        state.stopped = false;
        Ok(())
    }

    /// The number of sessions that are known to be consumed.
    #[must_use]
    pub fn entries(&self) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.current.entries() + state.old.as_ref().map_or(0, Generation::entries)
    }
}

impl Generation {
    fn entries(&self) -> u64 {
        (self.length - MAGIC.len() as u64) / RECORD as u64
    }

    fn append(&mut self, session: &SessionId) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(&record(session))?;
        self.file.sync_data()?;
        self.length += RECORD as u64;
        self.filter.note(session);
        Ok(())
    }

    fn find(&mut self, session: &SessionId) -> io::Result<bool> {
        self.file.seek(SeekFrom::Start(MAGIC.len() as u64))?;
        let mut reader = BufReader::with_capacity(64 << 10, (&self.file).take(self.length - MAGIC.len() as u64));
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
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn open_current(mut file: File, path: &Path, directory: &Path, generation: u64) -> Result<Generation, LedgerError> {
    let io = |source| LedgerError::Io { path: path.to_owned(), source };
    let on_disk = file.metadata().map_err(io)?.len();
    if on_disk >= MAGIC.len() as u64 {
        let current = load(file, path, on_disk, generation)?;
        if current.length < on_disk {
            tracing::warn!(path = %path.display(), "an incomplete last record, left by a crash, was removed");
            current.file.set_len(current.length).and_then(|()| current.file.sync_all()).map_err(io)?;
        }
        return Ok(current);
    }
    // A new file, or one whose creation was interrupted: it holds no session.
    let mut start = Vec::new();
    file.read_to_end(&mut start).map_err(io)?;
    if !MAGIC.starts_with(&start) {
        return Err(LedgerError::Damaged { path: path.to_owned(), reason: "it is not a ledger" });
    }
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.write_all(MAGIC))
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_directory(directory))
        .map_err(io)?;
    Ok(Generation { file, length: MAGIC.len() as u64, filter: Filter::new(generation) })
}

/// The file before the current one. It was complete before it got this name.
fn open_old(path: &Path, generation: u64) -> Result<Option<Generation>, LedgerError> {
    let io = |source| LedgerError::Io { path: path.to_owned(), source };
    let file = match private().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let damaged = |reason| LedgerError::Damaged { path: path.to_owned(), reason };
    let on_disk = file.metadata().map_err(io)?.len();
    if on_disk < (MAGIC.len() + RECORD) as u64 {
        return Err(damaged("it is too short"));
    }
    let old = load(file, path, on_disk, generation)?;
    if old.length == on_disk { Ok(Some(old)) } else { Err(damaged("its last record is incomplete")) }
}

/// Begins a new file. The current file becomes the old one.
fn begin(directory: &Path, generation: u64) -> io::Result<Generation> {
    let [current, old, new] = [NAME, OLD, NEW].map(|name| directory.join(name));
    let mut file = private().create(true).open(&new)?;
    file.set_len(0)?;
    file.write_all(MAGIC)?;
    file.sync_all()?;
    // Earlier versions of the program check only this lock.
    file.try_lock().map_err(|_| io::Error::other("the new file is locked by another process"))?;
    std::fs::rename(&current, &old)?;
    std::fs::rename(&new, &current)?;
    sync_directory(directory)?;
    Ok(Generation { file, length: MAGIC.len() as u64, filter: Filter::new(generation) })
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Takes the lock. Retries for a moment, because a process that has just ended may still hold it, and so may a child
/// process that is being started and inherited the handle.
fn lock(file: &File, path: &Path) -> Result<(), LedgerError> {
    for _ in 0..50 {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            Err(TryLockError::Error(source)) => return Err(LedgerError::Io { path: path.to_owned(), source }),
        }
    }
    Err(LedgerError::Locked(path.to_owned()))
}

/// Reads all records into a filter. The length counts up to the last complete record.
fn load(file: File, path: &Path, on_disk: u64, generation: u64) -> Result<Generation, LedgerError> {
    let io = |source| LedgerError::Io { path: path.to_owned(), source };
    let damaged = |reason| LedgerError::Damaged { path: path.to_owned(), reason };
    let mut reader = BufReader::with_capacity(64 << 10, file.try_clone().map_err(io)?);
    let mut magic = [0; MAGIC.len()];
    reader.seek(SeekFrom::Start(0)).and_then(|_| reader.read_exact(&mut magic)).map_err(io)?;
    if &magic != MAGIC {
        return Err(damaged("it is not a ledger, or one of another version"));
    }
    let records = (on_disk - MAGIC.len() as u64) / RECORD as u64;
    let whole = MAGIC.len() as u64 + records * RECORD as u64;
    // A file of an earlier version may hold more sessions.
    let mut loaded = Generation { file, length: whole, filter: Filter::new(records.max(generation)) };
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
            return Ok(loaded);
        }
        loaded.filter.note(&session);
    }
    Ok(loaded)
}

fn record(session: &SessionId) -> [u8; RECORD] {
    let mut out = [0; RECORD];
    out[..IDENTIFIER].copy_from_slice(&session.0);
    out[IDENTIFIER..].copy_from_slice(&checksum(&session.0).to_le_bytes());
    out
}

/// FNV-1a, against accidental damage. It need not resist forgery: whoever can write the file can also replace it.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
