//! `blindroute plan`: models on pairs, by hand-checked figures.

use crate::harness::{pool_bundle, run, small_bundle, write};
use blindroute_protocol::Meter;
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::{BundlePlan, NetworkEstimate, SessionRequest, Task};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Two equal pairs of this memory, and a router and a task with these sessions per hour.
fn plan(folder: &Path, memory: [u32; 2], loads: [f64; 2]) -> String {
    let (small, pool) = (small_bundle(folder), pool_bundle(folder));
    assert!(small.ends_with("small.blindroute") && pool.ends_with("pool.blindroute"));
    let pair = |name: &str, memory: u32| {
        format!("[[pairs]]\nname = \"{name}\"\nmemory_mib = {memory}\ndelay_ms = 1.0\nmegabits = 1000\n")
    };
    let text = format!(
        "{}{}[[models]]\nname = \"routes\"\nbundle = \"small.blindroute\"\nload = {:?}\nbucket = 32\nbatch = 1\n\
         [[models]]\nbundle = \"pool.blindroute\"\ntask = \"topic\"\nload = {:?}\nbucket = 64\nbatch = 4\nsessions = 1\n",
        pair("north", memory[0]),
        pair("south", memory[1]),
        loads[0],
        loads[1]
    );
    write(folder, "plan.toml", &text)
}

fn near(found: &Value, expected: f64) -> bool {
    found.as_f64().is_some_and(|found| (found - expected).abs() <= 1e-9 * expected.abs().max(1.0))
}

#[test]
fn each_model_has_a_pair_and_the_figures_are_those_of_the_meter_and_the_stated_formulas() {
    let home = tempfile::tempdir().unwrap();
    let file = plan(home.path(), [4096, 4096], [3600.0, 10.0]);
    let answer = run(&["plan", &file, "--json"]).json();
    let rows = answer["placements"].as_array().unwrap();
    let of = |model: &str| rows.iter().filter(|row| row["model"] == model).collect::<Vec<_>>();
    assert!(!of("routes").is_empty() && !of("pool.blindroute").is_empty(), "{answer}");
    let plan = Arc::new(BundlePlan::of(&Bundle::open(&home.path().join("small.blindroute")).unwrap().bundle));
    let network = NetworkEstimate { delay: Duration::from_millis(1), megabits: 1000.0 };
    let request = network.tune(&plan, SessionRequest::new(Task::route(0, 32))).unwrap();
    let cost = Meter::cost(&request.program(&plan).unwrap()).unwrap();
    // One layer of four square matrices and two of the feed-forward network, 32 tokens.
    let products = (4.0 * 384.0 * 384.0 + 2.0 * 384.0 * 1536.0) * 32.0;
    let network = 1e-3 * cost.openings as f64 + cost.opening_bytes as f64 * 8e-9;
    let work = 6e-11 * products + 2e-9 * cost.material_bytes as f64;
    let mut sessions = 0.0;
    for row in of("routes") {
        assert_eq!(row["openings"], cost.openings);
        assert_eq!(row["server_bytes"], cost.opening_bytes);
        assert_eq!(row["material_bytes"], cost.material_bytes);
        assert!(near(&row["products"], products) && near(&row["network_seconds"], network), "{row}");
        assert!(near(&row["work_seconds"], work), "{row}");
        sessions += row["sessions_per_hour"].as_f64().unwrap();
        let load = row["sessions_per_hour"].as_f64().unwrap() * (network + work) / 3600.0;
        assert!(near(&row["load"], load), "{row}");
        let weights: usize = plan.weights().iter().map(|w| w.shape().len() * if w.bits <= 32 { 16 } else { 24 }).sum();
        let memory = 64.0 + (weights as f64 + 2.0 * 3.0 * cost.material_bytes as f64) / 1024.0 / 1024.0;
        assert!(near(&row["memory_mib"], memory), "{row}");
    }
    assert!((sessions - 3600.0).abs() < 1e-6, "all sessions are somewhere: {sessions}");
    // The heavy model is worth a copy on each of two equal pairs.
    assert_eq!(of("routes").len(), 2, "{answer}");
    let loads: Vec<f64> =
        answer["pairs"].as_array().unwrap().iter().map(|pair| pair["load"].as_f64().unwrap()).collect();
    assert!(near(&answer["largest_load"], loads[0].max(loads[1])));
    for pair in answer["pairs"].as_array().unwrap() {
        let on = rows.iter().filter(|row| row["pair"] == pair["name"]);
        let (load, memory) = on.fold((0.0, 0.0), |(load, memory), row| {
            (load + row["load"].as_f64().unwrap(), memory + row["memory_mib"].as_f64().unwrap())
        });
        assert!(near(&pair["load"], load) && near(&pair["used_mib"], memory), "{pair}");
    }
    let table = run(&["plan", &file]).stdout;
    for part in ["north", "south", "routes", "pool.blindroute", "why: ", "alone the largest load would be", "Estimated"]
    {
        assert!(table.contains(part), "{part:?} is not in {table}");
    }
}

#[test]
fn a_model_that_fits_nowhere_says_by_how_much_and_one_that_fits_goes_where_it_fits() {
    let home = tempfile::tempdir().unwrap();
    let row = |memory, model: &str| {
        let answer = run(&["plan", &plan(home.path(), memory, [60.0, 60.0]), "--json"]).json();
        let rows: Vec<Value> = answer["placements"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["model"] == model).unwrap()
    };
    let models = ["routes", "pool.blindroute"];
    let needs = models.map(|model| row([4096, 4096], model)["memory_mib"].as_f64().unwrap());
    // Room for both in the second only.
    let memory = [64, (needs[0] + needs[1]).ceil() as u32];
    for model in models {
        assert_eq!(row(memory, model)["pair"], "south");
        assert!(row(memory, model)["why"].as_str().unwrap().contains("north lacks"));
    }
    let short = needs[0].min(needs[1]).floor() as u32 - 10;
    let ran = run(&["plan", &plan(home.path(), [short - 1, short], [60.0, 60.0])]);
    let error = ran.error();
    let lacks = needs[usize::from(!error.contains("\"routes\""))] - f64::from(short);
    for part in ["fits on no pair", "\"south\"", &format!("{lacks:.0} MiB too few"), "memory_mib"] {
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
}

#[test]
fn what_cannot_be_planned_says_why() {
    let home = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(plan(home.path(), [4096; 2], [1.0; 2])).unwrap();
    for (from, to, says) in [
        ("bucket = 32", "bucket = 33", "bucket is no bucket: expected 32, 64, 128 or 256"),
        ("task = \"topic\"", "task = \"weather\"", "the pool has no task \"weather\"; it has: topic, same"),
        ("task = \"topic\"", "task = \"topic\"\nrouter = \"direct\"", "task stands beside a router"),
        ("small.blindroute", "none.blindroute", "none.blindroute"),
        ("\"south\"", "\"north\"", "two pairs are called \"north\""),
        ("delay_ms = 1.0", "delay_ms = -1.0", "delay_ms is out of range"),
        ("batch = 4", "batch = 65", "batch is out of range: expected 1 to 64"),
        ("[[pairs]]", "[[others]]", "pairs is missing"),
    ] {
        let file = write(home.path(), "bad.toml", &good.replace(from, to));
        let ran = run(&["plan", &file]);
        assert!(ran.error().contains(says), "{from} as {to}: {}", ran.stderr);
    }
}
