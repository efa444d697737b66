//! Routes several prompts in one session, which was prepared before they came.
//!
//! Run with `cargo run --release --example batch -p blindroute-placement`.
#![allow(clippy::print_stdout)]

use blindroute_placement::{PlacementError, PrivateRouter, RouteOptions, SessionRequest, default_bundle};
use std::time::Duration;

fn main() -> Result<(), PlacementError> {
    let router = PrivateRouter::in_process(&default_bundle()?)?;
    let options = RouteOptions::default().with_router("cscr").with_lambda(0.1);
    let prompts =
        ["What is the capital of France?", "Sort a list in Rust.", "Prove that there are infinitely many primes."];

    // Nothing of a prompt is needed for this but its length's bucket. Without it, the batch prepares its own session.
    if let Some(task) = router.task(prompts[0], &options)? {
        let request = SessionRequest::new(task).with_batch(prompts.len());
        router.keep_ready(request, 1)?;
        router.wait_ready(request, Duration::from_secs(120));
    }

    for (prompt, answer) in prompts.iter().zip(router.route_batch(&prompts, &options)?) {
        match answer {
            Ok(report) => println!("{} ({} in the session): {prompt}", report.model, report.batch),
            Err(error) => println!("error: {error}: {prompt}"),
        }
    }
    Ok(())
}
