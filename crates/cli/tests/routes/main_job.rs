//! The main job, as its user runs it: real processes, the shipped bundle, TLS over loopback.

use crate::harness::{
    self, Fleet, Process, all_gone, children, command, default_bundle, entries, nowhere_in_files, run, run_within,
    signal, small_bundle, wait_for,
};
use blindroute_protocol::Meter;
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::{BundlePlan, RouteProgram, Task};
use blindroute_runtime::{Role, Shutdown};
use serde_json::Value;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

const PROMPTS: [&str; 3] = [
    "What is the capital of France?",
    "Write a Python function that returns the n-th Fibonacci number, with a docstring and a few tests.",
    "Janet has 3 apples and buys twice as many pears. Each pear costs $2. How much does she pay? Explain each step of \
     your reasoning and give the final answer as a number on a line of its own, please.",
];

#[test]
fn three_placements_choose_the_same_model_and_report_what_it_cost() {
    let lines: String = PROMPTS
        .iter()
        .enumerate()
        .map(|(id, prompt)| format!("{}\n", serde_json::json!({"id": format!("p{id}"), "prompt": prompt})))
        .collect();
    let bundle = Bundle::open(&default_bundle()).unwrap().bundle;
    let plan = Arc::new(BundlePlan::of(&bundle));
    let mut models: Vec<Vec<Value>> = Vec::new();
    for placement in ["full", "head", "local"] {
        let route = command(&["route", "--input", "-", "--placement", placement]);
        let ran = run_within(2 * MINUTE, route, lines.as_bytes());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "nothing to say beside the results");
        let answers = ran.lines();
        assert_eq!(answers.len(), PROMPTS.len());
        for (place, answer) in answers.iter().enumerate() {
            check(placement, answer, &plan);
            assert_eq!(answer["id"], format!("p{place}"));
        }
        models.push(answers.iter().map(|answer| answer["model"].clone()).collect());
    }
    assert!(models.iter().all(|chosen| *chosen == models[0]), "{models:?}");
}

