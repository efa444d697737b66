//! The secure programs: encoder, heads and selection, each written once for every interpreter.
//!
//! A [`BundlePlan`] is what is public about a bundle: its encoder's and routers' shapes, and from them the list of
//! secret weights. A [`RouteProgram`] is one route through it: a placement, a router and a bucket; or that of several
//! prompts at once, a batch, in the openings of one. [`stack_inputs`] and [`split_output`] go between prompts and batch.

mod batch;
mod encoder;
mod inputs;
mod plan;
mod ranges;
mod request;
mod route;
mod rule;
mod select;
mod task;
mod weights;

pub use batch::{split_output, stack_inputs};
pub use encoder::{RELU_DIVISOR, ROW_OFFSET};
pub use inputs::{RouteInputs, head_inputs, padded};
pub use plan::{BundlePlan, EncoderPlan, RouterPlan, RulePlan};
pub use ranges::{RangeError, check_ranges};
pub use request::{NetworkEstimate, SessionRequest};
pub use route::RouteProgram;
pub use select::{SelectMethod, SelectProgram};
pub use task::{Measurement, Placement, Task, Work};
pub use weights::weight_tensors;
