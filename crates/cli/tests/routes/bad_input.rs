//! Input that cannot be served: each ends soon, with a code that says so and one line that says what to do.

use crate::harness::{Fleet, command, run, run_within, small_bundle};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// Nothing here starts a session: a few seconds are plenty.
const SOON: Duration = Duration::from_secs(20);

#[track_caller]
fn refused<A: AsRef<OsStr>>(arguments: &[A], says: &[&str]) {
    let ran = run_within(SOON, command(arguments), b"");
    let error = ran.error();
    for part in says {
        assert!(ran.stderr.contains(part), "{part:?} is not in {error}");
    }
}

#[test]
fn prompts_that_are_none() {
    for prompt in ["", " ", "\n\t  \u{a0}\u{3000}"] {
        for placement in ["full", "local"] {
            refused(&["route", prompt, "--placement", placement], &["the prompt is empty", "give the text"]);
        }
    }
    let odd = OsStr::from_bytes(b"caf\xe9 au lait");
    refused(&["route".as_ref(), odd], &["not UTF-8", "iconv"]);
}

#[test]
fn prompts_that_are_long() {
    let home = tempfile::tempdir().unwrap();
    let bundle = small_bundle(home.path()).into_os_string();
    // Over 256 tokens: cut, and said so, in every placement and form.
    let long = "A sentence of seven words or so. ".repeat(60);
    for (placement, form) in [("full", "--json"), ("head", "--verbose"), ("local", "--json"), ("local", "--verbose")] {
        let arguments: [OsString; 7] = [
            "route".into(),
            long.clone().into(),
            "--placement".into(),
            placement.into(),
            form.into(),
            "--bundle".into(),
            bundle.clone(),
        ];
        let ran = run(&arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        if form == "--json" {
            let answer = ran.json();
            assert_eq!(answer["tokens"], 256);
            assert!(answer["cut_from"].as_str().is_some_and(|note| note.contains("256")), "{answer}");
        } else {
            assert!(ran.stdout.contains("  note ") && ran.stdout.contains("256"), "{}", ran.stdout);
        }
    }
    // A megabyte is no argument that the system passes on; it comes by --input. 5 MiB are refused.
    for (bytes, error) in [(1 << 20, None), (5 << 20, Some("bytes, more than"))] {
        let line = serde_json::json!({"id": 1, "prompt": "abcde fg".repeat(bytes / 8)}).to_string();
        let arguments: [OsString; 7] = [
            "route".into(),
            "--input".into(),
            "-".into(),
            "--placement".into(),
            "local".into(),
            "--bundle".into(),
            bundle.clone(),
        ];
        let ran = run_within(SOON, command(&arguments), line.as_bytes());
        let answer = &ran.lines()[0];
        match error {
            None => assert!(answer["tokens"] == 256 && answer["cut_from"].is_string(), "{answer}"),
            Some(says) => {
                assert!(answer["error"].as_str().is_some_and(|error| error.contains(says)), "{answer}");
                assert_eq!(ran.code, Some(1));
            }
        }
    }
    // One word of 100 kB is not a word to this tokenizer, but it is a prompt.
    let arguments: [OsString; 6] =
        ["route".into(), "x".repeat(100_000).into(), "--placement".into(), "local".into(), "--bundle".into(), bundle];
    assert_eq!(run(&arguments).code, Some(0));
}

#[test]
fn names_and_numbers_that_are_none() {
    refused(&["route", "x", "--router", "oracle"], &["no router \"oracle\"", "uniroute, direct, cscr"]);
    refused(&["route", "x", "--router", "oracle", "--placement", "local"], &["no router", "uniroute"]);
    refused(&["route", "x", "--placement", "cloud"], &["invalid value", "local, head, full"]);
    for lambda in ["-0.5", "15.1", "NaN", "inf", "-inf"] {
        refused(&["route", "x", "--lambda", lambda], &["lambda is", "from 0 to 15"]);
    }
    refused(&["route", "x", "--lambda", "cheap"], &["invalid value", "--lambda"]);
    refused(&["route", "x", "--config"], &["--config"]);
    refused(&["route", "x", "--unknown-model", "nobody"], &["\"nobody\", is not in this bundle's pool; it has: "]);
    refused(&["route", "x", "--unknown-share", "0.3"], &["--unknown-model"]);
    let of_pool = ["route", "x", "--unknown-model", "qwen2.5-7b-instruct", "--unknown-share"];
    refused(&[&of_pool[..], &["1.5"]].concat(), &["the share of unknown text is 1.5", "from 0 to 1"]);
    refused(&["route", "--input", "/nowhere/at/all.jsonl"], &["cannot open /nowhere/at/all.jsonl", "standard input"]);
    for (option, placement) in [("--input", "local"), ("--input", "full"), ("--lines", "full")] {
        refused(
            &["route", "--placement", placement, option, "/tmp"],
            &["cannot read /tmp: it is a directory; give a file"],
        );
    }
    refused(&["bundle", "show", "mine.blindroute"], &["bundle show takes no word", "a bundle by --bundle FILE"]);
    refused(&["-v", "data", "check", "DATA"], &["data check takes no word", "`blindroute data check --help`"]);
}

#[test]
fn bundles_that_cannot_be_used() {
    let home = tempfile::tempdir().unwrap();
    let good = std::fs::read(small_bundle(home.path())).unwrap();
    let with = |change: &dyn Fn(&mut Vec<u8>), says: &[&str]| {
        let path = home.path().join("changed.blindroute");
        let mut bytes = good.clone();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        for arguments in [vec!["route", "x", "--bundle"], vec!["bundle", "show", "--bundle"]] {
            let mut arguments: Vec<OsString> = arguments.into_iter().map(OsString::from).collect();
            arguments.push(path.clone().into());
            refused(&arguments, says);
        }
    };
    refused(&["route", "x", "--bundle", "/nowhere/x.blindroute"], &["/nowhere/x.blindroute", "check that it is there"]);
    refused(&["route", "x", "--bundle", "/tmp"], &["bundle /tmp"]);
    with(&|bytes| bytes.clear(), &["changed.blindroute", "blindroute"]);
    for length in [5, 100, good.len() / 2, good.len() - 1] {
        with(&|bytes| bytes.truncate(length), &["changed.blindroute"]);
    }
    with(&|bytes| bytes.truncate(good.len() / 2), &["truncated", "copy or download it again"]);
    with(&|bytes| bytes.push(0), &["after its end", "again"]);
    let middle = good.len() / 2;
    for place in [40, middle, good.len() - 1] {
        with(&|bytes| bytes[place] ^= 1, &["changed.blindroute"]);
    }
    with(&|bytes| bytes[8] = 99, &["format version 99", "this program"]);
    with(&|bytes| bytes[0] = b'B', &["not a blindroute file"]);
    // An encoder alone is a good bundle, but no router.
    let encoder = home.path().join("encoder.blindroute").into_os_string();
    let small = small_bundle(home.path()).into_os_string();
    let made = run(&["bundle".into(), "encoder".into(), "--bundle".into(), small, "--out".into(), encoder.clone()]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    for placement in ["full", "local"] {
        let arguments: [OsString; 6] =
            ["route".into(), "x".into(), "--placement".into(), placement.into(), "--bundle".into(), encoder.clone()];
        refused(&arguments, &["has an encoder and no router: put one into it with `blindroute train`"]);
    }
}

#[test]
fn configurations_that_cannot_be_used() {
    let fleet = Fleet::new(5.0);
    let client = fleet.home.path().join("client.toml");
    let text = std::fs::read_to_string(&client).unwrap();
    let route = |path: &Path, says: &[&str]| {
        refused(&["route".as_ref(), "x".as_ref(), "--config".as_ref(), path.as_os_str()], says);
    };
    let with = |changed: String, says: &[&str]| {
        let path = fleet.home.path().join("changed.toml");
        std::fs::write(&path, changed).unwrap();
        route(&path, says);
    };
    route(Path::new("/nowhere.toml"), &["/nowhere.toml", "check the path"]);
    // A mark that some editors write is no part of the text; UTF-16 is another one.
    with("\u{feff}server0 = [".into(), &["changed.toml, line 1", "samples"]);
    with(
        format!("\u{feff}{text}").replace("server0 = \"127.0.0.1:", "server0 = \"127.0.0.1-"),
        &["expected \"host:port\""],
    );
    std::fs::write(fleet.home.path().join("wide.toml"), b"\xff\xfes\0").unwrap();
    route(&fleet.home.path().join("wide.toml"), &["wide.toml", "save it as UTF-8"]);
    with("server0 = [".into(), &["changed.toml, line 1", "samples"]);
    with(String::new(), &["missing field"]);
    with(
        text.replace("server0 = \"127.0.0.1:", "server0 = \"127.0.0.1-"),
        &["server0 is not an address: expected \"host:port\""],
    );
    with(text.replace("stall_seconds = 5.0", "stall_seconds = -1"), &["timeouts holds a time out of range"]);
    with(text.replace("bundle/public.bin", "bundle/nothing.bin"), &["bundle/nothing.bin", "check that it is there"]);
    with(text.replace("bundle/public.bin", "small.blindroute"), &["router-bundle", "router-public"]);
    with(text.replace("client.key", "server0.key"), &["server0.key"]);
    with(text.replace("client.", "dealer."), &["dealer.pem", "client"]);
    with(text.replace("authority.pem", "nobody.pem"), &["nobody.pem"]);
    // A field that nothing reads is warned about by name, and its value is not shown.
    let path = fleet.home.path().join("odd.toml");
    std::fs::write(&path, format!("pasword = \"hunter2\"\n{text}")).unwrap();
    let ran =
        run(&["route".as_ref(), "x".as_ref(), "--retry".as_ref(), "0".as_ref(), "--config".as_ref(), path.as_os_str()]);
    assert!(ran.stderr.contains("unknown field") && ran.stderr.contains("pasword"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("hunter2") && ran.error_line().contains("cannot reach server0"), "{}", ran.stderr);

    // Placements that need what is not here.
    for placement in ["head", "local"] {
        let arguments = [
            "route".as_ref(),
            "x".as_ref(),
            "--placement".as_ref(),
            placement.as_ref(),
            "--config".as_ref(),
            client.as_os_str(),
        ];
        refused(&arguments, &["--bundle", "--placement full"]);
    }

    // Services refuse at their start.
    let server = |party: &str, name: &str, says: &[&str]| {
        let path = fleet.home.path().join(name);
        refused(&["server".as_ref(), "--party".as_ref(), party.as_ref(), "--config".as_ref(), path.as_os_str()], says);
    };
    server("1", "server0.toml", &["--party is 1", "configuration says 0"]);
    let zero = std::fs::read_to_string(fleet.home.path().join("server0.toml")).unwrap();
    for (from, to, says) in [
        ("share0.bin", "share1.bin", ["is the share of party 1", "its own share file"]),
        ("share0.bin", "nothing.bin", ["nothing.bin", "check that it is there"]),
        ("share0.bin", "public.bin", ["router-share", "public.bin"]),
        ("\"bundle/public.bin", "\"bundle/share0.bin", ["router-public", "share0.bin"]),
        ("certificates/server0", "certificates/server1", ["server1.pem", "server0"]),
        (
            "listen = \"127.0.0.1:",
            "listen = \"203.0.113.1:",
            ["cannot listen on 203.0.113.1", "address of this machine"],
        ),
        ("dealer = \"", "dealer = \"nowhere\" # \"", ["dealer is not an address", "host:port"]),
    ] {
        assert!(zero.contains(from), "{from}");
        std::fs::write(fleet.home.path().join("changed.toml"), zero.replacen(from, to, 1)).unwrap();
        server("0", "changed.toml", &says);
    }
    // certificates/server0 stands twice: certificate and key of different roles do not fit.
    std::fs::write(fleet.home.path().join("changed.toml"), zero.replace("server0.pem", "server1.pem")).unwrap();
    server("0", "changed.toml", &["server1.pem"]);
    std::fs::write(fleet.home.path().join("changed.toml"), zero.replace("server0.", "server1.")).unwrap();
    server("0", "changed.toml", &["server1.pem", "server0"]);
}
