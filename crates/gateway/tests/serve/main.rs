//! The whole gateway on a port of this machine, with a provider that does what each test says, byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
// These two are shared with the tests of calls, of which each binary uses its part.
#[allow(dead_code)]
#[path = "../upstream/bench.rs"]
mod bench;
mod compacting;
mod conversations;
mod failing;
mod leaving;
#[allow(dead_code)]
#[path = "../upstream/mock.rs"]
mod mock;
mod models;
mod money;
mod pairs;
mod passing;
mod people;
mod reloading;
mod traces;
mod world;
