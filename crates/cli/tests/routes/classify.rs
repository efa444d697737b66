//! `blindroute classify`, as its user runs it, and what it refuses.

use crate::harness::{
    self, command, default_bundle, pool_bundle, pool_bundle_with_labels, run, run_within, small_pool_bundle, write,
};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Runs `classify` with this bundle.
fn classify(bundle: &Path, arguments: &[&str], stdin: &str) -> harness::Ran {
    let bundle = bundle.to_str().unwrap();
    let arguments = [&["classify", "--bundle", bundle], arguments].concat();
    run_within(2 * MINUTE, command(&arguments), stdin.as_bytes())
}

#[test]
fn lines_are_answered_in_their_order_as_in_the_clear() {
    let home = tempfile::tempdir().unwrap();
    let bundle = pool_bundle(home.path());
    let long = "A sentence of seven words or so. ".repeat(8);
    let input = format!(
        "{}\n{}\n\nnone\n{}\n{}\n",
        r#"{"id": 1.0, "text": "What is the capital of France?"}"#,
        r#"{"id": "b", "text": "Is water wet", "text2": "yes"}"#,
        serde_json::json!({"id": {"c": 1}, "text": long}),
        r#"{"id": "d", "text": "She sold the blue car."}"#
    );
    let answers = ["full", "local"].map(|placement| {
        let ran = classify(&bundle, &["--input", "-", "--batch", "4", "--placement", placement], &input);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert!(ran.error_line().contains("2 of 5 lines could not be classified"), "{}", ran.stderr);
        ran.lines()
    });
    let [private, clear] = &answers;
    let ids: Vec<String> = private.iter().map(|answer| answer["id"].to_string()).collect();
    assert_eq!(ids, ["1.0", "\"b\"", "null", "{\"c\":1}", "\"d\""]);
    for (place, (private, clear)) in private.iter().zip(clear).enumerate() {
        assert_eq!(private["error"], clear["error"], "line {place}");
        assert_eq!(private["label"], clear["label"], "line {place}");
    }
    let says = |place: usize, part: &str| private[place]["error"].as_str().is_some_and(|error| error.contains(part));
    assert!(says(1, "leave out text2") && says(2, "line 4 is not an") && private[2]["line"] == 4);
    let shape = |answer: &Value| ["bucket", "batch", "padded"].map(|field| answer[field].as_u64().unwrap());
    assert_eq!((shape(&private[0]), shape(&private[3]), shape(&private[4])), ([32, 4, 2], [128, 1, 0], [32, 4, 2]));
    assert!(private[0]["depth"].is_null() && private[0]["capacities"] == serde_json::json!([2]));
    assert!(private[0]["openings"].as_u64().is_some_and(|openings| openings > 0));
}

#[test]
fn in_the_open_each_text_says_where_it_left_and_what_that_shows() {
    let home = tempfile::tempdir().unwrap();
    let bundle = pool_bundle(home.path());
    let texts =
        ["What is the capital of France?", "Is water wet?", "She sold the blue car.", "no", "a b c d e f g", "1 + 1"];
    let line = |(id, text): (usize, &&str)| serde_json::json!({"id": id, "text": text}).to_string();
    let input = texts.iter().enumerate().map(line).collect::<Vec<_>>().join("\n");
    let [private, clear] = ["full", "local"].map(|placement| {
        let ran = classify(&bundle, &["--input", "-", "--policy", "open", "--placement", placement], &input);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        ran.lines()
    });
    for (place, (private, clear)) in private.iter().zip(&clear).enumerate() {
        let told = |answer: &Value| ["id", "label", "depth"].map(|field| answer[field].clone());
        assert_eq!(told(private), told(clear), "line {place}");
        assert_eq!((&private["leaked_bits"], &clear["leaked_bits"]), (&1.into(), &0.into()));
    }
    let depths: Vec<u64> = clear.iter().filter_map(|answer| answer["depth"].as_u64()).collect();
    assert!(depths.len() == 6 && depths.contains(&1) && depths.contains(&2), "{depths:?}");
    // The same for a single text, which `hidden` would send through all layers.
    let early = depths.iter().position(|depth| *depth == 1).unwrap();
    let alone = classify(&bundle, &["--policy", "open", texts[early]], "");
    assert_eq!((alone.code, alone.stderr.as_str()), (Some(0), ""));
    let says = |part: &str| assert!(alone.stdout.contains(part), "{part}: {}", alone.stdout);
    ["depth     1 layers", "leaked    at most 1 bit", "after how many layers each left"].into_iter().for_each(says);
}

