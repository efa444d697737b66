//! Prompts and texts that the program routes and classifies with parties of its own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod agreement;
mod bad_input;
mod batches;
mod classify;
#[path = "../harness/mod.rs"]
mod harness;
mod main_job;
mod many;
