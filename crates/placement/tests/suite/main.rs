//! Placements, pairs and cascades. What counts the threads of its process is in `in_process.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cascade;
mod classify;
#[path = "../deployment/mod.rs"]
mod deployment;
mod foreign;
mod hand_over;
mod hosts;
mod local;
mod pairs;
#[path = "../pool/mod.rs"]
mod pool;
