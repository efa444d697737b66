//! Answers in pieces.

use crate::bench::{Bench, USAGE, events, items, request, text, usage};
use crate::mock::{Step, end, head, part, stream};
use blindroute_dialects::Dialect;
use blindroute_gateway::config::Streams;
use blindroute_gateway::upstream::{AnswerBody, End, Reason};
use futures_util::StreamExt as _;
use std::time::Duration;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test]
async fn streams_of_the_same_dialect_pass_byte_for_byte_and_are_counted() {
    for dialect in Dialect::ALL {
        let (first, rest) = events(dialect);
        let whole = (first + &rest).replace("{\"type\"", "{ \"type\"");
        let whole = if dialect == Dialect::Chat { whole.replace("\n\n", "\n\n: kept\n\n") } else { whole };
        let whole = whole.trim_end_matches(": kept\n\n");
        let bench = Bench::new(dialect, vec![stream(whole)]).await;
        let answer = bench.send(dialect, &request(dialect, true)).await.unwrap();
        assert_eq!(answer.headers["x-request-id"], "r1");
        assert_eq!(answer.headers["content-type"], "text/event-stream; charset=utf-8");
        // The caller of Chat did not ask for the usage.
        assert_eq!(text(answer).await, whole.replace(USAGE, ""), "{dialect}");
        assert_eq!(bench.end(), (usage(3, 2), End::Proper));
    }
}

