//! Asking again.

use crate::bench::{Bench, answer, events, items, request};
use crate::mock::{Step, head, part, stream, whole};
use blindroute_dialects::Dialect;
use blindroute_gateway::upstream::Reason;
use std::time::{Duration, Instant};

async fn patient(scripts: Vec<Vec<Step>>) -> Bench {
    let mut bench = Bench::new(Dialect::Chat, scripts).await;
    bench.manner.retries.attempts = 3;
    bench
}

#[tokio::test]
async fn what_passes_is_asked_again() {
    let good = || whole(200, "", answer(Dialect::Chat));
    let short = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{".to_vec();
    for first in [
        whole(429, "retry-after: 0\r\n", "{}"),
        whole(503, "", "<html>"),
        whole(408, "", "{}"),
        whole(409, "", "{}"),
        vec![Step::Close],
        vec![Step::Send(short), Step::Close],
    ] {
        let bench = patient(vec![first, good()]).await;
        let answer = bench.send(Dialect::Chat, &request(Dialect::Chat, false)).await.unwrap();
        assert_eq!((answer.attempts, bench.mock.seen().len()), (2, 2));
        let bodies = bench.mock.seen();
        assert_eq!(bodies[0].body, bodies[1].body);
    }
}

#[tokio::test]
async fn a_stream_is_asked_again_before_its_first_token_and_never_after() {
    let (first, rest) = events(Dialect::Chat);
    let error = "data: {\"error\":{\"message\":\"busy\",\"type\":\"overloaded_error\"}}\n\n";
    let bench = patient(vec![stream(error), vec![head(), Step::Close], stream(&(first.clone() + &rest))]).await;
    let answer = bench.send(Dialect::Chat, &request(Dialect::Chat, true)).await.unwrap();
    assert_eq!(answer.attempts, 3);
    let bench = patient(vec![vec![head(), part(&first), Step::Close], stream(&(first + &rest))]).await;
    let got = items(bench.send(Dialect::Chat, &request(Dialect::Chat, true)).await.unwrap()).await;
    assert!(got.last().unwrap().contains("upstream_connection"), "{got:?}");
    assert_eq!(bench.mock.seen().len(), 1);
}

#[tokio::test]
async fn what_stays_is_not_asked_again() {
    let empty = r#"{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    for script in [
        whole(400, "", "{}"),
        whole(401, "", "{}"),
        whole(404, "", "{}"),
        whole(429, "", empty),
        whole(500, "x-should-retry: false\r\n", "{}"),
        whole(307, "", ""),
    ] {
        let bench = patient(vec![script]).await;
        let failure = bench.send(Dialect::Chat, &request(Dialect::Chat, false)).await.unwrap_err();
        assert_eq!((failure.attempts, bench.mock.seen().len()), (1, 1), "{failure:?}");
    }
    let bench = patient(vec![whole(503, "retry-after-ms: 1\r\n", "{}")]).await;
    let failure = bench.send(Dialect::Chat, &request(Dialect::Chat, false)).await.unwrap_err();
    assert_eq!((failure.attempts, bench.mock.seen().len(), failure.reason), (3, 3, Reason::Status(503)));
}

#[tokio::test]
async fn the_wait_that_is_asked_for_is_kept_or_not_begun() {
    let scripts = vec![whole(429, "retry-after-ms: 400\r\n", "{}"), whole(200, "", answer(Dialect::Chat))];
    let bench = patient(scripts).await;
    let begun = Instant::now();
    bench.send(Dialect::Chat, &request(Dialect::Chat, false)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    let bench = patient(vec![whole(429, "retry-after: 21\r\n", "{}")]).await;
    let begun = Instant::now();
    let failure = bench.send(Dialect::Chat, &request(Dialect::Chat, false)).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(
        (failure.attempts, failure.fallback, &failure.headers["retry-after"]),
        (1, true, &"21".parse().unwrap())
    );
}

#[tokio::test]
async fn no_connection_is_a_failure_with_fallback() {
    let mut bench = patient(vec![vec![]]).await;
    bench.manner.retries.attempts = 2;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    bench.provider.base_url = format!("http://{free}/v1");
    let failure = bench.send(Dialect::Chat, &request(Dialect::Chat, false)).await.unwrap_err();
    assert_eq!((failure.reason, failure.fallback, failure.attempts), (Reason::Connect, true, 2));
}
