//! Openings, bytes and material of a full route with the default encoder, by length. Run with
//! `cargo run -p blindroute-routing --example costs`.
#![allow(clippy::print_stdout)]

use blindroute_protocol::{Error, Meter};
use blindroute_routing::bundle::{Activation, Attention, Pooling};
use blindroute_routing::program::{EncoderPlan, HeadPlan, ModelPlan, RouteProgram, RouterPlan, Task};
use std::sync::Arc;

fn main() -> Result<(), Error> {
    let encoder = EncoderPlan {
        layers: 6,
        hidden: 384,
        heads: 12,
        ffn: 1536,
        attention: Attention::TwoRelu,
        activation: Activation::Relu,
        pooling: Pooling::Mean,
    };
    let routers = vec![
        RouterPlan { name: "uniroute".to_owned(), head: HeadPlan::UniRoute { clusters: 20 } },
        RouterPlan { name: "cscr".to_owned(), head: HeadPlan::Cscr { width: 512, descriptor: 128, keep: 4 } },
    ];
    let plan = Arc::new(ModelPlan { encoder, models: 112, routers });
    for router in 0..plan.routers.len() {
        for bucket in [32, 64, 128, 256] {
            let cost = Meter::cost(&RouteProgram::new(Arc::clone(&plan), Task::Route { router, bucket })?)?;
            println!("{} {bucket} {cost:?}", plan.routers[router].name);
        }
    }
    Ok(())
}
