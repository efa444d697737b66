#![allow(clippy::unwrap_used, clippy::float_cmp)]

use super::methods::{oracle, random};
use super::metrics::{Found, Truth};
use super::*;
use crate::evaluation::Bootstrap;
use blindroute_routing::bundle::ClassifierTask;

fn task(labels: &[&str], pair: bool) -> ClassifierTask {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    ClassifierTask { name: "mood".to_owned(), labels, pair, capacities: vec![0.5, 0.25], thresholds: Vec::new() }
}

fn read(task: &ClassifierTask, content: &str) -> Result<TestTexts, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.jsonl");
    std::fs::write(&path, content).unwrap();
    TestTexts::read(&path, task).map_err(|error| error.to_string())
}

/// Measures labels where each text counts once; 9 stands for no answer.
fn measured(metrics: &[Metric], truth: &Truth, found: &[usize]) -> Vec<f64> {
    let found = found.iter().map(|label| Some(*label).filter(|label| *label != 9)).collect();
    Found::new(found, truth).measure(metrics, truth, &vec![1; truth.texts()])
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
}

#[test]
fn two_labels_by_hand() {
    // Of label 1: 3 right, 1 found in vain, 2 not found; 4 right of label 0.
    let truth = Truth::new(2, vec![1, 1, 1, 1, 1, 0, 0, 0, 0, 0], None);
    let metrics = Metric::of_task(2, false);
    assert_eq!(metrics, [Metric::Accuracy, Metric::F1, Metric::Matthews]);
    let found = measured(&metrics, &truth, &[1, 1, 1, 0, 0, 1, 0, 0, 0, 0]);
    near(found[0], 0.7);
    near(found[1], 6.0 / 9.0);
    near(found[2], (3.0 * 4.0 - 1.0 * 2.0) / (4.0f64 * 5.0 * 5.0 * 6.0).sqrt());
    // A text without an answer is wrong, and got no label.
    let found = measured(&metrics, &truth, &[1, 1, 1, 9, 0, 1, 0, 0, 0, 0]);
    near(found[0], 0.7);
    near(found[1], 6.0 / 9.0);
    // Nothing but one label: no correlation, and no F1 of the other.
    assert_eq!(measured(&metrics, &truth, &[0; 10]), [0.5, 0.0, 0.0]);
    assert_eq!(measured(&metrics, &truth, &[1, 1, 1, 1, 1, 0, 0, 0, 0, 0]), [1.0; 3]);
}

#[test]
fn macro_f1_is_over_labels_that_occur() {
    // Label 0: 2·1/(2+1), label 1: 2·1/(1+2), label 2: 0/(1+1); label 3 does not occur.
    let truth = Truth::new(4, vec![0, 0, 1, 2], None);
    let metrics = Metric::of_task(4, false);
    assert_eq!(metrics, [Metric::Accuracy, Metric::MacroF1]);
    let found = measured(&metrics, &truth, &[0, 1, 1, 2]);
    assert_eq!(found[0], 0.75);
    near(found[1], (2.0 / 3.0 + 2.0 / 3.0 + 1.0) / 3.0);
    let found = measured(&metrics, &truth, &[0, 1, 1, 3]);
    near(found[1], (2.0 / 3.0 + 2.0 / 3.0 + 0.0 + 0.0) / 4.0);
}

#[test]
fn spearman_shares_ranks_of_equal_numbers() {
    let numbers = (vec![0.0, 1.0, 2.0], vec![0.4, 1.2, 1.2, 2.0]);
    let truth = Truth::new(3, vec![0, 1, 1, 2], Some(numbers));
    let spearman = |found: &[usize]| measured(&[Metric::Spearman], &truth, found)[0];
    // Ranks of truth 1, 2.5, 2.5, 4; found 1.5, 1.5, 3, 4: products of differences to the middle 1.5 + 2.25, squares 4.5 and 4.5.
    near(spearman(&[0, 0, 1, 2]), 3.75 / 4.5);
    near(spearman(&[0, 1, 1, 2]), 1.0);
    near(spearman(&[2, 1, 1, 0]), -1.0);
    assert!(spearman(&[1; 4]).is_nan(), "there is no order in equal numbers");
    // Over the answered texts.
    near(spearman(&[0, 9, 1, 2]), 1.0);
    // A text that counts twice is two texts.
    let twice = Found::new(vec![Some(0), Some(0), Some(1), Some(2)], &truth);
    let longer = Truth::new(3, vec![0, 1, 1, 2, 2], Some((vec![0.0, 1.0, 2.0], vec![0.4, 1.2, 1.2, 2.0, 2.0])));
    near(
        twice.measure(&[Metric::Spearman], &truth, &[1, 1, 1, 2])[0],
        measured(&[Metric::Spearman], &longer, &[0, 0, 1, 2, 2])[0],
    );
}

