//! Stored material of real processes, which are killed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod deployment;

use blindroute_placement::{Placement, PlacementError, PrivateRouter, RouteOptions};
use blindroute_routing::program::{SessionRequest, Task};
use blindroute_runtime::config::Configuration;
use blindroute_runtime::{ClientConfig, Retry, Role};
use deployment::{Deployment, Process, run};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);
const SERVERS: [Role; 2] = [Role::Server0, Role::Server1];

/// A deployment whose servers store sessions of the smallest bucket.
fn storing(count: usize) -> Deployment {
    let deployment = Deployment::new();
    for role in SERVERS {
        let path = deployment.at(&format!("{role}.toml"));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("observe = \"127.0.0.1:0\"\n{text}{}", table(role, count))).unwrap();
    }
    deployment
}

fn table(role: Role, count: usize) -> String {
    let keep = match role {
        Role::Server1 => format!("[[store.keep]]\nbucket = 32\ncount = {count}\n"),
        _ => String::new(),
    };
    format!("[store]\nfolder = \"{role}-store\"\nkey = \"{role}-store.key\"\nbytes = \"1GB\"\n{keep}")
}

/// A metric of a server; none before it answers.
fn metric(deployment: &Deployment, role: Role, name: &str) -> Option<f64> {
    let log = deployment.log(role);
    let said = log.lines().find_map(|line| line.split_once("probes and metrics are answered address="))?;
    let mut socket = TcpStream::connect(said.1.trim()).ok()?;
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    write!(socket, "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n").ok()?;
    let mut text = String::new();
    socket.read_to_string(&mut text).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("blindroute_operator_")?.strip_prefix(name));
    line.map(|value| value.trim().parse().unwrap())
}

#[track_caller]
fn until_stored(deployment: &Deployment, count: f64) {
    let until = Instant::now() + LIMIT;
    let found = || SERVERS.map(|role| metric(deployment, role, "stored_sessions "));
    while found() != [Some(count); 2] {
        assert!(Instant::now() < until, "{:?} are stored, expected {count}", found());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn router(deployment: &Deployment) -> PrivateRouter {
    PrivateRouter::connect(&ClientConfig::load(&deployment.at("client.toml")).unwrap().config).unwrap()
}

fn route(router: &PrivateRouter, prompt: &str) -> Result<String, PlacementError> {
    let options = RouteOptions::default().with_placement(Placement::Full);
    router.route(prompt, &options).map(|report| report.model)
}

const PROMPTS: [&str; 3] = ["Which river is the longest?", "Prove that 2 + 2 = 4.", "Translate: good morning."];

#[test]
fn killed_servers_keep_what_is_stored_and_route_without_a_dealer_with_each_material_once() {
    let deployment = storing(6);
    let dealer = deployment.start(Role::Dealer);
    let servers = SERVERS.map(|role| deployment.start(role));
    // By the clear interpreter.
    let local = PrivateRouter::local(&bundle(&deployment)).unwrap();
    let clear = |prompt| local.route(prompt, &RouteOptions::default().with_placement(Placement::Local)).unwrap().model;
    until_stored(&deployment, 6.0);
    drop(dealer);
    assert_eq!(route(&router(&deployment), PROMPTS[0]).unwrap(), clear(PROMPTS[0]));
    until_stored(&deployment, 5.0);
    // Killed, not stopped.
    drop(servers);
    let servers = SERVERS.map(|role| deployment.start(role));
    until_stored(&deployment, 5.0);
    assert_eq!(route(&router(&deployment), PROMPTS[1]).unwrap(), clear(PROMPTS[1]));
    until_stored(&deployment, 4.0);
    // Two sessions are prepared when both servers are killed: these are lost, and no others.
    let waiting = router(&deployment);
    let request = SessionRequest::new(Task::route(0, 32));
    waiting.keep_ready(request, 2).unwrap();
    assert!(waiting.wait_ready(request, LIMIT));
    until_stored(&deployment, 2.0);
    let [zero, one] = servers;
    drop(one);
    waiting.pause_filling(true);
    drop((zero, waiting));
    let servers = SERVERS.map(|role| deployment.start(role));
    until_stored(&deployment, 2.0);
    let all = router(&deployment).with_patience(Retry::NEVER);
    for prompt in &PROMPTS[1..] {
        assert_eq!(route(&all, prompt).unwrap(), clear(prompt));
    }
    let error = route(&all, PROMPTS[0]).unwrap_err().to_string();
    assert!(error.contains("dealer"), "{error}");
    for role in SERVERS {
        let folder = deployment.at(&format!("{role}-store"));
        let mut names: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["lock", "made-under"], "{role}");
        assert_eq!(metric(&deployment, role, "stored_sessions_total{event=\"used\"}"), Some(2.0), "{role}");
    }
    drop(servers);
}

fn bundle(deployment: &Deployment) -> blindroute_routing::bundle::Bundle {
    blindroute_routing::bundle::Bundle::open(&deployment.at("small.blindroute")).unwrap().bundle
}

/// What an operator writes into the table is checked at the start.
#[test]
fn a_store_that_cannot_be_is_refused_at_the_start() {
    let refused = |deployment: &Deployment, from: &str, to: &str| {
        let path = deployment.at("server1.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let ran = run(&["server", "--party", "1", "--config", path.to_str().unwrap()]);
        let error = ran.error().to_owned();
        std::fs::write(&path, text).unwrap();
        error
    };
    let deployment = storing(1);
    let error = refused(&deployment, "bucket = 32", "bucket = 33");
    assert!(error.contains("[[store.keep]] number 1") && error.contains("33"), "{error}");
    let error = refused(&deployment, "server1-store.key", "server1-store/store.key");
    assert!(error.contains("inside the store's folder"), "{error}");
    let running: Process = deployment.start(Role::Server1);
    let key = |name: &str| std::fs::read(Path::new(&deployment.at(name))).unwrap();
    assert_eq!(key("server1-store.key").len(), 32);
    running.stop();
    let error = refused(&deployment, "server1-store.key", "another.key");
    assert!(error.contains("was filled under another key"), "{error}");
}
