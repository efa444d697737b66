//! What can be wrong.

use super::Group;
use crate::data::TableError;

/// What can be wrong with what is to be evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// The tables of scores and costs cannot be used.
    #[error(transparent)]
    Table(#[from] TableError),
    /// All models are alike.
    #[error(
        "every model scores the same on every prompt of the split {split}: no router can be told from another; measure on another \
         split, or check outcomes.csv"
    )]
    AllEqual {
        /// Which split.
        split: String,
    },
    /// A curve is not of this split.
    #[error("the curve {name:?} has {found} {what}, {expected} were expected: give one of this split and pool")]
    Curve {
        /// Which.
        name: String,
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: usize,
    },
    /// A pair names a curve that is not there.
    #[error("there is no curve {index} to compare, there are {curves}: count from 0")]
    Pair {
        /// Which was named.
        index: usize,
        /// How many there are.
        curves: usize,
    },
    /// A curve has no run, or two of a group have one name.
    #[error("{group} curve {name:?}: {problem}")]
    Name {
        /// Its group.
        group: Group,
        /// Its name.
        name: String,
        /// What is wrong and what to do.
        problem: &'static str,
    },
}