#[test]
fn a_ranking_is_printed_best_first_by_every_form_of_the_output() {
    let line = |(id, prompt): (usize, &&str)| format!("{}\n", serde_json::json!({"id": id, "prompt": prompt}));
    let lines: String = PROMPTS.iter().enumerate().map(line).collect();
    let models = |placement: &str, ranked: &str| -> Vec<Vec<Value>> {
        let route = command(&["route", "--input", "-", "--placement", placement, "--ranked", ranked, "--batch", "3"]);
        let ran = run_within(2 * MINUTE, route, lines.as_bytes());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let named = |answer: &Value| {
            let ranking = answer["ranking"].as_array().map_or_else(|| vec![answer.clone()], Clone::clone);
            assert!(ranking[0]["model"] == answer["model"] && ranking.iter().all(|model| model["price"].is_number()));
            ranking.iter().map(|model| model["model"].clone()).collect()
        };
        ran.lines().iter().map(named).collect()
    };
    let (one, three) = (models("local", "1"), models("local", "3"));
    assert!(one.iter().zip(&three).all(|(one, three)| one.len() == 1 && three.len() == 3 && one[0] == three[0]));
    assert_eq!(models("head", "3"), three);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let single = run(&["route", PROMPTS[0], "--placement", "local", "--ranked", "3"]);
    let [first, second, third] = [0, 1, 2].map(|place| text(&three[0][place]));
    assert!(single.stdout.starts_with(&format!("{first}\n")), "{}", single.stdout);
    let then = |model: &str| single.stdout.find(&format!("\n  then      {model}, price "));
    assert!(then(&second).is_some() && then(&second) < then(&third), "{}", single.stdout);
    let plain = command(&["route", "--lines", "-", "--placement", "local", "--ranked", "2"]);
    let plain = run_within(MINUTE, plain, format!("{}\n", PROMPTS[0]).as_bytes());
    assert_eq!(plain.stdout, format!("{first}\t{second}\n"));
    let refused = run(&["route", PROMPTS[0], "--placement", "local", "--ranked", "5"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("1..=4"), "{}", refused.stderr);
}

/// Every field that the main job promises, with sane values.
fn check(placement: &str, answer: &Value, plan: &Arc<BundlePlan>) {
    let number = |pointer: &str| answer.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{pointer}"));
    assert_eq!((&answer["placement"], &answer["router"]), (&placement.into(), &"uniroute".into()));
    assert!(answer["model"].as_str().is_some_and(|model| !model.is_empty()), "{answer}");
    assert!(number("/price") > 0.0 && answer["price_unit"].as_str().is_some_and(|unit| unit.contains("USD")));
    assert!((3.0..=64.0).contains(&number("/tokens")) && (0.0..=15.0).contains(&number("/lambda")));
    assert!(answer["seen"].as_str().is_some_and(|seen| seen.contains("you: prompt")));
    let [client, offline, online, total] =
        ["client", "offline", "online", "total"].map(|at| number(&format!("/ms/{at}")));
    assert!(client > 0.0 && total < 120_000.0 && (client + offline + online - total).abs() < 0.01, "{answer}");
    let task = match placement {
        "full" => {
            let bucket = answer["bucket"].as_u64().unwrap() as usize;
            assert!([32, 64].contains(&bucket) && number("/tokens") <= bucket as f64, "{answer}");
            Task::route(0, bucket)
        }
        "head" => {
            assert!(answer["bucket"].is_null(), "the servers see no length");
            Task::head(0)
        }
        _ => {
            assert!(answer["bucket"].is_null() && offline == 0.0 && online == 0.0);
            for count in
                ["/openings", "/bytes/server0_sent", "/bytes/server1_sent", "/bytes/client_sent", "/bytes/material"]
            {
                assert_eq!(number(count), 0.0, "{count}");
            }
            return;
        }
    };
    let forecast = Meter::cost(&RouteProgram::new(Arc::clone(plan), task).unwrap()).unwrap();
    assert!(offline > 0.0 && online > 0.0, "{answer}");
    assert!((1..=175).contains(&forecast.openings));
    assert_eq!(number("/openings"), forecast.openings as f64);
    assert_eq!(number("/bytes/server0_sent"), forecast.opening_bytes as f64);
    assert_eq!(number("/bytes/server1_sent"), forecast.opening_bytes as f64);
    assert_eq!(number("/bytes/material"), forecast.material_bytes as f64);
    assert!(number("/bytes/client_sent") > 16.0);
}

#[test]
fn people_read_the_model_first_and_only_results_are_on_stdout() {
    let home = tempfile::tempdir().unwrap();
    let bundle = small_bundle(home.path()).into_os_string();
    let mut route = command(&["route".into(), PROMPTS[0].into(), "--bundle".into(), bundle, "-v".into()]);
    route.env("TMPDIR", home.path());
    let ran = run_within(MINUTE, route, b"");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let names: Vec<&str> = lines.iter().skip(1).map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names, ["price", "router", "tokens", "time", "openings", "bytes", "seen"], "{}", ran.stdout);
    assert!(!lines[0].starts_with(' ') && lines[3].contains("padded to 32"), "{}", ran.stdout);
    for part in ["client", "offline", "online", "total"] {
        assert!(lines[4].contains(part));
    }
    for part in ["server 0 sent", "server 1 sent", "client sent", "dealer sent"] {
        assert!(lines[6].contains(part));
    }
    assert!(lines[7].contains("bucket only") && lines[7].contains("you: prompt"));
    assert_eq!(entries(home.path()), ["small.blindroute"], "the deployment's files are gone");
}

