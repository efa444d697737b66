//! The provider's commands: data, training, evaluation, calibration, models that join, and plans.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod data;
mod eval;
mod eval_pool;
mod fingerprint;
#[path = "../harness/mod.rs"]
mod harness;
mod import;
mod plan;
mod tables;
mod training;
