//! Training the routers that a bundle holds, and changing the pool of a trained one.
//!
//! Each kind of router has a module with its `Options`, its `train` and what `train` returns: [`uniroute`], [`cscr`] and
//! [`direct`]. [`train_router`] calls the one that a [`Method`] names and puts the result into a bundle; [`train_best`] embeds a
//! data set and does so for several ways to read prompts. [`join`](mod@join)
//! adds models to a trained pool without training, [`foreign`] takes rules that were trained by other programs, [`fingerprint`]
//! measures descriptors of models through a chat endpoint,
//! and [`baselines`] are routers that an evaluation compares with.

pub mod baselines;
pub mod cscr;
pub mod direct;
pub mod fingerprint;
pub mod foreign;
pub mod join;
pub mod uniroute;

pub(crate) mod draws;
pub(crate) mod optimiser;
pub(crate) mod tensors;

mod cross_validation;
mod error;
mod kmeans;
mod lambda;
mod method;
mod mixture;
mod reading;
mod ridge;
mod train;
mod verdict;
mod window;

pub use cross_validation::{CrossValidated, Validation};
pub use error::TrainError;
pub use lambda::{LambdaRule, choose_lambda};
pub use method::Method;
pub use reading::{
    BestReading, ReadingTrial, SetReport, StartFrom, TrainBestError, TrainEvent, TrainReport, Training, router_for,
    train_best,
};
pub use train::{Chosen, NewRouter, TrainRouterError, Trained, train_router};
pub use verdict::{Fit, Verdict};
pub use window::with_window;
