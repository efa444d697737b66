//! What an operator's program is not made of.
#![allow(clippy::unwrap_used)]

use std::process::Command;

/// Training, measuring, HTTP and asynchronous runtimes.
const ABSENT: [&str; 13] = [
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
    "tokio",
    "ureq",
];

#[test]
fn the_program_links_no_lab_no_gateway_no_http_client_and_nothing_asynchronous() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "-p", "blindroute-operator", "-e", "normal", "--prefix", "none", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let text = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let names: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"blindroute-placement") && names.contains(&"rustls"), "{names:?}");
    for name in ABSENT {
        assert!(
            !names.contains(&name),
            "{name} is linked; see `cargo tree -p blindroute-operator -e normal -i {name}`"
        );
    }
}
