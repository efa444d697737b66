//! The durable record of used sessions: material is consumed at most once, across restarts and crashes.
//!
//! One append-only file per party. [`Ledger::consume`] returns only after its record is on disk, and the caller
//! touches the material only after that. So after a crash every session whose material may have been touched has a
//! whole record; a torn last record belongs to a `consume` that never returned, whose material nobody touched, and is
//! cut off safely. A damaged record elsewhere is no crash's work: the ledger then refuses to open.
//!
//! Time and memory are bounded too. A file that holds `GENERATION` sessions becomes the old one, in place of the old one
//! before it, and another begins; a filter for each answers "surely new" for almost every identifier, and the rest are
//! looked up in its file. So the last half a million sessions at least are refused, and older ones are forgotten. That
//! is safe: material is never made from an identifier. The dealer draws a session's seeds from the system when it grants
//! them, keeps them for that session only, and writes them nowhere; whoever begins a forgotten session again gets other
//! material, in all parties alike. What an identifier names beyond its seeds (connections that wait for each other, a stream under
//! way) lives for minutes.
//!
//! The change is safe against crashes: the full file is whole and on disk, the new one is written and synced beside it,
//! then the full one takes the old one's name and the new one the full one's, both by renaming. A crash between the two
//! leaves no current file, and the next start makes an empty one. A lock of its own file holds across all of that.

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
/// An identifier and its checksum.
const RECORD: usize = IDENTIFIER + 8;
/// Sessions of one file: 12 MiB, so that a look-up for nothing takes milliseconds.
const GENERATION: u64 = 1 << 19;

/// Why a session cannot be entered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The session was entered before.
    #[error("session {0} was used before; material is used once only: start a new session")]
    AlreadyUsed(SessionId),
    /// Another process holds the state directory.
    #[error("{path} is in use by another process; give every party a state directory of its own, or stop the other", path = .0.display())]
    Locked(PathBuf),
    /// The file is not a ledger, or was damaged.
    #[error("{path} is damaged ({reason}); no session can be shown to be new: restore the file, or set up a new deployment with an empty state directory", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        reason: &'static str,
    },
    /// An earlier write failed; nothing can be entered until a restart.
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

/// The sessions a party has used. Shared by the threads of one process; locked against other processes.
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

/// One file, and what is known of it without reading it.
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
    /// Another process holds it, a file is damaged, or the disk fails.
    pub fn open(directory: &Path) -> Result<Ledger, LedgerError> {
        Self::with_generation(directory, GENERATION)
    }

    /// With another number of sessions for each file.
    fn with_generation(directory: &Path, generation: u64) -> Result<Ledger, LedgerError> {
        let path = directory.join(NAME);
        let io = |source| LedgerError::Io { path: path.clone(), source };
        crate::identity::create_private_directory(directory).map_err(io)?;
        let held = private().create(true).open(directory.join(LOCK)).map_err(io)?;
        lock(&held, &path)?;
        let new = directory.join(NEW);
        if new.exists() {
            // Begun at a crash; nothing was ever entered in it.
            std::fs::remove_file(&new).map_err(io)?;
        }
        let file = private().create(true).open(&path).map_err(io)?;
        // What an earlier version locks.
        lock(&file, &path)?;
        let current = open_current(file, &path, directory, generation)?;
        let old = open_old(&directory.join(OLD), generation)?;
        let state = Mutex::new(State { current, old, stopped: false });
        Ok(Ledger { directory: directory.to_owned(), generation, state, _lock: held })
    }

    /// Enters a session, durably, before its material is first touched.
    ///
    /// # Errors
    /// The session was entered before, or the entry could not be made durable: do not touch the material then.
    pub fn consume(&self, session: SessionId) -> Result<(), LedgerError> {
        // A thread that panicked inside cannot have left a state worse than a failed write, which `stopped` covers.
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

    /// Sessions that are known to be used.
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
            tracing::warn!(path = %path.display(), "a session that was being entered at a crash is dropped");
            current.file.set_len(current.length).and_then(|()| current.file.sync_all()).map_err(io)?;
        }
        return Ok(current);
    }
    // New, or its creation was cut short: no session was ever entered.
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

/// The file before the current one. It was whole before it got its name.
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
    if old.length == on_disk { Ok(Some(old)) } else { Err(damaged("its last record is not whole")) }
}

/// Begins another file, and makes the current one the old one.
fn begin(directory: &Path, generation: u64) -> io::Result<Generation> {
    let [current, old, new] = [NAME, OLD, NEW].map(|name| directory.join(name));
    let mut file = private().create(true).open(&new)?;
    file.set_len(0)?;
    file.write_all(MAGIC)?;
    file.sync_all()?;
    // An earlier version looks at this lock only.
    file.try_lock().map_err(|_| io::Error::other("the new file is held by another process"))?;
    std::fs::rename(&current, &old)?;
    std::fs::rename(&new, &current)?;
    sync_directory(directory)?;
    Ok(Generation { file, length: MAGIC.len() as u64, filter: Filter::new(generation) })
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Takes the lock. Retries for a moment: a process that just ended, or one that another thread is about to start and
/// that inherited the handle for an instant, must not look like a second owner.
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

/// Reads all records into a filter; the length is up to the last whole one.
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
    // A file of an earlier version may hold more than a generation.
    let mut loaded = Generation { file, length: whole, filter: Filter::new(records.max(generation)) };
    let mut entry = [0; RECORD];
    for number in 0..records {
        reader.read_exact(&mut entry).map_err(io)?;
        let mut identifier = [0; IDENTIFIER];
        identifier.copy_from_slice(&entry[..IDENTIFIER]);
        let session = SessionId(identifier);
        if entry != record(&session) {
            // A crash may lengthen the file before the bytes of its last record are there.
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

/// FNV-1a, against accidents: nobody who can write the file needs to forge it.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
