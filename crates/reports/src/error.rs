//! What can go wrong with a report or a sum.

/// Why a report or a sum cannot be used. Holds nothing of what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// There are no counts of so many models.
    #[error("{found} models cannot be counted: expected 2 to {most}", most = crate::MOST_MODELS)]
    Models {
        /// How many there are.
        found: usize,
    },
    /// The place is none of a model.
    #[error(
        "a report names a place that is none of the {models} models; this is an error of the program, please report it"
    )]
    Place {
        /// How many there are.
        models: usize,
    },
    /// Bytes that are no share, proof or sum of so many models.
    #[error("{what} of a report is malformed: expected {expected} bytes of numbers in the field, found {found} bytes")]
    Malformed {
        /// What it should be.
        what: &'static str,
        /// How many bytes it has.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The proof does not hold: the report does not name one model, or its two shares do not belong together.
    #[error("a report does not name exactly one model, or its shares do not belong together: it is not counted")]
    Refused,
    /// A sum and what is added to it are of different numbers of models.
    #[error("counts of different numbers of models cannot be added: check that both are of one version of the bundle")]
    Shape,
    /// The two shares of a sum do not belong together.
    #[error("the two shares of a sum do not add up to {expected} reports: the servers counted different reports")]
    Sum {
        /// How many reports were said to be in it.
        expected: u64,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness: check the system's random device")]
    NoRandomness,
}
