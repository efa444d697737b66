//! The text format, read by a strict parser.

use super::metrics;
use crate::money::{Amount, Tokens};
use crate::observe::{Metrics, Outcome, Summary};
use blindroute_dialects::Dialect;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A sample: its name, its labels, its value.
pub(super) type Sample = (String, BTreeMap<String, String>, f64);

/// Reads the text format, and panics at anything that the format does not allow.
pub(super) fn parse(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n') && !text.contains('\r'));
    let (mut samples, mut kinds, mut helps): (Vec<Sample>, BTreeMap<String, String>, BTreeSet<String>) =
        Default::default();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(is_name(name) && !help.is_empty() && helps.insert(name.to_owned()), "{line}");
            current = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(name == current && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
        } else {
            let sample = sample(line);
            let suffixes = ["_bucket", "_sum", "_count"];
            let base = if kinds[&current] == "histogram" {
                suffixes.iter().find_map(|suffix| sample.0.strip_suffix(suffix)).unwrap()
            } else {
                &sample.0
            };
            assert_eq!(base, current, "a sample of another family: {line}");
            assert!(kinds[&current] != "counter" || current.ends_with("_total"), "{line}");
            samples.push(sample);
        }
    }
    let places: BTreeSet<String> = samples.iter().map(|(name, labels, _)| format!("{name}{labels:?}")).collect();
    assert_eq!(places.len(), samples.len(), "a sample stands twice");
    samples
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            let (label, after) = inside.split_once("=\"").unwrap();
            assert!(is_name(label), "{line}");
            let mut value = String::new();
            let mut signs = after.char_indices();
            let close = loop {
                match signs.next().unwrap() {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match signs.next().unwrap().1 {
                        'n' => '\n',
                        sign @ ('\\' | '"') => sign,
                        _ => panic!("a wrong escape: {line}"),
                    }),
                    (_, sign) => value.push(sign),
                }
            };
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            inside = &after[close + 1..];
            if let Some(after) = inside.strip_prefix('}') {
                rest = after;
                break;
            }
            inside = inside.strip_prefix(',').unwrap();
        }
    }
    let value = rest.strip_prefix(' ').unwrap();
    assert!(value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'), "{line}");
    (name.to_owned(), labels, value.parse().unwrap())
}

/// The value of a sample with these labels, in any order.
pub(super) fn value(metrics: &Metrics, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let wanted: BTreeMap<String, String> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let samples = parse(&metrics.text());
    samples.into_iter().find(|(found, labels, _)| found == name && *labels == wanted).map(|(.., value)| value)
}

#[test]
fn what_has_no_labels_is_there_from_the_start() {
    let text = Metrics::default().text();
    let names: Vec<String> =
        parse(&text).into_iter().map(|(name, ..)| name).filter(|name| !name.ends_with("_bucket")).collect();
    assert_eq!(
        names,
        [
            "blindroute_in_flight",
            "blindroute_sessions_ready",
            "blindroute_overhead_seconds_sum",
            "blindroute_overhead_seconds_count"
        ]
    );
}

#[test]
fn everything_counted_is_read_by_the_parser() {
    let metrics = metrics();
    metrics.begin(None, Dialect::Chat).finish(Summary { status: 404, ..Summary::default() });
    metrics.route("full", Outcome::Routed, Duration::from_millis(400));
    metrics.retry("openai", "claude \"sonnet\"\\\n");
    metrics.fallback("openai", "gpt-4o-mini");
    metrics.settled(
        "anthropic",
        "gpt-4o-mini",
        &Tokens { input: 5, cached: 4, cache_write: 1, output: 9 },
        Amount::from_pico(1),
    );
    metrics.first_byte("openai", Duration::from_secs(1));
    metrics.overhead(Duration::from_micros(7));
    metrics.pair_answers(0, true);
    metrics.certificate_days(0, "client", -3);
    drop(metrics.begin(None, Dialect::Chat));
    let families: BTreeSet<String> = parse(&metrics.text()).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(families.len(), 11 + 3 * 3, "{families:?}");
    let quoted = [("provider", "openai"), ("model", "claude \"sonnet\"\\\n")];
    assert_eq!(value(&metrics, "blindroute_retries_total", &quoted), Some(1.0));
}

#[test]
fn times_are_counted_up_to_each_bound() {
    let metrics = metrics();
    for micros in [1, 500, 501, 10_000_000, 60_000_001] {
        metrics.overhead(Duration::from_micros(micros));
    }
    let up_to = |bound| value(&metrics, "blindroute_overhead_seconds_bucket", &[("le", bound)]);
    assert_eq!(["0.0005", "0.001", "2.5", "10", "60", "+Inf"].map(up_to), [2.0, 3.0, 3.0, 4.0, 4.0, 5.0].map(Some));
    let text = metrics.text();
    // 1 + 500 + 501 microseconds, 10 seconds, and 60.000001 seconds.
    assert!(
        text.contains("\nblindroute_overhead_seconds_sum 70.001003\n")
            && text.contains("\nblindroute_overhead_seconds_count 5\n")
    );
    let buckets: Vec<Sample> =
        parse(&text).into_iter().filter(|(name, ..)| name == "blindroute_overhead_seconds_bucket").collect();
    let bounds: Vec<f64> = buckets.iter().filter_map(|(_, labels, _)| labels["le"].parse().ok()).collect();
    assert!(bounds.is_sorted() && buckets.is_sorted_by(|one, next| one.2 <= next.2));
}

#[test]
fn spending_is_exact() {
    let metrics = metrics();
    for pico in [1, 999_999_999_999, u64::MAX, 150_000_000_000] {
        metrics.settled("openai", "gpt-4o-mini", &Tokens::default(), Amount::from_pico(pico));
    }
    // An amount is at most 2^63 - 1 picodollars.
    assert!(metrics.text().contains("} 9223373.186854775807\n"), "{}", metrics.text());
}
