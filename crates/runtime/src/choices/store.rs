//! The batches of a server, and the counts that were revealed, in memory and in a folder.

use super::batch::Batch;
use super::revealed::{self, Revealed};
use super::{ChoicesError, ChoicesOptions, file};
use crate::file_set::create_private_directory;
use crate::messages::{BatchId, Digest, ReportId};
use blindroute_reports::{CountedShare, SumShare};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// Batches by their names. What changes is written before the change is told to anybody.
pub(super) struct Store {
    folder: PathBuf,
    state: Mutex<State>,
}

struct State {
    batches: Vec<Batch>,
    revealed: Vec<Revealed>,
}

/// What server 0 makes of a batch that server 1 wants to close.
pub(super) enum Closing {
    /// It is closed: which of the doubted reports are in it, and the share of the sum.
    Closed { known: Vec<bool>, sum: Zeroizing<Vec<u8>> },
    /// It has too few reports, and goes on.
    Few,
    /// It was revealed before.
    Revealed(Vec<u64>),
    /// There are other reports in it. It was dropped, with so many.
    Dropped(u64),
}

/// What server 1 knows of a batch that is to be closed.
pub(super) struct Due {
    pub(super) batch: BatchId,
    pub(super) count: u64,
    pub(super) reports: Digest,
    pub(super) doubted: Vec<ReportId>,
}

