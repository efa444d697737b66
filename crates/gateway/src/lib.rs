//! The gateway: an HTTP server on the client's machine that speaks the dialects of LLM providers, chooses the model of each new user
//! turn privately, calls it with the user's own key, and passes the answer through.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod clock;
pub mod config;
mod decide;
mod digest;
pub mod guard;
pub mod money;
pub mod observe;
pub mod page;
mod serve;
pub mod store;
mod trace;
pub mod upstream;

pub use serve::{Gateway, GatewayError, pool_of};
