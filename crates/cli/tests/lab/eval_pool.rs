//! `blindroute eval-pool`, as its user runs it, and what it refuses.

use crate::harness::{self, command, default_bundle, pool_bundle, run_within, write};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Runs `eval-pool` with this bundle.
fn eval_pool(bundle: &Path, arguments: &[&str]) -> harness::Ran {
    let few: &[&str] = if arguments.contains(&"--bootstrap") { &[] } else { &["--bootstrap", "20"] };
    let arguments = [&["eval-pool", "--bundle", bundle.to_str().unwrap()], few, arguments].concat();
    run_within(2 * MINUTE, command(&arguments), b"")
}

/// Lines of texts of two lengths with these labels.
fn lines(labels: &[&str]) -> String {
    let line = |(place, label): (usize, &&str)| {
        let text = format!("Who sold the car {place}?").repeat(if place % 4 == 3 { 8 } else { 1 });
        format!("{}\n", serde_json::json!({"text": text, "label": label}))
    };
    labels.iter().enumerate().map(line).collect()
}

fn methods<'a>(task: &'a Value, kind: &str) -> Vec<&'a Value> {
    task["methods"].as_array().unwrap().iter().filter(|method| method["kind"] == kind).collect()
}

#[test]
fn a_pool_is_measured_in_the_clear_and_under_mpc() {
    let home = tempfile::tempdir().unwrap();
    let bundle = pool_bundle(home.path());
    let topic = write(home.path(), "topic.jsonl", &lines(&["red", "green", "blue", "red", "red", "green"]));
    let pairs = r#"{"text": "Is water wet?", "text2": "Yes.", "label": "green"}"#;
    let same = write(home.path(), "same.jsonl", &format!("{pairs}\n\n{pairs}\n"));
    let [html, csv] = ["page.html", "values.csv"].map(|name| home.path().join(name).to_str().unwrap().to_owned());
    let tasks = [format!("topic={topic}"), format!("same={same}")];
    let files = ["--html", &html, "--csv", &csv, "--batch", "4", "--private", "5"];
    let ran = eval_pool(&bundle, &[&["--task", &tasks[0], "--task", &tasks[1], "--json"], &files[..]].concat());
    let found = ran.json();
    assert_eq!(
        (&found["batch"], &found["scene"], &found["summary"]["tasks"]),
        (&4.into(), &"loopback".into(), &2.into())
    );
    let task = &found["tasks"][0];
    assert_eq!((&task["texts"], &task["labels"], &task["exits"]), (&6.into(), &3.into(), &serde_json::json!([1, 2])));
    // The pool's own capacity, 0.5, and three others.
    let counts = ["exit", "routing", "random", "oracle"].map(|kind| methods(task, kind).len());
    assert_eq!(counts, [2, 4, 4, 1]);
    let layers = |method: &Value| method["layers"]["value"].as_f64().unwrap();
    assert_eq!(methods(task, "exit").into_iter().map(layers).collect::<Vec<_>>(), [1.0, 2.0]);
    // Of four short texts half go on. The fifth and the long one are alone in their sessions, and go through all layers.
    let own = methods(task, "routing")[0];
    assert_eq!((own["own"].as_bool(), layers(own)), (Some(true), (4.0 * 1.5 + 2.0 * 2.0) / 6.0));
    let value = |method: &Value, metric: &str| method["measures"][metric]["value"].as_f64().unwrap();
    let oracle = value(methods(task, "oracle")[0], "accuracy");
    let others = ["exit", "routing", "random"].map(|kind| methods(task, kind));
    assert!(others.iter().flatten().all(|method| value(method, "accuracy") <= oracle), "{task}");
    assert!(value(own, "macro_f1") <= 1.0 && own["difference"]["accuracy"]["interval"]["low"].is_number());

    let private = &task["private"];
    assert_eq!((&private["texts"], &private["routed"]["unanswered_lines"]), (&5.into(), &serde_json::json!([])));
    assert_eq!(private["alone"]["equal_labels"]["value"], 1.0);
    assert!(private["online_ratio"]["value"].as_f64().unwrap() > 0.0);
    let took = |field: &str| private["routed"]["per_text"][field].as_f64().unwrap();
    assert!(took("online_ms") < took("total_ms") && took("openings") > 0.0 && took("material_bytes") > 0.0);
    assert_eq!(found["tasks"][1]["private"]["texts"], 2);

    let page = std::fs::read_to_string(html).unwrap();
    assert!(page.contains("<h2>topic</h2>") && page.contains("<h2>same</h2>") && page.ends_with("</html>\n"));
    let csv = std::fs::read_to_string(csv).unwrap();
    assert_eq!(csv.lines().count(), 1 + 2 * 11);
    assert_eq!(
        csv.lines().filter(|line| line.ends_with(",loopback")).count(),
        4,
        "own routing and the last exit ran privately"
    );
}

