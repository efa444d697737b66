//! Calls of providers, with a provider that does what each test says, byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod at_once;
mod bench;
mod echo;
mod leaving;
mod mock;
mod requests;
mod retries;
mod streams;
