//! The table of cases has a row for each, and names tests that exist.

use crate::sources::{crates, files, tokens};
use blindroute_testkit::documents::repository;
use std::collections::BTreeSet;

/// How many cases there are.
const CASES: usize = 50;

/// A row of the table: the number, and the tests that it names.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    number: usize,
    tests: Vec<String>,
}

#[test]
fn every_case_has_a_row_and_every_test_that_is_named_exists() {
    let rows = rows(&std::fs::read_to_string(repository().join("docs/CASES.md")).unwrap());
    let numbers: Vec<usize> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=CASES).collect::<Vec<_>>(), "docs/CASES.md has one row for each case, in their order");
    let written = written();
    assert!(written.len() > 30, "the tests were not found");
    for Row { number, tests } in rows {
        for test in &tests {
            assert!(written.contains(test), "docs/CASES.md, case {number}: there is no test {test}");
        }
        let prefix = format!("case_{number:02}_");
        let of_case = written.iter().find(|name| name.trim_start_matches("test_").starts_with(&prefix));
        if let Some(name) = of_case {
            assert!(!tests.is_empty(), "docs/CASES.md, case {number}: name its test {name}");
        }
    }
}

#[test]
fn rows_are_read_with_their_tests_and_other_lines_are_let_pass() {
    let text = "| # | case |\n|---|---|\n| 7 | a fork | `case_07_a`, `test_case_07_b`; not `route` |\n| 8 | none | no |\n| x |";
    let tests = ["case_07_a", "test_case_07_b"].map(str::to_owned).to_vec();
    assert_eq!(rows(text), [Row { number: 7, tests }, Row { number: 8, tests: Vec::new() }]);
}

fn rows(text: &str) -> Vec<Row> {
    let row = |line: &str| {
        let number = line.strip_prefix("| ")?.split('|').next()?.trim().parse().ok()?;
        let quoted = line.split('`').skip(1).step_by(2);
        let tests = quoted.filter(|name| name.trim_start_matches("test_").starts_with("case_"));
        Some(Row { number, tests: tests.map(str::to_owned).collect() })
    };
    text.lines().filter_map(row).collect()
}

/// The names of all tests of cases, in Rust and in Python.
fn written() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files(&crates()) {
        let words = tokens(&std::fs::read_to_string(path).unwrap());
        let functions = words.windows(2).filter(|pair| pair[0].is("fn")).map(|pair| pair[1].text.clone());
        names.extend(functions.filter(|name| name.starts_with("case_")));
    }
    for entry in std::fs::read_dir(repository().join("python/tests")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "py") {
            let text = std::fs::read_to_string(path).unwrap();
            let functions = text.lines().filter_map(|line| line.trim_start().strip_prefix("def ")?.split('(').next());
            names.extend(functions.filter(|name| name.starts_with("test_case_")).map(str::to_owned));
        }
    }
    names
}
