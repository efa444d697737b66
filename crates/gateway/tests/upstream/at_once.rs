//! Whole answers that are given on as streams, with everything that an answer can hold.

use crate::bench::{Bench, request};
use crate::mock::whole;
use blindroute_dialects::Dialect;
use blindroute_dialects::sse::Parser;
use blindroute_dialects::stream::{Progress, Watch};
use blindroute_gateway::config::Streams;
use blindroute_gateway::upstream::End;

/// An answer of the golden files of the dialects.
fn golden(name: &str, dialect: Dialect) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../dialects/tests/golden/responses");
    std::fs::read_to_string(format!("{folder}/{name}.{dialect}.json")).unwrap()
}

/// The caller's stream, which has to be a proper one.
async fn streamed(from: Dialect, to: Dialect, answer: &str) -> String {
    let mut bench = Bench::new(to, vec![whole(200, "", answer)]).await;
    bench.manner.streams = Streams::Off;
    let text = bench.text(from, &request(from, true)).await;
    let (mut watch, mut events) = (Watch::new(from, false), Vec::new());
    Parser::default().push(text.as_bytes(), &mut events).unwrap();
    for event in &events {
        watch.look(event);
    }
    assert_eq!(watch.progress(), Progress::Ended, "{from} from {to}: {text}");
    assert_eq!(bench.end().1, End::Proper);
    text
}

#[tokio::test]
async fn calls_of_tools_keep_their_places_names_and_arguments() {
    for to in Dialect::ALL {
        for from in Dialect::ALL {
            let text = streamed(from, to, &golden("calls", to)).await;
            assert!(text.contains(r#"{\"city\":\"Paris\""#), "{from} from {to}: {text}");
            let names = [r#""name":"weather""#, r#""name":"now""#].map(|name| text.find(name));
            assert!(names[0].is_some() && names[0] < names[1], "{from} from {to}: {text}");
            let stopped = match from {
                Dialect::Chat => r#""finish_reason":"tool_calls""#,
                Dialect::Responses => r#""type":"response.completed""#,
                Dialect::Messages => r#""stop_reason":"tool_use""#,
            };
            assert!(text.contains(stopped), "{from} from {to}: {text}");
        }
    }
    let text = streamed(Dialect::Chat, Dialect::Chat, &golden("calls", Dialect::Chat)).await;
    assert!(text.contains(r#""name":"now","arguments":""},"index":1}"#), "{text}");
}

#[tokio::test]
async fn citations_are_kept() {
    for to in Dialect::ALL {
        for from in Dialect::ALL {
            let text = streamed(from, to, &golden("citations", to)).await;
            let found = ["https://a.example/", "https://b.example/"].map(|address| text.contains(address));
            assert_eq!(found, [true, true], "{from} from {to}: {text}");
        }
    }
    let own = streamed(Dialect::Messages, Dialect::Messages, &golden("citations", Dialect::Messages)).await;
    assert!(
        own.contains(r#""delta":{"type":"citations_delta","citation":{"type":"web_search_result_location""#),
        "{own}"
    );
    let own = streamed(Dialect::Responses, Dialect::Responses, &golden("citations", Dialect::Responses)).await;
    assert!(own.contains(r#""annotation_index":0,"annotation":{"type":"url_citation","start_index":6"#), "{own}");
}

#[tokio::test]
async fn thoughts_seals_and_probabilities_are_kept() {
    let chat = streamed(Dialect::Chat, Dialect::Chat, &golden("text", Dialect::Chat)).await;
    for part in [
        r#""content":"Hello é\n""#,
        r#""reasoning_content":"Hm.""#,
        r#""logprob":-0.10"#,
        r#""system_fingerprint":"fp""#,
    ] {
        assert!(chat.contains(part), "{part}: {chat}");
    }
    let messages = streamed(Dialect::Messages, Dialect::Messages, &golden("text", Dialect::Messages)).await;
    for part in [
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"thinking_delta","thinking":"Hm."}"#,
        r#"{"type":"signature_delta","signature":"c2ln"}"#,
        r#""content_block":{"type":"redacted_thinking","data":"cmVk"}"#,
        r#"{"type":"content_block_delta","index":3,"delta":{"type":"text_delta","text":" there"}}"#,
        r#""stop_sequence":"END"}"#,
        r#""cache_read_input_tokens":4"#,
    ] {
        assert!(messages.contains(part), "{part}: {messages}");
    }
    let responses = streamed(Dialect::Responses, Dialect::Responses, &golden("text", Dialect::Responses)).await;
    for part in [
        r#""summary_index":1,"delta":"So.""#,
        r#""content_index":0,"delta":"Hello","logprobs":[{"#,
        r#""encrypted_content":"Z0FB""#,
        r#""cached_tokens":4"#,
    ] {
        assert!(responses.contains(part), "{part}: {responses}");
    }
    let numbers = responses.matches("\"sequence_number\":").count();
    assert!(responses.contains(&format!("\"response.completed\",\"sequence_number\":{}", numbers - 1)), "{responses}");
    let refused = streamed(Dialect::Chat, Dialect::Responses, &golden("refusal", Dialect::Responses)).await;
    assert!(refused.contains(r#""refusal":"I will not.""#), "{refused}");
}