const LABELS: [&str; 3] = ["red", "green", "blue"];

#[test]
fn texts_go_on_to_the_encoder_of_a_larger_bundle() {
    let home = tempfile::tempdir().unwrap();
    let (small, larger) = (small_pool_bundle(home.path(), LABELS), pool_bundle(home.path()));
    let texts =
        ["What is the capital of France?", "Is water wet?", "She sold the blue car.", "no", "a b c d e f g", "1 + 1"];
    let line = |(id, text): (usize, &&str)| serde_json::json!({"id": id, "text": text}).to_string();
    let input = texts.iter().enumerate().map(line).collect::<Vec<_>>().join("\n");
    let larger = ["--larger", larger.to_str().unwrap(), "--policy", "open"];
    let [private, clear] = ["full", "local"].map(|placement| {
        let ran = classify(&small, &[&larger[..], &["--input", "-", "--placement", placement]].concat(), &input);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        ran.lines()
    });
    for (place, (private, clear)) in private.iter().zip(&clear).enumerate() {
        let told = |answer: &Value| ["id", "label", "encoder", "depth"].map(|field| answer[field].clone());
        assert_eq!(told(private), told(clear), "line {place}");
        assert_eq!((&private["leaked_bits"], &clear["leaked_bits"]), (&2.into(), &0.into()));
        let encoder = usize::from(private["encoder"] == 1);
        let name = private["bundle"]["name"].as_str().unwrap();
        assert!(name.ends_with(["small.blindroute", "pool.blindroute"][encoder]), "{name}");
    }
    let first = clear.iter().filter(|answer| answer["encoder"] == 0).count();
    assert!((1..texts.len()).contains(&first), "{clear:?}");
    let one = clear.iter().position(|answer| answer["encoder"] == 1).unwrap();
    let alone = classify(&small, &[&larger[..], &["--placement", "local", texts[one]]].concat(), "");
    assert!(alone.code == Some(0) && alone.stdout.contains("  encoder   1, "), "{}", alone.stdout);
}

#[test]
fn encoders_that_do_not_belong_together_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let (small, larger) = (small_pool_bundle(home.path(), LABELS), pool_bundle(home.path()));
    let other = home.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let other = pool_bundle_with_labels(&other, ["red", "blue", "green"]);
    let lines = write(home.path(), "lines.jsonl", "{\"id\": 1, \"text\": \"canary\"}\n");
    let [of_small, of_larger, of_other] = [&small, &larger, &other].map(|path| path.to_str().unwrap());
    for input in [&["canary"][..], &["--input", &lines][..]] {
        for (bundle, arguments, says) in [
            (&small, vec!["--larger", of_larger], ["use --policy open", "--larger"]),
            (
                &larger,
                vec!["--policy", "open", "--larger", of_larger],
                ["no gain at its last exit", "pool-router --larger"],
            ),
            (&small, vec!["--policy", "open", "--larger", of_other], ["\"blue\" as label 1", "expected \"green\""]),
            (&small, vec!["--policy", "open", "--larger-config", "a.toml"], ["--config", "required"]),
            (
                &small,
                vec!["--policy", "open", "--larger", of_small, "--config", "a.toml"],
                ["--larger", "cannot be used"],
            ),
        ] {
            let ran = classify(bundle, &[&arguments[..], input].concat(), "");
            let error = ran.error();
            says.iter().for_each(|part| assert!(ran.stderr.contains(part), "{part:?} is not in {error}"));
            assert!(!ran.stderr.contains("canary"), "{error}");
        }
    }
    let task = format!("topic={lines}");
    let out = home.path().join("out.blindroute");
    let train = ["train", "pool-router", "--from", of_small, "--larger", of_other, "--task", &task, "--out"];
    let ran = run(&[&train[..], &[out.to_str().unwrap()]].concat());
    assert!(
        ran.error().contains("\"blue\" as label 1 in the larger encoder's bundle") && !out.exists(),
        "{}",
        ran.stderr
    );
    let shown = run(&["bundle", "show", "--bundle", of_small]);
    assert!(shown.stdout.contains("topic: 3 labels of texts; one exit; a larger encoder may follow"));
    assert!(!run(&["bundle", "show", "--bundle", of_larger]).stdout.contains("a larger encoder"));
}

