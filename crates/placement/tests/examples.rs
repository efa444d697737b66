//! Runs the examples as they were built, and checks what they print.
//!
//! `cargo test` builds them; with `--test examples` alone, build them first by `cargo build --examples`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use blindroute_placement::{ClientConfig, PrivateRouter, RouteOptions, default_bundle};
use blindroute_routing::bundle::{Bundle, SplitRandomness, split};
use blindroute_runtime::config::Configuration;
use blindroute_runtime::{CertificateFolder, Role};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// The example of this name: beside the folder of this test.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().with_file_name("examples").join(name);
    assert!(path.is_file(), "the example {name} is not built; run `cargo build --workspace --examples`");
    Command::new(path)
}

fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn is_model(name: &str) -> bool {
    default_bundle().unwrap().parts().models.iter().any(|model| model.name == name)
}

#[test]
fn route_prints_a_model() {
    let mut route = example("route");
    route.arg("What is the capital of France?");
    let model = printed(route);
    assert!(is_model(model.trim_end()), "{model}");
}

#[test]
fn batch_prints_a_model_per_prompt_from_one_session() {
    let text = printed(example("batch"));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    for line in lines {
        let (model, rest) = line.split_once(" (").unwrap();
        assert!(is_model(model) && rest.starts_with("3 in the session): "), "{line}");
    }
}

#[test]
fn custom_program_chooses_alike_in_the_clear_and_under_mpc() {
    let text = printed(example("custom_program"));
    let same = "in the clear [false, true, false], under MPC [false, true, false]";
    assert!(text.starts_with(same) && text.contains(" openings, "), "{text}");
}

/// The files of a deployment on loopback, and the configurations' names with the roles that `operator` is told.
fn deploy(folder: &Path, bundle: &Bundle) -> [(&'static str, &'static str); 3] {
    let parts = split(bundle, &SplitRandomness::new(&[5; SplitRandomness::BYTES])).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    write("public.bin", &parts.public);
    write("share0.bin", &parts.shares[0]);
    write("share1.bin", &parts.shares[1]);
    CertificateFolder::generate(&folder.join("certificates")).unwrap();
    // Held together, so that they differ.
    let ports: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let [dealer, zero, one] = [0, 1, 2].map(|party: usize| ports[party].local_addr().unwrap());
    let identity = |role: Role| {
        format!(
            "bundle = \"public.bin\"\n[identity]\nauthority = \"certificates/authority.pem\"\n\
             certificate = \"certificates/{role}.pem\"\nkey = \"certificates/{role}.key\"\n"
        )
    };
    let party = |role: Role, listen, more: &str| {
        let text = format!("listen = \"{listen}\"\nstate = \"state-{role}\"\n{more}{}", identity(role));
        write(&format!("{role}.toml"), text.as_bytes());
    };
    party(Role::Dealer, dealer, "");
    let server = format!("dealer = \"{dealer}\"\n");
    party(Role::Server0, zero, &format!("party = 0\nshare = \"share0.bin\"\n{server}"));
    party(Role::Server1, one, &format!("party = 1\nshare = \"share1.bin\"\n{server}peer = \"{zero}\"\n"));
    let client = format!("server0 = \"{zero}\"\nserver1 = \"{one}\"\n{}", identity(Role::Client));
    write("client.toml", client.as_bytes());
    [("dealer", "dealer.toml"), ("server", "server0.toml"), ("server", "server1.toml")]
}

#[test]
fn operator_hosts_the_parties_that_a_client_connects_to_and_ends_by_a_signal() {
    let mut parts = default_bundle().unwrap().into_parts();
    parts.layers.truncate(1);
    parts.encoder.layers = 1;
    let bundle = Bundle::new(parts).unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut operator = example("operator");
    for (role, file) in deploy(home.path(), &bundle) {
        operator.arg(role).arg(home.path().join(file));
    }
    let mut running = operator.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(running.stdout.take().unwrap()).lines();
    let said: Vec<String> = lines.take(3).map(Result::unwrap).collect();
    let listening = said.len() == 3 && said.iter().all(|line| line.starts_with("{\"listening\":\"127.0.0.1:"));
    let routed = || {
        let config = ClientConfig::load(&home.path().join("client.toml")).unwrap().config;
        PrivateRouter::connect(&config)?.route("What is the capital of France?", &RouteOptions::default())
    };
    let routed = if listening { Some(routed()) } else { None };
    Command::new("kill").args(["-TERM", &running.id().to_string()]).status().unwrap();
    assert!(running.wait().unwrap().success());
    let report = routed.unwrap_or_else(|| panic!("{said:?}")).unwrap();
    assert!(is_model(&report.model) && report.openings > 0);
}
