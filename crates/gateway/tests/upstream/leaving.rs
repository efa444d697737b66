//! The caller goes away.

use crate::bench::{Bench, events, request, usage};
use crate::mock::{Step, head, part};
use blindroute_dialects::Dialect;
use blindroute_gateway::upstream::{AnswerBody, End};
use futures_util::StreamExt as _;
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn before_the_first_token_the_connection_closes_and_no_usage_is_known() {
    let (first, _) = events(Dialect::Messages);
    let start = first.split_inclusive("\n\n").next().unwrap();
    let short = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{".to_vec();
    for (streamed, script) in [
        (true, vec![Step::AwaitClose]),
        (true, vec![head(), Step::AwaitClose]),
        (true, vec![head(), part(start), Step::AwaitClose]),
        (false, vec![Step::AwaitClose]),
        (false, vec![Step::Send(short), Step::AwaitClose]),
    ] {
        let bench = Bench::new(Dialect::Messages, vec![script]).await;
        let body = request(Dialect::Messages, streamed);
        tokio::select! {
            _ = bench.send(Dialect::Messages, &body) => panic!("there is no answer"),
            () = bench.mock.waiting() => {}
        }
        bench.mock.closed().await;
        assert_eq!(bench.end(), (None, End::ClientLeft));
        assert_eq!(bench.mock.seen().len(), 1);
    }
}

#[tokio::test]
async fn while_waiting_to_ask_again_nothing_more_is_asked() {
    let busy = crate::mock::whole(429, "retry-after: 1\r\n", "{}");
    let mut bench = Bench::new(Dialect::Chat, vec![busy]).await;
    bench.manner.retries.attempts = 5;
    let body = request(Dialect::Chat, false);
    let asked = async {
        while bench.mock.seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    tokio::select! {
        _ = bench.send(Dialect::Chat, &body) => panic!("there is no answer"),
        () = asked => {}
    }
    assert_eq!(bench.end(), (None, End::ClientLeft));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(bench.mock.seen().len(), 1);
}

#[tokio::test]
async fn within_the_answer_the_connection_closes_and_what_is_known_is_said() {
    for (dialect, known) in [(Dialect::Messages, usage(3, 1)), (Dialect::Chat, None)] {
        for taken in [0, 1] {
            let script = vec![head(), part(&events(dialect).0), Step::AwaitClose];
            let bench = Bench::new(dialect, vec![script]).await;
            let answer = bench.send(dialect, &request(dialect, true)).await.unwrap();
            let AnswerBody::Stream(mut stream) = answer.body else { panic!("no stream") };
            for _ in 0..taken {
                stream.next().await.unwrap().unwrap();
            }
            // Also while the next event is awaited.
            assert!(taken == 0 || timeout(Duration::from_millis(50), stream.next()).await.is_err());
            assert!(bench.ends.lock().unwrap().is_empty());
            drop(stream);
            bench.mock.closed().await;
            assert_eq!(bench.end(), (known, End::ClientLeft), "{dialect}");
        }
    }
}

#[tokio::test]
async fn who_leaves_after_the_end_has_the_whole_answer() {
    let (first, rest) = events(Dialect::Messages);
    let bench = Bench::new(Dialect::Messages, vec![crate::mock::stream(&(first + &rest))]).await;
    let answer = bench.send(Dialect::Messages, &request(Dialect::Messages, true)).await.unwrap();
    let AnswerBody::Stream(mut stream) = answer.body else { panic!("no stream") };
    while stream.next().await.is_some() {}
    drop(stream);
    assert_eq!(bench.end(), (usage(3, 2), End::Proper));
}
