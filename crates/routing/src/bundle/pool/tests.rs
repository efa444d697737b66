//! Pools in the files of bundles.

use super::super::container::{self, Section};
use super::super::tests::small_bundle;
use super::super::{Bundle, BundleParts, Matrix, PublicPart, SplitRandomness, split};
use super::*;
use serde_json::{Value, json};

/// The small bundle with a second layer, and a pool of two tasks with exits after both.
fn parts() -> BundleParts {
    let mut parts = small_bundle().into_parts();
    parts.encoder.attention = Attention::Linear;
    parts.encoder.layers = 2;
    parts.layers.push(parts.layers[0].clone());
    let linear = |columns: usize, level: f32| {
        let matrix =
            |rows: usize| Matrix::from_fn(rows, columns, |row, column| level + (row * columns + column) as f32);
        LinearLayer { weight: matrix(4), bias: matrix(1) }
    };
    let classifier = |name: &str, labels: &[&str], pair| Classifier {
        task: ClassifierTask {
            name: name.to_owned(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            pair,
            capacities: vec![0.5],
            thresholds: if pair { Vec::new() } else { vec![-1.5] },
        },
        heads: vec![linear(labels.len(), 0.5), linear(labels.len(), -2.0)],
        gains: vec![if pair { Gain::Lead } else { Gain::Quadratic(linear(2, 0.25)) }],
    };
    let tasks = vec![classifier("topic", &["a", "b", "c"], false), classifier("same", &["yes", "no"], true)];
    parts.pool = Some(ClassifierPool { exits: vec![1, 2], tasks });
    parts
}

/// The bundle's file with its header changed by hand, under right digests.
fn with_header(change: fn(&mut Value)) -> Vec<u8> {
    let bytes = Bundle::new(parts()).unwrap().write().unwrap();
    let container = container::read(&bytes, "router-bundle").unwrap();
    let mut header = serde_json::from_slice(container.header()).unwrap();
    change(&mut header);
    let sections: Vec<Section<'_>> = container.sections().to_vec();
    container::write("router-bundle", header.to_string().as_bytes(), &sections).unwrap()
}

#[test]
fn a_pool_is_written_again_byte_for_byte_and_is_in_the_public_part() {
    let bundle = Bundle::new(parts()).unwrap();
    let bytes = bundle.write().unwrap();
    let read = Bundle::read(&bytes).unwrap();
    assert!(read.unknown.is_empty(), "{:?}", read.unknown);
    assert_eq!((read.bundle.parts(), read.bundle.write().unwrap()), (&parts(), bytes));
    let files = split(&bundle, &SplitRandomness::new(&[7; SplitRandomness::BYTES])).unwrap();
    let public = PublicPart::read(&files.public).unwrap();
    let shape = public.plan.pool.unwrap();
    assert_eq!(shape, PoolShape::of(&parts().pool.unwrap()));
    assert_eq!((shape.task(Some("same")), shape.task(None), shape.task(Some("other"))), (Some(1), Some(0), None));
}

/// The parts with a gain and a threshold at the last exit of the first task, for texts that go on to a larger encoder.
fn parts_before_a_larger_encoder() -> BundleParts {
    let mut parts = parts();
    let task = &mut parts.pool.as_mut().unwrap().tasks[0];
    task.gains.push(task.gains[0].clone());
    task.task.thresholds.push(0.5);
    parts
}

#[test]
fn a_task_may_have_a_gain_at_the_last_exit_and_then_has_a_threshold_there() {
    let mut parts = parts_before_a_larger_encoder();
    let bundle = Bundle::new(parts.clone()).unwrap();
    let bytes = bundle.write().unwrap();
    assert_eq!(Bundle::read(&bytes).unwrap().bundle.parts(), &parts);
    let pool = parts.pool.as_mut().unwrap();
    let shape = PoolShape::of(pool);
    assert_eq!((shape.tasks[0].units.as_slice(), shape.tasks[1].units.as_slice()), ([2, 2].as_slice(), [0].as_slice()));
    assert_eq!([&shape.tasks[0], &shape.tasks[1]].map(|task| task.goes_past(2)), [true, false]);
    for thresholds in [vec![], vec![0.5]] {
        let mut parts = parts_before_a_larger_encoder();
        parts.pool.as_mut().unwrap().tasks[0].task.thresholds = thresholds;
        let error = Bundle::new(parts).unwrap_err().to_string();
        assert!(error.contains("expected 2 from -128 to 128"), "{error}");
    }
    // Of one exit there are no capacities, and the gain may be the only one.
    let mut parts = parts_before_a_larger_encoder();
    let pool = parts.pool.as_mut().unwrap();
    pool.exits = vec![2];
    for (task, gains) in pool.tasks.iter_mut().zip([1, 0]) {
        task.heads.truncate(1);
        task.gains.truncate(gains);
        task.task.thresholds.truncate(gains);
        task.task.capacities.clear();
    }
    let bytes = Bundle::new(parts.clone()).unwrap().write().unwrap();
    assert_eq!(Bundle::read(&bytes).unwrap().bundle.parts(), &parts);
}

#[test]
fn hostile_pools_are_clear_errors() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 18] = [
        (|h| h["pool"]["exits"] = json!([]), "the pool's exits is [], expected 1 to 4 rising numbers"),
        (|h| h["pool"]["exits"] = json!([2, 1]), "the pool's exits is [2, 1]"),
        (|h| h["pool"]["exits"] = json!([0, 2]), "the pool's exits is [0, 2]"),
        (|h| h["pool"]["exits"] = json!([1]), "the last of which is 2"),
        (|h| h["pool"]["tasks"] = json!([]), "number of the pool's tasks is 0"),
        (|h| h["pool"]["tasks"][1]["name"] = "topic".into(), "\"topic\" twice"),
        (|h| h["pool"]["tasks"][0]["name"] = "../x".into(), "is \"../x\""),
        (|h| h["pool"]["tasks"][0]["labels"] = json!(["a"]), "number of labels of task \"topic\" is 1"),
        (|h| h["pool"]["tasks"][0]["labels"] = json!(["a", "b", "b"]), "one with \"b\" twice"),
        (|h| h["pool"]["tasks"][0]["labels"] = json!(["a", "b", "\u{1b}[2J"]), "label of task \"topic\""),
        (|h| h["pool"]["tasks"][0]["labels"] = json!(["a", "b"]), "4 × 3, expected 4 × 2"),
        (|h| h["pool"]["tasks"][0]["capacities"] = json!([0.0]), "list of capacities of task \"topic\" is [0.0]"),
        (|h| h["pool"]["tasks"][0]["units"] = json!([4_294_967_294_u32]), "expected 1 even numbers up to 1024"),
        (|h| h["pool"]["tasks"][0]["units"] = json!([2, 2, 2]), "or one more in front of a larger encoder"),
        (
            |h| h["pool"]["tasks"][0]["units"] = json!([2, 2]),
            "list of thresholds of task \"topic\" is [-1.5], expected 2",
        ),
        (
            |h| h["pool"]["tasks"][0]["thresholds"] = json!([0.0, 1.0]),
            "list of thresholds of task \"topic\" is [0.0, 1.0]",
        ),
        (|h| h["pool"]["tasks"][0]["thresholds"] = json!([129.0]), "expected none, or 1 from -128 to 128"),
        (|h| h["encoder"]["attention"] = "2relu".into(), "beside a pool of classifiers is 2relu, expected linear"),
    ];
    for (change, expected) in cases {
        let error = Bundle::read(&with_header(change)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} does not contain {expected:?}");
    }
}

#[test]
fn texts_that_go_on_are_rounded_up_and_at_least_one() {
    assert_eq!(going(&[1.0, 0.3, 0.1], 10), [10, 3, 1]);
    assert_eq!(going(&[0.5, 0.26, 0.01], 32), [16, 9, 1]);
    assert_eq!(going(&[0.5], 1), [1]);
}