impl Store {
    pub(super) fn open(folder: &Path) -> Result<Self, ChoicesError> {
        let io = |source| ChoicesError::Io { path: folder.to_owned(), source };
        create_private_directory(folder).map_err(io)?;
        let revealed = revealed::read(folder)?;
        let mut batches = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|ending| ending == file::ENDING) {
                batches.push(file::read(&path)?);
            }
        }
        let store = Self { folder: folder.to_owned(), state: Mutex::new(State { batches, revealed }) };
        store.forget_revealed()?;
        Ok(store)
    }

    /// A crash may leave a batch beside its counts.
    fn forget_revealed(&self) -> Result<(), ChoicesError> {
        let mut state = self.lock();
        let known: Vec<String> = state.revealed.iter().map(|one| one.batch.clone()).collect();
        let gone: Vec<BatchId> =
            state.batches.iter().map(|batch| batch.id).filter(|id| known.contains(&file::name(id))).collect();
        gone.iter().try_for_each(|id| self.remove(&mut state, id))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn revealed(&self) -> Vec<Revealed> {
        self.lock().revealed.clone()
    }

    /// At server 1: the batch that takes reports of this deployment now.
    pub(super) fn current(&self, deployment: Digest, models: &[String]) -> Result<BatchId, ChoicesError> {
        let mut state = self.lock();
        if let Some(batch) = state.batches.iter().find(|batch| batch.deployment == deployment) {
            return if batch.takes() { Ok(batch.id) } else { Err(ChoicesError::Full) };
        }
        let batch = Batch::new(BatchId::generate()?, deployment, models.to_vec(), now())?;
        let id = batch.id;
        state.batches.push(batch);
        Ok(id)
    }

    /// At server 1: writes a report that it found right, before server 0 counts it.
    pub(super) fn doubt(&self, id: BatchId, report: ReportId, share: CountedShare) -> Result<(), ChoicesError> {
        let mut state = self.lock();
        let batch = find(&mut state, &id).filter(|batch| batch.takes()).ok_or(ChoicesError::Full)?;
        batch.doubted.push((report, share));
        file::write(&self.folder, batch)
    }

    /// At server 1: server 0 said whether it counted this report. That is written at once, so that no share of a single report stays.
    pub(super) fn settle(&self, id: BatchId, report: ReportId, counted: bool) -> Result<(), ChoicesError> {
        let mut state = self.lock();
        let Some(batch) = find(&mut state, &id) else { return Ok(()) };
        let Some(place) = batch.doubted.iter().position(|(doubted, _)| *doubted == report) else { return Ok(()) };
        let (report, share) = batch.doubted.swap_remove(place);
        if counted {
            batch.add(report, &share)?;
        }
        file::write(&self.folder, batch)
    }

    /// At server 0: whether a report can be counted in this batch.
    pub(super) fn takes(&self, id: BatchId, deployment: Digest) -> bool {
        let mut state = self.lock();
        let revealed = state.revealed.iter().any(|one| one.batch == file::name(&id));
        !revealed && find(&mut state, &id).is_none_or(|batch| batch.takes() && batch.deployment == deployment)
    }

    /// At server 0: counts a report, durably before this returns. Says whether the batch took it.
    pub(super) fn count(
        &self,
        (id, deployment): (BatchId, Digest),
        models: &[String],
        report: ReportId,
        share: &CountedShare,
    ) -> Result<bool, ChoicesError> {
        if !self.takes(id, deployment) {
            return Ok(false);
        }
        let mut state = self.lock();
        if find(&mut state, &id).is_none() {
            self.remove_orphans(&mut state, deployment)?;
            state.batches.push(Batch::new(id, deployment, models.to_vec(), now())?);
        }
        let Some(batch) = find(&mut state, &id).filter(|batch| batch.takes()) else { return Ok(false) };
        batch.add(report, share)?;
        file::write(&self.folder, batch)?;
        Ok(true)
    }

    /// At server 0, when server 1 begins a batch: it has one at a time of a deployment, so it has lost those before.
    fn remove_orphans(&self, state: &mut State, deployment: Digest) -> Result<(), ChoicesError> {
        let orphans: Vec<BatchId> =
            state.batches.iter().filter(|batch| batch.deployment == deployment).map(|batch| batch.id).collect();
        for id in orphans {
            let reports = find(state, &id).map_or(0, |batch| batch.count());
            tracing::error!(
                reports,
                "server 1 began another batch of reports: it has lost the one before, whose counts are lost"
            );
            self.remove(state, &id)?;
        }
        Ok(())
    }

    /// At server 1: a batch that can be closed now.
    pub(super) fn due(&self, options: &ChoicesOptions, now: SystemTime) -> Option<Due> {
        let state = self.lock();
        let now = seconds(now);
        let old = |batch: &Batch| now.saturating_sub(batch.began) >= options.after.as_secs();
        let is_due = |batch: &&Batch| {
            // Without the doubted ones: whatever server 0 says of those, there are enough.
            batch.count() >= options.minimum && (!batch.takes() || old(batch))
        };
        state.batches.iter().find(is_due).map(|batch| {
            let (count, reports) = batch.digest_without(&[]);
            let doubted = batch.doubted.iter().map(|(report, _)| *report).collect();
            Due { batch: batch.id, count, reports, doubted }
        })
    }

    /// At server 0: closes a batch, durably before the sum's share is given away, if both servers have the same reports in it.
    pub(super) fn close(&self, due: &Due, minimum: u64) -> Result<Closing, ChoicesError> {
        let mut state = self.lock();
        if let Some(before) = state.revealed.iter().find(|one| one.batch == file::name(&due.batch)) {
            return Ok(Closing::Revealed(before.counts.clone()));
        }
        let Some(batch) = find(&mut state, &due.batch) else { return Ok(Closing::Dropped(0)) };
        let known: Vec<bool> = due.doubted.iter().map(|report| batch.reports.contains(report)).collect();
        if batch.digest_without(&due.doubted) != (due.count, due.reports) {
            let reports = batch.count();
            self.remove(&mut state, &due.batch)?;
            return Ok(Closing::Dropped(reports));
        }
        if batch.count() < minimum {
            return Ok(Closing::Few);
        }
        if !batch.closed {
            batch.closed = true;
            file::write(&self.folder, batch)?;
        }
        Ok(Closing::Closed { known, sum: batch.sum.to_bytes() })
    }

    /// At server 1: server 0 has closed a batch, in which these doubted reports are. The share of the sum, written down before.
    pub(super) fn closed(&self, due: &Due, known: &[bool]) -> Result<Zeroizing<Vec<u8>>, ChoicesError> {
        let mut state = self.lock();
        let batch = find(&mut state, &due.batch).ok_or(ChoicesError::Full)?;
        let counted =
            |report: &ReportId| due.doubted.iter().zip(known).any(|(doubted, known)| doubted == report && *known);
        batch.settle(counted)?;
        batch.closed = true;
        file::write(&self.folder, batch)?;
        Ok(batch.sum.to_bytes())
    }

    /// The counts of a closed batch, with the other server's share of its sum. [`Store::reveal`] writes them down.
    pub(super) fn counts(&self, id: BatchId, theirs: &[u8]) -> Result<Vec<u64>, ChoicesError> {
        let mut state = self.lock();
        let batch = find(&mut state, &id).filter(|batch| batch.closed).ok_or(ChoicesError::Full)?;
        let theirs = SumShare::from_bytes(&batch.histogram, theirs)?;
        // The sum of two shares does not depend on their order.
        Ok(batch.histogram.reveal(&batch.sum, &theirs, batch.count())?)
    }

    /// Writes down the counts of a batch, which ends with that.
    pub(super) fn reveal(&self, id: BatchId, counts: Vec<u64>) -> Result<(), ChoicesError> {
        let mut state = self.lock();
        let Some(batch) = find(&mut state, &id) else { return Ok(()) };
        let revealed = Revealed::of(batch, counts, now());
        tracing::info!(reports = revealed.reports, "counts of chosen models are revealed");
        state.revealed.push(revealed);
        if let Err(error) = revealed::write(&self.folder, &state.revealed) {
            state.revealed.pop();
            return Err(error);
        }
        self.remove(&mut state, &id)
    }

    /// Drops a batch, and says how many reports were in it.
    pub(super) fn drop(&self, id: BatchId) -> Result<u64, ChoicesError> {
        let mut state = self.lock();
        let reports = find(&mut state, &id).map_or(0, |batch| batch.count());
        self.remove(&mut state, &id)?;
        Ok(reports)
    }

    fn remove(&self, state: &mut State, id: &BatchId) -> Result<(), ChoicesError> {
        state.batches.retain(|batch| batch.id != *id);
        let path = file::path(&self.folder, id);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(ChoicesError::Io { path, source }),
            _ => Ok(()),
        }
    }
}

fn find<'a>(state: &'a mut State, id: &BatchId) -> Option<&'a mut Batch> {
    state.batches.iter_mut().find(|batch| batch.id == *id)
}

fn now() -> u64 {
    seconds(SystemTime::now())
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
