//! Many prompts at once: a prompt a line, ready sessions, answers in the order of the lines.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use blindroute_placement::{Placement, PrivateRouter, Programs, Request};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::Task;
use harness::{command, run, run_within, small_bundle};
use std::ffi::OsString;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(240);

/// A canary in each: it must not be in what is said of a bad line.
const LINES: &[u8] = b"What is the capital of France?\n\nWrite a function that sorts zebracanary numbers.\n\
    zebracanary \xff\xfe\n \t \nProve that the square root of 2 is irrational.\r\nHow many legs has a spider?";

fn arguments(rest: &[&str], bundle: &OsString) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = ["route", "--lines"].iter().chain(rest).map(OsString::from).collect();
    arguments.extend(["--bundle".into(), bundle.clone()]);
    arguments
}

#[test]
fn prompts_are_answered_in_the_order_of_their_lines_and_bad_ones_in_their_place() {
    let home = tempfile::tempdir().unwrap();
    let bundle = small_bundle(home.path()).into_os_string();
    let file = home.path().join("prompts.txt");
    std::fs::write(&file, LINES).unwrap();
    let local = run_within(LIMIT, command(&arguments(&["-", "--placement", "local"], &bundle)), LINES);
    let file = file.to_str().unwrap();
    let full = run(&arguments(&[file, "--json", "--concurrency", "3", "--pool", "2"], &bundle));
    let expected: Vec<&str> = local.stdout.lines().collect();
    assert_eq!(expected.len(), 7, "{}", local.stdout);
    for ran in [&local, &full] {
        assert_eq!(ran.code, Some(1));
        assert!(ran.error_line().contains("3 of 7 lines could not be routed"), "{}", ran.stderr);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("zebracanary"), "a prompt was repeated");
    }
    let answers = full.lines();
    assert_eq!(answers.len(), 7);
    for (place, (answer, text)) in answers.iter().zip(&expected).enumerate() {
        assert_eq!(answer["line"], place + 1);
        let bad = match place + 1 {
            2 | 5 => "empty or blank",
            4 => "not UTF-8",
            _ => {
                assert_eq!(answer["model"], *text, "local and full choose alike");
                let ms = |part: &str| answer["ms"][part].as_f64().unwrap();
                let whole = ms("client") + ms("wait") + ms("online");
                assert!((whole - ms("total")).abs() < 0.01 && ms("offline") > 0.0, "{answer}");
                continue;
            }
        };
        assert!(answer["error"].as_str().unwrap().contains(bad), "{answer}");
        assert!(text.starts_with(&format!("error: line {}: ", place + 1)) && text.contains(bad), "{text}");
    }
}

