//! Counts of chosen models, to which clients may contribute and of which servers learn only sums.
//!
//! A client that its user told to do so reports each model that was chosen for it: [`send`] gives a share of the report to each
//! server. Server 0 keeps its share until server 1 calls, and server 1 calls as soon as it has the other share. Both check that the
//! report names exactly one model ([`blindroute_reports`]), and each adds its share to its share of a sum.
//!
//! Reports of one version of the bundle are added in a **batch**. A batch is *closed* and its counts *revealed* when it is
//! [old enough](ChoicesOptions::after), or full, and holds [enough](ChoicesOptions::minimum) reports: both servers first compare which
//! reports are in it, then each sends the other its share of the sum. It is revealed once and nothing is added to it any more, so
//! that no two sums differ by a single report. Batches with too few reports go on; batches on which the servers differ are dropped.
//!
//! **What a crash loses.** Each server writes its share of a sum before it says that a report is counted. Server 1 first writes a report
//! as *doubted*, with its share; when it does not hear whether server 0 counted it, it asks when the batch is closed. So a server that
//! is killed at any time loses the reports that were being checked, and no others.

mod batch;
mod error;
mod file;
mod one;
mod revealed;
mod send;
mod store;
#[cfg(test)]
mod tests;
mod zero;

pub use batch::MOST_REPORTS;
pub use error::ChoicesError;
pub use one::PeerCalls;
pub use revealed::Revealed;
pub use send::{Chosen, send};

use crate::messages::{ChoiceReport, Digest, ReportId};
use crate::rendezvous::Rendezvous;
use blindroute_reports::Histogram;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use store::Store;
use zeroize::Zeroizing;

/// The least [`ChoicesOptions::minimum`] of a deployment that protects anything.
pub const LEAST_REPORTS: u64 = 100;

/// The most reports that wait at server 0 for server 1.
const WAITING: usize = 1024;

/// When counts are revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChoicesOptions {
    /// How many reports a batch must hold. Each server has its own minimum, and a batch is revealed when it holds as many as both want.
    /// Fewer than [`LEAST_REPORTS`] protect nobody; configurations allow that for development only.
    pub minimum: u64,
    /// How old a batch must be, since its first report. Server 1 decides when.
    pub after: Duration,
}

impl Default for ChoicesOptions {
    fn default() -> Self {
        Self { minimum: LEAST_REPORTS, after: Duration::from_secs(24 * 3600) }
    }
}

/// How many reports a server has taken since it started, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportFigures {
    /// In a batch.
    pub counted: u64,
    /// Found wrong.
    pub refused: u64,
    /// Lost on the way between the servers, or with a batch that was dropped.
    pub lost: u64,
}

/// A server's part in counting. Both servers have one.
pub struct Choices {
    options: ChoicesOptions,
    store: Store,
    /// At server 0: reports that wait for server 1.
    waiting: Rendezvous<ReportId, HeldReport>,
    /// At server 1: held for reading while a report is checked, so that no batch is closed meanwhile.
    checking: RwLock<()>,
    /// At server 1: no batch is closed before, since server 0 did not want to, or could not.
    pause: Mutex<Option<Instant>>,
    counted: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
}

impl std::fmt::Debug for Choices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Choices").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A server's share of a report that fits the models of its deployment.
pub(crate) struct HeldReport {
    report: ReportId,
    deployment: Digest,
    models: Vec<String>,
    histogram: Histogram,
    public: Vec<u8>,
    share: Zeroizing<Vec<u8>>,
}

impl HeldReport {
    /// What a client sent, if it has the lengths of a report about these models. `place` is that of the server.
    ///
    /// # Errors
    /// If there are no counts of these models, or a part has another length.
    pub(crate) fn new(sent: ChoiceReport, models: Vec<String>, place: usize) -> Result<Self, ChoicesError> {
        let histogram = Histogram::new(models.len())?;
        let lengths = histogram.lengths();
        let ChoiceReport { report, deployment, public, share, .. } = sent;
        let expected = lengths.shares.get(place).copied().unwrap_or_default();
        for (what, expected, found) in
            [("the public part", lengths.public, public.len()), ("the share", expected, share.len())]
        {
            if found != expected {
                return Err(blindroute_reports::ReportError::Malformed { what, expected, found }.into());
            }
        }
        Ok(Self { report, deployment, models, histogram, public, share })
    }
}

impl Choices {
    /// With sums in a folder that no other process uses.
    ///
    /// # Errors
    /// If the folder cannot be used, or a file in it is damaged.
    pub fn open(folder: &Path, options: ChoicesOptions, wait: Duration) -> Result<Self, ChoicesError> {
        Ok(Self {
            options,
            store: Store::open(folder)?,
            waiting: Rendezvous::new(WAITING, wait),
            checking: RwLock::default(),
            pause: Mutex::default(),
            counted: AtomicU64::default(),
            refused: AtomicU64::default(),
            lost: AtomicU64::default(),
        })
    }

    /// What was revealed so far in a folder, which a server may be using.
    ///
    /// # Errors
    /// If the file is damaged, or the disk fails.
    pub fn read_revealed(folder: &Path) -> Result<Vec<Revealed>, ChoicesError> {
        revealed::read(folder)
    }

    /// What was revealed so far, in the order in which it was.
    #[must_use]
    pub fn revealed(&self) -> Vec<Revealed> {
        self.store.revealed()
    }

    /// How many reports this server has taken since it started.
    #[must_use]
    pub fn figures(&self) -> ReportFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ReportFigures { counted: read(&self.counted), refused: read(&self.refused), lost: read(&self.lost) }
    }

    /// At server 0: keeps a share of a report until server 1 calls.
    ///
    /// # Errors
    /// If a report of this name waits already, or too many do.
    pub(crate) fn hold(&self, held: HeldReport) -> Result<(), ChoicesError> {
        Ok(self.waiting.offer(held.report, held)?)
    }

    fn count(&self, counter: &AtomicU64, reports: u64) {
        counter.fetch_add(reports, Ordering::Relaxed);
    }

    fn pause(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
