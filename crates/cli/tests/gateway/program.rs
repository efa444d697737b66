//! `gateway`: the program that applications call, from its first start to its end.

use crate::harness::{self, Process, all_gone, children, command, run_within};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// A command whose folder for data is a temporary one.
fn gateway(home: &Path, arguments: &[&str]) -> Command {
    let mut command = command(&[&["gateway"], arguments].concat());
    command.env("XDG_DATA_HOME", home).current_dir(home);
    command
}

#[test]
fn init_writes_a_configuration_that_is_good_and_never_over_a_file() {
    let home = tempfile::tempdir().unwrap();
    let made = run_within(MINUTE, gateway(home.path(), &["init"]), b"");
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let file = home.path().join("gateway.toml");
    let checked = run_within(MINUTE, gateway(home.path(), &["--config", "gateway.toml", "--check", "--json"]), b"");
    assert_eq!(checked.json()["problems"], serde_json::json!([]));
    std::fs::write(&file, "mine").unwrap();
    let again = run_within(MINUTE, gateway(home.path(), &["init", "--out", "gateway.toml"]), b"");
    assert!(again.error().contains("gateway.toml"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn check_names_all_that_is_wrong() {
    let home = tempfile::tempdir().unwrap();
    let text = "listne = 1\n[route]\nplacement = \"ful\"\ndeadline = \"1h\"\n[budget]\ndaily = \"three\"\n";
    std::fs::write(home.path().join("bad.toml"), text).unwrap();
    let checked = run_within(MINUTE, gateway(home.path(), &["--config", "bad.toml", "--check"]), b"");
    assert_eq!(checked.code, Some(1), "{}", checked.stderr);
    for field in ["listne", "route.placement", "route.deadline", "budget.daily"] {
        assert!(checked.stdout.contains(field), "{field}: {}", checked.stdout);
    }
    assert!(checked.error_line().contains("bad.toml has 4 problems"), "{}", checked.stderr);
    // Nothing is started with it either.
    let started = run_within(MINUTE, gateway(home.path(), &["--config", "bad.toml"]), b"");
    assert_eq!((started.code, started.stdout.as_str()), (Some(1), ""), "{}", started.stderr);
}

#[test]
fn without_a_configuration_it_answers_after_a_route_under_mpc_and_ends_with_its_children() {
    let home = tempfile::tempdir().unwrap();
    let mut started = gateway(home.path(), &["--listen", "127.0.0.1:0", "--json"]);
    started.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Process(started.spawn().unwrap());
    let line = process.first_line(2 * MINUTE);
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = ready["listening"].as_str().unwrap();
    assert_eq!(ready["base_url"], format!("http://{address}/v1"));
    let parties = children(process.0.id());
    assert_eq!(parties.len(), 3);
    let body = r#"{"model":"auto","messages":[{"role":"user","content":"What is the capital of France?"}]}"#;
    let ask = || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(MINUTE)).unwrap();
        write!(
            stream,
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        answer
    };
    // On a busy machine a route may take longer than the deadline of no configuration, and the default model answers.
    let late = |answer: &String| answer.contains("x-blindroute-why: default");
    let answer = (0..20).map(|_| ask()).find(|answer| !late(answer)).expect("a route within the deadline");
    for words in
        ["x-blindroute-placement: full", "x-blindroute-why: routed", "your message: What is the capital of France?"]
    {
        assert!(answer.contains(words), "{words}: {answer}");
    }
    assert!(home.path().join("blindroute/gateway/gateway.sqlite").is_file());
    process.signal("TERM");
    let status = process.ended(MINUTE).expect("it ends when it is told to");
    assert!(status.success(), "{status}");
    all_gone(&parties, Duration::from_secs(20));
    harness::nowhere_in_files(home.path(), "capital of France");
}

#[test]
fn it_ends_with_the_input_that_a_parent_holds_if_that_is_wanted() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("local.toml"), "[route]\nplacement = \"local\"\n").unwrap();
    let mut started =
        gateway(home.path(), &["--config", "local.toml", "--listen", "127.0.0.1:0", "--json", "--exit-with-parent"]);
    started.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Process(started.spawn().unwrap());
    assert!(process.first_line(2 * MINUTE).contains("base_url"));
    drop(process.0.stdin.take());
    let status = process.ended(MINUTE).expect("it ends with its input");
    assert!(status.success(), "{status}");
}
