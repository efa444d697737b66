//! Choices that clients report, between real processes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod deployment;

use blindroute_placement::{PrivateRouter, RouteOptions};
use blindroute_runtime::config::Configuration;
use blindroute_runtime::{ClientConfig, Role};
use deployment::{Deployment, Process};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const PROMPTS: [&str; 5] = [
    "Which river is the longest?",
    "Prove that there are infinitely many primes.",
    "Translate \"good morning\" into French.",
    "Write a sorting function in Rust.",
    "Who painted the Mona Lisa?",
];
const SERVERS: [Role; 2] = [Role::Server0, Role::Server1];

fn change(deployment: &Deployment, role: Role, change: impl Fn(&str) -> String) {
    let path = deployment.at(&format!("{role}.toml"));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(&text)).unwrap();
}

/// Routes all prompts and counts what was chosen. Its reports are sent within so many seconds, or when the router is dropped.
fn route(deployment: &Deployment, within: f64, plain: &mut BTreeMap<String, u64>) -> PrivateRouter {
    let config = ClientConfig::load(&deployment.at("client.toml")).unwrap().config;
    let config = ClientConfig { report_within_seconds: within, ..config };
    let router = PrivateRouter::connect(&config).unwrap();
    for answer in router.route_batch(&PROMPTS, &RouteOptions::default()).unwrap() {
        *plain.entry(answer.unwrap().model).or_default() += 1;
    }
    router
}

/// The counts that a server's operator is shown, by the names of the models, without those that were never chosen.
fn shown(deployment: &Deployment, role: Role) -> Vec<BTreeMap<String, u64>> {
    let all = deployment.with_configuration("choices", role, &["--json"]).succeeded().json();
    let counts = |batch: &serde_json::Value| {
        let names = batch["models"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
        let counts = batch["counts"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap());
        names.zip(counts).filter(|(_, count)| *count > 0).collect()
    };
    all["batches"].as_array().unwrap().iter().map(counts).collect()
}

fn until_shown(deployment: &Deployment, batches: usize) -> [Vec<BTreeMap<String, u64>>; 2] {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let found = SERVERS.map(|role| shown(deployment, role));
        if found.iter().all(|found| found.len() == batches) {
            return found;
        }
        assert!(Instant::now() < until, "{found:?}{}", deployment.log(Role::Server1));
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The metrics of choices, by the names of the models, and how many reports were counted.
fn metrics(deployment: &Deployment, role: Role) -> (BTreeMap<String, u64>, u64) {
    let log = deployment.log(role);
    let address =
        log.lines().rev().find_map(|line| line.split_once("probes and metrics are answered address=")).unwrap();
    let mut socket = TcpStream::connect(address.1.trim()).unwrap();
    write!(socket, "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    let (mut choices, mut counted) = (BTreeMap::new(), 0);
    for line in text.lines() {
        let value = || line.rsplit_once(' ').unwrap().1.parse().unwrap();
        if let Some(rest) = line.strip_prefix("blindroute_operator_choices_total{model=\"") {
            choices.insert(rest.split('"').next().unwrap().to_owned(), value());
        }
        if line.starts_with("blindroute_operator_choice_reports_total{result=\"counted\"}") {
            counted = value();
        }
    }
    choices.retain(|_, count| *count > 0);
    (choices, counted)
}

#[test]
fn both_operators_see_how_often_each_model_was_chosen_in_sum_also_after_servers_were_killed() {
    let deployment = Deployment::new();
    for role in SERVERS {
        change(&deployment, role, |text| {
            let observed = format!("observe = \"127.0.0.1:0\"\ndevelopment = true\n{text}");
            format!("{observed}[choices]\nminimum = 10\nevery_hours = 0.0\n")
        });
    }
    change(&deployment, Role::Client, |text| format!("report_choices = true\n{text}"));
    let _dealer = deployment.start(Role::Dealer);
    let start = || SERVERS.map(|role| deployment.start(role));
    let servers: [Process; 2] = start();
    let mut plain = BTreeMap::new();
    // None is due for a minute on average; the end of the router sends them.
    drop(route(&deployment, 120.0, &mut plain));
    for role in SERVERS {
        assert_eq!(shown(&deployment, role), [], "five reports reveal nothing");
        assert_eq!(metrics(&deployment, role), (BTreeMap::new(), 5), "{role}");
    }
    let said = deployment.with_configuration("choices", Role::Server0, &[]).succeeded();
    assert!(said.stderr.contains("no counts are revealed so far") && said.stdout.is_empty(), "{said:?}");
    // Killed, not stopped.
    drop(servers);
    let _servers = start();
    // Sent in its own time, since the router stays.
    let router = route(&deployment, 1.0, &mut plain);
    let found = until_shown(&deployment, 1);
    drop(router);
    assert_eq!(plain.values().sum::<u64>(), 10);
    assert_eq!(found, [vec![plain.clone()], vec![plain.clone()]]);
    for role in SERVERS {
        assert_eq!(metrics(&deployment, role), (plain.clone(), 5), "{role} counts reports from its start on");
        let text = deployment.with_configuration("choices", role, &[]).succeeded().stdout;
        assert!(text.contains("10 reports") && plain.keys().all(|model| text.contains(model)), "{text}");
        let log = deployment.log(role);
        assert!(plain.keys().all(|model| !log.contains(model.as_str())), "a model's name is in the log of {role}");
    }
}

#[test]
fn a_client_that_reports_to_servers_that_count_nothing_is_answered_all_the_same() {
    let deployment = Deployment::new();
    change(&deployment, Role::Client, |text| format!("report_choices = true\n{text}"));
    let _parties = [Role::Dealer, Role::Server0, Role::Server1].map(|role| deployment.start(role));
    let mut plain = BTreeMap::new();
    drop(route(&deployment, 0.0, &mut plain));
    assert_eq!(plain.values().sum::<u64>(), 5);
    let said = deployment.with_configuration("choices", Role::Server0, &[]).succeeded();
    assert!(said.stderr.contains("[choices]"), "{said:?}");
    assert!(!deployment.at("state-server0/choices").exists());
}
