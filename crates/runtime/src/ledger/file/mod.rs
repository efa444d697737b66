//! The ledger in a folder: one append-only file, and the one before it.
//!
//! A claim returns only after its record is on disk. So after a crash every session whose material may have been used has a
//! complete record. An incomplete last record belongs to a claim that never returned; its material was not used, and the record is
//! removed safely. A damaged record elsewhere cannot come from a crash: the ledger then refuses to open.
//!
//! Time and memory are bounded. When a file holds [`KEPT`] sessions it becomes the old file, which replaces the old file before it,
//! and a new file begins. A filter for each file answers "certainly new" for almost every identifier, and the others are looked up in
//! the file.
//!
//! A new file is written and synced beside the current one, which then gets the old one's name; then the new file is renamed to the
//! current one's. A crash between the two renamings leaves no current file, and the next start begins one that follows the old. A
//! separate lock file is held during all of this, so that no other process of the machine can open the ledger.

mod filter;
mod generation;
mod head;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lock::{hold, lock};
use super::{Claim, KEPT, Ledger, LedgerError, Overview};
use crate::clients::Accounts;
use crate::messages::{SessionId, Standing};
use crate::role::Role;
use generation::Generation;
use head::{FIRST_MAGIC, Head, START};

const NAME: &str = "sessions.ledger";
const OLD: &str = "sessions.ledger.old";
const NEW: &str = "sessions.ledger.new";
const LOCK: &str = "sessions.lock";
const IDENTIFIER: usize = 16;
/// Bytes of a record: an identifier and its checksum. With [`KEPT`] records a file is 12 MiB long, so that an unnecessary look-up
/// takes milliseconds.
const RECORD: usize = IDENTIFIER + 8;

/// The sessions that a party has claimed, in a folder. The threads of one process share it; other processes are locked out.
#[derive(Debug)]
pub struct FileLedger {
    directory: PathBuf,
    generation: u64,
    state: Mutex<State>,
    _lock: File,
}

#[derive(Debug)]
struct State {
    head: Head,
    current: Generation,
    old: Option<Generation>,
    stopped: bool,
}

impl FileLedger {
    /// Opens or creates the ledger in a state directory, takes its lock and raises its term.
    ///
    /// # Errors
    /// If another process holds it, a file is damaged, or the disk fails.
    pub fn open(directory: &Path) -> Result<Self, LedgerError> {
        Self::keeping(directory, KEPT)
    }

    /// One that keeps at least the last so many sessions, and at most twice as many.
    ///
    /// # Errors
    /// As for [`FileLedger::open`].
    pub fn keeping(directory: &Path, generation: u64) -> Result<Self, LedgerError> {
        let path = directory.join(NAME);
        let io = |source| LedgerError::Io { path: path.clone(), source };
        crate::file_set::create_private_directory(directory).map_err(io)?;
        let held = hold(&directory.join(LOCK), &path.display().to_string())?;
        let new = directory.join(NEW);
        if new.exists() {
            // A crash interrupted its creation, so nothing was claimed in it.
            std::fs::remove_file(&new).map_err(io)?;
        }
        let old = open_old(&directory.join(OLD), generation)?;
        let (mut current, head) = open_current(directory, old.as_ref(), generation)?;
        let mut head = head.opened()?;
        head.write(&mut current.file).and_then(|()| current.file.sync_data()).map_err(io)?;
        let state = State { head, current, old: old.map(|(old, _)| old), stopped: false };
        Ok(Self { directory: directory.to_owned(), generation, state: Mutex::new(state), _lock: held })
    }

