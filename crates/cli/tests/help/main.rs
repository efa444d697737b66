//! What the program says of itself, what the documents say of it, and what it says of a route before there is one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod documents;
mod explain;
#[path = "../harness/mod.rs"]
mod harness;
mod snapshots;