#[tokio::test]
async fn the_usage_of_chat_stays_for_callers_that_ask_for_it() {
    let (first, rest) = events(Dialect::Chat);
    let bench = Bench::new(Dialect::Chat, vec![stream(&(first.clone() + &rest))]).await;
    let asked = request(Dialect::Chat, true)
        .replace("\"stream\":true", "\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    assert_eq!(bench.text(Dialect::Chat, &asked).await, first + &rest);
}

#[tokio::test]
async fn the_usage_is_taken_out_of_events_with_choices_too() {
    let (first, _) = events(Dialect::Chat);
    let last = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x":1e400"#;
    let counted = r#","usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    let whole = format!("{first}{last}{counted}\n\ndata: [DONE]\n\n");
    let bench = Bench::new(Dialect::Chat, vec![stream(&whole)]).await;
    let expected = format!("{first}{last}}}\n\ndata: [DONE]\n\n");
    assert_eq!(bench.text(Dialect::Chat, &request(Dialect::Chat, true)).await, expected);
    assert_eq!(bench.end(), (usage(3, 2), End::Proper));
}

#[tokio::test]
async fn the_index_of_tool_calls_is_kept() {
    let call = |index: u64, rest: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":{index},{rest}}}]}}}}]}}\n\n"
        )
    };
    let calls = call(0, r#""id":"a","type":"function","function":{"name":"f","arguments":""}"#)
        + &call(1, r#""id":"b","type":"function","function":{"name":"g","arguments":""}"#)
        + &call(1, r#""function":{"arguments":"{}"}"#)
        + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
    let bench = Bench::new(Dialect::Chat, vec![stream(&calls)]).await;
    assert_eq!(bench.text(Dialect::Chat, &request(Dialect::Chat, true)).await, calls);
    let translated = bench.text(Dialect::Messages, &request(Dialect::Messages, true)).await;
    let begun = translated.find("\"index\":1,\"content_block\"").unwrap();
    let added = translated.find("\"partial_json\":\"{}\"").unwrap();
    assert!(translated[..begun].contains("\"id\":\"a\"") && begun < added, "{translated}");
    assert!(translated[..added].rfind("\"index\":1").unwrap() > begun, "{translated}");
}

#[tokio::test]
async fn each_dialect_is_streamed_to_each_other() {
    for to in Dialect::ALL {
        for from in Dialect::ALL.into_iter().filter(|from| *from != to) {
            let (first, rest) = events(to);
            let bench = Bench::new(to, vec![stream(&(first + &rest))]).await;
            let answer = bench.send(from, &request(from, true)).await.unwrap();
            assert_eq!(answer.headers["content-type"], "text/event-stream");
            let text = text(answer).await;
            assert!(text.contains("Hello") && !text.contains("usage\":{\"prompt"), "{from} from {to}: {text}");
            assert_eq!(bench.end(), (usage(3, 2), End::Proper));
        }
    }
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_stream() {
    for dialect in Dialect::ALL {
        let (first, rest) = events(dialect);
        let bench = Bench::new(dialect, vec![stream(&(first + &rest))]).await;
        for _ in 0..3 {
            bench.text(dialect, &request(dialect, true)).await;
            // The connection goes back in a task of its own.
            tokio::time::sleep(millis(100)).await;
        }
        assert_eq!((bench.mock.seen().len(), bench.mock.connections()), (3, 1), "{dialect}");
    }
}

#[tokio::test]
async fn events_are_given_on_as_they_come() {
    let (first, rest) = events(Dialect::Messages);
    let mut script = vec![head(), part(&first)];
    let rest: Vec<&str> = rest.split_inclusive("\n\n").collect();
    rest.iter().for_each(|event| script.extend([Step::AwaitGoOn, part(event)]));
    script.push(end());
    let bench = Bench::new(Dialect::Messages, vec![script]).await;
    let answer = bench.send(Dialect::Messages, &request(Dialect::Messages, true)).await.unwrap();
    let AnswerBody::Stream(mut stream) = answer.body else { panic!("no stream") };
    assert_eq!(stream.next().await.unwrap().unwrap(), first.as_bytes());
    // Each event is here before the provider sends the next one.
    for event in rest {
        bench.mock.go_on();
        assert_eq!(stream.next().await.unwrap().unwrap(), event.as_bytes());
    }
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn an_end_without_a_reason_is_an_error_and_no_success() {
    for to in Dialect::ALL {
        for from in Dialect::ALL {
            let (first, _) = events(to);
            let open = "data: {\"choi";
            for script in [
                stream(&first),
                stream(&(first.clone() + open)),
                vec![head(), part(&first), part(open), Step::Close],
                stream(&(first.clone() + "data: [DONE]\n\n")),
            ] {
                let bench = Bench::new(to, vec![script]).await;
                let text = bench.text(from, &request(from, true)).await;
                assert!(text.contains("error"), "{from} from {to}: {text}");
                for proper in ["[DONE]", "response.completed", "message_stop", "finish_reason\":\"", "stop_reason\":\""]
                {
                    assert!(!text.contains(proper), "{from} from {to}: {text}");
                }
                assert_eq!(bench.end().1, End::Failed);
            }
        }
    }
}

#[tokio::test]
async fn each_time_has_its_own_error() {
    let (first, _) = events(Dialect::Chat);
    let slow = || vec![head(), part(": wait\n\n"), Step::AwaitClose];
    let mut bench = Bench::new(Dialect::Chat, vec![slow()]).await;
    bench.manner.timeouts.first_token = millis(800);
    bench.manner.retries.attempts = 2;
    let failure = bench.send(Dialect::Chat, &request(Dialect::Chat, true)).await.unwrap_err();
    assert_eq!((failure.status.as_u16(), failure.fallback, failure.attempts), (504, true, 1));
    assert_eq!(failure.reason, Reason::FirstToken(millis(800)));
    bench.mock.closed().await;
    bench.manner.timeouts.total = millis(700);
    for streamed in [true, false] {
        let failure = bench.send(Dialect::Chat, &request(Dialect::Chat, streamed)).await.unwrap_err();
        assert_eq!(failure.reason, Reason::Total(millis(700)));
        bench.mock.closed().await;
    }
    for (idle, total, named) in [(300, 20_000, "timeouts.idle"), (20_000, 2500, "timeouts.total")] {
        let silent = vec![head(), part(&first), Step::AwaitClose];
        let mut bench = Bench::new(Dialect::Chat, vec![silent]).await;
        (bench.manner.timeouts.idle, bench.manner.timeouts.total) = (millis(idle), millis(total));
        let got = items(bench.send(Dialect::Chat, &request(Dialect::Chat, true)).await.unwrap()).await;
        assert_eq!((got.len(), got[0].as_str()), (2, first.as_str()), "{got:?}");
        assert!(got[1].contains(named) && got[1].contains("timeout_error"), "{got:?}");
        assert_eq!(bench.end(), (None, End::Failed));
        bench.mock.closed().await;
    }
}

#[tokio::test]
async fn comments_keep_a_silent_stream_open_and_stand_between_events_only() {
    let (first, rest) = events(Dialect::Messages);
    let (begin, finish) = rest.split_at(30);
    let script = vec![head(), part(&first), part(begin), Step::Wait(millis(900)), part(finish), end()];
    let mut bench = Bench::new(Dialect::Messages, vec![script]).await;
    bench.manner.ping = millis(200);
    let text = bench.text(Dialect::Messages, &request(Dialect::Messages, true)).await;
    assert!((1..=4).contains(&text.matches(": ping\n\n").count()), "{text}");
    assert_eq!(text.replace(": ping\n\n", ""), first.clone() + &rest);
    assert!(text.starts_with(&(first + ": ping\n\n")), "{text}");
}

#[tokio::test]
async fn the_providers_own_pings_are_no_tokens() {
    let (first, _) = events(Dialect::Messages);
    let mut script = vec![head(), part(&first)];
    for _ in 0..30 {
        script.extend([Step::Wait(millis(100)), part("event: ping\ndata: {\"type\":\"ping\"}\n\n")]);
    }
    let mut bench = Bench::new(Dialect::Messages, vec![script]).await;
    bench.manner.timeouts.idle = millis(400);
    let text = bench.text(Dialect::Messages, &request(Dialect::Messages, true)).await;
    assert!(text.contains("timeouts.idle") && text.contains("event: ping"), "{text}");
    assert!(text.matches("event: ping").count() < 20, "{text}");
}

#[tokio::test]
async fn padded_events_have_sizes_of_whole_blocks() {
    let (first, rest) = events(Dialect::Responses);
    let mut bench = Bench::new(Dialect::Responses, vec![stream(&(first.clone() + &rest))]).await;
    bench.manner.streams = Streams::Pad;
    let got = items(bench.send(Dialect::Responses, &request(Dialect::Responses, true)).await.unwrap()).await;
    assert!(got.iter().all(|item| item.len() % 256 == 0), "{got:?}");
    let plain: String = got.concat().split_inclusive("\n\n").filter(|event| !event.starts_with(": ")).collect();
    assert_eq!(plain, first + &rest);
}
