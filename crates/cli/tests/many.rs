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
fn options_that_do_not_fit_are_refused() {
    for (arguments, says) in [
        (vec!["route", "x", "--lines", "-"], "cannot be used with"),
        (vec!["route", "--input", "-", "--lines", "-"], "cannot be used with"),
        (vec!["route", "x", "--pool", "1"], "cannot be used with"),
        (vec!["route", "--lines", "-", "--concurrency", "0"], "1..=32"),
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
