//! Servers that restart, are full or stay away while many prompts are routed: what had not left is routed later, and a batch
//! that cannot go on says where it stopped.

use crate::harness::{self, Fleet, Process, Ran, all_gone, command, default_bundle, run_within, wait_for};
use blindroute_runtime::{Role, Shutdown};
use serde_json::Value;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(240);

/// A file of so many different prompts, each with a canary.
fn prompts(folder: &Path, count: usize) -> String {
    let lines: String = (1..=count).map(|number| format!("What is the zebracanary of {number}?\n")).collect();
    harness::write(folder, "prompts.txt", &lines)
}

/// `route --lines` with the deployment's servers.
fn lines(fleet: &Fleet, file: &str, rest: &[&str]) -> Command {
    let mut arguments: Vec<OsString> = ["route", "--json", "--lines", file].map(Into::into).into();
    arguments.extend(rest.iter().map(Into::into));
    arguments.extend(["--config".into(), fleet.configuration(Role::Client).into_os_string()]);
    command(&arguments)
}

/// A run whose answers are counted as they come.
struct Counted {
    process: Process,
    lines: Arc<Mutex<Vec<String>>>,
    threads: Vec<std::thread::JoinHandle<String>>,
}

impl Counted {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process(command.spawn().unwrap());
        let (stdout, mut stderr) = (process.0.stdout.take().unwrap(), process.0.stderr.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let found = Arc::clone(&lines);
        let answers = std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| found.lock().unwrap().push(line));
            String::new()
        });
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).ok();
            text
        });
        Self { process, lines, threads: vec![answers, errors] }
    }

    #[track_caller]
    fn answered(&self, count: usize) {
        wait_for("answers", LIMIT, || self.lines.lock().unwrap().len() >= count);
    }

    #[track_caller]
    fn end(mut self) -> (Option<i32>, Vec<Value>, String) {
        let status = self.process.ended(LIMIT).expect("it should end");
        let said: String = self.threads.drain(..).map(|thread| thread.join().unwrap()).collect();
        let lines = self.lines.lock().unwrap().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        (status.code(), lines, said)
    }
}

