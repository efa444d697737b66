//! `doctor`: which part of the way is broken, with real sockets and real faults.

use crate::harness::{self, Fleet, Ran, command, run_within};
use blindroute_runtime::{CertificateFolder, Role};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

const LIMIT: Duration = Duration::from_secs(180);
const KEY: &str = "sk-canary-key-0123456789";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Runs the doctor in a folder, without proxies.
fn doctor(home: &Path, arguments: &[&str]) -> Ran {
    let mut command = command(&[&["doctor"], arguments].concat());
    command.env("XDG_DATA_HOME", home).env("DOCTOR_KEY", KEY).current_dir(home);
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    let ran = run_within(LIMIT, command, b"");
    assert!(!ran.stdout.contains(KEY) && !ran.stderr.contains(KEY), "the key is printed: {ran:?}");
    ran
}

/// The checks of a run with `--json`.
struct Checks(Vec<Value>);

impl Checks {
    #[track_caller]
    fn of(ran: &Ran) -> Self {
        let object: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        let checks = Self(object["checks"].as_array().unwrap().clone());
        let failed = checks.0.iter().any(|check| check["status"] == "failed");
        assert_eq!((object["healthy"].as_bool(), ran.code), (Some(!failed), Some(i32::from(failed))), "{ran:?}");
        checks
    }

    /// How the only check with this ending came out: its status, and all that is said of it.
    #[track_caller]
    fn the(&self, ending: &str) -> (&str, String) {
        let found: Vec<&Value> =
            self.0.iter().filter(|check| check["check"].as_str().unwrap().ends_with(ending)).collect();
        assert_eq!(found.len(), 1, "{ending}: {:#?}", self.0);
        (found[0]["status"].as_str().unwrap(), found[0].to_string())
    }

    /// That this failed, in these words, and what is to be done.
    #[track_caller]
    fn fails(&self, ending: &str, words: &[&str]) {
        let (status, said) = self.the(ending);
        assert_eq!(status, "failed", "{said}");
        words.iter().for_each(|word| assert!(said.contains(word), "{word}: {said}"));
    }

    #[track_caller]
    fn skips(&self, endings: &[&str]) {
        endings.iter().for_each(|ending| assert_eq!(self.the(ending).0, "skipped", "{:#?}", self.0));
    }

    #[track_caller]
    fn nothing_failed(&self) {
        assert!(
            self.0.iter().all(|check| check["status"] != "failed" && check["status"] != "skipped"),
            "{:#?}",
            self.0
        );
    }
}

/// A provider that answers each request with this status, until the test ends.
fn provider(status: &'static str, date: SystemTime) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let date = httpdate::fmt_http_date(date);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
            while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(size) if size > 0 => seen.extend_from_slice(&buffer[..size]),
                    _ => break,
                }
            }
            let asked = String::from_utf8_lossy(&seen).to_lowercase();
            if asked.is_empty() {
                continue;
            }
            assert!(
                asked.starts_with("get /v1/models http/1.1") && asked.contains(&format!("bearer {KEY}")),
                "{asked}"
            );
            write!(stream, "HTTP/1.1 {status}\r\ndate: {date}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}")
                .ok();
        }
    });
    format!("http://{address}/v1")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A gateway's configuration with one provider at this address.
fn configuration(home: &Path, base_url: &str, more: &str) -> String {
    let port = free_port();
    let text = format!(
        "listen = \"127.0.0.1:{port}\"\ndata = \"data\"\n[route]\nplacement = \"local\"\ndefault_model = \"m\"\n{more}\n[[provider]]\n\
         name = \"mock\"\ndialects = [\"chat\"]\nbase_url = \"{base_url}\"\nkey_env = \"DOCTOR_KEY\"\n[[model]]\nname = \"m\"\n\
         provider = \"mock\"\n"
    );
    harness::write(home, "gateway.toml", &text)
}

