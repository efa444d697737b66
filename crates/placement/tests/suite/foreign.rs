//! Rules of the kinds that are made elsewhere, networks and stored prompts: the same models in every placement, at the cost of the plan.

use blindroute_placement::{Placement, PrivateRouter, RouteOptions, SessionRequest, default_bundle};
use blindroute_protocol::Meter;
use blindroute_routing::bundle::{Bundle, HiddenLayer, Matrix, Mlp, Neighbours, Router, Rule};
use std::collections::BTreeSet;
use std::sync::Arc;

const PROMPTS: [&str; 6] = [
    "What is the capital of France?",
    "Prove that the square root of 2 is irrational.",
    "Sort a list in Rust.",
    "Translate 'good morning' into Spanish.",
    "Write a poem about the sea.",
    "7 + 8 + 9 + 10 = ?",
];

/// Numbers between −`size` and `size`, the same in every run.
fn random(seed: u64, (rows, columns): (usize, usize), size: f64) -> Matrix {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let data = (0..rows * columns).map(|_| {
        // The generator of Knuth's MMIX, of which the upper bits are good.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (size * ((state >> 40) as f64 / f64::from(1u32 << 23) - 1.0)) as f32
    });
    Matrix::new(rows, columns, data.collect()).unwrap()
}

/// Networks with one and two hidden layers, and stored prompts that are searched in one group and in several.
fn bundle() -> Bundle {
    let mut parts = default_bundle().unwrap().into_parts();
    parts.layers.truncate(1);
    parts.encoder.layers = 1;
    let (hidden, models) = (parts.encoder.hidden, parts.models.len());
    let cost = parts.routers[0].cost().clone();
    let network = |seed: u64, widths: &[usize]| {
        let (mut layers, mut before) = (Vec::new(), hidden);
        for (layer, &width) in (seed..).zip(widths) {
            let weight = random(layer, (before, width), 3.0 / (before as f64).sqrt());
            layers.push(HiddenLayer { weight, bias: random(layer + 10, (1, width), 0.3) });
            before = width;
        }
        let weight = random(seed + 20, (before, models), 3.0 / (before as f64).sqrt());
        Rule::Mlp(Mlp { hidden: layers, weight, bias: random(seed + 30, (1, models), 0.1), cost: cost.clone() })
    };
    let nearest = |seed: u64, count: usize, keep: usize| {
        let (stored, outcomes) = (random(seed, (count, hidden), 0.5), random(seed + 1, (count, models), 1.0));
        let offset = Matrix::from_fn(1, count, |_, _| 0.0);
        Rule::Neighbours(Neighbours { stored, offset, outcomes, cost: cost.clone(), keep })
    };
    let rules = [
        ("one-layer", network(100, &[16])),
        ("two-layers", network(200, &[24, 12])),
        ("one-group", nearest(300, 20, 3)),
        ("several-groups", nearest(400, 150, 4)),
    ];
    let router = |(name, rule): (&str, Rule)| Router { name: name.to_owned(), lambda: 0.1, lexical: None, rule };
    parts.routers = rules.into_iter().map(router).collect();
    Bundle::new(parts).unwrap()
}

#[test]
fn networks_and_stored_prompts_answer_alike_in_every_placement_at_the_cost_of_the_plan() {
    let router = PrivateRouter::in_process(&bundle()).unwrap();
    let plan = Arc::new(router.public().plan.clone());
    for name in ["one-layer", "two-layers", "one-group", "several-groups"] {
        let options = |placement| RouteOptions::default().with_placement(placement).with_router(name);
        let routed = |placement| {
            let answers = router.route_batch(&PROMPTS, &options(placement)).unwrap();
            answers.into_iter().map(Result::unwrap).collect::<Vec<_>>()
        };
        let clear: Vec<String> = routed(Placement::Local).into_iter().map(|report| report.model).collect();
        assert!(
            clear.iter().collect::<BTreeSet<_>>().len() > 1,
            "{name}: a rule that is constant would pass: {clear:?}"
        );
        for placement in [Placement::Head, Placement::Full] {
            let reports = routed(placement);
            let models: Vec<&String> = reports.iter().map(|report| &report.model).collect();
            assert_eq!(models, clear.iter().collect::<Vec<_>>(), "{name}, {placement:?}");
            let task = router.task(PROMPTS[0], &options(placement)).unwrap().unwrap();
            for report in reports {
                let cost = Meter::cost(&SessionRequest::new(task).with_batch(report.batch).program(&plan).unwrap());
                let cost = cost.unwrap();
                let (sent, material) = (cost.opening_bytes as u64, cost.material_bytes as u64);
                assert_eq!(report.openings as usize, cost.openings, "{name}, {placement:?}");
                let found = (report.bytes.server0_sent, report.bytes.server1_sent, report.bytes.material);
                assert_eq!(found, (sent, sent, material), "{name}, {placement:?}");
            }
        }
    }
}
