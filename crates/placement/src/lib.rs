//! One API over the three placements of a router: `local`, `head` and `full`.
//!
//! A [`PrivateRouter`] takes a prompt and answers with a model of the pool. In `local` everything runs here in the clear;
//! in `head` the encoder runs here and the secret rest under MPC; in `full` everything runs under MPC. The servers are
//! either child processes of this one ([`ChildDeployment`]) or elsewhere ([`PrivateRouter::remote`]). It routes several prompts
//! at once from several threads, and can keep sessions ready ([`PrivateRouter::keep_ready`]), so that a route takes no longer
//! than its online time. Prompts that are there together can share a session ([`PrivateRouter::route_batch`]).

mod ask;
mod catalogue;
mod deployment;
mod error;
mod home;
pub mod host;
mod patience;
mod ready;
mod report;
mod route;
mod router;
mod unknown;

pub use ask::choice;
pub use catalogue::BundleCatalogue;
pub use deployment::{ChildDeployment, Programs, peak_memory};
pub use error::PlacementError;
pub use home::remove_files;
pub use patience::{Notice, Patience};
pub use report::{BundleUsed, Bytes, Milliseconds, PeakMemory, RouteReport};
pub use route::TaskBatch;
pub use router::{PrivateRouter, Request, check_lambda};
pub use unknown::UnknownText;

pub use blindroute_routing::program::Placement;
pub use blindroute_runtime::{Retry, Waiting};
