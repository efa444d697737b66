//! Traces, as a collector over a real socket gets them.

use crate::bench::{answer, events, request};
use crate::mock::{Mock, stream, whole};
use crate::world::{Settings, World};
use blindroute_dialects::Dialect;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A gateway that sends its traces to this collector.
async fn world(collector: &str, scripts: Vec<Vec<crate::mock::Step>>) -> World {
    let tables: &'static str = format!("[telemetry]\notlp = \"{collector}\"").leak();
    World::with(Settings { tables, ..Settings::default() }, scripts).await
}

fn address(mock: &Mock) -> String {
    mock.base_url.trim_end_matches("/v1").to_owned()
}

/// The spans that a collector got, once there are so many.
async fn spans(collector: &Mock, count: usize) -> Vec<Value> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let seen = collector.seen();
        let bodies = seen.iter().map(|seen| serde_json::from_str::<Value>(&seen.body).unwrap());
        let spans: Vec<Value> = bodies
            .flat_map(|body| body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone())
            .collect();
        if spans.len() >= count {
            assert!(seen.iter().all(|seen| seen.head.starts_with("POST /v1/traces ")), "{spans:#?}");
            assert_eq!(spans.len(), count, "{spans:#?}");
            return spans;
        }
        assert!(Instant::now() < until, "{spans:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The attributes of a span, as texts.
fn attributes(span: &Value) -> BTreeMap<String, String> {
    let attribute = |attribute: &Value| {
        let value = attribute["value"].as_object().unwrap().values().next().unwrap();
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (attribute["key"].as_str().unwrap().to_owned(), text)
    };
    span["attributes"].as_array().unwrap().iter().map(attribute).collect()
}

fn named<'a>(spans: &'a [Value], name: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

#[tokio::test]
async fn a_request_is_a_span_with_its_route_and_its_calls_and_nothing_else_is_said() {
    let collector = Mock::start(vec![whole(200, "", "{}")]).await;
    let (first, rest) = events(Dialect::Chat);
    let failed = whole(500, "", r#"{"error":{"message":"canary","type":"server_error"}}"#);
    let world =
        world(&address(&collector), vec![failed, stream(&(first + &rest)), whole(200, "", answer(Dialect::Chat))])
            .await;
    let body = request(Dialect::Chat, true);
    let asked = world.post(Dialect::Chat.path(), &body).header("x-session-id", "canary-session");
    assert!(crate::world::Told::of(asked.send().await.unwrap()).await.text.contains("[DONE]"));
    let spans = spans(&collector, 4).await;
    let [root, route] = ["request", "route"].map(|name| named(&spans, name)[0]);
    let calls = named(&spans, "call");
    for child in [route, calls[0], calls[1]] {
        assert_eq!((&child["traceId"], &child["parentSpanId"]), (&root["traceId"], &root["spanId"]));
        let at = |span: &Value, field: &str| span[field].as_str().unwrap().parse::<u64>().unwrap();
        assert!(at(child, "startTimeUnixNano") <= at(child, "endTimeUnixNano"));
        assert!(at(child, "endTimeUnixNano") <= at(root, "endTimeUnixNano"), "{root:#?}");
    }
    assert_eq!((&root["kind"], &route["kind"], &calls[0]["kind"]), (&2.into(), &1.into(), &3.into()));
    assert!(root.get("parentSpanId").is_none() && root["traceId"].as_str().unwrap().len() == 32);
    let of =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let expected: BTreeMap<String, String> = of(&[
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.request.model", "auto"),
        ("gen_ai.response.model", "next"),
        ("http.response.status_code", "200"),
        ("blindroute.why", "fallback"),
    ]);
    assert_eq!(attributes(root), expected);
    assert_eq!(attributes(route).keys().collect::<Vec<_>>(), ["blindroute.placement", "blindroute.router"]);
    let call = |model: &str, more: &[(&str, &str)]| -> BTreeMap<String, String> {
        let common =
            [("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "mock"), ("gen_ai.request.model", model)];
        of(&[&common, more].concat())
    };
    assert_eq!(
        attributes(calls[0]),
        call("large-2026", &[("error.type", "refused"), ("blindroute.fallback", "false")])
    );
    let used =
        [("gen_ai.usage.input_tokens", "3"), ("gen_ai.usage.output_tokens", "2"), ("blindroute.fallback", "true")];
    assert_eq!(attributes(calls[1]), call("next", &used));
    assert_eq!((&calls[0]["status"]["code"], &calls[1]["status"]["code"]), (&2.into(), &0.into()));
    // A name that is not configured is not said, and no text is.
    assert_eq!(world.ask(Dialect::Chat, &body.replace("auto", "canary-model")).await.status, 404);
    let all = self::spans(&collector, 5).await;
    assert_eq!(attributes(&all[4])["gen_ai.request.model"], "other");
    assert_eq!(attributes(&all[4])["http.response.status_code"], "404");
    let bodies: String = collector.seen().into_iter().map(|seen| seen.head + &seen.body).collect();
    assert!(
        !bodies.contains("canary") && !bodies.contains("127.0.0.1:0") && !bodies.contains(&world.mock.base_url),
        "{bodies}"
    );
    let names: BTreeSet<String> = all.iter().flat_map(|span| attributes(span).into_keys()).collect();
    let expected = [
        "blindroute.fallback",
        "blindroute.placement",
        "blindroute.router",
        "blindroute.why",
        "error.type",
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "http.response.status_code",
    ];
    assert_eq!(names, expected.map(str::to_owned).into());
}

#[tokio::test]
async fn a_collector_that_is_down_or_hangs_neither_slows_nor_fails_requests() {
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for collector in [hanging.local_addr().unwrap(), dead] {
        let world = Arc::new(world(&format!("http://{collector}"), vec![whole(200, "", answer(Dialect::Chat))]).await);
        for _ in 0..20 {
            // Each would take five seconds if it waited.
            let asked = tokio::time::timeout(Duration::from_secs(4), async {
                world.ask(Dialect::Chat, &request(Dialect::Chat, false)).await.status
            });
            assert_eq!(asked.await.expect("it waits for the collector"), 200);
        }
    }
}
