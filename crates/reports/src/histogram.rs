//! Making a report, and what each server does with its share of it.

use crate::sums::{CountedShare, SumShare};
use crate::{ReportError, ReportName, VerifyKey};
use prio::codec::{Encode, ParameterizedDecode};
use prio::field::Field128;
use prio::vdaf::prio3::{
    Prio3Histogram, Prio3InputShare, Prio3PublicShare, Prio3VerifierShare, Prio3VerifyState, optimal_chunk_length,
};
use prio::vdaf::{Aggregator, Client, Collector, VerifyTransition};
use zeroize::Zeroizing;

/// The most models that are counted.
pub const MOST_MODELS: usize = 256;

/// Bytes of the public part of a report: a contribution of each server to the randomness of the proof.
const PUBLIC: usize = 64;
/// Bytes of a number of the field.
pub(crate) const NUMBER: usize = 16;
/// The beginning of what binds a report to where it is used.
const CONTEXT: &[u8] = b"blindroute choices 1\0";

/// Which of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Server 0, whose share of a report is the long one.
    Zero = 0,
    /// Server 1, whose share is a seed.
    One = 1,
}

/// How long the parts of a report are. They follow from the number of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// The public part, the same for both servers.
    pub public: usize,
    /// The shares of server 0 and server 1.
    pub shares: [usize; 2],
    /// The message of the proof, each way.
    pub verifier: usize,
    /// A share of a sum, or of one report that was found right.
    pub sum: usize,
}

/// What a client sends: the public part to both servers, and to each its own share. The shares are wiped on drop.
pub struct Report {
    /// For both servers.
    pub public: Vec<u8>,
    /// For server 0 and server 1.
    pub shares: [Zeroizing<Vec<u8>>; 2],
}

impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Report(..)")
    }
}

/// Counts of a number of models.
#[derive(Clone, Debug)]
pub struct Histogram {
    pub(crate) models: usize,
    pub(crate) vdaf: Prio3Histogram,
}

impl Histogram {
    /// Counts of so many models.
    ///
    /// # Errors
    /// If there are fewer than 2 or more than [`MOST_MODELS`].
    pub fn new(models: usize) -> Result<Self, ReportError> {
        let wrong = || ReportError::Models { found: models };
        if !(2..=MOST_MODELS).contains(&models) {
            return Err(wrong());
        }
        let vdaf = Prio3Histogram::new_histogram(2, models, optimal_chunk_length(models)).map_err(|_| wrong())?;
        Ok(Self { models, vdaf })
    }

    /// How many models there are.
    #[must_use]
    pub fn models(&self) -> usize {
        self.models
    }

