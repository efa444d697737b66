//! The record of spending and decisions: one SQLite file with metadata only.
//!
//! No text of a prompt or of an answer is ever in it, and names of sessions only under a key, as [`SessionTag`]. One thread
//! writes; a [`Store`] is a handle to it that is cheap to clone. Reservations and settlements under a budget are on the disk before they
//! are answered; without one they, and always decisions, survive the end of the process, but the last may be lost in a power failure.
//! Reports read through a connection of their own, beside the thread.
//!
//! Beside the file `x` are `x.key` (the key of the names), `x.lock` (held while a gateway uses it), and SQLite's own files.
//! All are readable by their user only.

mod decisions;
mod error;
mod forget;
mod held;
mod reports;
mod schema;
mod session;
mod settlement;
mod worker;

pub use decisions::{Decision, Recorded, Why};
pub use error::StoreError;
pub use forget::Forgotten;
pub use reports::{HourSpending, ModelSpending, Period, Savings, Spending};
pub use session::SessionTag;

pub(crate) use held::{Held, NewCall};
pub(crate) use settlement::Outcome;

use crate::clock::Clock;
use rusqlite::Connection;
use session::SessionKey;
use settlement::Settlement;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use worker::{CAPACITY, Job, Left, Worker, Write};

/// How a record is kept.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// For how many days single calls and decisions are kept. Sums of months and of ever stay.
    pub keep_days: u32,
    /// What says which day it is.
    pub clock: Clock,
}

impl Default for StoreOptions {
    /// A quarter of a year, by the machine's clock.
    fn default() -> Self {
        Self { keep_days: 92, clock: Clock::system() }
    }
}

/// A handle to the record.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

/// What all handles share.
struct Shared {
    left: Left,
    /// The number of the next reservation. Numbers are used once, also when a transaction is undone.
    next: AtomicI64,
    /// That of the first one of this run.
    first: i64,
    key: SessionKey,
    /// For reports; none once the record is closed.
    reader: Arc<Mutex<Option<Connection>>>,
    options: StoreOptions,
    /// Reservations of a process that ended, which were settled as this one began.
    abandoned: usize,
}

impl Store {
    /// Opens a record, or creates it. What an ended process had reserved and not settled is settled at the reserved amount, as
    /// `estimated`. This waits for the disk: call it before the first request.
    ///
    /// # Errors
    /// If the file is in use, damaged, not ours, newer than this version, or cannot be written. Nothing is deleted.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        let connection = schema::open(path, &schema::STEPS)?;
        let key = SessionKey::load(path, &connection)?;
        let abandoned = settlement::settle_abandoned(&connection)?;
        decisions::prune(&connection, options.clock.now(), options.keep_days)?;
        let last: i64 = connection
            .query_row("SELECT coalesce(max(id), 0) FROM spending", [], |row| row.get(0))
            .map_err(StoreError::sqlite("read its last entry"))?;
        let reader = Arc::new(Mutex::new(Some(schema::open_to_read(path)?)));
        let (jobs, received) = mpsc::channel(CAPACITY);
        let left = Left::default();
        let mut worker = Worker { connection, jobs: received, left: Arc::clone(&left), durable: true };
        let held = Arc::clone(&reader);
        let work = move || {
            let waiting = worker.run();
            // The lock goes last, when no connection is open.
            drop(held.lock().unwrap_or_else(PoisonError::into_inner).take());
            drop(worker);
            drop(lock);
            // Whoever waits may be gone.
            let _ = waiting.map(|waiting| waiting.send(()));
        };
        std::thread::Builder::new()
            .name("record".to_owned())
            .spawn(work)
            .map_err(schema::file_error(path, "begin the thread that writes"))?;
        let first = last.saturating_add(1);
        let shared = Shared { left, next: AtomicI64::new(first), first, key, reader, options, abandoned };
        Ok(Self { jobs, shared: Arc::new(shared) })
    }

    /// The version of a record's schema, and the newest that is known here. Nothing is changed, and the record may be in use.
    ///
    /// # Errors
    /// If the file is damaged, not ours, or newer than this version.
    pub fn version(path: &Path) -> Result<(i64, i64), StoreError> {
        schema::version(path)
    }

    /// How many reservations of an ended process were settled as this record was opened.
    #[must_use]
    pub fn abandoned(&self) -> usize {
        self.shared.abandoned
    }

    /// What the record knows a session as.
    #[must_use]
    pub fn tag(&self, session: &str) -> SessionTag {
        self.shared.key.tag(session)
    }

    /// The record's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.options.clock
    }

    /// Writes all that waits and closes the file, for all handles. Reservations that are held stay in the file as reserved, and are
    /// settled when it is opened again.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.jobs.send(Job::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }

    /// Queues a write. Nothing was queued if the future is dropped before it is ready.
    async fn queue<T: Send + 'static>(
        &self,
        durable: bool,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (job, answer) = write(durable, work);
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        Ok(answer)
    }

    /// Leaves a settlement to the thread, without waiting.
    fn leave(&self, settlement: Settlement) {
        self.shared.left.lock().unwrap_or_else(PoisonError::into_inner).push(settlement);
        // If the queue is full, the thread looks there anyway. If it has ended, the reservation stays in the file.
        let _ = self.jobs.try_send(Job::Wake);
    }

    fn new_id(&self) -> i64 {
        self.shared.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Reads beside the thread that writes.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reader = Arc::clone(&self.shared.reader);
        let read = tokio::task::spawn_blocking(move || {
            let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            reader.as_ref().ok_or(StoreError::Closed).and_then(work)
        });
        read.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// A job that writes, and where its answer comes.
fn write<T: Send + 'static>(
    durable: bool,
    work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T, StoreError>>) {
    let (reply, answer) = oneshot::channel();
    let run = move |connection: Result<&Connection, StoreError>| -> worker::Answer {
        let result = connection.and_then(|connection| worker::in_savepoint(connection, work));
        Box::new(move |committed| {
            // Whoever asked may be gone.
            let _ = reply.send(committed.and(result));
        })
    };
    (Job::Write(Write { durable, run: Box::new(run) }), answer)
}

/// Waits for the answer of a job.
async fn answered<T>(answer: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    answer.await.unwrap_or(Err(StoreError::Closed))
}

/// Holds the record against other gateways, until the file is dropped or the process ends.
fn lock(path: &Path) -> Result<File, StoreError> {
    let name: PathBuf = session::beside(path, "lock");
    schema::create_private(&name)?;
    let file = File::options().write(true).open(&name).map_err(schema::file_error(&name, "open"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(schema::file_error(&name, "lock")(error)),
    }
}

#[cfg(test)]
mod tests;