    /// What the ledger in a state directory says about itself, also while a process holds it. Nothing is changed. `None` if there is
    /// none, or one of the first version, which has no term.
    ///
    /// # Errors
    /// If it is damaged, or cannot be read.
    pub fn look(directory: &Path) -> Result<Option<Overview>, LedgerError> {
        let path = directory.join(NAME);
        let io = |source| LedgerError::Io { path: path.clone(), source };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let mut start = [0; FIRST_MAGIC.len()];
        if file.read(&mut start).map_err(io)? < start.len() || &start == FIRST_MAGIC {
            return Ok(None);
        }
        let damaged = |reason| LedgerError::Damaged { path: path.clone(), reason };
        let Head { base, other, .. } = Head::read(&mut file).map_err(io)?.map_err(damaged)?;
        let records = (file.metadata().map_err(io)?.len() - START as u64) / RECORD as u64;
        Ok(Some(Overview { standing: Standing { claimed: base.claimed + records, ..base }, other }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked leaves at worst a failed write, which `stopped` covers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> impl Fn(io::Error) -> LedgerError + use<> {
        let path = self.directory.join(NAME);
        move |source| LedgerError::Io { path: path.clone(), source }
    }
}

impl Ledger for FileLedger {
    fn claim(&self, session: SessionId, other: Option<&Standing>) -> Result<Claim, LedgerError> {
        let (mut state, io) = (self.state(), self.failed());
        if state.stopped {
            return Err(LedgerError::Stopped);
        }
        let State { current, old, .. } = &mut *state;
        for generation in [Some(current), old.as_mut()].into_iter().flatten() {
            if generation.holds(&session).map_err(&io)? {
                return Err(LedgerError::AlreadyUsed(session));
            }
        }
        state.stopped = true;
        if state.current.entries() >= self.generation {
            let head = state.head.following(state.standing().claimed);
            let next = begin(&self.directory, &head, &mut io::empty()).map_err(&io)?;
            state.old = Some(std::mem::replace(&mut state.current, Generation::new(next, self.generation)));
            state.head = head;
        }
        let State { head, current, .. } = &mut *state;
        if other.is_some() && head.other.as_ref() != other {
            head.other = other.copied();
            head.write(&mut current.file).map_err(&io)?;
        }
        current.append(&session).map_err(&io)?;
        state.stopped = false;
        Ok(Claim::new(session, state.standing()))
    }

    fn check(&self) -> Result<(), LedgerError> {
        if self.state().stopped { Err(LedgerError::Stopped) } else { Ok(()) }
    }

    fn standing(&self) -> Standing {
        self.state().standing()
    }

    fn other(&self) -> Option<Standing> {
        self.state().head.other
    }

    fn entries(&self) -> Result<u64, LedgerError> {
        let state = self.state();
        Ok(state.current.entries() + state.old.as_ref().map_or(0, Generation::entries))
    }

    fn forget_other(&self) -> Result<(), LedgerError> {
        let mut state = self.state();
        let State { head, current, .. } = &mut *state;
        head.other = None;
        head.write(&mut current.file).and_then(|()| current.file.sync_data()).map_err(self.failed())
    }

    fn accounts(self: Arc<Self>, _: Role) -> Option<Arc<dyn Accounts>> {
        None
    }
}

impl State {
    fn standing(&self) -> Standing {
        Standing { claimed: self.head.base.claimed + self.current.entries(), ..self.head.base }
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The current file and its head, as they were left.
fn open_current(
    directory: &Path,
    old: Option<&(Generation, Option<Head>)>,
    sessions: u64,
) -> Result<(Generation, Head), LedgerError> {
    let path = directory.join(NAME);
    let io = |source| LedgerError::Io { path: path.clone(), source };
    let before = old.map_or(0, |(old, head)| old.entries() + head.as_ref().map_or(0, |head| head.base.claimed));
    let found = match private().open(&path) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(io(error)),
    };
    if let Some(file) = &found {
        // The first versions of the program lock this file.
        lock(file, &path, &path.display().to_string())?;
    }
    // The first versions created the file in place: one whose creation was interrupted holds no session.
    let begun = |file: &File| file.metadata().map(|metadata| metadata.len() >= FIRST_MAGIC.len() as u64).map_err(io);
    let (mut current, head) = match found {
        Some(file) if begun(&file)? => Generation::load(file, &path, sessions)?,
        found => {
            let mut start = Vec::new();
            found.map_or(Ok(0), |mut file| file.read_to_end(&mut start)).map_err(io)?;
            if !FIRST_MAGIC.starts_with(&start) {
                return Err(LedgerError::Damaged { path: path.clone(), reason: "it is not a ledger" });
            }
            let head = match old.and_then(|(_, head)| head.as_ref()) {
                Some(head) => head.following(before),
                None => Head::create(before)?,
            };
            let file = write_new(directory, &head, &mut io::empty()).map_err(io)?;
            (Generation::new(file, sessions), Some(head))
        }
    };
    if current.is_torn().map_err(io)? {
        tracing::warn!(path = %path.display(), "an incomplete last record, left by a crash, was removed");
        current.file.set_len(current.length).and_then(|()| current.file.sync_all()).map_err(io)?;
    }
    if let Some(head) = head {
        return Ok((current, head));
    }
    tracing::info!(path = %path.display(), "a ledger of the first version gets a term");
    let head = Head::create(before)?;
    let records = &mut current.records().map_err(io)?;
    let file = write_new(directory, &head, records).map_err(io)?;
    Ok((Generation::load(file, &path, sessions)?.0, head))
}

/// The file before the current one, and its head. It was complete before it got this name.
fn open_old(path: &Path, sessions: u64) -> Result<Option<(Generation, Option<Head>)>, LedgerError> {
    let io = |source| LedgerError::Io { path: path.to_owned(), source };
    let file = match private().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let damaged = |reason| LedgerError::Damaged { path: path.to_owned(), reason };
    let loaded = Generation::load(file, path, sessions)?;
    if loaded.0.entries() == 0 {
        return Err(damaged("it is too short"));
    }
    if loaded.0.is_torn().map_err(io)? { Err(damaged("its last record is incomplete")) } else { Ok(Some(loaded)) }
}

/// Begins a new file with this head. The current file becomes the old one.
fn begin(directory: &Path, head: &Head, records: &mut impl Read) -> io::Result<File> {
    let file = prepare_new(directory, head, records)?;
    std::fs::rename(directory.join(NAME), directory.join(OLD))?;
    take_name(directory, file)
}

/// Makes a file with this head and these records the current one, in place of the one that there may be.
fn write_new(directory: &Path, head: &Head, records: &mut impl Read) -> io::Result<File> {
    let file = prepare_new(directory, head, records)?;
    take_name(directory, file)
}

/// A complete and durable file that has not the current one's name yet.
fn prepare_new(directory: &Path, head: &Head, records: &mut impl Read) -> io::Result<File> {
    let mut file = private().create(true).open(directory.join(NEW))?;
    file.set_len(0)?;
    file.write_all(&head.pages())?;
    io::copy(records, &mut file)?;
    file.sync_all()?;
    Ok(file)
}

fn take_name(directory: &Path, file: File) -> io::Result<File> {
    std::fs::rename(directory.join(NEW), directory.join(NAME))?;
    File::open(directory)?.sync_all()?;
    Ok(file)
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
