//! The gateway as a program of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod bench;
mod canary;
#[path = "../harness/mod.rs"]
mod harness;
mod program;