#[test]
fn many_prompts_keep_their_ids_and_a_bad_line_is_reported_in_its_place() {
    let home = tempfile::tempdir().unwrap();
    let bundle = small_bundle(home.path()).into_os_string();
    let file = home.path().join("prompts.jsonl");
    let long = "word ".repeat(200_000);
    let mut text: Vec<u8> = format!(
        "{}\nno json\n\n{}\n{}\n",
        r#"{"id":"first","prompt":"What is the capital of France?"}"#,
        r#"{"id":4,"prompt":"  \n "}"#,
        serde_json::json!({"id": {"any": ["json"]}, "prompt": long}),
    )
    .into_bytes();
    text.extend(
        b"{\"id\":6,\"prompt\":\"\xff\xfe\"}\n{\"id\":7}\n{\"id\":8,\"prompt\":\"last, without a line's end\"}",
    );
    std::fs::write(&file, &text).unwrap();
    let from_file = run_within(
        MINUTE,
        command(&["route".into(), "--input".into(), file.into_os_string(), "--bundle".into(), bundle.clone()]),
        b"",
    );
    let standard_input: [OsString; 5] = ["route".into(), "--input".into(), "-".into(), "--bundle".into(), bundle];
    let from_stdin = run_within(MINUTE, command(&standard_input), &text);
    for ran in [from_file, from_stdin] {
        assert_eq!(ran.code, Some(1));
        assert!(ran.error_line().contains("4 of 8 lines could not be routed"), "{}", ran.stderr);
        assert!(ran.stderr.lines().count() == 1, "{}", ran.stderr);
        let lines = ran.lines();
        let ids: Vec<&Value> = lines.iter().map(|line| &line["id"]).collect();
        assert_eq!(
            ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["\"first\"", "null", "4", r#"{"any":["json"]}"#, "6", "7", "8"]
        );
        for (place, (line, says)) in
            [(1, (2, "line 2")), (2, (4, "empty or blank")), (4, (6, "not UTF-8")), (5, (7, "line 7"))]
        {
            assert_eq!(lines[place]["line"], line);
            assert!(lines[place]["error"].as_str().unwrap().contains(says), "{}", lines[place]);
        }
        for place in [0, 3, 6] {
            assert!(lines[place]["model"].is_string(), "{}", lines[place]);
        }
        // A megabyte: cut, and said so.
        assert_eq!((&lines[3]["tokens"], &lines[3]["bucket"]), (&256.into(), &256.into()));
        assert!(lines[3]["cut_from"].as_str().unwrap().contains("256"), "{}", lines[3]);
        assert!(lines[0].get("cut_from").is_none());
    }
}

#[test]
fn every_router_works_and_a_larger_lambda_is_no_dearer() {
    let home = tempfile::tempdir().unwrap();
    let bundle = small_bundle(home.path()).into_os_string();
    let route = |router: &str, lambda: &str, placement: &str| {
        let arguments: [OsString; 11] = [
            "route".into(),
            PROMPTS[1].into(),
            "--json".into(),
            "--router".into(),
            router.into(),
            "--lambda".into(),
            lambda.into(),
            "--placement".into(),
            placement.into(),
            "--bundle".into(),
            bundle.clone(),
        ];
        run(&arguments).json()
    };
    for router in ["uniroute", "direct", "cscr"] {
        let private = |lambda| route(router, lambda, if router == "direct" { "full" } else { "head" });
        let (free, thrifty) = (private("0"), private("15"));
        assert!(thrifty["price"].as_f64() <= free["price"].as_f64(), "{free} {thrifty}");
        for (lambda, answer) in [("0", free), ("15", thrifty)] {
            assert_eq!(answer["router"], router);
            assert_eq!(answer["lambda"], lambda.parse::<f64>().unwrap());
            assert_eq!(answer["model"], route(router, lambda, "local")["model"], "{router}, {lambda}");
        }
    }
}

/// `route` that waits for the next line of its input, with its children.
fn waiting(home: &std::path::Path) -> (Process, Vec<u32>, (ChildStdin, BufReader<ChildStdout>)) {
    let bundle = small_bundle(home).into_os_string();
    let arguments: [OsString; 5] = ["route".into(), "--input".into(), "-".into(), "--bundle".into(), bundle];
    let mut command = command(&arguments);
    command.env("TMPDIR", home).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut route = Process(command.spawn().unwrap());
    let mut stdin = route.0.stdin.take().unwrap();
    writeln!(stdin, "{}", serde_json::json!({"id": 1, "prompt": PROMPTS[0]})).unwrap();
    let mut stdout = BufReader::new(route.0.stdout.take().unwrap());
    let mut answer = String::new();
    stdout.read_line(&mut answer).unwrap();
    assert!(answer.contains("\"model\""), "{answer}");
    let children = children(route.0.id());
    assert_eq!(children.len(), 3, "a dealer and two servers");
    (route, children, (stdin, stdout))
}

#[test]
fn no_process_outlives_the_job_however_it_ends() {
    // Success: the input ends.
    let home = tempfile::tempdir().unwrap();
    let (mut route, processes, pipes) = waiting(home.path());
    drop(pipes);
    assert!(route.ended(MINUTE).unwrap().success());
    all_gone(&processes, Duration::ZERO);
    assert_eq!(entries(home.path()), ["small.blindroute"]);

    // Ctrl-C and a polite stop: the files go too.
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129), ("QUIT", 131)] {
        if name == "HUP" && Shutdown::ignores_hangups() {
            continue;
        }
        let (mut route, processes, pipes) = waiting(home.path());
        nothing_secret_is_on_disk(home.path());
        route.signal(name);
        assert_eq!(route.ended(Duration::from_secs(5)).unwrap().code(), Some(code));
        all_gone(&processes, Duration::from_secs(5));
        assert_eq!(entries(home.path()), ["small.blindroute"], "after SIG{name}");
        drop(pipes);
    }

    // Killed, in the middle of a session: the children notice, and the next start removes the files.
    let (mut route, processes, mut pipes) = waiting_in_a_long_session(home.path());
    route.signal("KILL");
    assert!(route.ended(Duration::from_secs(5)).unwrap().code().is_none());
    all_gone(&processes, Duration::from_secs(10));
    pipes.take();
    assert_eq!(entries(home.path()).len(), 2);
    nothing_secret_is_on_disk(home.path());
    let (mut route, processes, pipes) = waiting(home.path());
    drop(pipes);
    assert!(route.ended(MINUTE).unwrap().success());
    all_gone(&processes, Duration::ZERO);
    assert_eq!(entries(home.path()), ["small.blindroute"]);
}

