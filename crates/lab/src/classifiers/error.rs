//! Errors of the training of classifiers.

use crate::data::DataError;
use crate::encoders::student::{CheckpointError, CorpusError, DistilError};
use blindroute_routing::bundle::BundleError;

/// What can go wrong. No variant holds a text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClassifierError {
    /// A file of labelled texts cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A task's texts cannot be used.
    #[error("task {task:?} has {found}, expected {expected}")]
    Task {
        /// Which task.
        task: String,
        /// What was found.
        found: String,
        /// What was expected, and what to do.
        expected: String,
    },
    /// The training texts of a task cannot be used.
    #[error("task {task:?}: {source}")]
    Texts {
        /// Which task.
        task: String,
        /// Why.
        source: CorpusError,
    },
    /// The checkpoint cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The pool does not fit the bundle's encoder.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A text cannot be embedded.
    #[error(transparent)]
    Embed(#[from] DistilError),
    /// The cost of a session of the pool is not known.
    #[error("the cost of the pool's sessions is not known: {0}; please report this")]
    Cost(#[from] blindroute_protocol::Error),
    /// The bundle is not a pool whose gains can be trained.
    #[error("the bundle has {found}, expected {expected}")]
    Pool {
        /// What was found.
        found: String,
        /// What was expected, and what to do.
        expected: String,
    },
    /// The wanted mix of exits is none.
    #[error(
        "the wanted mix of exits is {found:?}, expected {expected} numbers from 0 to 1 with the sum 1: one for each exit"
    )]
    Mix {
        /// What was given.
        found: Vec<f64>,
        /// How many exits there are.
        expected: usize,
    },
    /// The weight of the cost is none.
    #[error(
        "the weight of the cost is {0}, expected a number above 0, such as 0.5: the loss that the whole cost is worth"
    )]
    Beta(f64),
    /// A tensor operation failed.
    #[error("the training failed: {0}; please report this")]
    Tensor(#[from] candle_core::Error),
    /// The loss is not a finite number.
    #[error("the loss at step {step} is not finite; train with a smaller --rate")]
    Diverged {
        /// The step.
        step: usize,
    },
}