#[test]
fn people_read_the_label_first() {
    let home = tempfile::tempdir().unwrap();
    let bundle = pool_bundle(home.path());
    let ran = classify(&bundle, &["--task", "same", "one text", "--text2", "another", "--scores"], "");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let names: Vec<&str> = lines.iter().skip(1).map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names, ["scores", "task", "tokens", "depth", "time", "openings", "bytes", "seen"], "{}", ran.stdout);
    assert!(["red", "green", "blue"].contains(&lines[0]) && lines[4].contains("2 layers"), "{}", ran.stdout);
    let json = classify(&bundle, &["What is it?", "--depth", "1", "--placement", "local", "--json"], "").json();
    assert_eq!((&json["depth"], &json["batch"], &json["leaked_bits"]), (&1.into(), &1.into(), &0.into()));
}

#[test]
fn what_cannot_be_classified_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let bundle = pool_bundle(home.path());
    let lines = write(home.path(), "lines.jsonl", "{\"id\": 1, \"text\": \"canary\"}\n");
    let list = write(home.path(), "list.jsonl", "[{\"id\": 1, \"text\": \"canary\"}]\n");
    let input = |rest: &[&'static str]| [&["--input", lines.as_str()], rest].concat();
    for (arguments, says) in [
        (vec!["x", "--task", "mood"], vec!["no task \"mood\"", "topic, same"]),
        (vec!["x", "--task", "same"], vec!["\"same\" classifies pairs", "--text2 TEXT"]),
        (vec!["x", "--text2", "y"], vec!["\"topic\" classifies single texts", "leave out text2"]),
        (vec!["x", "--policy", "open", "--depth", "1"], vec!["leave out --depth", "policy hidden"]),
        (vec!["x", "--text2", "y", "--task", "same", "--policy", "open"], vec!["\"same\"", "no thresholds"]),
        (vec!["x", "--depth", "3"], vec!["depth 3 is no exit", "after 1, 2 layers"]),
        (vec!["x", "--placement", "head"], vec!["invalid value", "local, full"]),
        (vec![" "], vec!["the text is empty", "--input FILE.jsonl"]),
        (input(&["--batch", "0"]), vec!["the batch is 0 texts, expected 1 to 64"]),
        (input(&["--batch", "65"]), vec!["the batch is 65 texts"]),
        (input(&["--capacity", "0"]), vec!["the capacities are [0.0], expected 1 numbers"]),
        (input(&["--capacity", "1.5"]), vec!["the capacities are [1.5]", "above 0 and at most 1"]),
        (input(&["--capacity", "0.5,0.25"]), vec!["the capacities are [0.5, 0.25], expected 1 numbers"]),
        (input(&["--capacity", "0.5", "--batch", "1"]), vec!["--batch 1 decides the depth"]),
        (vec!["--input", list.as_str()], vec!["it is a list; give one object per line"]),
        (vec!["--input", "/nowhere.jsonl"], vec!["cannot open /nowhere.jsonl", "{\"id\", \"text\"} lines"]),
    ] {
        let ran = classify(&bundle, &arguments, "");
        let error = ran.error();
        for part in says {
            assert!(ran.stderr.contains(part), "{part:?} is not in {error}");
        }
        assert!(!ran.stderr.contains("canary"), "{error}");
    }
    let ran = classify(&default_bundle(), &["x"], "");
    assert!(ran.error().contains("no pool of classifiers") && ran.stderr.contains("train pool"), "{}", ran.stderr);
    let ran = run(&["classify", "x"]);
    let missing =
        ran.stderr.contains("pool.blindroute was not found at") && ran.stderr.contains("blindroute train pool");
    assert!(missing || ran.code == Some(0), "{}", ran.stderr);
}
