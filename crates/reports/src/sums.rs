//! Shares of reports that were found right, and of their sums.

use crate::histogram::NUMBER;
use crate::{Histogram, ReportError};
use prio::codec::{Encode, ParameterizedDecode};
use prio::field::Field128;
use prio::vdaf::{Aggregatable, AggregateShare, OutputShare};
use std::fmt;
use zeroize::Zeroizing;

/// A server's share of a report that was found right: uniformly random by itself. `prio` does not wipe it; programs have an allocator
/// that does.
pub struct CountedShare(OutputShare<Field128>);

/// A server's share of a sum: uniformly random by itself, as soon as there is one report in it.
pub struct SumShare(AggregateShare<Field128>);

impl CountedShare {
    pub(crate) fn new(share: OutputShare<Field128>) -> Self {
        Self(share)
    }

    /// As it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Numbers of the field always have a form.
        Zeroizing::new(self.0.get_encoded().unwrap_or_default())
    }

    /// Of so many models.
    ///
    /// # Errors
    /// If these are other bytes.
    pub fn from_bytes(histogram: &Histogram, bytes: &[u8]) -> Result<Self, ReportError> {
        let share = OutputShare::get_decoded_with_param(&(&histogram.vdaf, &()), bytes);
        share.map(Self).map_err(|_| malformed("a share that was found right", histogram, bytes))
    }
}

impl SumShare {
    pub(crate) fn new(share: AggregateShare<Field128>) -> Self {
        Self(share)
    }

    pub(crate) fn inner(&self) -> &AggregateShare<Field128> {
        &self.0
    }

    /// How many models it counts.
    #[must_use]
    pub fn models(&self) -> usize {
        self.0.as_ref().len()
    }

    /// Adds a report.
    ///
    /// # Errors
    /// If it is of another number of models.
    pub fn add(&mut self, report: &CountedShare) -> Result<(), ReportError> {
        self.0.accumulate(&report.0).map_err(|_| ReportError::Shape)
    }

    /// As it is stored, and as it is sent to the other server once the sum may be known.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.get_encoded().unwrap_or_default())
    }

    /// Of so many models.
    ///
    /// # Errors
    /// If these are other bytes.
    pub fn from_bytes(histogram: &Histogram, bytes: &[u8]) -> Result<Self, ReportError> {
        let share = AggregateShare::get_decoded_with_param(&(&histogram.vdaf, &()), bytes);
        share.map(Self).map_err(|_| malformed("a share of a sum", histogram, bytes))
    }
}

fn malformed(what: &'static str, histogram: &Histogram, bytes: &[u8]) -> ReportError {
    ReportError::Malformed { what, expected: NUMBER * histogram.models, found: bytes.len() }
}

impl fmt::Debug for CountedShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CountedShare(..)")
    }
}

impl fmt::Debug for SumShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SumShare of {} models", self.models())
    }
}
