//! The durable record of used sessions: material is consumed at most once, across restarts and crashes.
//!
//! One append-only file per party. [`Ledger::consume`] returns only after its record is on disk, and the caller
//! touches the material only after that. So after a crash every session whose material may have been touched has a
//! whole record; a torn last record belongs to a `consume` that never returned, whose material nobody touched, and is
//! cut off safely. A damaged record elsewhere is no crash's work: the ledger then refuses to open.
//!
//! Memory is bounded: a fixed filter answers "surely new" for almost every identifier, and the rest are looked up in
//! the file. Identifiers come from clients, so the filter hashes them with a key of its own.

use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::messages::SessionId;

const NAME: &str = "sessions.ledger";
const MAGIC: &[u8; 16] = b"blindroute used\x01";
const IDENTIFIER: usize = 16;
/// An identifier and its checksum.
const RECORD: usize = IDENTIFIER + 8;
/// Bits of the filter: 1 MiB, under 3% false positives at a million sessions.
const FILTER_BITS: u64 = 1 << 23;

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
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: File,
    length: u64,
    stopped: bool,
    filter: Vec<u64>,
    hasher: RandomState,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("length", &self.length).field("stopped", &self.stopped).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens or creates the ledger in a state directory and takes its lock.
    ///
    /// # Errors
    /// Another process holds it, the file is damaged, or the disk fails.
    pub fn open(directory: &Path) -> Result<Ledger, LedgerError> {
        let path = directory.join(NAME);
        let io = |source| LedgerError::Io { path: path.clone(), source };
        crate::identity::create_private_directory(directory).map_err(io)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(io)?;
        lock(&file, &path)?;
        let mut state = State::new(file.try_clone().map_err(io)?);
        let on_disk = file.metadata().map_err(io)?.len();
        if on_disk < MAGIC.len() as u64 {
            // New, or its creation was cut short: no session was ever entered.
            let mut start = Vec::new();
            file.read_to_end(&mut start).map_err(io)?;
            if !MAGIC.starts_with(&start) {
                return Err(LedgerError::Damaged { path, reason: "it is not a ledger" });
            }
            file.seek(SeekFrom::Start(0))
                .and_then(|_| file.write_all(MAGIC))
                .and_then(|()| file.sync_all())
                .and_then(|()| File::open(directory)?.sync_all())
                .map_err(io)?;
            state.length = MAGIC.len() as u64;
        } else {
            state.length = load(&mut state, &path, on_disk)?;
            if state.length < on_disk {
                tracing::warn!(path = %path.display(), "a session that was being entered at a crash is dropped");
                file.set_len(state.length).and_then(|()| file.sync_all()).map_err(io)?;
            }
        }
        Ok(Ledger { path, state: Mutex::new(state) })
    }

    /// Enters a session, durably, before its material is first touched.
    ///
    /// # Errors
    /// The session was entered before, or the entry could not be made durable: do not touch the material then.
    pub fn consume(&self, session: SessionId) -> Result<(), LedgerError> {
        // A thread that panicked inside cannot have left a state worse than a failed write, which `stopped` covers.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let io = |source| LedgerError::Io { path: self.path.clone(), source };
        if state.stopped {
            return Err(LedgerError::Stopped);
        }
        if state.maybe(&session) && state.find(&session).map_err(io)? {
            return Err(LedgerError::AlreadyUsed(session));
        }
        let length = state.length;
        state.stopped = true;
        state
            .file
            .seek(SeekFrom::Start(length))
            .and_then(|_| state.file.write_all(&record(&session)))
            .and_then(|()| state.file.sync_data())
            .map_err(io)?;
        state.stopped = false;
        state.length += RECORD as u64;
        state.note(&session);
        Ok(())
    }

    /// Sessions entered so far.
    #[must_use]
    pub fn entries(&self) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.length - MAGIC.len() as u64) / RECORD as u64
    }
}

impl State {
    fn new(file: File) -> State {
        State {
            file,
            length: 0,
            stopped: false,
            filter: vec![0; (FILTER_BITS / 64) as usize],
            hasher: RandomState::new(),
        }
    }

