//! The secure programs: encoder, rules and selection, each written once for all interpreters.
//!
//! A [`BundlePlan`] is the public description of a bundle: the shapes of its encoder and routers, which determine the
//! list of its secret weights. A [`RouteProgram`] is one route through it: a placement, a router and a bucket, for one
//! prompt or for a batch of prompts, which takes the openings of one prompt. [`stack_inputs`] and [`split_output`]
//! convert between single prompts and a batch.

mod batch;
mod classify;
mod encoder;
mod inputs;
mod output;
mod plan;
mod pool_weights;
mod ranges;
mod request;
mod route;
mod rule;
mod select;
mod task;
mod weights;

pub use batch::{split_output, stack_inputs};
pub use encoder::ROW_OFFSET;
pub use inputs::{RouteInputs, head_inputs, padded};
pub use output::{embedding, label, onward, outside_range, ranking, scores};
pub use plan::{BundlePlan, EncoderPlan, RouterPlan};
pub use ranges::{RangeError, check_ranges};
pub use request::{NetworkEstimate, SessionRequest};
pub use route::RouteProgram;
pub use select::{SelectMethod, SelectProgram};
pub use task::{MOST_RANKED, Measurement, Placement, Task, Work};
pub use weights::weight_tensors;
