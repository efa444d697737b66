//! The ledger in rows of a Postgres database.
//!
//! One connection holds a ledger: it takes an advisory lock of the ledger's name, which the server keeps as long as the connection
//! lives. A second process is refused meanwhile, so two replicas cannot fence each other in turn. If the connection breaks, another
//! process may take the lock and raise the term. So a claim is one statement that changes the ledger's row only if the term and its
//! nonce are still those of this process, and a process that connects again compares them first: it never raises the term by itself.
//!
//! A claim whose connection breaks is an error, whether it was committed or not: its session is not used. A claim that returned is
//! durable, because `fsync` and `synchronous_commit` are checked on every connection. All statements run on a thread of their own, so that
//! a server that does not answer delays a session by a limited time only.

mod accounts;
mod holder;
mod target;

pub use target::PostgresTarget;

use accounts::PostgresAccounts;
use blindroute_runtime::Role;
use blindroute_runtime::clients::{Account, Accounts, ClientKey};
use blindroute_runtime::ledger::{Claim, Ledger, LedgerError, Overview, Standing};
use blindroute_runtime::messages::SessionId;
use holder::Holder;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a session waits for the database.
const WAIT: Duration = Duration::from_secs(20);

type Job = Box<dyn FnOnce(&mut Holder) + Send>;

/// One of the ledgers in a Postgres database. The threads of one process share it; other processes are refused.
pub struct PostgresLedger {
    shown: String,
    known: Mutex<Overview>,
    /// `None` once it is dropped.
    jobs: Option<Sender<Job>>,
    ended: Mutex<Receiver<()>>,
}

impl std::fmt::Debug for PostgresLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresLedger({})", self.shown)
    }
}

impl PostgresLedger {
    /// Opens or creates a ledger, takes its lock and raises its term. At least the last `kept` sessions are refused.
    ///
    /// # Errors
    /// If another process holds it, the database cannot be reached or does not write durably, or its row is none of ours.
    pub fn open(target: PostgresTarget, name: &str, kept: u64) -> Result<Self, LedgerError> {
        let shown = format!("{name} in {}", target.shown());
        let (holder, known) = Holder::open(target, name, &shown, kept)?;
        let (jobs, todo) = channel::<Job>();
        let (end, ended) = channel();
        let work = move || {
            let mut holder = holder;
            todo.iter().for_each(|job| job(&mut holder));
            drop(holder);
            // Whoever waits may be gone.
            end.send(()).ok();
        };
        let spawned = std::thread::Builder::new().name("ledger".into()).spawn(work);
        spawned.map_err(|source| LedgerError::Database {
            ledger: shown.clone(),
            during: "begin its thread",
            source: Box::new(source),
        })?;
        Ok(Self { shown, known: Mutex::new(known), jobs: Some(jobs), ended: Mutex::new(ended) })
    }

    /// What a ledger says about itself, also while a process holds it. Nothing is changed. `None` if there is none.
    ///
    /// # Errors
    /// If the database cannot be reached, or its row is none of ours.
    pub fn look(target: PostgresTarget, name: &str) -> Result<Option<Overview>, LedgerError> {
        let shown = format!("{name} in {}", target.shown());
        holder::look(&target, name, &shown)
    }

    /// Accounts of clients, also while processes hold ledgers in the database. Nothing is changed.
    ///
    /// # Errors
    /// If the database cannot be reached, or a row is none of ours.
    pub fn accounts_in(
        target: &PostgresTarget,
        role: Role,
        clients: &[ClientKey],
    ) -> Result<Vec<Account>, LedgerError> {
        accounts::look(target, role, clients)
    }

    /// Has the thread do something, and waits for it for a limited time.
    fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Holder) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (answer, answered) = channel();
        let job: Job = Box::new(move |holder| {
            // Whoever waits may have given up.
            answer.send(job(holder)).ok();
        });
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if !sent {
            return Err(LedgerError::Stopped);
        }
        match answered.recv_timeout(WAIT) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(LedgerError::Silent { ledger: self.shown.clone(), after: WAIT }),
            Err(RecvTimeoutError::Disconnected) => Err(LedgerError::Stopped),
        }
    }

    fn known(&self) -> Overview {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn know(&self, change: impl FnOnce(&mut Overview)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Ledger for PostgresLedger {
    fn claim(&self, session: SessionId, other: Option<&Standing>) -> Result<Claim, LedgerError> {
        let stored = other.copied();
        let standing = self.ask(move |holder| holder.claim(session, stored.as_ref()))?;
        self.know(|known| {
            known.standing.claimed = known.standing.claimed.max(standing.claimed);
            known.other = stored.or(known.other);
        });
        Ok(Claim::new(session, standing))
    }

    fn check(&self) -> Result<(), LedgerError> {
        self.ask(Holder::check)
    }

    fn standing(&self) -> Standing {
        self.known().standing
    }

    fn other(&self) -> Option<Standing> {
        self.known().other
    }

    fn entries(&self) -> Result<u64, LedgerError> {
        self.ask(Holder::entries)
    }

    fn forget_other(&self) -> Result<(), LedgerError> {
        self.ask(Holder::forget_other)?;
        self.know(|known| known.other = None);
        Ok(())
    }

    fn accounts(self: Arc<Self>, role: Role) -> Option<Arc<dyn Accounts>> {
        Some(Arc::new(PostgresAccounts { ledger: self, role }))
    }
}

impl Drop for PostgresLedger {
    fn drop(&mut self) {
        self.jobs = None;
        // The lock goes with the connection. A server that does not answer keeps it as long as it likes.
        self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(WAIT).ok();
    }
}