#[track_caller]
fn whole(answers: &[Value], count: usize) {
    let numbers: Vec<u64> = answers.iter().map(|answer| answer["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=count as u64).collect::<Vec<_>>());
    let failed: Vec<_> = answers.iter().filter(|answer| !answer["model"].is_string()).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn a_server_that_restarts_costs_no_line() {
    let mut fleet = Fleet::new(10.0);
    fleet.start_all();
    let file = prompts(fleet.home.path(), 60);
    let run = Counted::start(lines(&fleet, &file, &["--concurrency", "2", "--session-pool", "2"]));
    // Told to stop, and crashed: server 0, then server 1, then the dealer.
    for (done, role) in [(5, Role::Server0), (15, Role::Server1), (25, Role::Dealer), (35, Role::Server0)] {
        run.answered(done);
        let process = fleet.process(role).0.id();
        fleet.process(role).signal(if done == 5 { "TERM" } else { "KILL" });
        all_gone(&[process], Duration::from_secs(30));
        fleet.start(role);
    }
    let (code, answers, said) = run.end();
    assert_eq!(code, Some(0), "{said}");
    whole(&answers, 60);
    assert!(!said.contains("zebracanary"), "{said}");
    // A single route waits as well.
    let process = fleet.process(Role::Server0).0.id();
    fleet.process(Role::Server0).signal("KILL");
    all_gone(&[process], Duration::from_secs(30));
    let configuration = fleet.configuration(Role::Client).into_os_string();
    let single = ["route".into(), "x".into(), "--json".into(), "--config".into(), configuration].to_vec();
    let single: Vec<OsString> = single;
    let run = Counted::start(command(&single));
    std::thread::sleep(Duration::from_millis(500));
    fleet.start(Role::Server0);
    let (code, answers, said) = run.end();
    assert_eq!((code, answers.len()), (Some(0), 1), "{said}");
}

#[test]
fn more_sessions_than_the_servers_take_cost_no_line() {
    let mut fleet = Fleet::new(6.0);
    for (role, own) in [(Role::Server0, "party = 0"), (Role::Server1, "party = 1")] {
        fleet.reconfigure(role, own, &format!("{own}\nmax_sessions = 2"));
    }
    fleet.start_all();
    let file = prompts(fleet.home.path(), 48);
    let small = fleet.home.path().join("small.blindroute");
    let rest =
        ["--concurrency", "12", "--session-pool", "8", "--placement", "head", "--bundle", small.to_str().unwrap()];
    let ran = run_within(LIMIT, lines(&fleet, &file, &rest), b"");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    whole(&ran.lines(), 48);
}

#[test]
fn a_batch_without_servers_ends_soon_and_says_from_where_to_go_on() {
    let fleet = Fleet::new(4.0);
    let file = prompts(fleet.home.path(), 500);
    for (retry, tries) in [("0", false), ("1", true)] {
        let ran = run_within(LIMIT, lines(&fleet, &file, &["--concurrency", "4", "--retry", retry]), b"");
        assert_eq!(ran.code, Some(1));
        let answers = ran.lines();
        assert!((1..=8).contains(&answers.len()), "{} lines were tried", answers.len());
        assert!(answers.iter().all(|answer| answer["error"].as_str().unwrap().contains("cannot reach server0")));
        let error = ran.error_line();
        for part in ["line 1 and those after it were not routed", "cannot reach server0", "--journal FILE"] {
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(error.contains("tries in"), tries, "{error}");
        assert_eq!(ran.stderr.contains("no session can be prepared now; trying again"), tries, "{}", ran.stderr);
    }
}

#[test]
fn a_journal_makes_the_output_of_a_second_run_whole() {
    let mut fleet = Fleet::new(6.0);
    fleet.start_all();
    let (file, journal) = (prompts(fleet.home.path(), 40), fleet.home.path().join("journal"));
    let rest = ["--concurrency", "2", "--session-pool", "2", "--retry", "1", "--journal", journal.to_str().unwrap()];
    let run = Counted::start(lines(&fleet, &file, &rest));
    run.answered(6);
    fleet.kill(Role::Server0);
    let (code, first, said) = run.end();
    assert_eq!(code, Some(1), "{said}");
    let left = first.iter().find(|answer| answer["error"].is_string()).expect("a line that was not routed");
    assert!(said.contains(&format!("line {} and those after it were not routed", left["line"])), "{said}");
    assert!(said.contains("its output is complete") && first.len() < 40, "{said}");
    let kept = || std::fs::read_to_string(&journal).unwrap();
    let answered = first.iter().filter(|answer| answer["model"].is_string()).count();
    assert!(answered >= 6 && kept().lines().count() == answered + 1);
    fleet.start(Role::Server0);
    let second: Ran = run_within(LIMIT, lines(&fleet, &file, &rest), b"");
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    let answers = second.lines();
    whole(&answers, 40);
    assert_eq!(kept().lines().count(), 41);
    assert!(!kept().contains("zebracanary"));
    for answer in first.iter().filter(|answer| answer["model"].is_string()) {
        let again = &answers[answer["line"].as_u64().unwrap() as usize - 1];
        assert_eq!((&again["model"], &again["seen"]), (&answer["model"], &answer["seen"]));
    }
    // Nothing is left to ask: no server is needed.
    for role in harness::SERVICES {
        fleet.kill(role);
    }
    let third = run_within(LIMIT, lines(&fleet, &file, &rest), b"");
    assert_eq!((third.code, third.stdout), (Some(0), second.stdout), "{}", third.stderr);
}

#[test]
fn services_end_on_a_hangup_as_on_a_stop_and_say_so() {
    if Shutdown::ignores_hangups() {
        // As under `nohup`: they are to go on.
        return;
    }
    let mut fleet = Fleet::new(4.0);
    fleet.start_all();
    for role in harness::SERVICES {
        let process = fleet.process(role).0.id();
        fleet.process(role).signal("HUP");
        all_gone(&[process], Duration::from_secs(30));
        assert!(fleet.log(role).contains("SIGHUP") && fleet.log(role).contains("stopped"), "{}", fleet.log(role));
    }
}

#[test]
fn a_program_alone_routes_with_its_own_bundle_whatever_the_folder_holds() {
    let home = tempfile::tempdir().unwrap();
    let here = home.path().join("checkout");
    std::fs::create_dir_all(here.join("bundles")).unwrap();
    for name in ["default", "minilm"] {
        std::fs::write(here.join(format!("bundles/{name}.blindroute")), b"a stranger's").unwrap();
    }
    let program = home.path().join("bin/blindroute");
    std::fs::create_dir_all(program.parent().unwrap()).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_blindroute"), &program).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(&here).env_remove("BLINDROUTE_LOG");
        run_within(LIMIT, command, b"")
    };
    let ran = run(&["route", "What is the capital of France?", "--json", "-v"]);
    let answer = ran.json();
    let digest = blindroute_routing::bundle::Bundle::open(&default_bundle()).unwrap().bundle.digest().to_string();
    assert_eq!(answer["bundle"], serde_json::json!({"name": "default", "digest": digest}));
    assert!(ran.stderr.contains("default, in the program") && ran.stderr.contains(&digest), "{}", ran.stderr);
    // The other bundle is taken from beside the program, if it is the one.
    std::fs::create_dir_all(home.path().join("bin/bundles")).unwrap();
    std::fs::copy(default_bundle(), home.path().join("bin/bundles/minilm.blindroute")).unwrap();
    let ran = run(&["bench", "encoder"]);
    let error = ran.error();
    assert!(error.contains("is not the bundle that came with this program") && error.contains(&digest), "{error}");
}
