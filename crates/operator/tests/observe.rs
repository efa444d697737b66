//! Probes, metrics and logs of real processes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod deployment;

use blindroute_placement::{Placement, PlacementError, PrivateRouter, RouteOptions};
use blindroute_runtime::config::Configuration;
use blindroute_runtime::{ClientConfig, Retry, Role};
use deployment::observed::{LIMIT, PARTIES, address, change, get, metrics, observed};
use deployment::{Deployment, Process, run, start_at};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Waits for an answer of `/readyz`.
fn until_ready(deployment: &Deployment, role: Role, status: u16, said: &str) {
    let until = Instant::now() + LIMIT;
    loop {
        let found = get(deployment, role, "/readyz");
        if found.0 == status && found.1.contains(said) {
            return;
        }
        assert!(Instant::now() < until, "{role} says {found:?}, expected {status} {said}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn route(deployment: &Deployment) -> Result<String, PlacementError> {
    let config = ClientConfig::load(&deployment.at("client.toml")).unwrap().config;
    let router = PrivateRouter::connect(&config)?.with_patience(Retry::NEVER);
    let options = RouteOptions::default().with_placement(Placement::Full);
    router.route("Which river is the longest?", &options).map(|report| report.model)
}

#[test]
fn an_orchestrator_sees_who_takes_sessions_and_what_was_counted() {
    let deployment = observed();
    let zero = deployment.start(Role::Server0);
    assert_eq!(get(&deployment, Role::Server0, "/livez"), (200, "ok\n".to_owned()));
    // Its dealer is not there, and it becomes ready by itself once it is.
    until_ready(&deployment, Role::Server0, 503, "dealer does not answer: cannot reach dealer");
    let dealer = deployment.start(Role::Dealer);
    until_ready(&deployment, Role::Dealer, 200, "ready\n");
    until_ready(&deployment, Role::Server0, 200, "ready\n");
    let one = deployment.start(Role::Server1);
    until_ready(&deployment, Role::Server1, 200, "ready\n");
    assert!(deployment.log(Role::Server0).contains("answers again"));
    for _ in 0..2 {
        route(&deployment).unwrap();
    }
    for role in PARTIES {
        let until = Instant::now() + LIMIT;
        let mut found = metrics(&deployment, role);
        // The client has its answer a moment before the session is over.
        while found["sessions_ended_total{outcome=\"answered\"}"] < 2.0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
            found = metrics(&deployment, role);
        }
        let server = role != Role::Dealer;
        let (online, set_ups) = if server { (2.0, 1.0) } else { (0.0, 0.0) };
        for (name, expected) in [
            ("ready", 1.0),
            ("sessions_started_total", 2.0),
            ("sessions_ended_total{outcome=\"answered\"}", 2.0),
            ("sessions_ended_total{outcome=\"busy\"}", 0.0),
            ("sessions_running", 0.0),
            ("sessions_prepared", 0.0),
            ("sessions_limit", 8.0),
            ("connections_refused_total", 0.0),
            ("ledger_claims_total{result=\"taken\"}", 2.0),
            ("ledger_claims_total{result=\"failed\"}", 0.0),
            ("weight_set_ups_total", set_ups),
            ("preparation_seconds_count", 2.0),
            ("online_seconds_count", online),
            ("certificate_days_left{certificate=\"own\"}", 396.0),
        ] {
            assert_eq!(found[name], expected, "{role}: {name}");
        }
        assert!(found["material_mebibytes_total"] >= 2.0, "{role}: {found:?}");
        assert_eq!(found.contains_key("audits_total{finding=\"right\"}"), server);
        let calls: Vec<&str> = found.keys().filter_map(|name| name.strip_prefix("party_answers")).collect();
        let expected: &[&str] = match role {
            Role::Server0 => &["{party=\"dealer\"}"],
            Role::Server1 => &["{party=\"dealer\"}", "{party=\"server0\"}"],
            _ => &[],
        };
        assert_eq!(calls, expected, "{role}");
        // All have the clock of this machine.
        assert!(expected.iter().all(|party| found[&format!("clock_difference{party}")] <= 1.0), "{role}: {found:?}");
    }
    drop(dealer);
    until_ready(&deployment, Role::Server1, 503, "dealer does not answer: ");
    assert_eq!(get(&deployment, Role::Server1, "/livez").0, 200);
    assert_eq!(metrics(&deployment, Role::Server1)["ready"], 0.0);
    drop((zero, one));
}

#[test]
fn a_certificate_that_ends_soon_is_noted_and_an_address_that_is_taken_is_named() {
    use blindroute_runtime::{CertificateFolder, choose_cryptography};
    choose_cryptography();
    let deployment = observed();
    let soon = Duration::from_secs(13 * 24 * 3600 - 3600);
    std::fs::remove_dir_all(deployment.at("certificates")).unwrap();
    CertificateFolder::generate_for(&deployment.at("certificates"), std::time::SystemTime::now(), soon).unwrap();
    let dealer = deployment.start(Role::Dealer);
    let (status, text) = get(&deployment, Role::Dealer, "/readyz");
    assert!(status == 200 && text.starts_with("ready\nnote: certificate of dealer expires in 12 days\n"), "{text}");
    assert_eq!(metrics(&deployment, Role::Dealer)["certificate_days_left{certificate=\"own\"}"], 12.0);
    assert!(deployment.log(Role::Dealer).contains("days_left=12"));
    let taken = address(&deployment, Role::Dealer);
    change(&deployment, Role::Server0, |text| text.replace("127.0.0.1:0", &taken));
    let configuration = deployment.at("server0.toml");
    let refused = run(&["server", "--party", "0", "--config", configuration.to_str().unwrap()]);
    let error = refused.error();
    assert!(error.contains(&taken) && error.contains("`observe` in the configuration"), "{error}");
    drop(dealer);
}

/// Hexadecimal and decimal words that are long enough to be an id.
fn ids(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    let long = words.filter(|word| word.len() >= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit()));
    long.map(str::to_ascii_lowercase).collect()
}

