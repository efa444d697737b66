//! blindroute lab: routing data, training of the routers that a bundle holds, and their evaluation.
//!
//! Training sees prompts as embeddings only ([`Samples`]); they come from any [`embedder::Embedder`], as from a bundle's
//! own encoder ([`embed_dataset`]). [`train_router`] puts what was trained into the bundle. Everything is seeded, and nothing reads the clock: the same data give the same router.
//!
//! ```
//! use blindroute_lab::{Samples, evaluation, uniroute};
//! use blindroute_routing::bundle::{Matrix, Rule};
//!
//! // Two kinds of prompt; the cheap model 0 fails on the second kind.
//! let embeddings = Matrix::from_fn(20, 2, |row, column| if row % 2 == column { 1.0 } else { 0.1 });
//! let scores = Matrix::from_fn(20, 2, |row, model| if model == 0 && row % 2 == 1 { 0.0 } else { 1.0 });
//! let samples = Samples::new(embeddings, scores)?;
//! let options = uniroute::Options { clusters: vec![2], ..Default::default() };
//! let fitted = uniroute::train(&samples, &samples, &[0.25, 1.0], &options, &mut |_| ())?;
//! let rule = Rule::UniRoute(fitted.router);
//! let point = evaluation::operate(&rule, &samples, fitted.lambda);
//! assert_eq!((point.score, point.cost), (1.0, 0.625));
//! # Ok::<(), blindroute_lab::TrainError>(())
//! ```

pub mod baselines;
pub mod calibrate;
pub mod cscr;
pub mod data;
pub mod direct;
pub mod embedder;
pub mod evaluation;
pub mod fingerprint;
pub mod join;
pub mod rule;
pub mod similarity;
pub mod student;
pub mod uniroute;

mod cache;
mod draws;
mod encoder;
mod kmeans;
mod lambda;
mod optimiser;
mod ridge;
mod samples;
#[cfg(test)]
mod synthetic;
mod tensors;
mod train;
mod vector;

pub use cache::{DatasetEmbedError, embed_dataset};
pub use encoder::ClearEmbedder;
pub use lambda::{LambdaRule, choose_lambda};
pub use samples::{Samples, TrainError, relative_costs};
pub use train::{Chosen, Method, TrainRouterError, Trained, train_router};