    /// How long the parts of a report are.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        let chunk = optimal_chunk_length(self.models);
        let calls = self.models.div_ceil(chunk);
        // The proof of one gadget with two inputs for each place of a chunk, of degree 2 (section 7.3 of the draft).
        let proof = 2 * chunk + 2 * ((1 + calls).next_power_of_two() - 1) + 1;
        let verifier = NUMBER * self.vdaf.verifier_len() + 32;
        let shares = [NUMBER * (self.models + proof) + 32, 64];
        Lengths { public: PUBLIC, shares, verifier, sum: NUMBER * self.models }
    }

    /// A report that names the model of this place. `context` says where it is used, and `name` must be fresh.
    ///
    /// This runs at the client, which knows the choice; its time and its accesses to memory may depend on it.
    ///
    /// # Errors
    /// If there is no such place.
    pub fn report(&self, context: &[u8], name: &ReportName, chosen: usize) -> Result<Report, ReportError> {
        let wrong = ReportError::Place { models: self.models };
        if chosen >= self.models {
            return Err(wrong);
        }
        let sharded = self.vdaf.shard(&bound(context), &chosen, name).ok();
        let (public, shares) = sharded.ok_or_else(|| wrong.clone())?;
        let [zero, one] = <[_; 2]>::try_from(shares).map_err(|_| wrong.clone())?;
        let encoded = |share: &Prio3InputShare<Field128, 32>| share.get_encoded().ok().map(Zeroizing::new);
        let public = public.get_encoded().ok().ok_or_else(|| wrong.clone())?;
        let shares = [encoded(&zero).ok_or_else(|| wrong.clone())?, encoded(&one).ok_or(wrong)?];
        Ok(Report { public, shares })
    }

    /// A server begins to check its share of a report, and has its message of the proof for the other server.
    ///
    /// # Errors
    /// If the parts of the report have other lengths, or are no numbers of the field.
    pub fn begin(
        &self,
        side: Side,
        key: &VerifyKey,
        (context, name): (&[u8], &ReportName),
        public: &[u8],
        share: &[u8],
    ) -> Result<(Verifying, Vec<u8>), ReportError> {
        let (lengths, context) = (self.lengths(), bound(context));
        let place = side as usize;
        let malformed = |what, expected, bytes: &[u8]| ReportError::Malformed { what, expected, found: bytes.len() };
        let public = Prio3PublicShare::get_decoded_with_param(&self.vdaf, public)
            .map_err(|_| malformed("the public part", lengths.public, public))?;
        let share = Prio3InputShare::get_decoded_with_param(&(&self.vdaf, place), share)
            .map_err(|_| malformed("a share", lengths.shares[place], share))?;
        let begun = self.vdaf.verify_init(key.expose(), &context, place, &(), name, &public, &share);
        let (state, own) = begun.map_err(|_| ReportError::Refused)?;
        let message = own.get_encoded().map_err(|_| ReportError::Refused)?;
        Ok((Verifying { histogram: self.clone(), side, context, state, own }, message))
    }

    /// A sum of no reports.
    #[must_use]
    pub fn nothing(&self) -> SumShare {
        SumShare::new(self.vdaf.aggregate_init(&()))
    }

    /// The counts, from both servers' shares of a sum of so many reports, in the order of the models.
    ///
    /// # Errors
    /// If the shares are of other numbers of models, or do not add up to so many reports.
    pub fn reveal(&self, zero: &SumShare, one: &SumShare, reports: u64) -> Result<Vec<u64>, ReportError> {
        if zero.models() != self.models || one.models() != self.models {
            return Err(ReportError::Shape);
        }
        let wrong = || ReportError::Sum { expected: reports };
        let both = [zero.inner().clone(), one.inner().clone()];
        let number = usize::try_from(reports).map_err(|_| wrong())?;
        let counts = self.vdaf.unshard(&(), both, number).map_err(|_| wrong())?;
        let counts: Option<Vec<u64>> = counts.into_iter().map(|count| u64::try_from(count).ok()).collect();
        // A sum whose shares do not belong together is one of random numbers.
        let total = |counts: &Vec<u64>| counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        counts.filter(|counts| total(counts) == Some(reports)).ok_or_else(wrong)
    }
}

/// What binds a report to this use and this context.
fn bound(context: &[u8]) -> Vec<u8> {
    [CONTEXT, context].concat()
}

/// A server's share of a report whose proof is being checked.
pub struct Verifying {
    histogram: Histogram,
    side: Side,
    context: Vec<u8>,
    state: Prio3VerifyState<Field128, 32>,
    own: Prio3VerifierShare<Field128, 32>,
}

impl std::fmt::Debug for Verifying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifying(..)")
    }
}

impl Verifying {
    /// Checks the proof with the other server's message. What comes out may be added to a sum.
    ///
    /// # Errors
    /// If the message is malformed, or the report does not name exactly one model.
    pub fn finish(self, theirs: &[u8]) -> Result<CountedShare, ReportError> {
        let Self { histogram, side, context, state, own } = self;
        let malformed = || ReportError::Malformed {
            what: "a message of the proof",
            expected: histogram.lengths().verifier,
            found: theirs.len(),
        };
        let theirs = Prio3VerifierShare::get_decoded_with_param(&state, theirs).map_err(|_| malformed())?;
        let both = if side == Side::Zero { [own, theirs] } else { [theirs, own] };
        let vdaf = &histogram.vdaf;
        let message = vdaf.verifier_shares_to_message(&context, &(), both).map_err(|_| ReportError::Refused)?;
        match vdaf.verify_next(&context, state, message) {
            Ok(VerifyTransition::Finish(share)) => Ok(CountedShare::new(share)),
            // There is one round.
            Ok(VerifyTransition::Continue(..)) | Err(_) => Err(ReportError::Refused),
        }
    }
}
