use crate::data::TableError;
use crate::evaluation::EvaluationError;

/// What can go wrong when a router is trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The samples or the costs cannot be used.
    #[error(transparent)]
    Table(#[from] TableError),
    /// An option that leaves nothing to do.
    #[error("no {what} can be used here: {hint}")]
    Options {
        /// Which option.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// Too few different prompts for the folds of a cross-validation.
    #[error(
        "the prompts of the train and valid splits have {found} different embeddings, expected at least {expected} to validate on \
         folds: use more prompts, or a window that tells them apart"
    )]
    Folds {
        /// The number found.
        found: usize,
        /// The number of folds.
        expected: usize,
    },
    /// The normal equations have no solution.
    #[error("the regression has no solution with this penalty: use a larger penalty")]
    Singular,
    /// Utilities and outcomes do not belong together.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// A tensor operation failed.
    #[error("the training failed: {0}; please report this")]
    Tensor(#[from] candle_core::Error),
}
