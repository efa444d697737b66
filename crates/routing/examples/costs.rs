//! Prints openings, bytes and material of a full route with the default bundle, per bucket, for one prompt and for four
//! at once. Run with `cargo run -p blindroute-routing --example costs`.
#![allow(clippy::print_stdout)]

use blindroute_protocol::{Meter, Tuning};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::{BundlePlan, NetworkEstimate, SessionRequest, Task};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bundles/default.blindroute");
    let plan = Arc::new(BundlePlan::of(&Bundle::open(Path::new(path))?.bundle));
    let wan = NetworkEstimate { delay: Duration::from_millis(20), megabits: 400.0 };
    for router in 0..plan.routers.len() {
        for bucket in [32, 64, 128, 256] {
            let task = Task::route(router, bucket);
            let name = &plan.routers[router].name;
            for batch in [1, 4] {
                for tuning in Tuning::ALL {
                    let cost =
                        Meter::cost(&SessionRequest::new(task).with_batch(batch).with_tuning(tuning).program(&plan)?)?;
                    let wait = wan.estimate(&cost);
                    println!("{name} {bucket}, batch {batch}, {tuning:?} {cost:?}, on a wan {wait:.2?}");
                }
                let chosen = wan.tune(&plan, SessionRequest::new(task).with_batch(batch))?.tuning.unwrap_or_default();
                println!("{name} {bucket}, batch {batch}: {chosen:?} on a wan");
            }
        }
    }
    Ok(())
}
