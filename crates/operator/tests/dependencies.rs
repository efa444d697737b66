//! What an operator's program is not made of.
#![allow(clippy::unwrap_used)]

use std::process::Command;

/// Training, measuring, HTTP and asynchronous runtimes, but for the one in the client of Postgres.
const ABSENT: [&str; 12] = [
    "blindroute",
    "blindroute-bench",
    "blindroute-gateway",
    "blindroute-lab",
    "blindroute-testkit",
    "async-std",
    "candle-core",
    "futures",
    "hyper",
    "reqwest",
    "smol",
    "ureq",
];

/// The names of the packages that `cargo tree` prints for the program.
fn tree(options: &[&str]) -> Vec<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "-p", "blindroute-operator", "-e", "normal", "--prefix", "none", "--locked", "--offline"])
        .args(options)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let text = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn only_the_client_of_postgres_uses_an_asynchronous_runtime() {
    let users = tree(&["-i", "tokio", "--depth", "1"]);
    let client = ["tokio", "postgres", "tokio-postgres", "tokio-postgres-rustls", "tokio-rustls", "tokio-util"];
    assert!(users.len() > 1 && users.iter().all(|user| client.contains(&user.as_str())), "{users:?}");
}

#[test]
fn the_program_links_no_lab_no_gateway_and_no_http_client() {
    let names = tree(&[]);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(names.contains(&"blindroute-placement") && names.contains(&"rustls"), "{names:?}");
    for name in ABSENT {
        assert!(
            !names.contains(&name),
            "{name} is linked; see `cargo tree -p blindroute-operator -e normal -i {name}`"
        );
    }
}
