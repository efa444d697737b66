//! The `blindroute` binary.
fn main() {}
