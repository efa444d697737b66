//! What some crates may not name, whatever way it is imported. See "What is not there" in ARCHITECTURE.md.

use crate::sources::{crates, each_crate, files, tokens};

/// Of the standard library, what reaches beyond the process or depends on when it runs.
const OUTSIDE: [&str; 5] = ["net", "time", "fs", "process", "os"];

#[test]
fn ring_protocol_and_reports_have_no_sockets_clock_files_processes_or_async() {
    for (crate_name, least) in [("ring", 10), ("protocol", 10), ("reports", 5)] {
        let sources = files(&crates().join(crate_name).join("src"));
        assert!(sources.len() > least, "the sources of {crate_name} were not found");
        for path in sources {
            let found = outside(&std::fs::read_to_string(&path).unwrap());
            assert!(found.is_empty(), "{} names {found:?}", path.display());
        }
    }
}

#[test]
fn unsafe_code_is_in_crate_ring_only() {
    for home in each_crate().into_iter().filter(|folder| !folder.ends_with("ring")) {
        for path in files(&home.join("src")) {
            let words = tokens(&std::fs::read_to_string(&path).unwrap());
            assert!(!words.iter().any(|word| word.is("unsafe")), "{} has unsafe code", path.display());
        }
    }
}

#[test]
fn every_way_to_name_them_is_seen() {
    for bad in [
        "use std::net::TcpStream;",
        "use std::{fs, net};",
        "use std::{\n    collections::HashMap,\n    // a comment\n    fs::{self, File},\n};",
        "use {std::{io, time::Instant}};",
        "use ::std::process;",
        "use std::{r#fs as disk};",
        "use std :: /* here */ time :: SystemTime;",
        "fn f() { let now = std::time::Instant::now(); }",
        "fn f() -> ::std::fs::File { loop {} }",
        "use std::*;",
        "use std::{*};",
        "use std as library;",
        "use std::{self as library};",
        "extern crate std as library;",
        "use core::{net::IpAddr};",
        "async fn f() {}",
        "let f = async move { 1 };",
        "use tokio::spawn;",
        "const C: char = '\"'; use std::fs; const D: char = '\"';",
        "fn f<'a>(x: &'a str) { std::fs::read(x); }",
        "const S: &str = r#\"quote \" \"#; use std::fs;",
    ] {
        assert!(!outside(bad).is_empty(), "not seen: {bad}");
    }
    for good in [
        "use std::{io::Read, sync::{Arc, Mutex}};",
        "// use std::fs;\n/* use std::{net}; /* nested */ std::time */",
        "const S: &str = \"use std::fs; async tokio\";",
        "const S: &str = r#\"std::fs \" std::net\"#;",
        "fn f(time: u64, net: u64) -> u64 { time + net }",
        "use crate::time::Clock;",
        "use std::collections::HashMap; mod fs { }",
    ] {
        assert_eq!(outside(good), [""; 0], "{good}");
    }
}

/// What a source names that it may not: modules of the standard library, the whole of it under another name or none, and
/// async code.
fn outside(source: &str) -> Vec<String> {
    let words: Vec<String> = tokens(source).into_iter().map(|token| token.text).collect();
    let mut found: Vec<String> =
        words.iter().filter(|word| ["async", "await", "tokio"].contains(&word.as_str())).cloned().collect();
    for (at, word) in words.iter().enumerate() {
        if !["std", "core"].contains(&word.as_str()) {
            continue;
        }
        match words.get(at + 1).map(String::as_str) {
            Some("::") => first_names(&words[at + 2..], &mut found),
            Some("as") => found.push(format!("{word} under another name")),
            _ => {}
        }
    }
    found
}

/// The first names below `std::`, of one path or of a tree of imports.
fn first_names(words: &[String], found: &mut Vec<String>) {
    let mut judge = |word: &str| match word {
        "*" => found.push("all of the standard library".to_owned()),
        "self" => found.push("the standard library itself".to_owned()),
        word if OUTSIDE.contains(&word) => found.push(format!("std::{word}")),
        _ => {}
    };
    if words.first().is_none_or(|word| word != "{") {
        words.first().into_iter().for_each(|word| judge(word));
        return;
    }
    let (mut depth, mut first) = (0_usize, true);
    for word in words {
        match word.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," => first = first || depth == 1,
            word if first && depth == 1 => {
                judge(word);
                first = false;
            }
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}
