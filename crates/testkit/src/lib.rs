//! blindroute testkit.

mod shared_data;

pub use shared_data::shared_data;
