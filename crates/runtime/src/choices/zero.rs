//! Server 0: it answers server 1.

use super::store::{Closing, Due};
use super::{Choices, ChoicesError};
use crate::link::Link;
use crate::messages::{BatchId, ChoicesAnswer, ChoicesCall, Digest, ReportId};
use blindroute_reports::{KeyHalf, Side, VerifyKey};
use std::time::Duration;

/// What server 1 asks to be checked.
struct Asked {
    report: ReportId,
    deployment: Digest,
    batch: BatchId,
    commitment: [u8; 32],
}

impl Choices {
    /// Answers a call of server 1, and what follows on its link.
    ///
    /// # Errors
    /// If the link fails, server 1 says what it cannot say, or the disk fails. What server 1 then does not know, it asks later.
    pub(crate) fn answer(&self, link: &mut Link, call: ChoicesCall) -> Result<(), ChoicesError> {
        match call {
            ChoicesCall::Check { version, report, deployment, batch, commitment } => {
                link.check_session(version)?;
                match self.answer_check(link, Asked { report, deployment, batch, commitment }) {
                    Ok(true) => self.count(&self.counted, 1),
                    Ok(false) => self.count(&self.refused, 1),
                    Err(error) => {
                        self.count(&self.lost, 1);
                        return Err(error);
                    }
                }
                Ok(())
            }
            ChoicesCall::Close { version, batch, count, reports, doubted } => {
                link.check_session(version)?;
                self.answer_close(link, &Due { batch, count, reports, doubted })
            }
            other => Err(out_of_order(&other, "which report to check, or which batch to close")),
        }
    }

    /// Whether the report is counted.
    fn answer_check(&self, link: &mut Link, asked: Asked) -> Result<bool, ChoicesError> {
        let Asked { report, deployment, batch, commitment } = asked;
        // Clients send server 0 its share first.
        let held = self.waiting.take(&report, Duration::ZERO).ok();
        let held = held.filter(|held| held.deployment == deployment && self.store.takes(batch, deployment));
        let Some(held) = held else { return refuse(link) };
        let own = KeyHalf::generate()?;
        link.send_message(&ChoicesAnswer::Half { half: KeyHalf::received(*own.expose()) })?;
        let (half, theirs) = match link.receive_message_or_end()? {
            Some(ChoicesCall::Proof { half, proof }) => (half, proof),
            // Server 1 found the report wrong.
            None => return Ok(false),
            Some(other) => return Err(out_of_order(&other, "its half of a key, and its message of a proof")),
        };
        if half.commitment() != commitment {
            return refuse(link);
        }
        let key = VerifyKey::of(&report.0, [&own, &half]);
        let bound = (&deployment.0[..], &report.0);
        let begun = held.histogram.begin(Side::Zero, &key, bound, &held.public, &held.share);
        let Ok((verifying, proof)) = begun else { return refuse(link) };
        let Ok(right) = verifying.finish(&theirs) else { return refuse(link) };
        link.send_message(&ChoicesAnswer::Proof { proof })?;
        match link.receive_message_or_end()? {
            Some(ChoicesCall::Count) => {}
            None => return Ok(false),
            Some(other) => return Err(out_of_order(&other, "that it found a report right")),
        }
        if !self.store.count((batch, deployment), &held.models, report, &right)? {
            return refuse(link);
        }
        link.send_message(&ChoicesAnswer::Counted)?;
        Ok(true)
    }

    fn answer_close(&self, link: &mut Link, due: &Due) -> Result<(), ChoicesError> {
        let (known, sum) = match self.store.close(due, self.options.minimum)? {
            Closing::Closed { known, sum } => (known, sum),
            Closing::Few => return Ok(link.send_message(&ChoicesAnswer::Few)?),
            Closing::Revealed(counts) => return Ok(link.send_message(&ChoicesAnswer::Revealed { counts })?),
            Closing::Dropped(reports) => return self.differs(link, reports),
        };
        link.send_message(&ChoicesAnswer::Sum { known, sum })?;
        let theirs = match link.receive_message()? {
            ChoicesCall::Sum { sum } => sum,
            other => return Err(out_of_order(&other, "its share of a sum")),
        };
        match self.store.counts(due.batch, &theirs) {
            Ok(counts) => {
                self.store.reveal(due.batch, counts.clone())?;
                Ok(link.send_message(&ChoicesAnswer::Revealed { counts })?)
            }
            Err(ChoicesError::Report(_)) => {
                let reports = self.store.drop(due.batch)?;
                self.differs(link, reports)
            }
            Err(error) => Err(error),
        }
    }

    fn differs(&self, link: &mut Link, reports: u64) -> Result<(), ChoicesError> {
        self.count(&self.lost, reports);
        let error = ChoicesError::Differs { reports };
        tracing::error!(%error, "counts of chosen models are lost");
        Ok(link.send_message(&ChoicesAnswer::Differs)?)
    }
}

fn refuse(link: &mut Link) -> Result<bool, ChoicesError> {
    link.send_message(&ChoicesAnswer::Refused)?;
    Ok(false)
}

fn out_of_order(found: &ChoicesCall, expected: &'static str) -> ChoicesError {
    ChoicesError::Order { found: format!("{found:?}"), expected }
}
