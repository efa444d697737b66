//! Routes a prompt by the default bundle. Dealer and both servers are threads of this process.
//!
//! Run with `cargo run --release --example route -p blindroute-placement -- "PROMPT"`.
#![allow(clippy::print_stdout)]

use blindroute_placement::{PlacementError, PrivateRouter, RouteOptions, default_bundle};

fn main() -> Result<(), PlacementError> {
    let prompt = std::env::args().nth(1).unwrap_or_else(|| "Prove that the square root of 2 is irrational.".to_owned());
    let router = PrivateRouter::in_process(&default_bundle()?)?;
    let report = router.route(&prompt, &RouteOptions::default())?;
    println!("{}", report.model);
    Ok(())
}