/// Of a deployment's files, only the ledgers and the owner's lock are there once it runs.
#[track_caller]
fn nothing_secret_is_on_disk(home: &std::path::Path) {
    let deployment =
        entries(home).into_iter().find(|name| name.starts_with("blindroute-")).expect("a deployment's folder");
    let mut left = entries(&home.join(deployment));
    left.sort();
    assert_eq!(left, ["owner.lock", "state-dealer", "state-server0", "state-server1"]);
}

fn waiting_in_a_long_session(home: &std::path::Path) -> (Process, Vec<u32>, Option<ChildStdin>) {
    let bundle = small_bundle(home).into_os_string();
    let arguments: [OsString; 5] = ["route".into(), "--input".into(), "-".into(), "--bundle".into(), bundle];
    let mut command = command(&arguments);
    command.env("TMPDIR", home).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut route = Process(command.spawn().unwrap());
    let mut stdin = route.0.stdin.take().unwrap();
    let line = serde_json::json!({"id": 1, "prompt": "word ".repeat(300)});
    for _ in 0..50 {
        writeln!(stdin, "{line}").unwrap();
    }
    let parent = route.0.id();
    wait_for("three children", MINUTE, || children(parent).len() == 3);
    std::thread::sleep(Duration::from_millis(1500));
    let children = children(parent);
    assert_eq!(children.len(), 3);
    (route, children, Some(stdin))
}

#[test]
fn a_child_that_dies_is_named_and_the_rest_is_cleaned_up() {
    let home = tempfile::tempdir().unwrap();
    let (mut route, processes, (mut stdin, mut stdout)) = waiting(home.path());
    for process in &processes {
        signal(*process, "KILL");
    }
    writeln!(stdin, "{}", serde_json::json!({"id": 2, "prompt": PROMPTS[0]})).unwrap();
    let mut answer = String::new();
    stdout.read_line(&mut answer).unwrap();
    assert!(answer.contains("process ended early") && answer.contains("signal: 9"), "{answer}");
    drop(stdin);
    assert_eq!(route.ended(Duration::from_secs(20)).unwrap().code(), Some(1));
    all_gone(&processes, Duration::ZERO);
    assert_eq!(entries(home.path()), ["small.blindroute"]);
}

#[test]
fn case_30_a_canary_prompt_is_found_nowhere() {
    let canary = "Xylophonquist7719canary";
    let prompt = format!("Please tell me about {canary} in one sentence.");
    // Child processes, everything logged.
    let home = tempfile::tempdir().unwrap();
    let bundle = small_bundle(home.path()).into_os_string();
    let mut route =
        command(&["route".into(), prompt.clone().into(), "-vv".into(), "--json".into(), "--bundle".into(), bundle]);
    route.env("TMPDIR", home.path());
    let ran = run_within(MINUTE, route, b"");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("served"), "the servers' logs were looked at: {}", ran.stderr);
    let said = |ran: &harness::Ran| {
        let all = format!("{}{}", ran.stdout, ran.stderr).to_lowercase();
        assert!(!all.contains("xylophon") && !all.contains("7719"), "{all}");
    };
    said(&ran);

    // A deployment by hand: its folder holds every file that servers and dealer write.
    let mut fleet = Fleet::new(20.0);
    fleet.start_all();
    let ran = fleet.route(&prompt);
    assert!(ran.json()["model"].is_string());
    said(&ran);
    // Errors: a dead server, words too many, an option that is none, a bad line.
    fleet.kill(Role::Server1);
    let ran = fleet.route(&prompt);
    ran.error();
    said(&ran);
    for arguments in [vec!["route", "a", &prompt], vec!["route", &format!("- {prompt}")]] {
        let ran = run(&arguments);
        ran.error();
        said(&ran);
    }
    let configuration = fleet.configuration(Role::Client).into_os_string();
    let arguments: [OsString; 5] = ["route".into(), "--input".into(), "-".into(), "--config".into(), configuration];
    for line in
        [prompt.clone(), format!("{{\"id\":1,\"prompt\":\"{canary}"), format!("{{\"prompt\":1,\"{canary}\":2}}")]
    {
        let ran = run_within(MINUTE, command(&arguments), line.as_bytes());
        assert_eq!(ran.code, Some(1));
        said(&ran);
    }
    for role in harness::SERVICES {
        fleet.kill(role);
        assert!(!fleet.log(role).is_empty());
    }
    assert!(nowhere_in_files(fleet.home.path(), canary) > 15);
    assert!(nowhere_in_files(home.path(), canary) >= 1);
}
