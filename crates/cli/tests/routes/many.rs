//! Many prompts at once: one prompt per line, ready sessions, answers in the order of the lines.

use crate::harness::{self, command, run, run_within, small_bundle};
use blindroute_placement::{ChildOptions, Placement, PrivateRouter, RouteOptions};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::{SessionRequest, Task};
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
    let full = run(&arguments(&[file, "--json", "--concurrency", "3", "--session-pool", "2"], &bundle));
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
    let rest = [file, "--json", "--batch", "3", "--concurrency", "2", "--session-pool", "1"];
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

/// Routes lines in the clear: what is tested is how they are read and answered.
fn local(home: &std::path::Path, form: &str, more: &[&str], text: &[u8]) -> harness::Ran {
    let bundle = small_bundle(home);
    let bundle = bundle.to_str().unwrap();
    let arguments = [&["route", form, "-", "--placement", "local", "--bundle", bundle], more].concat();
    run_within(LIMIT, command(&arguments), text)
}

#[test]
fn ids_come_back_as_they_were_and_prompts_in_openais_forms() {
    let home = tempfile::tempdir().unwrap();
    let prompt = "What is the capital of France?";
    let cases = [
        (
            format!(r#"{{"id": 123456789012345678901234567890, "prompt": "{prompt}"}}"#),
            "123456789012345678901234567890",
        ),
        (format!(r#"{{"prompt": "{prompt}", "id": {{"b": 1, "a": 1.50}}}}"#), r#"{"b": 1, "a": 1.50}"#),
        (format!(r#"{{"id": "\ud800x", "messages": [{{"role": "user", "content": "{prompt}"}}]}}"#), r#""\ud800x""#),
        (
            format!(
                r#"{{"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions",
                "body": {{"messages": [{{"role": "user", "content": [{{"type": "text", "text": "{prompt}"}}]}}]}}}}"#
            )
            .replace('\n', " "),
            r#""r-1""#,
        ),
    ];
    // With a mark at the beginning, and lines as Windows ends them.
    let lines: String = cases.iter().map(|(line, _)| format!("{line}\r\n")).collect();
    let ran = local(home.path(), "--input", &[], format!("\u{feff}{lines}").as_bytes());
    assert_eq!(ran.code, Some(0), "{} {}", ran.stdout, ran.stderr);
    let answers: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(answers.len(), 4);
    let model = |answer: &str| answer.split_once("\"model\":\"").unwrap().1.split('"').next().unwrap().to_owned();
    for (answer, (_, id)) in answers.iter().zip(&cases) {
        assert!(answer.starts_with(&format!("{{\"id\":{id},")), "{answer}");
        assert_eq!(model(answer), model(answers[0]));
    }
    // Half an emoji: routed, and said; a line without a prompt keeps its id.
    let odd = "{\"id\": 1e400, \"prompt\": \"capital \\ud83d city\"}\n{\"id\": {\"z\": 1, \"a\": 2}, \"prompt\": 7}\n";
    let ran = local(home.path(), "--input", &[], odd.as_bytes());
    let answers: Vec<&str> = ran.stdout.lines().collect();
    assert!(answers[0].starts_with("{\"id\":1e400,\"note\":\"1 escapes of lone surrogates"), "{}", answers[0]);
    assert!(answers[1].starts_with("{\"id\":{\"z\": 1, \"a\": 2},\"line\":2,\"error\":"), "{}", answers[1]);
}

#[test]
fn text_outside_the_vocabulary_is_said_and_may_have_a_model_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let thai = "ประเทศไทยมีกี่จังหวัดและเมืองหลวงชื่ออะไร";
    let prompts = [thai.to_owned(), "a".repeat(5000), "What is the capital of France?".to_owned()];
    let text = prompts.join("\n");
    let plain = local(home.path(), "--lines", &["--json"], text.as_bytes()).lines();
    for answer in &plain[..2] {
        assert!(answer["unknown"].as_u64() >= Some(1), "{answer}");
        assert!(answer["unknown_note"].as_str().unwrap().contains("100 % of the text read is not in"), "{answer}");
    }
    assert_eq!((&plain[2]["unknown"], plain[2].get("unknown_note")), (&0.into(), None));
    // Any model that the router did not choose.
    let pool = Bundle::open(&harness::default_bundle()).unwrap().bundle.into_parts().models;
    let other =
        pool.iter().map(|model| model.name.as_str()).find(|name| plain.iter().all(|answer| answer["model"] != *name));
    let other = other.unwrap();
    let policy = ["--json", "--unknown-model", other, "--unknown-share", "0.4"];
    let chosen = local(home.path(), "--lines", &policy, text.as_bytes()).lines();
    for answer in &chosen[..2] {
        assert_eq!((&answer["model"], &answer["by_unknown_text"]), (&other.into(), &true.into()));
    }
    assert_eq!((&chosen[2]["model"], chosen[2].get("by_unknown_text")), (&plain[2]["model"], None));
    // The session runs all the same: servers see a bucket and openings as for any prompt.
    let bundle = small_bundle(home.path());
    let full = run(&["route", thai, "--json", "--unknown-model", other, "--bundle", bundle.to_str().unwrap()]).json();
    assert_eq!((&full["model"], &full["bucket"]), (&other.into(), &32.into()));
    assert!(full["openings"].as_u64() > Some(0), "{full}");
}

#[test]
fn lines_say_what_was_cut_and_what_is_no_line_of_text() {
    let home = tempfile::tempdir().unwrap();
    let long = "A sentence of seven words or so. ".repeat(60);
    let ran = local(home.path(), "--lines", &[], format!("One.\n{long}\n").as_bytes());
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 2), "{}", ran.stderr);
    assert!(ran.stderr.contains("line 2: only the first 256 of"), "{}", ran.stderr);
    let json = local(home.path(), "--lines", &["--json"], format!("One.\n{long}\n").as_bytes());
    assert!(json.lines()[1]["cut_from"].is_string() && !json.stderr.contains("line 2"), "{}", json.stderr);

    let objects = "{\"id\": 1, \"prompt\": \"zebracanary\"}\n";
    for (form, text, says) in [
        ("--lines", objects, "this looks like JSON Lines; use --input"),
        ("--lines", "id,prompt\n1,zebracanary\n", "the header of a table"),
        (
            "--input",
            "[{\"id\": 1, \"prompt\": \"zebracanary\"}]\n",
            "is a list; give one object per line (jq -c '.[]' FILE",
        ),
        ("--input", "\u{feff}\n[\n", "is a list; give one object per line"),
    ] {
        let ran = local(home.path(), form, &[], text.as_bytes());
        assert!(ran.error().contains(says) && !ran.stderr.contains("zebracanary"), "{}", ran.stderr);
        // A file is looked at before anything is started.
        let file = harness::write(home.path(), "input", text);
        let ran = run_within(Duration::from_secs(20), command(&["route", form, &file]), b"");
        assert!(ran.error().contains(says) && ran.error().contains("cannot route "), "{}", ran.stderr);
    }
    let wide: Vec<u8> = "\u{feff}What?\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(local(home.path(), "--lines", &[], &wide).error().contains("it is UTF-16 text; save it as UTF-8"));
    let ran = local(home.path(), "--lines", &[], b"text,label\nWhat?,1\n");
    assert!(ran.code == Some(0) && ran.stderr.contains("looks like the header of a table"), "{}", ran.stderr);
    assert_eq!(ran.stdout.lines().count(), 2);
}