#[test]
fn a_pair_of_servers_that_is_well_and_then_broken_in_each_way() {
    let mut fleet = Fleet::new(3.0);
    fleet.start_all();
    let home = fleet.home.path().to_owned();
    let checked = |fleet: &Fleet| {
        let client = fleet.configuration(Role::Client);
        Checks::of(&doctor(&home, &["--json", "--client", client.to_str().unwrap()]))
    };
    let well = checked(&fleet);
    well.nothing_failed();
    assert!(well.the(": session").1.contains("no prompt was sent"));
    assert_eq!(well.0.len(), 5 + 2 * 5 + 1, "{:#?}", well.0);
    // The servers note no session for the comparison, and one for the session.
    let ledger = fleet.ledger(Role::Server0);

    // A name that does not resolve, and a dead port.
    let [zero, one] = [Role::Server0, Role::Server1].map(|role| fleet.address(role));
    fleet.reconfigure(Role::Client, &zero, "no-such-host.invalid:4100");
    let broken = checked(&fleet);
    broken.fails("server0: name", &["no-such-host.invalid", "does not resolve"]);
    broken.skips(&["server0: port", "server0: certificates", "server0: version and bundle", ": session"]);
    assert_eq!(broken.the("server1: version and bundle").0, "ok");
    let dead = format!("127.0.0.1:{}", free_port());
    fleet.reconfigure(Role::Client, "no-such-host.invalid:4100", &dead);
    let broken = checked(&fleet);
    broken.fails("server0: port", &[&dead, "no connection"]);
    broken.skips(&["server0: certificates", "server0: version and bundle", ": session"]);
    fleet.reconfigure(Role::Client, &dead, &zero);
    assert_eq!(fleet.ledger(Role::Server0), ledger, "a comparison is no session");

    // Servers that are exchanged: the certificate is for the other role.
    fleet.reconfigure(Role::Client, &zero, "127.0.0.1:1");
    fleet.reconfigure(Role::Client, &one, &zero);
    fleet.reconfigure(Role::Client, "127.0.0.1:1", &one);
    checked(&fleet)
        .0
        .iter()
        .filter(|check| check["check"].as_str().unwrap().ends_with("server0: certificates"))
        .for_each(|check| assert_eq!(check["status"], "failed", "{check}"));
    fleet.reconfigure(Role::Client, &zero, "127.0.0.1:1");
    fleet.reconfigure(Role::Client, &one, &zero);
    fleet.reconfigure(Role::Client, "127.0.0.1:1", &one);

    // Another authority; certificates that expired, and such that end soon.
    let strangers = home.join("strangers");
    CertificateFolder::generate(&strangers).unwrap();
    fleet.reconfigure(Role::Client, "certificates/", "strangers/");
    let broken = checked(&fleet);
    broken.fails("server0: certificates", &["by an authority in", "strangers"]);
    broken.fails("server1: certificates", &["by an authority in", "strangers"]);
    broken.skips(&["server0: version and bundle", ": session"]);
    let now = SystemTime::now();
    for (name, from, days, status, words) in [
        ("expired", now - 30 * DAY, 20, "failed", "expired 10 whole days ago"),
        ("soon", now, 9, "warning", "days left"),
    ] {
        CertificateFolder::generate_for(&home.join(name), from, days * DAY).unwrap();
        fleet.reconfigure(Role::Client, "strangers/", &format!("{name}/"));
        let broken = checked(&fleet);
        let ours = |check: &&Value| check["check"].as_str().unwrap().ends_with("certificates here");
        let found: Vec<&Value> = broken.0.iter().filter(ours).collect();
        assert!(found[..2].iter().all(|check| check["status"] == status), "{found:#?}");
        assert!(found[0]["found"].as_str().unwrap().contains(words), "{found:#?}");
        fleet.reconfigure(Role::Client, &format!("{name}/"), "strangers/");
    }
    fleet.reconfigure(Role::Client, "strangers/", "certificates/");

    // The public part of another split, and a dealer that is gone.
    let (bundle, other) = (home.join("small.blindroute"), home.join("other"));
    let split = [
        "bundle".as_ref(),
        "split".as_ref(),
        "--bundle".as_ref(),
        bundle.as_os_str(),
        "--out".as_ref(),
        other.as_os_str(),
    ];
    assert_eq!(harness::run(&split).code, Some(0));
    fleet.reconfigure(Role::Client, "bundle/public", "other/public");
    let broken = checked(&fleet);
    broken.fails("server0: version and bundle", &["does not hold this version", "asked for version"]);
    broken.fails("server1: version and bundle", &["does not hold this version"]);
    fleet.reconfigure(Role::Client, "other/public", "bundle/public");
    fleet.kill(Role::Dealer);
    let broken = checked(&fleet);
    assert_eq!(broken.the("server0: version and bundle").0, "ok");
    broken.fails(": session", &["dealer", "logs"]);
}