/// Four texts, three exits: text 0 is right from the first exit, 1 from the second, 2 at the first only, 3 nowhere.
fn by_exit() -> Vec<Vec<Option<usize>>> {
    [[1, 0, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0]].map(|labels| labels.map(Some).to_vec()).to_vec()
}

#[test]
fn the_oracle_leaves_at_the_first_right_exit() {
    let truth = Truth::new(2, vec![1; 4], None);
    let (layers, labels) = oracle(&by_exit(), &[1, 2, 4], &truth);
    assert_eq!(layers, [1.0, 2.0, 1.0, 1.0]);
    assert_eq!(labels, [1, 1, 1, 0].map(Some));
}

#[test]
fn random_routing_keeps_the_mix_and_changes_with_the_draw() {
    // The label that a text gets is the exit that it leaves at.
    let by_exit: Vec<Vec<Option<usize>>> = (0..3).map(|exit| vec![Some(exit); 40]).collect();
    let left = vec![vec![0.5, 0.25, 0.25]; 40];
    let routed = Routed { capacities: vec![0.5, 0.25], labels: vec![None; 40], left, repeated: 0 };
    let draws: Vec<_> = (0..2).map(|draw| random(&routed, &by_exit, 7, draw)).collect();
    for labels in &draws {
        let count = |exit: usize| labels.iter().filter(|label| **label == Some(exit)).count();
        assert_eq!([0, 1, 2].map(count), [20, 10, 10]);
    }
    assert_ne!(draws[0], draws[1]);
    assert_eq!(draws[0], random(&routed, &by_exit, 7, 0));
}

#[test]
fn sessions_hold_each_text_once_and_one_bucket() {
    let buckets: Vec<usize> = (0..50).map(|text| if text % 5 == 0 { 256 } else { 32 }).collect();
    let most = |bucket| if bucket == 256 { 4 } else { 16 };
    let found = sessions(&buckets, &most, 1);
    let mut all: Vec<usize> = found.iter().flat_map(|session| session.1.clone()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..50).collect::<Vec<_>>());
    assert!(found.iter().all(|(bucket, texts)| texts.iter().all(|text| buckets[*text] == *bucket)));
    let mut sizes: Vec<(usize, usize)> = found.iter().map(|(bucket, texts)| (*bucket, texts.len())).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [(32, 8), (32, 16), (32, 16), (256, 2), (256, 4), (256, 4)]);
    assert_ne!(found, sessions(&buckets, &most, 2));
    assert_eq!(found, sessions(&buckets, &most, 1));
}

#[test]
fn capacities_of_the_grid_fall_and_are_not_the_tasks_own() {
    let grid = capacity_grid(4, &[0.5, 0.25, 0.125]);
    assert_eq!(grid.len(), 6);
    assert!(grid.iter().all(|shares| shares.len() == 3 && shares.windows(2).all(|pair| pair[0] >= pair[1])));
    assert!(grid.contains(&vec![0.25, 0.0625, 0.015_625]) && !grid.contains(&vec![0.5, 0.25, 0.125]));
    // With one stage, both families are the same.
    assert_eq!(capacity_grid(2, &[0.3]), [[0.25], [0.5], [0.75], [0.125]]);
    assert_eq!(leaving(&[12, 4], 32), [20.0 / 32.0, 8.0 / 32.0, 4.0 / 32.0]);
    assert_eq!(leaving(&[1, 1], 1), [0.0, 0.0, 1.0]);
}

