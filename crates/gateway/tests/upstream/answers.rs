//! Whole answers, and failures.

use crate::bench::{Bench, KEY, answer, events, request, text, usage};
use crate::mock::{Step, head, part, stream, whole};
use blindroute_dialects::Dialect;
use blindroute_gateway::upstream::{End, MAX_ANSWER, Reason};

#[tokio::test]
async fn answers_of_the_same_dialect_pass_byte_for_byte_and_are_counted() {
    let headers = "x-request-id: r7\r\nx-ratelimit-remaining-requests: 4\r\nset-cookie: a=b\r\nserver: x\r\nkeep-alive: timeout=5\r\n";
    for dialect in Dialect::ALL {
        let odd = answer(dialect).replacen("{", "{ \"odd\":1e400 ,", 1) + "\n";
        let bench = Bench::new(dialect, vec![whole(200, headers, &odd)]).await;
        let answer = bench.send(dialect, &request(dialect, false)).await.unwrap();
        let mut names: Vec<&str> = answer.headers.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "x-ratelimit-remaining-requests", "x-request-id"]);
        assert_eq!(text(answer).await, odd);
        assert_eq!(bench.end(), (usage(3, 2), End::Proper), "{dialect}");
    }
}

#[tokio::test]
async fn a_truncated_answer_is_a_failure_and_another_model_may_be_asked() {
    let full = answer(Dialect::Chat);
    let short = format!("HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", full.len());
    let cut = vec![Step::Send((short + &full[..40]).into_bytes()), Step::Close];
    for (script, reason) in [
        (cut, Reason::Transport),
        (whole(200, "", &full[..40]), Reason::Body),
        (whole(200, "", ""), Reason::Body),
        (whole(200, "", "[]"), Reason::Body),
        (whole(200, "content-encoding: gzip\r\n", full), Reason::Encoding),
    ] {
        let bench = Bench::new(Dialect::Chat, vec![script]).await;
        let failure = bench.send(Dialect::Chat, &request(Dialect::Chat, false)).await.unwrap_err();
        assert_eq!((failure.status.as_u16(), failure.fallback, &failure.reason), (502, true, &reason));
        assert!(
            String::from_utf8(failure.body.to_vec()).unwrap().starts_with(r#"{"error":{"message":"the provider"#)
                || reason == Reason::Transport
        );
        assert_eq!(bench.end(), (None, End::Failed));
    }
}

#[tokio::test]
async fn errors_pass_byte_for_byte_in_the_same_dialect_and_translated_in_others() {
    let body = "{ \"type\":\"error\", \"error\":{\"type\":\"invalid_request_error\",\"message\":\"bad \\u0041\"},\"request_id\":\"r\"}";
    let bench = Bench::new(Dialect::Messages, vec![whole(400, "request-id: r9\r\n", body)]).await;
    let failure = bench.send(Dialect::Messages, &request(Dialect::Messages, false)).await.unwrap_err();
    assert_eq!((failure.status.as_u16(), failure.fallback, &failure.body[..]), (400, false, body.as_bytes()));
    assert_eq!(failure.headers["request-id"], "r9");
    assert!(!format!("{failure:?}").contains("bad"));
    let failure = bench.send(Dialect::Chat, &request(Dialect::Chat, true)).await.unwrap_err();
    let expected = r#"{"error":{"message":"bad A","type":"invalid_request_error","param":null,"code":null}}"#;
    assert_eq!((failure.status.as_u16(), &failure.body[..]), (400, expected.as_bytes()));
    assert_eq!(bench.ends.lock().unwrap()[..], [(None, End::Refused); 2]);
    let long = r#"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#;
    let bench = Bench::new(Dialect::Chat, vec![whole(400, "", long)]).await;
    assert!(bench.send(Dialect::Chat, &request(Dialect::Chat, false)).await.unwrap_err().fallback);
}

#[tokio::test]
async fn the_key_is_not_passed_on_even_if_the_provider_repeats_it() {
    let body = format!(r#"{{"error":{{"message":"wrong key {KEY}","type":"invalid_request_error"}}}}"#);
    let bench = Bench::new(Dialect::Chat, vec![whole(401, "", &body)]).await;
    let failure = bench.send(Dialect::Chat, &request(Dialect::Chat, false)).await.unwrap_err();
    assert_eq!((failure.status.as_u16(), failure.fallback), (401, true));
    assert!(!String::from_utf8(failure.body.to_vec()).unwrap().contains(KEY));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let bench = Bench::new(Dialect::Chat, vec![whole(307, "location: /v1/elsewhere\r\n", "")]).await;
    let failure = bench.send(Dialect::Chat, &request(Dialect::Chat, false)).await.unwrap_err();
    assert_eq!((failure.status.as_u16(), failure.reason), (502, Reason::Redirect));
    assert_eq!(bench.mock.seen().len(), 1);
}

#[tokio::test]
async fn a_success_that_is_an_error_is_a_failure_and_another_model_may_be_asked() {
    let error = r#"{"error":{"message":"busy","type":"server_error","code":"server_overloaded"}}"#;
    let event =
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n";
    let failed = "event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":1,\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"busy\"}}}\n\n";
    let begun = |dialect| events(dialect).0.split_inclusive("\n\n").next().unwrap().to_owned();
    for (dialect, streamed, script, status) in [
        (Dialect::Chat, false, whole(200, "", error), 502),
        (Dialect::Chat, true, whole(200, "", error), 502),
        (Dialect::Chat, true, stream(&format!("{}data: {error}\n\n", begun(Dialect::Chat))), 502),
        (Dialect::Messages, true, stream(event), 503),
        (Dialect::Messages, true, stream(&(begun(Dialect::Messages) + event)), 503),
        (Dialect::Responses, true, stream(&(begun(Dialect::Responses) + failed)), 429),
        (Dialect::Chat, true, stream(""), 502),
        (Dialect::Chat, true, stream("data: [DONE]\n\n"), 502),
        (Dialect::Chat, true, stream("<html>\n\n</html>"), 502),
        (Dialect::Messages, true, vec![head(), part(": wait\n\n"), Step::Close], 502),
    ] {
        let bench = Bench::new(dialect, vec![script]).await;
        let failure = bench.send(dialect, &request(dialect, streamed)).await.unwrap_err();
        assert!(failure.fallback, "{dialect}");
        assert_eq!(bench.end(), (None, End::Failed));
        let told = String::from_utf8(failure.body.to_vec()).unwrap();
        assert_eq!(failure.status.as_u16(), status, "{dialect}: {told}");
        assert!(told.contains(r#""message":""#), "{told}");
    }
}

#[tokio::test]
async fn a_provider_that_does_not_know_streams_is_given_on_as_a_stream() {
    let bench = Bench::new(Dialect::Chat, vec![whole(200, "", answer(Dialect::Chat))]).await;
    let answer = bench.send(Dialect::Messages, &request(Dialect::Messages, true)).await.unwrap();
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let text = text(answer).await;
    assert!(text.starts_with("event: message_start\n") && text.contains("Hello"), "{text}");
    assert_eq!(bench.end(), (usage(3, 2), End::Proper));
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_given_up() {
    let head = "HTTP/1.1 200 X\r\ncontent-type: application/json\r\n";
    let announced = format!("{head}content-length: {}\r\n\r\n{{", MAX_ANSWER + 1).into_bytes();
    let mut grows = vec![Step::Send(format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes())];
    grows.extend(vec![part(&" ".repeat(1 << 20)); (MAX_ANSWER >> 20) + 1]);
    grows.push(Step::AwaitClose);
    for script in [vec![Step::Send(announced), Step::AwaitClose], grows] {
        let bench = Bench::new(Dialect::Chat, vec![script]).await;
        let failure = bench.send(Dialect::Chat, &request(Dialect::Chat, false)).await.unwrap_err();
        assert_eq!((failure.status.as_u16(), failure.reason), (502, Reason::TooLarge { limit: MAX_ANSWER }));
        assert_eq!((failure.fallback, failure.attempts), (true, 1));
        bench.mock.closed().await;
    }
}
