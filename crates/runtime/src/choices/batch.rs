//! A batch of reports at one server: which are in it, and the server's share of their sum.

use super::ChoicesError;
use crate::messages::{BatchId, Digest, MOST_DOUBTED, ReportId};
use blindroute_reports::{CountedShare, Histogram, SumShare};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// The most reports of a batch. It is written anew with each of them, and closed early when it is full.
pub const MOST_REPORTS: u64 = 4096;

/// The reports of one version of the bundle since the batch before it was closed.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) id: BatchId,
    pub(super) deployment: Digest,
    /// The names of the models, in the order of the counts.
    pub(super) models: Vec<String>,
    pub(super) histogram: Histogram,
    /// When its first report came, in seconds since 1970.
    pub(super) began: u64,
    /// Whether nothing is added any more, since the other server may know the sum.
    pub(super) closed: bool,
    /// Those that are in the sum.
    pub(super) reports: BTreeSet<ReportId>,
    pub(super) sum: SumShare,
    /// At server 1: reports that it found right, and of which it does not know whether server 0 counted them.
    pub(super) doubted: Vec<(ReportId, CountedShare)>,
}

impl Batch {
    /// One without reports.
    ///
    /// # Errors
    /// If there are no counts of so many models.
    pub(super) fn new(id: BatchId, deployment: Digest, models: Vec<String>, began: u64) -> Result<Self, ChoicesError> {
        let histogram = Histogram::new(models.len())?;
        let sum = histogram.nothing();
        let (reports, doubted) = (BTreeSet::new(), Vec::new());
        Ok(Self { id, deployment, models, histogram, began, closed: false, reports, sum, doubted })
    }

    /// How many reports are in the sum.
    pub(super) fn count(&self) -> u64 {
        self.reports.len() as u64
    }

    /// Whether another report may come.
    pub(super) fn takes(&self) -> bool {
        !self.closed && self.count() + (self.doubted.len() as u64) < MOST_REPORTS && self.doubted.len() < MOST_DOUBTED
    }

    /// Adds a report, once.
    ///
    /// # Errors
    /// If it is of another number of models.
    pub(super) fn add(&mut self, report: ReportId, share: &CountedShare) -> Result<(), ChoicesError> {
        if !self.reports.contains(&report) {
            self.sum.add(share)?;
            self.reports.insert(report);
        }
        Ok(())
    }

    /// Counts the doubted reports of these names, and forgets the others.
    ///
    /// # Errors
    /// As for [`Batch::add`].
    pub(super) fn settle(&mut self, counted: impl Fn(&ReportId) -> bool) -> Result<(), ChoicesError> {
        for (report, share) in std::mem::take(&mut self.doubted) {
            if counted(&report) {
                self.add(report, &share)?;
            }
        }
        Ok(())
    }

    /// The digest of the names of the reports in the sum, but for these.
    pub(super) fn digest_without(&self, left_out: &[ReportId]) -> (u64, Digest) {
        let (mut hash, mut count) = (Sha256::new(), 0);
        for report in self.reports.iter().filter(|report| !left_out.contains(report)) {
            hash.update(report.0);
            count += 1;
        }
        (count, Digest(hash.finalize().into()))
    }
}