#[test]
fn labels_are_texts_or_numbers_of_the_task() {
    let scores = task(&["0", "1", "2", "10"], true);
    let line = |label: &str| format!("{{\"text\": \"a\", \"text2\": \"b\", \"label\": {label}}}\n");
    let content = ["2", "\"10\"", "1.5", "0.25", "2.0"].map(line).concat();
    let texts = read(&scores, &content).unwrap();
    let found: Vec<_> = texts.texts().iter().map(|text| (text.label, text.value)).collect();
    assert_eq!(found, [(2, Some(2.0)), (3, Some(10.0)), (2, Some(1.5)), (0, Some(0.25)), (2, Some(2.0))]);
    let words = task(&["bad", "good"], false);
    let texts = read(&words, "\n{\"text\": \"canary\", \"label\": \"good\", \"id\": 3}\n").unwrap();
    assert_eq!((texts.texts()[0].label, texts.texts()[0].value, texts.texts()[0].line), (1, None, 2));
    assert!(!format!("{texts:?}").contains("canary"));
}

#[test]
fn a_bad_line_is_named_and_not_quoted() {
    let [words, pairs] = [task(&["bad", "good"], false), task(&["bad", "good"], true)];
    let good = "{\"text\": \"a\", \"label\": \"good\"}\n";
    for (task, line, says) in [
        (&words, "canary", "line 2: it is not a JSON object"),
        (
            &words,
            r#"{"text": "canary", "label": "canary"}"#,
            "none of task \"mood\"; expected one of the 2 labels bad, good",
        ),
        (
            &words,
            r#"{"text": "canary", "label": 0.5}"#,
            "all whole numbers, compare; task \"mood\" expects one of the 2 labels",
        ),
        (&words, r#"{"text": "canary", "label": ["canary"]}"#, "neither text nor a number"),
        (&words, r#"{"text": "canary"}"#, "no field label"),
        (&words, r#"{"words": "canary", "label": "bad"}"#, "no field text;"),
        (&words, r#"{"text": "  ", "label": "bad"}"#, "empty or blank"),
        (&words, r#"{"text": "canary", "text2": "canary", "label": "bad"}"#, "classifies single texts; remove it"),
    ] {
        let error = read(task, &format!("{good}{line}\n")).unwrap_err();
        assert!(error.contains("line 2: ") && error.contains(says) && !error.contains("canary"), "{error}");
    }
    let two = task(&["0", "1"], false);
    assert!(read(&two, "{\"text\": \"a\", \"label\": 0.5}\n").unwrap_err().contains("number with a fraction"));
    assert_eq!(read(&two, "{\"text\": \"a\", \"label\": 1.0}\n").unwrap().texts()[0].label, 1);
    let error = read(&pairs, good).unwrap_err();
    assert!(error.contains("line 1: it has no field text2") && error.contains("classifies pairs"), "{error}");
    assert!(read(&words, "\n\n").unwrap_err().contains("it has no lines"));
    let scores = task(&["0", "1", "2"], false);
    assert!(read(&scores, "{\"text\": \"a\", \"label\": 2.6}\n").unwrap_err().contains("none of task"));
}

/// An evaluation of the four texts of [`by_exit`], whose own routing sends text 1 on.
fn evaluation(resamples: usize) -> PoolEvaluation {
    let task = task(&["no <&>", "yes"], false);
    let texts = read(&task, &"{\"text\": \"a\", \"label\": \"yes\"}\n".repeat(4)).unwrap();
    let answers = by_exit();
    let routed = |capacities: &[f32], labels: [usize; 4]| Routed {
        capacities: capacities.to_vec(),
        labels: labels.map(Some).to_vec(),
        left: vec![vec![0.5, 0.25, 0.25]; 4],
        repeated: 4,
    };
    let took = |ms: f64| Served {
        online_ms: ms,
        total_ms: 2.0 * ms,
        openings: 30.0,
        server_bytes: 800.0,
        ..Served::default()
    };
    let session = |texts, routed, alone| PrivateSession {
        texts,
        repeated: 1,
        routed: Some(took(routed)),
        alone: Some(took(alone)),
    };
    let private = PrivateAnswers {
        routed: vec![(Some(1), Some(1)), (Some(1), Some(0)), (Some(1), None)],
        alone: vec![(Some(1), Some(1)); 3],
        sessions: vec![session(2, 4.0, 8.0), session(1, 2.0, 4.0)],
    };
    let answers = TaskAnswers {
        task: &task,
        exits: &[1, 2, 4],
        texts: &texts,
        by_exit: answers,
        routed: vec![routed(&[0.5, 0.25], [1, 1, 1, 0]), routed(&[0.75, 0.75], [1, 1, 0, 0])],
        private: Some(private),
    };
    let bootstrap = Bootstrap { resamples, seed: 3 };
    let found = TaskEvaluation::of(&answers, bootstrap);
    let about = ("mine".to_owned(), "d1".to_owned(), "2026-01-01".to_owned());
    PoolEvaluation::new(about, 32, Some("loopback".to_owned()), bootstrap, vec![found])
}

#[test]
fn a_task_is_measured_in_every_way() {
    let evaluation = evaluation(200);
    let task = &evaluation.tasks[0];
    let accuracy = |method: &MethodResult| method.measures[&Metric::Accuracy].value.unwrap();
    let found: Vec<_> = task.methods.iter().map(|method| (method.name(), accuracy(method))).collect();
    let expect =
        [("all after 1 layer", 0.5), ("all after 2 layers", 0.5), ("all after 4 layers", 0.5), ("routing, own", 0.75)];
    assert!(found.iter().zip(expect).all(|((name, value), expect)| (name.as_str(), *value) == expect), "{found:?}");
    assert_eq!((found.len(), found[7].0.as_str(), found[7].1), (8, "oracle", 0.75));
    let own = &task.methods[3];
    let [layers, gain] = [own.layers, own.difference[&Metric::Accuracy]];
    assert_eq!((layers.value, gain.value), (Some(0.5 + 0.5 + 1.0), Some(0.25)));
    let ends = gain.interval.unwrap();
    assert!(ends.low.unwrap() < 0.25 && ends.high.unwrap() > 0.25, "{ends:?}");
    assert!(task.methods[2].difference.is_empty() && task.methods[4].measures[&Metric::F1].deviation.is_some());
    assert_eq!(task.f1_of.as_deref(), Some("yes"));
    let private = task.private.as_ref().unwrap();
    let per_text = private.routed.per_text;
    assert_eq!((per_text.online_ms, per_text.openings, per_text.server_bytes), (2.0, 30.0, 1600.0 / 3.0));
    assert_eq!((private.online_ratio.value, private.routed.equal_labels.value), (Some(0.5), Some(0.5)));
    near(private.routed.accuracy.value.unwrap(), 1.0 / 3.0);
    assert_eq!((private.routed.unanswered_lines.as_slice(), private.alone.accuracy.value), (&[3][..], Some(1.0)));
    let summary = evaluation.summary;
    assert_eq!((summary.accuracy_loss, summary.layers_saved), (Some(-0.25), Some(0.5)));
    assert_eq!((summary.online_saved, summary.time_saved), (Some(0.5), Some(0.5)));
    assert!(self::evaluation(0).tasks[0].methods[0].layers.interval.is_none());
}

#[test]
fn reports_hold_every_method() {
    let evaluation = evaluation(20);
    let text = evaluation.to_text();
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.contains("\n  routing, own        2.00") && text.contains("F1 of label \"yes\""), "{text}");
    assert!(text.contains("own capacities: 1 text, line 3"), "{text}");
    let csv = evaluation.to_csv();
    let rows: Vec<csv::StringRecord> = csv::Reader::from_reader(csv.as_bytes()).records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 8);
    let header = csv.lines().next().unwrap().split(',').position(|name| name == "online_ms").unwrap();
    let online: Vec<&str> = rows.iter().map(|row| &row[header]).collect();
    assert_eq!(online, ["", "", "4", "2", "", "", "", ""]);
    let page = evaluation.to_html();
    assert_eq!(page.matches("<svg viewBox=\"0 0 880").count(), 1);
    assert!(page.ends_with("</html>\n") && page.contains("oracle: 1.25 layers, accuracy 0.7500"), "{page}");
    for outside in ["http:", "https:", "<script", "NaN"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let json = serde_json::to_value(&evaluation).unwrap();
    assert_eq!(json["tasks"][0]["methods"][3]["measures"]["accuracy"]["value"], 0.75);
}
