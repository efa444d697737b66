//! Training a nested pool of classifiers: an encoder that texts may leave after several numbers of layers.
//!
//! [`LabelledTexts`] are a task's texts. [`train_pool`] trains all layers of an encoder with linear attention together with a head
//! for each task and exit. After that, the layers stay as they are, and each exit but the last gets a gain, which says which texts
//! go on, and each task the shares of texts that do. Only the order of gains counts, so a gain is known up to a factor.
//! [`evaluate`] measures a pool on labelled texts.
//! [`train_pool_router`] trains only gains and shares, of a pool whose encoder and heads stay, and [`train_cascade_router`] the gain
//! at its last exit, for texts that go on to a larger encoder.
//! [`slim_pool`] makes a pool cheaper, with the cost that the meter states in the objective.
//! All random draws follow from a seed. An interrupted training continues from its checkpoint and gives the same result.

mod calibrate;
mod cascade;
mod data;
mod error;
pub mod evaluate;
mod features;
mod gains;
mod gate;
mod heads;
mod joint;
mod quadratic;
mod router;
mod seconds;
mod slim;
#[cfg(test)]
mod tests;
mod train;

pub use calibrate::{Open, Route, SplitReport, TaskReport};
pub use cascade::{CascadeReport, CascadeSplit, CascadeTexts, TrainedCascade, check_cascade, train_cascade_router};
pub use data::{Labelled, LabelledFiles, LabelledTexts, TaskReading};
pub use error::ClassifierError;
pub use gains::{GainProgress, GainReport};
pub use router::{Measured, RoutingOptions, TrainedPool, task_of, train_pool_router};
pub use seconds::TextCost;
pub use slim::{
    RoundReport, Saved, Score, SlimOptions, SlimProgress, SlimReport, SlimRow, Slimmed, TaskMeasures, slim_pool,
};
pub use train::{PoolOptions, PoolProgress, train_pool};
