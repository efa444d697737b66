//! Server 1: it calls server 0 to check reports, and to close batches.

use super::store::Due;
use super::{Choices, ChoicesError, HeldReport};
use crate::identity::Endpoint;
use crate::link::{Link, Timeouts};
use crate::messages::{ChoicesAnswer, ChoicesCall};
use crate::role::Role;
use blindroute_reports::{KeyHalf, ReportError, Side, VerifyKey};
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime};

/// How long no batch is closed after server 0 did not want to, or could not.
const PAUSE: Duration = Duration::from_secs(30);

/// How server 1 calls server 0.
#[derive(Clone, Copy, Debug)]
pub struct PeerCalls<'a> {
    /// The address of server 0.
    pub address: Option<&'a str>,
    /// This server's certificates.
    pub endpoint: &'a Endpoint,
    /// The longest waits.
    pub timeouts: &'a Timeouts,
}

impl PeerCalls<'_> {
    fn call(&self) -> Result<Link, ChoicesError> {
        let address = self.address.ok_or(ChoicesError::NoPeer)?;
        Ok(Link::connect(address, self.endpoint, Role::Server0, self.timeouts)?)
    }
}

impl Choices {
    /// Checks a report with server 0. What came of it is counted, and nobody else is told.
    pub(crate) fn check(&self, calls: PeerCalls<'_>, held: HeldReport) {
        // No batch is closed meanwhile.
        let _checking = self.checking.read().unwrap_or_else(PoisonError::into_inner);
        match self.check_with_zero(calls, &held) {
            Ok(true) => self.count(&self.counted, 1),
            Ok(false) => {
                tracing::info!(
                    "a report of a choice is not counted: one of the servers found it wrong, or its batch was closed"
                );
                self.count(&self.refused, 1);
            }
            Err(error) => {
                tracing::warn!(%error, "a report of a choice could not be checked with server 0");
                self.count(&self.lost, 1);
            }
        }
    }

    /// Whether server 0 counted the report. After an error at the end it is doubted.
    fn check_with_zero(&self, calls: PeerCalls<'_>, held: &HeldReport) -> Result<bool, ChoicesError> {
        let HeldReport { report, deployment, histogram, public, share, .. } = held;
        let batch = self.store.current(*deployment, &held.models)?;
        let (own, mut link) = (KeyHalf::generate()?, calls.call()?);
        let (version, commitment) = (link.version(), own.commitment());
        let check = ChoicesCall::Check { version, report: *report, deployment: *deployment, batch, commitment };
        let half = match ask(&mut link, &check)? {
            ChoicesAnswer::Half { half } => half,
            ChoicesAnswer::Refused => return Ok(false),
            other => return Err(out_of_order(&other, "its half of a key")),
        };
        let key = VerifyKey::of(&report.0, [&half, &own]);
        let bound = (&deployment.0[..], &report.0);
        let (verifying, proof) = match histogram.begin(Side::One, &key, bound, public, share) {
            Ok(begun) => begun,
            Err(error) => return wrong(link, error),
        };
        let theirs = match ask(&mut link, &ChoicesCall::Proof { half: own, proof })? {
            ChoicesAnswer::Proof { proof } => proof,
            ChoicesAnswer::Refused => return Ok(false),
            other => return Err(out_of_order(&other, "its message of a proof")),
        };
        let right = match verifying.finish(&theirs) {
            Ok(right) => right,
            Err(error) => return wrong(link, error),
        };
        // Before server 0 counts it, so that it is not lost if this server is killed.
        self.store.doubt(batch, *report, right)?;
        let counted = match ask(&mut link, &ChoicesCall::Count)? {
            ChoicesAnswer::Counted => true,
            ChoicesAnswer::Refused => false,
            other => return Err(out_of_order(&other, "that a report is counted")),
        };
        self.store.settle(batch, *report, counted)?;
        link.close();
        Ok(counted)
    }

    /// Closes the batches that are old enough and have enough reports, with server 0. Call it every few seconds; nothing is
    /// to be done most of the time.
    pub fn close_due(&self, calls: PeerCalls<'_>, now: SystemTime) {
        if self.pause().is_some_and(|until| Instant::now() < until) {
            return;
        }
        while let Some(due) = self.store.due(&self.options, now) {
            // Reports under way are waited for, and new ones wait.
            let _closing = self.checking.write().unwrap_or_else(PoisonError::into_inner);
            // Some may have come meanwhile.
            let due = self.store.due(&self.options, now).unwrap_or(due);
            match self.close(calls, &due) {
                Ok(true) => {}
                Ok(false) => return self.later("server 0 wants more reports before their counts are revealed"),
                Err(error @ ChoicesError::Differs { reports }) => {
                    tracing::error!(%error, "counts of chosen models are lost");
                    self.count(&self.lost, reports);
                }
                Err(error) => return self.later(&format!("a batch of reports cannot be closed now: {error}")),
            }
        }
    }

    fn later(&self, reason: &str) {
        tracing::warn!(reason, "counts of chosen models are not revealed yet");
        *self.pause() = Some(Instant::now() + PAUSE);
    }

    /// Whether server 0 closed the batch.
    fn close(&self, calls: PeerCalls<'_>, due: &Due) -> Result<bool, ChoicesError> {
        let mut link = calls.call()?;
        let close = ChoicesCall::Close {
            version: link.version(),
            batch: due.batch,
            count: due.count,
            reports: due.reports,
            doubted: due.doubted.clone(),
        };
        let (known, theirs) = match ask(&mut link, &close)? {
            ChoicesAnswer::Sum { known, sum } => (known, sum),
            ChoicesAnswer::Few => return Ok(false),
            ChoicesAnswer::Differs => return Err(ChoicesError::Differs { reports: self.store.drop(due.batch)? }),
            // Its answer to the last message was lost.
            ChoicesAnswer::Revealed { counts } => return self.store.reveal(due.batch, counts).map(|()| true),
            other => return Err(out_of_order(&other, "whether a batch is closed")),
        };
        let sum = self.store.closed(due, &known)?;
        let counts = match self.store.counts(due.batch, &theirs) {
            Ok(counts) => counts,
            Err(ChoicesError::Report(_)) => {
                return Err(ChoicesError::Differs { reports: self.store.drop(due.batch)? });
            }
            Err(error) => return Err(error),
        };
        match ask(&mut link, &ChoicesCall::Sum { sum })? {
            ChoicesAnswer::Revealed { counts: theirs } if theirs == counts => {
                self.store.reveal(due.batch, counts)?;
                link.close();
                Ok(true)
            }
            ChoicesAnswer::Revealed { .. } | ChoicesAnswer::Differs => {
                Err(ChoicesError::Differs { reports: self.store.drop(due.batch)? })
            }
            other => Err(out_of_order(&other, "the counts of a batch")),
        }
    }
}

/// One call and its answer.
fn ask(link: &mut Link, call: &ChoicesCall) -> Result<ChoicesAnswer, ChoicesError> {
    link.send_message(call)?;
    Ok(link.receive_message()?)
}

fn out_of_order(found: &ChoicesAnswer, expected: &'static str) -> ChoicesError {
    ChoicesError::Order { found: format!("{found:?}"), expected }
}

/// A report that this server finds wrong: server 0 sees the link end, and does not count it either.
fn wrong(link: Link, error: ReportError) -> Result<bool, ChoicesError> {
    tracing::debug!(%error, "a report is wrong");
    link.close();
    Ok(false)
}
