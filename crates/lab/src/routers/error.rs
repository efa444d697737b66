use crate::Stopped;
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
    /// A number that is out of range.
    #[error("{what} is {found}, expected {expected}")]
    Number {
        /// Which number.
        what: &'static str,
        /// The number.
        found: f64,
        /// The range in words.
        expected: &'static str,
    },
    /// There is nothing that could tell prompts apart.
    #[error(
        "the prompts of the train and valid splits all have the same embedding: use other prompts, or a window that tells them \
         apart"
    )]
    Folds,
    /// The normal equations have no solution.
    #[error("the regression has no solution with this penalty: use a larger penalty")]
    Singular,
    /// Utilities and outcomes do not belong together.
    #[error(transparent)]
    Evaluation(EvaluationError),
    /// The caller stopped the training.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// A tensor operation failed.
    #[error("the training failed: {0}; please report this")]
    Tensor(#[from] candle_core::Error),
}

impl From<EvaluationError> for TrainError {
    fn from(error: EvaluationError) -> Self {
        match error {
            EvaluationError::Stopped(stopped) => Self::Stopped(stopped),
            other => Self::Evaluation(other),
        }
    }
}