#[test]
fn options_that_do_not_fit_are_refused() {
    for (arguments, says) in [
        (vec!["route", "x", "--lines", "-"], "cannot be used with"),
        (vec!["route", "--input", "-", "--lines", "-"], "cannot be used with"),
        (vec!["route", "x", "--session-pool", "1"], "cannot be used with"),
        (vec!["route", "--lines", "-", "--concurrency", "0"], "1..=32"),
        (vec!["route", "x", "--batch", "2"], "cannot be used with"),
        (vec!["route", "--lines", "-", "--batch", "0"], "1..=64"),
        (vec!["bench", "throughput", "--tokens", "256", "--batch", "17"], "up to 16 prompts of 256 tokens"),
        (vec!["route", "--lines", "-", "--session-pool", "1", "--placement", "local"], "asks no server"),
        (vec!["route", "--lines", "/nowhere/at/all.txt"], "give a file with one prompt per line"),
    ] {
        let ran = run_within(Duration::from_secs(20), command(&arguments), b"");
        assert!(ran.error().contains(says) || ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_router_routes_several_prompts_at_once_from_ready_sessions() {
    let home = tempfile::tempdir().unwrap();
    let bundle = Bundle::open(&small_bundle(home.path())).unwrap().bundle;
    let children = ChildOptions::new(env!("CARGO_BIN_EXE_blindroute"));
    let router = PrivateRouter::with_children(&bundle, &children, &|_| {}).unwrap();
    let options = |placement| RouteOptions::default().with_placement(placement);
    let task = SessionRequest::new(Task::route(0, 32));
    router.keep_ready(task, 4).unwrap();
    assert!(router.wait_ready(task, LIMIT), "{:?}", router.ready(task));
    router.pause_filling(true);
    std::thread::scope(|scope| {
        for topic in ["rivers", "prime numbers", "a sorting algorithm", "taxes"] {
            let (router, options) = (&router, &options);
            scope.spawn(move || {
                let prompt = format!("Tell me about {topic}.");
                let full = router.route(&prompt, &options(Placement::Full)).unwrap();
                let local = router.route(&prompt, &options(Placement::Local)).unwrap();
                assert_eq!(full.model, local.model);
            });
        }
    });
    let status = router.ready(task);
    assert_eq!((status.filled, status.taken, status.ready), (4, 4, 0));
    // Without ready ones, a route prepares its own and says so.
    let route = router.route("Tell me about the sea.", &options(Placement::Full)).unwrap();
    assert!(route.ms.wait >= route.ms.offline, "{:?}", route.ms);
}
