//! The gateway as a program of its own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bench;
#[path = "../harness/mod.rs"]
mod harness;
mod program;
