//! Errors of a comparison.

use crate::Stopped;
use crate::data::TableError;
use crate::encoders::DatasetEmbedError;
use crate::evaluation::EvaluationError;
use crate::evaluation::calibrate::CalibrateError;
use crate::routers::TrainError;
use blindroute_routing::bundle::BundleError;

/// What can go wrong when bundles' routers are measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComparisonError {
    /// There is no bundle.
    #[error("there is no bundle to measure: give at least one")]
    NoSide,
    /// A bundle has no router.
    #[error("{bundle} has no router; put one into it with `blindroute train`")]
    NoRouter {
        /// Which bundle.
        bundle: String,
    },
    /// A bundle's routers are for other models.
    #[error(
        "the routers of {bundle} choose among {found}, the data set has {expected}: names, order and prices must agree; \
         train routers on this data set with `blindroute train`, or name the one they were trained on"
    )]
    OtherModels {
        /// Which bundle.
        bundle: String,
        /// Its models.
        found: String,
        /// The data set's.
        expected: String,
    },
    /// No bundle has a router of this name.
    #[error("there is no router {name:?}; there are {known}")]
    UnknownRouter {
        /// The name.
        name: String,
        /// The names of all routers.
        known: String,
    },
    /// The caller stopped the work.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// A bundle cannot be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The data set cannot be embedded.
    #[error(transparent)]
    Embed(#[from] DatasetEmbedError),
    /// Tables do not belong together.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A baseline cannot be trained.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// There is no weight of cost for the target, or there are too few prompts.
    #[error(transparent)]
    Calibrate(#[from] CalibrateError),
    /// The curves cannot be measured.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
}
