//! What the program takes for TLS, certificates, randomness and ciphers is what `supply-chain/exemptions.toml` lists, and the bill of materials
//! names all that it links.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Where TLS and cryptography begin.
const ROOTS: [&str; 14] = [
    "aes",
    "ctr",
    "getrandom",
    "hpke",
    "p384",
    "prio",
    "rcgen",
    "rustls",
    "sha2",
    "subtle",
    "tokio-postgres-rustls",
    "voprf",
    "x509-parser",
    "zeroize",
];

/// Name and version.
type Crate = (String, String);

#[test]
fn case_42_the_crates_of_tls_and_cryptography_are_those_that_somebody_wrote_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap().parse::<toml::Table>().unwrap();
    let (list, lock) = (read("supply-chain/exemptions.toml"), read("Cargo.lock"));
    let text =
        |entry: &toml::Value, key: &str| entry.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
    let entries = |table: &toml::Table, key: &str| table[key].as_array().unwrap().clone();
    let locked: BTreeSet<[String; 3]> = entries(&lock, "package")
        .iter()
        .map(|entry| ["name", "version", "checksum"].map(|key| text(entry, key)))
        .collect();
    let mut listed = BTreeSet::new();
    for entry in entries(&list, "crate") {
        let [name, version, checksum, reason] = ["name", "version", "checksum", "reason"].map(|key| text(&entry, key));
        assert!(!reason.is_empty(), "{name} {version} has no reason");
        assert!(
            locked.contains(&[name.clone(), version.clone(), checksum]),
            "{name} {version} is not in Cargo.lock with this checksum"
        );
        assert!(listed.insert((name, version)), "an entry stands twice");
    }
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "-p", "blindroute-operator", "-e", "normal,build", "--no-dedupe"])
        .args(["--target", "x86_64-unknown-linux-gnu", "--prefix", "depth"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let found = below(&ROOTS, &String::from_utf8(tree.stdout).unwrap());
    let (new, gone): (Vec<_>, Vec<_>) = (found.difference(&listed).collect(), listed.difference(&found).collect());
    assert!(
        new.is_empty() && gone.is_empty(),
        "look at these, and write them into supply-chain/exemptions.toml: {new:?}; take these out: {gone:?}"
    );
}

#[test]
fn crates_below_the_roots_are_found_at_any_depth_and_others_are_not() {
    let tree = "0program v1.0.0 (/here)\n1rustls v2.0.0\n2ring v3.0.0\n1clap v4.0.0\n2log v5.0.0\n1other v6.0.0\n2aes v7.0.0\n";
    let found = below(&["rustls", "aes"], tree);
    let expected = [("aes", "7.0.0"), ("ring", "3.0.0"), ("rustls", "2.0.0")];
    assert!(found.iter().map(|(name, version)| (name.as_str(), version.as_str())).eq(expected), "{found:?}");
}

/// The roots, and what stands below them in a tree whose lines begin with their depth.
fn below(roots: &[&str], tree: &str) -> BTreeSet<Crate> {
    let (mut path, mut found) = (Vec::new(), BTreeSet::new());
    for line in tree.lines() {
        let digits = line.len() - line.trim_start_matches(|sign: char| sign.is_ascii_digit()).len();
        let (Ok(depth), Some((name, rest))) = (line[..digits].parse::<usize>(), line[digits..].split_once(" v")) else {
            continue;
        };
        path.truncate(depth);
        path.push(name);
        if path.iter().any(|part| roots.contains(part)) {
            found.insert((name.to_owned(), rest.split(' ').next().unwrap_or_default().to_owned()));
        }
    }
    found
}

#[test]
fn case_42_the_bill_of_materials_names_every_crate_that_is_linked_with_its_checksum() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // Python 3.11 reads TOML by itself.
    if !Command::new("python3").args(["-c", "import tomllib"]).status().is_ok_and(|status| status.success()) {
        println!("skipped: there is no Python 3.11 here");
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let written = Command::new("python3").arg(root.join("scripts/sbom")).arg("--out").arg(out.path()).output().unwrap();
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let lock: toml::Value =
        std::fs::read_to_string(root.join("Cargo.lock")).unwrap().parse::<toml::Table>().unwrap().into();
    let checksum = |name: &str, version: &str| {
        let mut entries = lock["package"].as_array().unwrap().iter();
        let entry =
            entries.find(|entry| entry["name"].as_str() == Some(name) && entry["version"].as_str() == Some(version));
        entry.unwrap().get("checksum").and_then(|checksum| checksum.as_str()).map(str::to_owned)
    };
    for program in ["blindroute-operator", "blindroute"] {
        let path = out.path().join(format!("{program}.cdx.json"));
        let bill: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let components = bill["components"].as_array().unwrap();
        let linked = linked(program);
        assert_eq!(components.len() + 1, linked.len(), "{program}: the components and the program itself");
        for (name, version) in linked.iter().filter(|(name, _)| name != program) {
            let mut of_crate = components.iter().filter(|one| one["name"] == **name && one["version"] == **version);
            let found = of_crate.next().unwrap_or_else(|| panic!("{program}: {name} {version} is not in the bill"));
            let hash = found["hashes"][0]["content"].as_str().map(str::to_owned);
            assert_eq!(hash, checksum(name, version), "{program}: {name} {version}");
        }
    }
}

/// The crates that the program links, each as its name and version; a crate without a version is our own.
fn linked(of: &str) -> BTreeSet<Crate> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "-p", of, "-e", "normal", "--prefix", "none", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).unwrap();
    let crates = text.lines().filter_map(|line| {
        let (name, rest) = line.split_once(" v")?;
        Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
    });
    crates.collect()
}