    /// The filter's bits of a session: word and mask.
    fn bits(&self, session: &SessionId) -> [(usize, u64); 3] {
        let hash = self.hasher.hash_one(session.0);
        [0, 21, 42].map(|shift| {
            let bit = (hash >> shift ^ hash << 7 << shift) % FILTER_BITS;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }

    fn note(&mut self, session: &SessionId) {
        for (word, mask) in self.bits(session) {
            self.filter[word] |= mask;
        }
    }

    fn maybe(&self, session: &SessionId) -> bool {
        self.bits(session).iter().all(|(word, mask)| self.filter[*word] & mask != 0)
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

/// Reads all records into the filter and returns the length up to the last whole one.
fn load(state: &mut State, path: &Path, on_disk: u64) -> Result<u64, LedgerError> {
    let io = |source| LedgerError::Io { path: path.to_owned(), source };
    let damaged = |reason| LedgerError::Damaged { path: path.to_owned(), reason };
    let file = state.file.try_clone().map_err(io)?;
    let mut reader = BufReader::with_capacity(64 << 10, file);
    let mut magic = [0; MAGIC.len()];
    reader.seek(SeekFrom::Start(0)).and_then(|_| reader.read_exact(&mut magic)).map_err(io)?;
    if &magic != MAGIC {
        return Err(damaged("it is not a ledger, or one of another version"));
    }
    let records = (on_disk - MAGIC.len() as u64) / RECORD as u64;
    let whole = MAGIC.len() as u64 + records * RECORD as u64;
    let mut entry = [0; RECORD];
    for number in 0..records {
        reader.read_exact(&mut entry).map_err(io)?;
        let mut identifier = [0; IDENTIFIER];
        identifier.copy_from_slice(&entry[..IDENTIFIER]);
        let session = SessionId(identifier);
        if entry != record(&session) {
            // A crash may lengthen the file before the bytes of its last record are there.
            return if number + 1 == records && whole == on_disk {
                Ok(whole - RECORD as u64)
            } else {
                Err(damaged("a record in the middle has a wrong checksum"))
            };
        }
        state.note(&session);
    }
    Ok(whole)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn session(number: u64) -> SessionId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        SessionId(bytes)
    }

    #[test]
    fn a_session_is_entered_once_also_after_reopening() {
        let home = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(home.path()).unwrap();
        for number in 0..50 {
            ledger.consume(session(number)).unwrap();
        }
        assert!(matches!(ledger.consume(session(7)), Err(LedgerError::AlreadyUsed(id)) if id == session(7)));
        drop(ledger);
        let ledger = Ledger::open(home.path()).unwrap();
        assert_eq!(ledger.entries(), 50);
        for number in 0..50 {
            assert!(matches!(ledger.consume(session(number)), Err(LedgerError::AlreadyUsed(_))));
        }
        ledger.consume(session(50)).unwrap();
    }

    #[test]
    fn the_file_has_a_frozen_form() {
        let home = tempfile::tempdir().unwrap();
        Ledger::open(home.path()).unwrap().consume(SessionId([0; 16])).unwrap();
        let bytes = std::fs::read(home.path().join(NAME)).unwrap();
        assert_eq!(bytes[..32], *b"blindroute used\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(bytes[32..], 0x88201fb960ff6465_u64.to_le_bytes());
    }

    #[test]
    fn two_holders_of_a_directory_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let _held = Ledger::open(home.path()).unwrap();
        assert!(matches!(Ledger::open(home.path()), Err(LedgerError::Locked(_))));
    }

    #[test]
    fn a_torn_tail_is_dropped_and_the_rest_stays_burnt() {
        for (torn, lengthened) in (1..RECORD).map(|torn| (torn, false)).chain([(RECORD, true)]) {
            let home = tempfile::tempdir().unwrap();
            let ledger = Ledger::open(home.path()).unwrap();
            ledger.consume(session(1)).unwrap();
            drop(ledger);
            let path = home.path().join(NAME);
            let mut bytes = std::fs::read(&path).unwrap();
            let tail = if lengthened { [0; RECORD] } else { record(&session(2)) };
            bytes.extend_from_slice(&tail[..torn]);
            std::fs::write(&path, &bytes).unwrap();

            let ledger = Ledger::open(home.path()).unwrap();
            assert_eq!(ledger.entries(), 1);
            assert!(matches!(ledger.consume(session(1)), Err(LedgerError::AlreadyUsed(_))));
            ledger.consume(session(2)).unwrap();
            ledger.consume(session(3)).unwrap();
            drop(ledger);
            assert_eq!(Ledger::open(home.path()).unwrap().entries(), 3);
        }
    }

    #[test]
    fn damage_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(home.path()).unwrap();
        (0..3).for_each(|number| ledger.consume(session(number)).unwrap());
        drop(ledger);
        let path = home.path().join(NAME);
        let good = std::fs::read(&path).unwrap();
        for at in [0, MAGIC.len(), MAGIC.len() + RECORD + 20] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            assert!(matches!(Ledger::open(home.path()), Err(LedgerError::Damaged { .. })), "byte {at}");
        }
        std::fs::write(&path, b"shopping").unwrap();
        assert!(matches!(Ledger::open(home.path()), Err(LedgerError::Damaged { .. })));
        std::fs::write(&path, &MAGIC[..5]).unwrap();
        assert_eq!(Ledger::open(home.path()).unwrap().entries(), 0);
    }

    #[test]
    fn of_many_threads_one_enters_a_session() {
        let home = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::open(home.path()).unwrap());
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let ledger = ledger.clone();
                std::thread::spawn(move || ledger.consume(session(9)).is_ok())
            })
            .collect();
        assert_eq!(threads.into_iter().filter(|_| true).map(|t| t.join().unwrap()).filter(|won| *won).count(), 1);
    }

    #[test]
    fn the_filter_rarely_errs() {
        let home = tempfile::tempdir().unwrap();
        let mut state = State::new(File::create(home.path().join("x")).unwrap());
        (0..200_000).for_each(|number| state.note(&session(number)));
        assert!((0..200_000).all(|number| state.maybe(&session(number))));
        let wrong = (200_000..300_000).filter(|number| state.maybe(&session(*number))).count();
        assert!(wrong < 1000, "{wrong} of 100000");
    }
}
