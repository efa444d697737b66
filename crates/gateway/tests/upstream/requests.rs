//! What a provider gets.

use crate::bench::{Bench, KEY, answer, request, text, usage};
use crate::mock::{stream, whole};
use axum::http::HeaderValue;
use blindroute_dialects::Dialect;
use blindroute_gateway::config::{Secret, Streams};
use blindroute_gateway::upstream::{End, Endpoint, Forward};

#[tokio::test]
async fn the_same_dialect_gets_the_callers_bytes_but_for_the_model() {
    for (dialect, body) in [
        (
            Dialect::Chat,
            "{ \"x\":1e400,\t\"model\" : \"auto\", \"messages\":[{\"role\":\"user\",\"content\":\"\\u0041\"}], \"t\":0.10 }\n",
        ),
        (Dialect::Responses, "{\"input\":\"a\",  \"model\":\"auto\", \"unknown\":{\"b\":1,\"a\":2.50}}"),
        (
            Dialect::Messages,
            "{\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"model\":\"auto\" , \"z\":[1.0]}",
        ),
    ] {
        let bench = Bench::new(dialect, vec![whole(200, "", answer(dialect))]).await;
        assert_eq!(bench.text(dialect, body).await, answer(dialect));
        let seen = &bench.mock.seen()[0];
        assert_eq!(seen.body, body.replace("\"auto\"", "\"large-2026\""), "{dialect}");
        assert!(seen.head.starts_with(&format!("POST {} HTTP/1.1", dialect.path())), "{}", seen.head);
    }
}

