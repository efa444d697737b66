//! blindroute lab: routing data, training of the routers that a bundle holds, and their evaluation.
//!
//! ```
//! use blindroute_lab::Stop;
//! use blindroute_lab::data::Samples;
//! use blindroute_lab::evaluation;
//! use blindroute_lab::routers::uniroute;
//! use blindroute_routing::bundle::{Matrix, Rule};
//!
//! // Two kinds of prompt. Model 0 is cheap and fails on the second kind.
//! let noise = |row: usize, column: usize| (row * 7 + column * 3) as f32 % 10.0 / 100.0;
//! let embeddings = Matrix::from_fn(40, 2, |row, column| if row % 2 == column { 1.0 } else { noise(row, column) });
//! let scores = Matrix::from_fn(40, 2, |row, model| if model == 0 && row % 2 == 1 { 0.0 } else { 1.0 });
//! let samples = Samples::new(embeddings, scores)?;
//! let options = uniroute::Options { clusters: vec![2], smoothing: vec![1.0], ..Default::default() };
//! let fitted = uniroute::train(&samples, &[0.25, 1.0], &options, &mut |_, _| (), &Stop::never())?;
//! assert!(fitted.verdict.validated.area > fitted.verdict.validated.prompt_free_area);
//! let rule = Rule::UniRoute(fitted.router);
//! let point = evaluation::operate(&rule, &samples, fitted.verdict.lambda);
//! assert_eq!((point.score, point.cost), (1.0, 0.625));
//! # Ok::<(), blindroute_lab::routers::TrainError>(())
//! ```
//!
//! The crate has six rooms. Each uses only those above it:
//!
//! | room | holds |
//! |---|---|
//! | [`data`] | routing data sets: reading, importing and checking them, and their splits as [`Samples`](data::Samples) |
//! | [`evaluation`] | what a router chooses, scores and costs; curves, measures, reports, and the weight of cost for a user's own prompts |
//! | [`routers`] | training UniRoute, CSCR and direct routers into a bundle, adding models to a pool, and baselines |
//! | [`encoders`] | embedding prompts with a bundle's encoder, measuring encoders, and training smaller ones |
//! | [`comparison`] | the routers of bundles beside baselines on a split of a data set |
//! | [`classifiers`] | training a nested pool of classifiers on an encoder with several exits, and measuring one |
//!
//! Training sees prompts as embeddings only. They come from a bundle's own encoder
//! ([`embed_dataset`](encoders::embed_dataset)) or from any other [`Embedder`](encoders::Embedder). All random draws follow
//! from a seed, and nothing reads the clock: the same data and options give the same router. Long work of the rooms from
//! `evaluation` to `comparison` takes a [`Stop`], by which its caller ends it.

pub mod classifiers;
pub mod comparison;
pub mod data;
pub mod encoders;
pub mod evaluation;
pub mod routers;

mod stop;

pub use stop::{Stop, Stopped};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
