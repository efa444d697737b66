//! What is counted where.

use super::format::{parse, value};
use super::metrics;
use crate::config::{Config, Environment};
use crate::guard::Endpoint;
use crate::money::{Amount, Tokens};
use crate::observe::{Names, Outcome, Summary};
use blindroute_dialects::Dialect;
use std::time::Duration;

#[test]
fn requests_are_in_flight_until_they_end() {
    let metrics = metrics();
    let in_flight = || value(&metrics, "blindroute_in_flight", &[]);
    let [one, two, three] = [Endpoint::Chat, Endpoint::Messages, Endpoint::Chat]
        .map(|endpoint| metrics.begin(Some(endpoint), Dialect::Chat));
    assert_eq!(in_flight(), Some(3.0));
    one.finish(Summary { status: 200, ..Summary::default() });
    assert_eq!(in_flight(), Some(2.0));
    drop(two);
    assert_eq!(in_flight(), Some(1.0));
    three.finish(Summary { status: 503, ..Summary::default() });
    assert_eq!(in_flight(), Some(0.0));
    let requests = |status| {
        value(&metrics, "blindroute_requests_total", &[("endpoint", "chat"), ("dialect", "chat"), ("status", status)])
    };
    assert_eq!((requests("2xx"), requests("5xx"), requests("4xx")), (Some(1.0), Some(1.0), None));
    let cancelled = |endpoint| value(&metrics, "blindroute_cancelled_total", &[("endpoint", endpoint)]);
    assert_eq!((cancelled("messages"), cancelled("chat")), (Some(1.0), None));
}

#[test]
fn statuses_have_their_class() {
    let metrics = metrics();
    for status in [100, 199, 200, 299, 301, 399, 400, 499, 500, 599, 0, 600] {
        metrics.begin(None, Dialect::Messages).finish(Summary { status, ..Summary::default() });
    }
    for class in ["1xx", "2xx", "3xx", "4xx", "5xx", "other"] {
        let labels = [("endpoint", "other"), ("dialect", "messages"), ("status", class)];
        assert_eq!(value(&metrics, "blindroute_requests_total", &labels), Some(2.0), "{class}");
    }
}

#[test]
fn routes_tokens_and_spending_have_their_labels() {
    let metrics = metrics();
    metrics.route("head", Outcome::Late, Duration::from_secs(2));
    metrics.route("head", Outcome::Routed, Duration::from_millis(3));
    let routes = |outcome| value(&metrics, "blindroute_routes_total", &[("placement", "head"), ("outcome", outcome)]);
    assert_eq!((routes("late"), routes("routed")), (Some(1.0), Some(1.0)));
    assert_eq!(value(&metrics, "blindroute_route_seconds_sum", &[("placement", "head")]), Some(2.003));
    let tokens = Tokens { input: 100, cached: 60, cache_write: 20, output: 7 };
    metrics.settled("openai", "gpt-4o-mini", &tokens, Amount::from_pico(250_000_000_000));
    metrics.settled("openai", "gpt-4o-mini", &tokens, Amount::from_pico(250_000_000_000));
    for (kind, count) in [("input", 200.0), ("cached", 120.0), ("cache_write", 40.0), ("output", 14.0)] {
        let labels = [("provider", "openai"), ("model", "gpt-4o-mini"), ("kind", kind)];
        assert_eq!(value(&metrics, "blindroute_tokens_total", &labels), Some(count), "{kind}");
    }
    let model = [("provider", "openai"), ("model", "gpt-4o-mini")];
    assert_eq!(value(&metrics, "blindroute_spend_usd_total", &model), Some(0.5));
    metrics.fallback("openai", "gpt-4o-mini");
    assert_eq!(value(&metrics, "blindroute_fallbacks_total", &model), Some(1.0));
    assert_eq!(value(&metrics, "blindroute_retries_total", &model), None);
    metrics.first_byte("openai", Duration::from_millis(250));
    assert_eq!(value(&metrics, "blindroute_upstream_first_byte_seconds_count", &[("provider", "openai")]), Some(1.0));
    for ready in [5, 3] {
        metrics.sessions_ready(ready);
    }
    assert_eq!(value(&metrics, "blindroute_sessions_ready", &[]), Some(3.0));
}

#[test]
fn names_that_are_not_configured_are_one() {
    let metrics = metrics();
    for number in 0..500 {
        let name = format!("name-{number}");
        metrics.settled(&name, &name, &Tokens::default(), Amount::from_pico(1));
        metrics.retry(&name, &name);
        metrics.fallback("openai", &name);
        metrics.first_byte(&name, Duration::ZERO);
        metrics.route(&name, Outcome::Failed, Duration::ZERO);
    }
    let samples = parse(&metrics.text());
    assert!(samples.len() < 100, "{} samples", samples.len());
    let other = [("provider", "other"), ("model", "other")];
    assert_eq!(value(&metrics, "blindroute_retries_total", &other), Some(500.0));
    assert_eq!(
        value(&metrics, "blindroute_routes_total", &[("placement", "other"), ("outcome", "failed")]),
        Some(500.0)
    );
    metrics.rename(Names::new(["new"], ["name-7"]));
    metrics.retry("new", "name-7");
    metrics.retry("openai", "gpt-4o-mini");
    assert_eq!(value(&metrics, "blindroute_retries_total", &[("provider", "new"), ("model", "name-7")]), Some(1.0));
    assert_eq!(value(&metrics, "blindroute_retries_total", &other), Some(501.0));
}

#[test]
fn the_names_are_those_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let text = "[route]\non_failure = \"error\"\n[[provider]]\nname = \"mine\"\ndialects = [\"chat\"]\nbase_url = \"http://127.0.0.1:1/v1\"\n\
                [[model]]\nname = \"one\"\nprovider = \"mine\"\n\
                [embeddings]\nprovider = \"mine\"\nmodels = [\"two\"]\n";
    std::fs::write(&file, text).unwrap();
    let config = Config::load(&file, &[], &Environment::process()).unwrap();
    assert_eq!(Names::from(&config), Names::new(["mine"], ["one", "two"]));
    assert_eq!(Names::from(&Config::default()), Names::default());
}