#[tokio::test]
async fn streams_of_chat_ask_for_the_usage_and_keep_the_other_options() {
    let bench = Bench::new(Dialect::Chat, vec![whole(500, "", "{}")]).await;
    let plain = r#"{"model":"auto","messages":[{"role":"user","content":"a"}],"stream":true"#;
    for (options, expected) in [
        ("", r#","stream_options":{"include_usage":true}"#),
        (
            r#", "stream_options":{"include_obfuscation":false}"#,
            r#", "stream_options":{"include_obfuscation":false,"include_usage":true}"#,
        ),
        (r#","stream_options":{"include_usage":false}"#, r#","stream_options":{"include_usage":true}"#),
        (r#","stream_options": {"include_usage": true}"#, r#","stream_options": {"include_usage": true}"#),
    ] {
        bench.send(Dialect::Chat, &format!("{plain}{options}}}")).await.unwrap_err();
        let sent = bench.mock.seen().pop().unwrap().body;
        assert_eq!(sent, format!("{plain}{expected}}}").replace("auto", "large-2026"));
    }
}

#[tokio::test]
async fn only_listed_headers_of_the_caller_go_on_and_the_key_is_the_gateways() {
    for dialect in Dialect::ALL {
        let mut bench = Bench::new(dialect, vec![whole(200, "", answer(dialect))]).await;
        for name in [
            "authorization",
            "x-api-key",
            "cookie",
            "x-stainless-os",
            "user-agent",
            "openai-organization",
            "host",
            "openai-beta",
            "anthropic-beta",
            "anthropic-version",
            "accept-encoding",
            "connection",
        ] {
            bench.headers.insert(name, HeaderValue::from_static("callers"));
        }
        bench.headers.append("anthropic-beta", HeaderValue::from_static("second"));
        bench.provider.headers.insert("x-extra".to_owned(), Secret::new("own".to_owned()));
        bench.send(dialect, &request(dialect, false)).await.unwrap();
        let seen = &bench.mock.seen()[0];
        let passed: Vec<&str> = seen.head.lines().filter(|line| line.ends_with(": callers")).collect();
        let (expected, key) = match dialect {
            Dialect::Messages => {
                (vec!["anthropic-version: callers", "anthropic-beta: callers"], ("x-api-key", KEY.to_owned()))
            }
            _ => (vec!["openai-beta: callers"], ("authorization", format!("Bearer {KEY}"))),
        };
        assert_eq!(passed, expected, "{dialect}");
        assert_eq!(seen.head.contains("anthropic-beta: second"), dialect == Dialect::Messages);
        assert_eq!(seen.header(key.0), Some(key.1.as_str()));
        assert_eq!(seen.head.matches(KEY).count(), 1);
        assert_eq!((seen.header("accept-encoding"), seen.header("x-extra")), (Some("identity"), Some("own")));
        assert!(seen.header("user-agent").unwrap().starts_with("blindroute/"));
    }
}

#[tokio::test]
async fn a_provider_of_messages_gets_a_version_and_the_callers_of_other_dialects_do_not_choose_it() {
    let mut bench = Bench::new(Dialect::Messages, vec![whole(200, "", answer(Dialect::Messages))]).await;
    bench.headers.insert("anthropic-version", HeaderValue::from_static("callers"));
    bench.send(Dialect::Chat, &request(Dialect::Chat, false)).await.unwrap();
    assert_eq!(bench.mock.seen()[0].header("anthropic-version"), Some("2023-06-01"));
}

#[tokio::test]
async fn other_dialects_get_a_translation_or_a_refusal_that_names_the_field() {
    let bench = Bench::new(Dialect::Messages, vec![whole(200, "", answer(Dialect::Messages))]).await;
    let text = bench.text(Dialect::Chat, &request(Dialect::Chat, false)).await;
    assert!(text.contains(r#""content":"Hello""#) && text.contains(r#""prompt_tokens":3"#), "{text}");
    assert_eq!(
        bench.mock.seen()[0].body,
        r#"{"model":"large-2026","max_tokens":100,"messages":[{"role":"user","content":"canary"}]}"#
    );
    let body = r#"{"model":"auto","messages":[{"role":"user","content":"canary"}],"logprobs":true}"#;
    let failure = bench.send(Dialect::Chat, body).await.unwrap_err();
    assert_eq!((failure.status.as_u16(), failure.fallback, failure.attempts), (400, true, 0));
    let told = String::from_utf8(failure.body.to_vec()).unwrap();
    assert!(told.contains(r#""param":"logprobs""#), "{told}");
    assert!(!format!("{failure:?}").contains("canary"));
    assert_eq!(bench.mock.seen().len(), 1);
    assert_eq!(bench.ends.lock().unwrap()[1], (None, End::Refused));
}

#[tokio::test]
async fn a_provider_that_speaks_several_dialects_is_asked_in_the_callers() {
    let mut bench = Bench::new(Dialect::Messages, vec![stream("")]).await;
    bench.provider.dialects = Dialect::ALL.to_vec();
    for dialect in Dialect::ALL {
        bench.send(dialect, &request(dialect, true)).await.unwrap_err();
        assert!(bench.mock.seen().pop().unwrap().head.contains(&format!("{} ", dialect.path())));
    }
}

#[tokio::test]
async fn with_streams_off_the_provider_is_asked_for_a_whole_answer() {
    for to in Dialect::ALL {
        for from in Dialect::ALL {
            let mut bench = Bench::new(to, vec![whole(200, "", answer(to))]).await;
            bench.manner.streams = Streams::Off;
            let text = bench.text(from, &request(from, true)).await;
            let sent = bench.mock.seen().pop().unwrap().body;
            assert!(!sent.contains("stream"), "{sent}");
            let last = match from {
                Dialect::Chat => "data: [DONE]\n\n",
                Dialect::Responses => "\n\n",
                Dialect::Messages => "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            };
            assert!(text.contains("Hello") && text.ends_with(last), "{from} from {to}: {text}");
            assert!(!text.contains("error\":{"), "{from} from {to}: {text}");
            assert!(from != Dialect::Chat || !text.contains("usage"), "{from} from {to}: {text}");
            assert_eq!(bench.end(), (usage(3, 2), End::Proper));
        }
    }
}

#[tokio::test]
async fn other_endpoints_are_passed_on_and_counted() {
    let counted = r#"{"input_tokens": 14}"#;
    let embedded = r#"{"object":"list","data":[{"embedding":[1e400]}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    let compacted = r#"{"object":"response.compaction","output":[],"usage":{"input_tokens":8,"output_tokens":3}}"#;
    for (endpoint, body, answer, path, expected) in [
        (Endpoint::Compact, r#"{"model":"auto",  "input":"canary"}"#, compacted, "/v1/responses/compact", usage(8, 3)),
        (Endpoint::CountTokens, r#"{"model":"auto",  "messages":[]}"#, counted, "/v1/messages/count_tokens", None),
        (Endpoint::Embeddings, r#"{"model":"auto",  "input":"canary"}"#, embedded, "/v1/embeddings", usage(8, 0)),
    ] {
        let bench = Bench::new(Dialect::Chat, vec![whole(200, "", answer)]).await;
        let ends = bench.ends.clone();
        let forward = Forward {
            endpoint,
            body: body.as_bytes(),
            headers: &bench.headers,
            upstream_model: "small-2026",
            provider: &bench.provider,
            manner: &bench.manner,
        };
        assert!(!format!("{forward:?}").contains("canary"));
        let settle = Box::new(move |usage, end| ends.lock().unwrap().push((usage, end)));
        assert_eq!(text(bench.upstream.forward(&forward, settle).await.unwrap()).await, answer);
        assert_eq!(bench.end(), (expected, End::Proper));
        let seen = &bench.mock.seen()[0];
        assert_eq!(seen.body, body.replace("auto", "small-2026"));
        assert!(seen.head.starts_with(&format!("POST {path} HTTP/1.1")), "{}", seen.head);
        let key = if endpoint == Endpoint::CountTokens { "x-api-key" } else { "authorization" };
        assert!(seen.header(key).unwrap().ends_with(KEY));
    }
}
