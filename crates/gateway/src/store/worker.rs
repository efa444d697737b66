//! The thread that alone writes the record. What waits together is committed together, so that many calls share one wait for the
//! disk.

use super::error::StoreError;
use super::settlement::{Settlement, settle};
use rusqlite::Connection;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Jobs that wait before the next is refused or has to wait itself.
pub(super) const CAPACITY: usize = 1024;

/// Jobs that are committed together.
const BATCH: usize = 64;

/// What the thread is asked for.
pub(super) enum Job {
    /// To write, together with others.
    Write(Write),
    /// To do something outside a transaction.
    Alone(Box<dyn FnOnce(&mut Connection) + Send>),
    /// To look at the settlements of dropped reservations.
    Wake,
    /// To close the file.
    Close(oneshot::Sender<()>),
}

/// One write of a batch.
pub(super) struct Write {
    /// Whether it has to be on the disk before it is answered: what concerns money under a budget. Other writes survive the end
    /// of the process, but may be lost in a power failure.
    pub(super) durable: bool,
    /// Writes, if the transaction could begin, and returns what answers the caller once it is committed.
    pub(super) run: Run,
}

/// Writes, or learns why nothing can be written.
pub(super) type Run = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Answer + Send>;

/// Answers the caller; given is whether the transaction was committed.
pub(super) type Answer = Box<dyn FnOnce(Result<(), StoreError>)>;

/// The settlements that reservations leave without waiting. There are never more than reservations.
pub(super) type Left = Arc<Mutex<Vec<Settlement>>>;

/// Takes what is in a list.
fn take(left: &Left) -> Vec<Settlement> {
    std::mem::take(&mut *left.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The thread's state.
pub(super) struct Worker {
    pub(super) connection: Connection,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) left: Left,
    /// Whether commits wait for the disk now.
    pub(super) durable: bool,
}

impl Worker {
    /// Works until the file is to be closed, or nobody can ask for anything more. Returns who waits until it is closed.
    pub(super) fn run(&mut self) -> Option<oneshot::Sender<()>> {
        while let Some(job) = self.jobs.blocking_recv() {
            let (writes, alone) = self.batch(job);
            self.commit(writes);
            match alone {
                Some(Job::Alone(run)) => run(&mut self.connection),
                Some(Job::Close(done)) => return Some(done),
                _ => {}
            }
        }
        self.commit(Vec::new());
        None
    }

    /// The writes that wait, up to the first job that is none.
    fn batch(&mut self, first: Job) -> (Vec<Write>, Option<Job>) {
        let (mut writes, mut next) = (Vec::new(), Some(first));
        while let Some(job) = next {
            match job {
                Job::Write(write) => writes.push(write),
                Job::Wake => {}
                other => return (writes, Some(other)),
            }
            next = if writes.len() < BATCH { self.jobs.try_recv().ok() } else { None };
        }
        (writes, None)
    }

    fn commit(&mut self, writes: Vec<Write>) {
        let left = take(&self.left);
        if writes.is_empty() && left.is_empty() {
            return;
        }
        let durable = left.iter().any(|one| one.durable) || writes.iter().any(|write| write.durable);
        let mut state = self.begin(durable);
        let mut unsettled = state.is_err();
        if state.is_ok() {
            let settled = left.iter().try_for_each(|one| {
                in_savepoint(&self.connection, |connection| settle(connection, one).map(|_amount| ()))
            });
            unsettled = settled.is_err();
            state = self.still_open();
        }
        let mut answers = Vec::with_capacity(writes.len());
        for write in writes {
            answers.push((write.run)(state.clone().map(|()| &self.connection)));
            state = state.and_then(|()| self.still_open());
        }
        let committed =
            state.and_then(|()| self.connection.execute_batch("COMMIT").map_err(StoreError::sqlite("commit")));
        if unsettled || committed.is_err() {
            // Until they are settled, the reservations count as spent. They are tried again with the next job.
            self.left.lock().unwrap_or_else(PoisonError::into_inner).extend(left);
        }
        if let Err(error) = &committed {
            self.undo();
            tracing::error!(%error, "the record was not written");
        }
        answers.into_iter().for_each(|answer| answer(committed.clone()));
    }

    /// Begins a transaction that waits for the disk or does not.
    fn begin(&mut self, durable: bool) -> Result<(), StoreError> {
        if durable != self.durable {
            let level = if durable { "FULL" } else { "NORMAL" };
            self.connection
                .pragma_update(None, "synchronous", level)
                .map_err(StoreError::sqlite("choose how it is written"))?;
            self.durable = durable;
        }
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::sqlite("begin to write"))
    }

    /// An error if SQLite has ended the transaction by itself, as it does when the disk is full.
    fn still_open(&self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            let reason = "SQLite gave the transaction up, as it does when the disk is full".to_owned();
            return Err(StoreError::Sqlite { doing: "write", reason });
        }
        Ok(())
    }

    fn undo(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "the record could not undo a failed transaction");
        }
    }
}

/// Does all of something or nothing of it, within the transaction of others.
pub(super) fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let run = |sql| connection.execute_batch(sql).map_err(StoreError::sqlite("write"));
    run("SAVEPOINT one")?;
    let result = work(connection);
    // Where SQLite has ended the whole transaction, no savepoint is left.
    if result.is_err() && !connection.is_autocommit() {
        run("ROLLBACK TO one")?;
    }
    if !connection.is_autocommit() {
        run("RELEASE one")?;
    }
    result
}
