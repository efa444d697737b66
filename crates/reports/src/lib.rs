//! Counts of chosen models, of which two servers together learn only sums: Prio3Histogram of draft-irtf-cfrg-vdaf-18, by the crate
//! `prio`, without sockets, files or a clock.
//!
//! **Computes** how many reports name each of n models. **Shapes** n from 2 to 256; a report is a vector with a single one. **Cost** a
//! report takes [`Histogram::lengths`] bytes to the servers, and two rounds between them: the halves of the report's key, and a
//! message of the proof each way.
//! **Security** One semi-honest server sees its share of each report, which is uniformly random, and that the report is well formed.
//! A client that cheats adds at most one to one count, or its report is refused, but for a probability below 2^-100. Sums are
//! known to both servers once they exchange their shares of them. **Source** draft-irtf-cfrg-vdaf-18, sections 5 and 7.4.4.
//! **Differs from the source** in the key of the verification: the draft has one for many reports, which the servers fix before they
//! come. Here each report has its own, from a random half of each server, exchanged when both hold the report ([`KeyHalf`]). The
//! first half is committed to before the second is known, so neither server chooses the key, and no client knows it.
//!
//! The client's randomness comes from the generator of the crate `rand` in `prio`, which the operating system seeds.
//!
//! ```
//! use blindroute_reports::{Histogram, KeyHalf, Side, VerifyKey};
//!
//! # fn main() -> Result<(), blindroute_reports::ReportError> {
//! let models = Histogram::new(3)?;
//! // The client chose the model of place 2.
//! let (context, id) = (b"a deployment", [7; 16]);
//! let report = models.report(context, &id, 2)?;
//! // Each server gets one share, and they agree on a key that the client does not know.
//! let halves = [KeyHalf::generate()?, KeyHalf::generate()?];
//! let key = || VerifyKey::of(&id, [&halves[0], &halves[1]]);
//! let begin = |side: Side, place: usize| models.begin(side, &key(), (context, &id), &report.public, &report.shares[place]);
//! let ((zero, from_zero), (one, from_one)) = (begin(Side::Zero, 0)?, begin(Side::One, 1)?);
//! let (zero, one) = (zero.finish(&from_one)?, one.finish(&from_zero)?);
//! // Each adds what it holds to its sum, and only sums are put together.
//! let mut sums = [models.nothing(), models.nothing()];
//! sums[0].add(&zero)?;
//! sums[1].add(&one)?;
//! assert_eq!(models.reveal(&sums[0], &sums[1], 1)?, [0, 0, 1]);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod error;
mod histogram;
mod key;
mod sums;
#[cfg(test)]
mod tests;

pub use error::ReportError;
pub use histogram::{Histogram, Lengths, MOST_MODELS, Report, Side, Verifying};
pub use key::{KeyHalf, VerifyKey};
pub use sums::{CountedShare, SumShare};

/// The name of a report, drawn by its client, the same for both servers.
pub type ReportName = [u8; 16];
