//! Prints openings, bytes and material of a full route with the default encoder, per bucket, for one prompt and for
//! four at once. Run with `cargo run -p blindroute-routing --example costs`.
#![allow(clippy::print_stdout)]

use blindroute_protocol::{Error, Meter, Tuning};
use blindroute_routing::bundle::{Activation, Attention, Norms, Pooling};
use blindroute_routing::program::{BundlePlan, EncoderPlan, NetworkEstimate, RouterPlan, RulePlan, Task, TunedTask};
use std::sync::Arc;
use std::time::Duration;

fn main() -> Result<(), Error> {
    let encoder = EncoderPlan {
        layers: 6,
        hidden: 384,
        heads: 12,
        ffn: 1536,
        attention: Attention::TwoRelu,
        activation: Activation::Relu,
        norms: Norms::Both,
        pooling: Pooling::Mean,
    };
    let routers = vec![
        RouterPlan { name: "uniroute".to_owned(), rule: RulePlan::UniRoute { clusters: 20 } },
        RouterPlan { name: "cscr".to_owned(), rule: RulePlan::Cscr { width: 512, descriptor: 128, keep: 4 } },
    ];
    let wan = NetworkEstimate { delay: Duration::from_millis(20), megabits: 400.0 };
    let plan = Arc::new(BundlePlan { encoder, models: 112, routers });
    for router in 0..plan.routers.len() {
        for bucket in [32, 64, 128, 256] {
            let task = Task::Route { router, bucket };
            let name = &plan.routers[router].name;
            for batch in [1, 4] {
                for tuning in Tuning::ALL {
                    let cost = Meter::cost(&TunedTask { task, tuning, batch }.program(&plan)?)?;
                    let wait = wan.estimate(&cost);
                    println!("{name} {bucket}, batch {batch}, {tuning:?} {cost:?}, on a wan {wait:.2?}");
                }
                println!("{name} {bucket}, batch {batch}: {:?} on a wan", wan.choose(&plan, task, batch)?);
            }
        }
    }
    Ok(())
}
