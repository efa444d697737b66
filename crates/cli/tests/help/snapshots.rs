//! What the program says of itself: every `--help` and the errors people meet first, as files in `snapshots/`.
//!
//! `BLINDROUTE_UPDATE_SNAPSHOTS=1 cargo test -p blindroute --test help` writes them anew; look at the difference.

use crate::harness::{self, command, run, run_within};
use blindroute_runtime::config::{ClientConfig, Configuration, DealerConfig, ServerConfig};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

#[track_caller]
fn snapshot(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("BLINDROUTE_UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == found,
        "{} differs; if that is meant, set BLINDROUTE_UPDATE_SNAPSHOTS=1 and run again.\n--- now:\n{found}",
        path.display()
    );
}

/// The commands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_help_is_as_written_down() {
    let mut waiting: Vec<Vec<String>> = vec![Vec::new()];
    let mut seen = Vec::new();
    while let Some(path) = waiting.pop() {
        let ran = run(&[path.as_slice(), &["--help".to_owned()]].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        waiting.extend(subcommands(&ran.stdout).into_iter().map(|name| [path.as_slice(), &[name]].concat()));
        let name = if path.is_empty() { "blindroute".to_owned() } else { path.join("-") };
        snapshot(&format!("help-{name}.txt"), &ran.stdout);
        seen.push(name);
    }
    for name in [
        "route",
        "classify",
        "server",
        "dealer",
        "bundle-split",
        "bundle-show",
        "certificates",
        "data-check",
        "bench-route",
        "bench-select",
    ] {
        assert!(seen.iter().any(|seen| seen == name), "no {name} in {seen:?}");
    }
}

#[test]
fn the_errors_people_meet_first_are_as_written_down() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("no-bundle"), b"something else").unwrap();
    std::fs::write(home.path().join("client.toml"), b"server0 = 7\n").unwrap();
    let cases: &[&[&str]] = &[
        &[],
        &["route"],
        &["route", ""],
        &["route", " \n\t "],
        &["route", "two", "prompts"],
        &["route", "- a prompt that begins with a dash"],
        &["route", "x", "--placement", "cloud"],
        &["route", "x", "--router", "oracle"],
        &["route", "x", "--lambda", "16"],
        &["route", "x", "--lambda", "-1"],
        &["route", "x", "--lambda", "NaN"],
        &["route", "x", "--lambda", "much"],
        &["route", "x", "--bundle", "nowhere"],
        &["route", "x", "--bundle", "no-bundle"],
        &["route", "--input", "nowhere.jsonl"],
        &["route", "x", "--input", "-"],
        &["route", "x", "--config", "nowhere.toml"],
        &["route", "x", "--config", "client.toml"],
        &["server", "--party", "2", "--config", "x"],
        &["server", "--party", "0", "--config", "nowhere.toml"],
        &["dealer"],
        &["bundle", "show", "--bundle", "nowhere"],
        &["data", "check", "--data", "nowhere"],
        &["data", "import", "embedllm", "--from", "nowhere", "--out", "new"],
        &["data", "import", "mixinstruct", "--from", "nowhere", "--out", "new", "--scale", "log"],
        &["data", "import", "routerbench", "--from", "routerbench_0shot.pkl", "--out", "new"],
        &["data", "import", "routerbench", "--from", "routerbench.csv", "--out", "."],
        &["fly"],
    ];
    let mut text = String::new();
    for arguments in cases {
        let mut command = command(arguments);
        command.current_dir(home.path());
        let ran = run_within(Duration::from_secs(20), command, b"");
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert!(ran.code.is_some_and(|code| code != 0), "{arguments:?}");
        writeln!(text, "$ blindroute {}", arguments.iter().map(|a| format!("{a:?} ")).collect::<String>().trim())
            .unwrap();
        writeln!(text, "{}(exit code {})\n", ran.stderr, ran.code.unwrap()).unwrap();
    }
    snapshot("errors.txt", &text);
}

#[test]
fn the_sample_configurations_are_good_ones() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/samples");
    let mut names = harness::entries(&samples);
    names.sort();
    assert_eq!(names, ["client.toml", "dealer.toml", "server0.toml", "server1.toml"], "test new ones here");
    assert!(ClientConfig::load(&samples.join("client.toml")).unwrap().unknown_fields.is_empty());
    assert!(DealerConfig::load(&samples.join("dealer.toml")).unwrap().unknown_fields.is_empty());
    for (party, name) in [(0, "server0.toml"), (1, "server1.toml")] {
        let loaded = ServerConfig::load(&samples.join(name)).unwrap();
        assert!(loaded.unknown_fields.is_empty() && loaded.config.party == party);
    }
    // The program itself takes them as far as the files they name.
    for (name, arguments) in [("server0.toml", vec!["server", "--party", "0"]), ("dealer.toml", vec!["dealer"])] {
        let path = samples.join(name);
        let ran = run(&[arguments.as_slice(), &["--config", path.to_str().unwrap()]].concat());
        assert!(ran.error().contains("bundle/public.bin"), "{}", ran.stderr);
    }
}
