//! Nothing is shown but what the table has, and documents and the collector's configuration say the same.

use super::super::families::{ALL, Readings, documented, names, text};
use blindroute_runtime::Role;
use blindroute_runtime::exposition::Kind;
use blindroute_runtime::store::StoreFigures;
use blindroute_runtime::tally::{BOUNDS, Outcome, Tally};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// The name of a model of a bundle and a bundle's digest, which alone may be values of labels without being words of this program.
const MODEL: &str = "a/model-7b";
const DIGEST: &str = "0123456789abcdef";

/// All that there can be, each with another value.
fn full() -> Readings {
    let tally = Tally::default();
    Outcome::all().for_each(|outcome| tally.ended(outcome));
    for millis in [1, 100, 500, 3_000, 10_000, 50_000, 100_000] {
        tally.prepared(Duration::from_millis(millis));
    }
    Readings {
        figures: tally.figures(),
        is_ready: true,
        places: 8,
        versions: vec![DIGEST.to_owned()],
        registered: Some(3),
        stored: Some(StoreFigures { sessions: 9, bytes: 10 << 20, limit: 1 << 30, filled: 11, used: 12, dropped: 13 }),
        audits: Some([4, 5, 6, 7]),
        reports: Some([8, 9, 10]),
        choices: vec![(MODEL.to_owned(), 11)],
        certificates: [Some(100), Some(200)],
        parties: Role::ALL.map(|role| (role, Some(Some(-7)))).to_vec(),
    }
}

/// The name, the label and its value of a sample.
fn parts(line: &str) -> (&str, Option<(&str, &str)>, &str) {
    let (place, value) = line.rsplit_once(' ').unwrap();
    match place.split_once('{') {
        None => (place, None, value),
        Some((name, inside)) => {
            let (label, quoted) = inside.strip_suffix('}').unwrap().split_once('=').unwrap();
            let text = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap();
            assert!(!text.contains(['"', '\\', ',']), "{line}");
            (name, Some((label, text)), value)
        }
    }
}

#[test]
fn no_other_name_label_or_value_of_a_label_is_shown() {
    let text = text(Some(&full()));
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, label, value) = parts(line);
        assert!(value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'), "{line}");
        let of_histogram = |ends: &[&str]| ends.iter().find_map(|end| name.strip_suffix(end));
        let family = ALL.iter().find(|family| match family.kind {
            Kind::Histogram => of_histogram(&["_bucket", "_sum", "_count"]) == Some(family.name),
            Kind::Counter | Kind::Gauge => family.name == name,
        });
        let family = family.unwrap_or_else(|| panic!("it is not in the table: {line}"));
        seen.insert(family.name);
        let allowed: Vec<String> = match (family.kind, family.label) {
            (Kind::Histogram, None) if name.ends_with("_bucket") => {
                assert_eq!(label.map(|(label, _)| label), Some("le"), "{line}");
                BOUNDS.iter().map(|(_, bound)| (*bound).to_owned()).chain(["+Inf".to_owned()]).collect()
            }
            (_, Some((expected, values))) => {
                assert_eq!(label.map(|(label, _)| label), Some(expected), "{line}");
                match expected {
                    "model" => vec![MODEL.to_owned()],
                    "bundle" => vec![DIGEST.to_owned()],
                    _ => values(),
                }
            }
            _ => {
                assert_eq!(label, None, "{line}");
                continue;
            }
        };
        assert!(allowed.iter().any(|allowed| label.is_some_and(|(_, value)| value == allowed)), "{line}");
    }
    assert_eq!(seen, names().into_iter().collect(), "each family is shown");
}

#[test]
fn counters_end_as_counters_do_and_help_is_one_line() {
    for family in &ALL {
        assert!(family.name.starts_with("blindroute_operator_"), "{}", family.name);
        assert_eq!(family.kind == Kind::Counter, family.name.ends_with("_total"), "{}", family.name);
        assert_eq!(family.kind == Kind::Histogram, family.name.ends_with("_seconds"), "{}", family.name);
        assert!(family.help.ends_with('.') && !family.help.contains(['\n', '|', '\\']), "{}", family.help);
    }
    let distinct: BTreeSet<&str> = names().into_iter().collect();
    assert_eq!(distinct.len(), ALL.len());
}

#[test]
fn what_a_party_does_not_have_is_not_shown() {
    let none =
        Readings { registered: None, audits: None, reports: None, choices: Vec::new(), parties: Vec::new(), ..full() };
    let text = text(Some(&none));
    let shown = |name: &str| text.lines().any(|line| line.starts_with(name));
    assert!(!shown("blindroute_operator_clients_registered") && !shown("blindroute_operator_audits_total"));
    assert!(!shown("blindroute_operator_choice_reports_total") && !shown("blindroute_operator_choices_total"));
    assert!(!shown("blindroute_operator_party_answers") && shown("blindroute_operator_ready 1"));
}

#[test]
fn the_difference_of_a_clock_is_shown_if_it_is_known_and_the_party_answers() {
    let parties = vec![(Role::Dealer, Some(None)), (Role::Server0, Some(Some(-7))), (Role::Server1, None)];
    let text = text(Some(&Readings { parties, ..full() }));
    let of = |name: &str| -> Vec<&str> {
        let start = format!("blindroute_operator_{name}{{party=");
        text.lines().filter_map(|line| line.strip_prefix(start.as_str())).collect()
    };
    assert_eq!(of("party_answers"), ["\"dealer\"} 1", "\"server0\"} 1", "\"server1\"} 0"]);
    assert_eq!(of("clock_difference"), ["\"server0\"} 7"]);
}

#[test]
fn times_have_few_bounds_and_add_up() {
    let text = text(Some(&full()));
    let of = |end: &str| {
        let line =
            text.lines().find(|line| line.starts_with(&format!("blindroute_operator_preparation_seconds_{end}")));
        line.unwrap().rsplit_once(' ').unwrap().1.to_owned()
    };
    assert_eq!((of("count").as_str(), of("sum").as_str()), ("7", "163.6"));
    let up_to = BOUNDS.map(|(_, bound)| of(&format!("bucket{{le=\"{bound}\"}}")).parse::<u64>().unwrap());
    assert_eq!(up_to, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn the_documents_and_the_collector_name_the_same_metrics() {
    let read =
        |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap();
    let document = read("docs/OPERATOR.md");
    let rows: Vec<&str> = document.lines().filter(|line| line.starts_with("| `blindroute_operator_")).collect();
    let expected = documented();
    assert_eq!(rows, expected, "docs/OPERATOR.md needs these rows:\n{}", expected.join("\n"));
    let collector = read("docs/collector.yaml");
    let listed: Vec<&str> =
        collector.lines().filter_map(|line| line.trim().strip_prefix("- blindroute_operator_")).collect();
    let expected: Vec<&str> =
        names().into_iter().filter_map(|name| name.strip_prefix("blindroute_operator_")).collect();
    assert_eq!(listed, expected, "docs/collector.yaml lists the metrics that are sent on");
}
