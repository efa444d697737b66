//! `blindroute explain`: the cost meter's figures for the programs that servers run.

use crate::harness::{default_bundle, run};
use blindroute_protocol::Meter;
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::{BundlePlan, SessionRequest, Task};
use std::sync::Arc;

#[test]
fn a_route_costs_what_the_meter_says_on_every_network() {
    let plan = Arc::new(BundlePlan::of(&Bundle::open(&default_bundle()).unwrap().bundle));
    let ran = run(&["explain", "--router", "direct", "--tokens", "40", "--batch", "4", "--json"]);
    let rows = ran.json()["networks"].as_array().unwrap().clone();
    assert_eq!(
        rows.iter().map(|row| row["network"].as_str().unwrap()).collect::<Vec<_>>(),
        ["loopback", "lan", "metro", "wan"]
    );
    let task = Task::route(plan.router(Some("direct")).unwrap(), 64);
    let cost = Meter::cost(&SessionRequest::new(task).with_batch(4).program(&plan).unwrap()).unwrap();
    assert_eq!(rows[0]["openings"], cost.openings);
    assert_eq!(rows[0]["server_bytes"], cost.opening_bytes);
    assert_eq!(rows[0]["material_bytes"], cost.material_bytes);
    assert_eq!(rows[0]["waiting_ms"], 0.0);
    // A ranking takes look-ups, which are material.
    let ran = run(&["explain", "--router", "direct", "--tokens", "40", "--batch", "4", "--ranked", "3", "--json"]);
    let ranked = ran.json();
    assert_eq!((&ranked["request"]["ranked"], &ranked["networks"][0]["openings"]), (&3.into(), &cost.openings.into()));
    assert!(ranked["networks"][0]["material_bytes"].as_u64() > rows[0]["material_bytes"].as_u64());
    // Twenty milliseconds for each opening, and the bytes at 400 Mbit/s.
    let (openings, bytes) = (rows[3]["openings"].as_f64().unwrap(), rows[3]["server_bytes"].as_f64().unwrap());
    let least = 20.0 * openings + bytes * 8.0 / 400e3;
    let found = rows[3]["waiting_ms"].as_f64().unwrap();
    assert!(found >= least && found < 1.5 * least, "{found} ms, at least {least}");
}

#[test]
fn an_encoder_of_another_shape_is_metered_without_weights() {
    let openings = |options: &[&str]| {
        let ran = run(&[&["explain", "--json"], options].concat());
        let row = ran.json()["networks"][0].clone();
        (row["openings"].as_u64().unwrap(), row["server_bytes"].as_u64().unwrap())
    };
    let (own, large) =
        (openings(&[]), openings(&["--layers", "24", "--hidden", "1024", "--heads", "16", "--ffn", "4096"]));
    assert_eq!(large.0 - own.0, 12 * 20, "twelve openings for each of twenty layers more");
    assert!(large.1 > 12 * own.1, "{large:?} and {own:?}");
    let table = run(&["explain"]);
    assert!(table.stdout.starts_with("network") && table.stdout.contains("\nwan "), "{}", table.stdout);
}

#[test]
fn what_cannot_be_explained_says_why() {
    for (options, says) in [
        (["--router", "magic"], "it has: uniroute, direct, cscr"),
        (["--task", "sst2"], "train pool"),
        (["--heads", "7"], "a width of 384 for 7 attention heads"),
        (["--layers", "65"], "expected 1 to 64"),
        (["--tokens", "257"], "256"),
    ] {
        let ran = run(&[["explain", "--bundle", default_bundle().to_str().unwrap()].as_slice(), &options].concat());
        assert_ne!(ran.code, Some(0));
        assert!(ran.stderr.contains(says), "{options:?}: {}", ran.stderr);
    }
}
