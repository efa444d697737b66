//! The commands, one module each.

pub(crate) mod agreement;
pub(crate) mod bundle;
pub(crate) mod bundle_add;
pub(crate) mod bundle_import;
mod bundle_widths;
pub(crate) mod calibrate;
pub(crate) mod classify;
pub(crate) mod data;
pub(crate) mod distil;
pub(crate) mod doctor;
pub(crate) mod embedding;
pub(crate) mod eval;
pub(crate) mod eval_pool;
pub(crate) mod explain;
pub(crate) mod fingerprint;
pub(crate) mod gateway;
pub(crate) mod plan;
pub(crate) mod route;
pub(crate) mod route_many;
mod servers;
pub(crate) mod similarity;
pub(crate) mod train;
mod train_pool;
mod train_progress;
mod train_reading;
