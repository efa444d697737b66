//! Errors of an evaluation.

use super::Group;
use crate::Stopped;
use crate::data::TableError;

/// What can be wrong with the curves and tables of an evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// The tables of scores and costs cannot be used.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The caller stopped the evaluation.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// All models have equal scores.
    #[error(
        "every model scores the same on every prompt of the split {split}: all routers would look the same; measure on another \
         split, or check outcomes.csv"
    )]
    AllEqual {
        /// Which split.
        split: String,
    },
    /// A curve does not belong to this split.
    #[error("the curve {name:?} has {found} {what}, expected {expected}: use a curve of this split and pool")]
    Curve {
        /// The curve.
        name: String,
        /// What was counted.
        what: &'static str,
        /// The number found.
        found: usize,
        /// The number expected.
        expected: usize,
    },
    /// A pair names a curve that does not exist.
    #[error("there is no curve {index} to compare: there are {curves} curves, counted from 0")]
    Pair {
        /// The index that was named.
        index: usize,
        /// The number of curves.
        curves: usize,
    },
    /// A curve has no run, or two curves of a group have the same name.
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
