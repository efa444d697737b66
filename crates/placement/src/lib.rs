//! The library of blindroute: choose an LLM for a prompt, without any server seeing the prompt.
//!
//! ```
//! use blindroute_placement::{PrivateRouter, RouteOptions, default_bundle};
//!
//! # fn main() -> Result<(), blindroute_placement::PlacementError> {
//! let router = PrivateRouter::in_process(&default_bundle()?)?;
//! let report = router.route("What is the capital of France?", &RouteOptions::default())?;
//! println!("{} for {} {}", report.model, report.price, report.price_unit);
//! # assert!(report.openings > 0);
//! # Ok(())
//! # }
//! ```
//!
//! A [`PrivateRouter`] takes prompts and answers with models of a bundle's pool. [`RouteOptions`] say how; the default is
//! what most callers want. How the router is made decides who runs the servers:
//!
//! | made by | dealer and servers are | use it for |
//! |---|---|---|
//! | [`PrivateRouter::local`] | not needed: all runs here in the clear | public routers |
//! | [`PrivateRouter::in_process`] | threads of this process | trying it out, tests |
//! | [`PrivateRouter::with_children`] | child processes | the same, with each party's memory apart |
//! | [`PrivateRouter::connect`] | elsewhere, run by other operators | privacy |
//!
//! [`PrivateRouter::connect_all`] takes several pairs of servers (a pair is a dealer with its two servers) that hold the same model,
//! spreads the sessions over them, and does without one that fails.
//!
//! The [`Placement`] decides what runs under MPC: nothing in `local`, the rule in `head`, everything in `full`. Prompts that
//! are there together can share a session ([`PrivateRouter::route_batch`]), and sessions can be kept ready
//! ([`PrivateRouter::keep_ready`]), so that a route takes no longer than its online time.
//!
//! [`PrivateRouter::classify_batch`] takes texts and answers with labels, where the bundle has a nested pool of classifiers.
//! A [`Cascade`] does so with several encoders, smallest first.
//!
//! [`host`] is for operators: it runs a server or the dealer from a configuration. Servers refuse measurements, which
//! would give a secret encoder away, unless [`BundleCatalogue::dangerously_serve_measurements`] was called.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod ask;
mod asked;
mod catalogue;
mod children;
mod classify;
mod clear;
mod connect;
mod default;
mod error;
pub mod health;
mod home;
pub mod host;
mod loopback;
mod next;
mod options;
mod pairs;
mod patience;
mod ready;
mod report;
mod reporter;
mod route;
mod router;
mod threads;
mod unknown;

pub use ask::{choice, ranking};
pub use catalogue::BundleCatalogue;
pub use children::ChildOptions;
pub use classify::{Cascade, ClassifyError, ClassifyOptions, ClassifyReport, Policy, Text};
pub use default::default_bundle;
pub use error::PlacementError;
pub use home::remove_files;
pub use host::Observed;
pub use options::{RouteOptions, check_lambda};
pub use pairs::PairState;
pub use patience::{Notice, Patience};
pub use report::{BundleUsed, Bytes, Milliseconds, PairUsed, PeakMemory, RankedModel, RouteReport};
pub use router::PrivateRouter;
pub use unknown::UnknownText;

pub use blindroute_routing::program::{Measurement, Placement, SessionRequest, Task, Work};
pub use blindroute_runtime::{Cancel, ClientConfig, Retry, SessionOutcome, SessionPoolStatus, Validity, Waiting};
