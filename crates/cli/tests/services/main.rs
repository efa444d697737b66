//! Deployments that are configured by hand, as across machines, and what goes wrong with them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod distance;
mod doctor;
mod faults;
#[path = "../harness/mod.rs"]
mod harness;
mod pairs;
mod restart;
mod splits;