#[test]
fn logs_and_metrics_of_two_parties_have_no_id_in_common() {
    let deployment = observed();
    let servers = [Role::Server0, Role::Server1];
    for role in servers {
        // Audits and stores have lines of their own.
        let keep = if role == Role::Server1 { "[[store.keep]]\nbucket = 32\ncount = 3\n" } else { "" };
        let store = format!("[store]\nfolder = \"{role}-store\"\nkey = \"{role}.key\"\nbytes = \"1GB\"\n{keep}");
        let clients = format!("clients = \"{role}-clients.toml\"\n");
        change(&deployment, role, |text| format!("{clients}{text}[audit]\nshare = 0.1\n{store}"));
    }
    let clinic = deployment.at("clinic");
    let (registration, out) = (clinic.join("registration.toml"), clinic.to_str().unwrap());
    let add = |role: Role, arguments: &[&str]| {
        let configuration = deployment.at(&format!("{role}.toml"));
        run(&[&["client", "add"], arguments, &["--config", configuration.to_str().unwrap()]].concat()).succeeded();
    };
    add(Role::Server0, &["clinic", "--routes-per-day", "12", "--alarm-at", "1", "--out", out]);
    add(Role::Server1, &["--registration", registration.to_str().unwrap()]);
    let start = |role: Role| {
        let at = |end: &str| deployment.at(&format!("{role}.{end}"));
        start_at(role, &at("toml"), &at("log"), "trace")
    };
    let mut parties: Vec<Process> = PARTIES.iter().map(|role| start(*role)).collect();
    let until = Instant::now() + LIMIT;
    while metrics(&deployment, Role::Server1)["stored_sessions"] < 3.0 {
        assert!(Instant::now() < until, "the stores are not filled");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(route(&deployment).unwrap_err().code(), "unknown_client");
    change(&deployment, Role::Client, |text| format!("secret = \"clinic/client.secret\"\n{text}"));
    while route(&deployment).is_ok() {}
    assert_eq!(route(&deployment).unwrap_err().code(), "quota");
    // Without a dealer, and with registers that let the client in again.
    drop(parties.remove(0));
    for role in servers {
        let path = deployment.at(&format!("{role}-clients.toml"));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("routes_per_day = 12", "routes_per_day = 1000")).unwrap();
    }
    // What is stored is used up first.
    let told = std::iter::from_fn(|| Some(route(&deployment))).take(4).find_map(Result::err).unwrap().to_string();
    let texts = PARTIES.map(|role| {
        let metrics = if role == Role::Dealer { String::new() } else { get(&deployment, role, "/metrics").1 };
        deployment.log(role) + &metrics
    });
    let verified = run(&["bundle", "verify", "--json", "--file", deployment.at("bundle/public.bin").to_str().unwrap()]);
    let public = ids(&verified.succeeded().stdout);
    for (one, other) in [(1, 2), (0, 1), (0, 2)] {
        let (one, other) = (&texts[one], &texts[other]);
        let (ours, theirs) = (ids(one), ids(other));
        let common: Vec<&String> = ours.intersection(&theirs).filter(|id| !public.contains(*id)).collect();
        assert!(ours.len() > 5 && theirs.len() > 5, "nothing was logged");
        let lines: Vec<&str> = one.lines().filter(|line| common.iter().any(|id| line.contains(id.as_str()))).collect();
        assert!(common.is_empty(), "{common:?} in\n{}", lines.join("\n"));
    }
    for text in &texts {
        assert!(text.contains("TRACE") || text.contains("DEBUG") || text.contains("INFO"));
        for word in ["clinic", "river"] {
            assert!(!text.contains(word), "{:?}", text.lines().find(|line| line.contains(word)));
        }
    }
    for (text, lines) in [(&texts[0], &["dealt"][..]), (&texts[1], &["served", "a session failed", "alarm_at"])] {
        assert!(lines.iter().all(|line| text.contains(line)), "{lines:?} in\n{text}");
    }
    // A client is told what the log of the server that failed calls the session.
    let name = told.rsplit_once("; session ").unwrap().1.split(')').next().unwrap();
    assert!(name.len() == 16 && texts.iter().filter(|text| text.contains(name)).count() == 1, "{told}");
}