#[test]
fn the_same_seed_gives_the_same_table() {
    let home = tempfile::tempdir().unwrap();
    let bundle = pool_bundle(home.path());
    let topic = write(home.path(), "topic.jsonl", &lines(&["red", "green", "blue", "blue"].repeat(4)));
    let task = format!("topic={topic}");
    let table = |seed: &str| {
        let ran = eval_pool(&bundle, &["--task", &task, "--batch", "4", "--seed", seed]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        ran.stdout
    };
    let [first, again, other] = ["3", "3", "4"].map(table);
    assert_eq!(first, again);
    assert_ne!(first, other);
    for part in [
        "topic: 16 texts, 3 labels",
        "own capacities 0.5",
        "  all after 1 layer ",
        "  oracle ",
        "1 task, own capacities",
    ] {
        assert!(first.contains(part), "{part:?} is not in {first}");
    }
    assert!(!first.contains("MPC"), "{first}");
}

#[test]
fn numbers_are_compared_by_their_order_too() {
    let home = tempfile::tempdir().unwrap();
    let bundle = harness::pool_bundle_with_labels(home.path(), ["0", "1", "2"]);
    let line = |label: &str| {
        format!(
            "{{\"text\": \"a word\", \"label\": {label}}}\n{{\"text\": \"who sold it, and why?\", \"label\": {label}}}\n"
        )
    };
    let topic = write(home.path(), "topic.jsonl", &["0.4", "1.6", "\"1\"", "2"].map(line).concat());
    let found = eval_pool(&bundle, &["--task", &format!("topic={topic}"), "--json", "--bootstrap", "0"]).json();
    let last = methods(&found["tasks"][0], "exit")[1];
    let metrics: Vec<&String> = last["measures"].as_object().unwrap().keys().collect();
    assert_eq!(metrics, ["accuracy", "macro_f1", "spearman"]);
    assert!(last["measures"]["accuracy"]["interval"].is_null());
}

#[test]
fn what_cannot_be_measured_says_so_before_any_work() {
    let home = tempfile::tempdir().unwrap();
    let bundle = pool_bundle(home.path());
    let file = |name: &str, content: &str| write(home.path(), name, content);
    let good = file("good.jsonl", &lines(&["red", "blue"]));
    let [topic, mood, same] = ["topic", "mood", "same"].map(|name| format!("{name}={good}"));
    let label = format!("topic={}", file("label.jsonl", &lines(&["red", "canary"])));
    let fraction = format!("topic={}", file("fraction.jsonl", "{\"text\": \"canary\", \"label\": 0.5}\n"));
    let empty = format!("topic={}", file("empty.jsonl", "\n\n"));
    let json = format!("topic={}", file("json.jsonl", "canary\n"));
    for (arguments, says) in [
        (vec!["--task", &mood], vec!["no task \"mood\"", "topic, same"]),
        (vec!["--task", &topic, "--task", &same], vec!["good.jsonl, line 1: it has no field text2", "pairs"]),
        (vec!["--task", &label], vec!["label.jsonl, line 2: its label is none of task \"topic\"", "red, green, blue"]),
        (vec!["--task", &fraction], vec!["line 1: its label is a number with a fraction"]),
        (vec!["--task", &empty], vec!["empty.jsonl: it has no lines"]),
        (vec!["--task", &json], vec!["line 1: it is not a JSON object"]),
        (vec!["--task", "topic=/nowhere.jsonl"], vec!["/nowhere.jsonl", "JSON lines"]),
        (vec!["--task", "topic"], vec!["\"topic\": expected NAME=TEST.jsonl"]),
        (vec!["--task", &topic, "--batch", "1"], vec!["--batch", "from 2 to 64"]),
        (vec!["--task", &topic, "--private", "0"], vec!["--private", "or all"]),
        (vec!["--task", &topic, "--scene", "wan"], vec!["--private"]),
        (vec!["--task", &topic, "--csv", "/nowhere/values.csv"], vec!["could not write /nowhere/values.csv"]),
        (vec![], vec!["--task"]),
    ] {
        let ran = eval_pool(&bundle, &arguments);
        let error = ran.error();
        says.iter().for_each(|part| assert!(ran.stderr.contains(part), "{part:?} is not in {error}"));
        assert!(!ran.stderr.contains("canary"), "{error}");
    }
    let ran = eval_pool(&default_bundle(), &["--task", &topic]);
    assert!(ran.error().contains("no pool of classifiers") && ran.stderr.contains("train pool"), "{}", ran.stderr);
}

#[test]
fn the_shipped_pool_is_good_on_real_texts() {
    let Some(data) = blindroute_testkit::shared_data() else { return };
    let home = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(data.join("classification/sst2_glue.test.jsonl")).unwrap();
    let few: String = text.lines().take(48).map(|line| format!("{line}\n")).collect();
    let task = format!("sst2={}", write(home.path(), "few.jsonl", &few));
    let ran = run_within(2 * MINUTE, command(&["eval-pool", "--task", &task, "--bootstrap", "100", "--json"]), b"");
    let found = ran.json();
    let task = &found["tasks"][0];
    let own = methods(task, "routing")[0];
    let measures = &own["measures"];
    let of = |metric: &str| measures[metric]["value"].as_f64().unwrap();
    assert!(of("accuracy") > 0.75 && of("f1") > 0.7 && of("matthews") > 0.5, "{own}");
    assert_eq!((&task["f1_of"], &found["summary"]["online_saved"]), (&"1".into(), &Value::Null));
    // Of 32 texts, 12, 4 and 4 go on past the exits after 1, 2 and 3 layers.
    let layers = own["layers"]["value"].as_f64().unwrap();
    assert!((layers - (1.0 + (12.0 + 4.0 + 4.0) / 32.0)).abs() < 0.1, "{layers}");
}