#[test]
fn a_provider_that_is_well_and_then_broken_in_each_way() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let now = SystemTime::now();
    let checked = |base_url: &str| {
        configuration(home, base_url, "");
        Checks::of(&doctor(home, &["--json", "--config", "gateway.toml"]))
    };
    let well = checked(&provider("200 OK", now));
    for ending in
        ["mock: key", "mock: name", "mock: port", "mock: answer", "mock: clock", "gateway: port", "gateway: record"]
    {
        assert_eq!(well.the(ending).0, "ok", "{:#?}", well.0);
    }
    assert!(well.the("mock: key").1.contains("DOCTOR_KEY"));
    checked(&provider("401 Unauthorized", now))
        .fails("mock: answer", &["status 401", "the key is wrong", "DOCTOR_KEY"]);
    checked(&provider("500 Oops", now)).fails("mock: answer", &["status 500"]);
    assert_eq!(checked(&provider("404 Not Found", now)).the("mock: answer").0, "warning");
    checked(&provider("200 OK", now - Duration::from_secs(1200)))
        .fails("mock: clock", &["ahead of", "set this machine's clock"]);
    checked(&provider("200 OK", now + Duration::from_secs(1200))).fails("mock: clock", &["behind"]);
    assert_eq!(checked(&provider("200 OK", now - Duration::from_secs(300))).the("mock: clock").0, "ok");
    let dead = checked(&format!("http://127.0.0.1:{}/v1", free_port()));
    dead.fails("mock: port", &["no connection"]);
    dead.skips(&["mock: certificate", "mock: answer", "mock: clock"]);
    checked("https://no-such-host.invalid/v1").fails("mock: name", &["no-such-host.invalid"]);
}

#[test]
fn a_certificate_of_an_unknown_authority_a_port_that_is_taken_and_a_record_that_is_none() {
    let mut fleet = Fleet::new(3.0);
    fleet.start(Role::Dealer);
    let home = fleet.home.path();
    // Whoever holds the dealer's certificate is no provider.
    configuration(home, &format!("https://{}/v1", fleet.address(Role::Dealer)), "");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = std::fs::read_to_string(home.join("gateway.toml")).unwrap();
    let listen = text.lines().next().unwrap();
    let text = text.replace(listen, &format!("listen = \"{}\"", taken.local_addr().unwrap()));
    std::fs::write(home.join("gateway.toml"), text).unwrap();
    std::fs::create_dir(home.join("data")).unwrap();
    std::fs::write(home.join("data/gateway.sqlite"), "no record, but a text of some length").unwrap();
    let broken = Checks::of(&doctor(home, &["--json", "--config", "gateway.toml"]));
    broken.fails("mock: certificate", &["certificate"]);
    broken.skips(&["mock: answer", "mock: clock"]);
    broken.fails("gateway: port", &["another program"]);
    broken.fails("gateway: record", &["gateway.sqlite"]);
}

#[test]
fn a_configuration_that_is_wrong_fails_line_by_line_and_the_rest_is_skipped() {
    let home = tempfile::tempdir().unwrap();
    harness::write(home.path(), "gateway.toml", "listne = 1\n[route]\nplacement = \"ful\"\n");
    let ran = doctor(home.path(), &["--config", "gateway.toml"]);
    assert_eq!(ran.code, Some(1));
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].starts_with("failed   gateway: configuration: ") && lines[0].contains("listne"), "{lines:?}");
    assert!(
        lines[1].contains("route.placement") && lines[2..].iter().all(|line| line.starts_with("skipped ")),
        "{lines:?}"
    );
    assert!(ran.error_line().contains("checks that failed: 2 of 7"), "{}", ran.stderr);
}

#[test]
fn without_a_configuration_servers_start_here_and_answer() {
    let home = tempfile::tempdir().unwrap();
    let checks = Checks::of(&doctor(home.path(), &["--json"]));
    for ending in ["machine: bundle", "machine: start", "machine: route", "gateway: data folder"] {
        assert_eq!(checks.the(ending).0, "ok", "{:#?}", checks.0);
    }
    assert!(harness::entries(home.path()).is_empty(), "it leaves nothing behind");
}