#[test]
fn lines_that_share_sessions_are_answered_as_if_alone() {
    let home = tempfile::tempdir().unwrap();
    let bundle = small_bundle(home.path()).into_os_string();
    // Six good lines of two buckets, and three bad ones among them.
    let long = "Explain the zebracanary theorem step by step to a patient reader. ".repeat(4);
    let text = [LINES, b"\n", long.as_bytes(), b"\nWhich river is the longest?\n"].concat();
    let file = home.path().join("prompts.txt");
    std::fs::write(&file, &text).unwrap();
    let local = run_within(LIMIT, command(&arguments(&["-", "--placement", "local", "--batch", "3"], &bundle)), &text);
    let file = file.to_str().unwrap();
    let rest = [file, "--json", "--batch", "3", "--concurrency", "2", "--pool", "1"];
    let full = run_within(LIMIT, command(&arguments(&rest, &bundle)), b"");
    let objects: String = String::from_utf8_lossy(&text)
        .lines()
        .enumerate()
        .map(|(id, prompt)| serde_json::json!({"id": id, "prompt": prompt}).to_string() + "\n")
        .collect();
    let input = home.path().join("prompts.jsonl");
    std::fs::write(&input, objects).unwrap();
    let mut arguments: Vec<OsString> =
        ["route", "--placement", "head", "--batch", "64", "--bundle"].map(Into::into).into();
    arguments.extend([bundle.clone(), "--input".into(), input.into()]);
    let head = run_within(LIMIT, command(&arguments), b"");
    for ran in [&local, &full, &head] {
        assert_eq!(ran.code, Some(1));
        assert!(ran.error_line().contains(" of 9 lines could not be routed"), "{}", ran.stderr);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("zebracanary"), "a prompt was repeated");
    }
    let (expected, answers, heads) = (local.stdout.lines().collect::<Vec<_>>(), full.lines(), head.lines());
    assert_eq!((expected.len(), answers.len(), heads.len()), (9, 9, 9));
    // Lines 1, 3 and 6 are the first full batch; 7 and 9 are left for one of their own; 8 is of another bucket.
    for (place, batch) in [(1, 3), (3, 3), (6, 3), (7, 2), (9, 2), (8, 1)] {
        let answer = &answers[place - 1];
        assert_eq!((&answer["line"], &answer["model"]), (&place.into(), &expected[place - 1].into()));
        assert_eq!(answer.get("batch"), (batch > 1).then(|| batch.into()).as_ref(), "{answer}");
        assert_eq!((&heads[place - 1]["id"], &heads[place - 1]["model"]), (&(place - 1).into(), &answer["model"]));
        assert!(heads[place - 1]["batch"].as_u64() > Some(1) && answer["openings"].as_u64() > Some(0), "{heads:?}");
    }
    for place in [2, 5] {
        assert!(answers[place - 1]["error"].as_str().unwrap().contains("empty or blank"));
        assert!(heads[place - 1]["error"].as_str().unwrap().contains("empty or blank"));
    }
    assert!(answers[3]["error"].as_str().unwrap().contains("not UTF-8"));
}

#[test]
fn options_that_do_not_fit_are_refused() {
    for (arguments, says) in [
        (vec!["route", "x", "--lines", "-"], "cannot be used with"),
        (vec!["route", "--input", "-", "--lines", "-"], "cannot be used with"),
        (vec!["route", "x", "--pool", "1"], "cannot be used with"),
        (vec!["route", "--lines", "-", "--concurrency", "0"], "1..=32"),
        (vec!["route", "x", "--batch", "2"], "cannot be used with"),
        (vec!["route", "--lines", "-", "--batch", "0"], "1..=64"),
        (vec!["bench", "throughput", "--tokens", "256", "--batch", "17"], "up to 16 prompts of 256 tokens"),
        (vec!["route", "--lines", "-", "--pool", "1", "--placement", "local"], "asks none"),
        (vec!["route", "--lines", "/nowhere/at/all.txt"], "give a file with a prompt a line"),
    ] {
        let ran = run_within(Duration::from_secs(20), command(&arguments), b"");
        assert!(ran.error().contains(says) || ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_router_routes_several_prompts_at_once_from_ready_sessions() {
    let home = tempfile::tempdir().unwrap();
    let bundle = Bundle::open(&small_bundle(home.path())).unwrap().bundle;
    let programs = Programs { executable: env!("CARGO_BIN_EXE_blindroute").into(), scene: None };
    let router = PrivateRouter::with_children(&bundle, &programs, &|_| {}).unwrap();
    let request = |placement| Request { placement, router: None, lambda: None };
    let task = Task::Route { router: 0, bucket: 32 };
    router.keep_ready(task, 4).unwrap();
    assert!(router.wait_ready(task, LIMIT).unwrap(), "{:?}", router.ready(task));
    router.pause_filling(true);
    std::thread::scope(|scope| {
        for topic in ["rivers", "prime numbers", "a sorting algorithm", "taxes"] {
            let (router, request) = (&router, &request);
            scope.spawn(move || {
                let prompt = format!("Tell me about {topic}.");
                let full = router.route(&prompt, &request(Placement::Full)).unwrap();
                let local = router.route(&prompt, &request(Placement::Local)).unwrap();
                assert_eq!(full.model, local.model);
            });
        }
    });
    let status = router.ready(task).unwrap();
    assert_eq!((status.filled, status.taken, status.ready), (4, 4, 0));
    // Without ready ones, a route prepares its own and says so.
    let route = router.route("Tell me about the sea.", &request(Placement::Full)).unwrap();
    assert!(route.ms.wait >= route.ms.offline, "{:?}", route.ms);
}
