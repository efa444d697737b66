//! Where seeds and masks come from: the operating system, and nothing else.

use crate::sources::{crates, shipped, tokens};
use std::path::Path;

/// The crates that servers, dealer and client are made of.
const PARTIES: [&str; 9] =
    ["ring", "protocol", "passes", "reports", "routing", "runtime", "placement", "console", "operator"];

/// Where the operating system is given the form that a library of ciphers asks for, by the traits of a crate that has no generator.
const ADAPTER: [&str; 3] = ["passes/src/randomness.rs", "passes/src/wanted.rs", "passes/Cargo.toml"];

/// Libraries of random numbers that are not the operating system's, and their generators.
const OTHERS: [&str; 9] =
    ["rand", "fastrand", "oorandom", "nanorand", "rand_chacha", "rand_core", "SmallRng", "ThreadRng", "StdRng"];

#[test]
fn case_06_no_party_names_another_source_of_randomness_than_the_operating_system() {
    for name in PARTIES {
        let home = crates().join(name);
        let manifest = std::fs::read_to_string(home.join("Cargo.toml")).unwrap();
        let linked = linked(&manifest);
        let refused = |word: &str, place: &Path| {
            OTHERS.contains(&word) && !(word == "rand_core" && ADAPTER.iter().any(|adapter| place.ends_with(adapter)))
        };
        let place = home.join("Cargo.toml");
        assert!(!linked.iter().any(|word| refused(word, &place)), "{name} depends on {linked:?}");
        for path in shipped(&home) {
            let words = tokens(&std::fs::read_to_string(&path).unwrap());
            let found = words.iter().find(|word| OTHERS.iter().any(|other| word.is(other) && refused(other, &path)));
            assert!(found.is_none(), "{} names {found:?}", path.display());
        }
    }
}

#[test]
fn what_is_for_tests_alone_is_let_pass() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\naes = \"1\"\nrand = { version = \"1\" }\n[dev-dependencies]\noorandom = \"1\"\n";
    assert_eq!(linked(manifest), ["aes", "rand"]);
}

/// What a manifest depends on outside tests.
fn linked(manifest: &str) -> Vec<&str> {
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| Some(line.split_once('=')?.0.trim())).collect()
}
