//! What translations promise beyond single examples: there and back nothing is lost, what cannot be said is refused by
//! name, and no text of a user is printed.
#![allow(clippy::unwrap_used)]

use blindroute_dialects::Dialect::{self, Chat, Messages, Responses};
use blindroute_dialects::json::parse;
use blindroute_dialects::sse::{Event, Parser};
use blindroute_dialects::translate::{Provider, TranslateError, Translation, request};
use proptest::prelude::*;
use std::path::Path;

fn translated(from: Dialect, to: Dialect, body: &str) -> Result<Translation, TranslateError> {
    request(from, body.as_bytes(), &Provider { max_output_tokens: Some(99), ..Provider::new(to, "m") })
}

fn there_and_back(home: Dialect, abroad: Dialect, body: &str) -> String {
    let there = translated(home, abroad, body).unwrap().body;
    translated(abroad, home, &there).unwrap().body
}

fn compact(text: &str) -> String {
    parse(text.as_bytes()).unwrap().to_string()
}

const CHAT: &str = r#"{"model":"m","messages":[
    {"role":"system","content":"s"},{"role":"developer","content":[{"type":"text","text":"d"},{"type":"text","text":"e"}]},
    {"role":"user","content":[{"type":"text","text":"u"},{"type":"image_url","image_url":{"url":"https://e.org/i","detail":"high"}},
        {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},
    {"role":"assistant","content":"a","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\": 0.10}"}},
        {"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]},
    {"role":"tool","tool_call_id":"c1","content":"one"},{"role":"tool","tool_call_id":"c2","content":"two"},
    {"role":"assistant","content":null,"refusal":"no"},{"role":"user","content":"v"}],
    "tools":[{"type":"function","function":{"name":"f","description":"F","parameters":{"z":1e400,"a":0.10},"strict":true}},
        {"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{}}}}],
    "tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false,"max_completion_tokens":7,
    "response_format":{"type":"json_schema","json_schema":{"name":"n","description":"D","schema":{"b":1,"a":2},"strict":true}},
    "reasoning_effort":"minimal","logprobs":true,"top_logprobs":2,"stream":true,"stream_options":{"include_usage":true},
    "temperature":0.10,"top_p":1e-1,"metadata":{"k":"v"},"user":"u","safety_identifier":"i","service_tier":"flex",
    "prompt_cache_key":"k","prompt_cache_retention":"24h","verbosity":"low"}"#;

const MESSAGES: &str = r#"{"model":"m","max_tokens":7,"system":"s","messages":[{"role":"user","content":[
    {"type":"text","text":"u"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}},
    {"type":"image","source":{"type":"url","url":"https://e.org/i"}}]},
    {"role":"assistant","content":[{"type":"text","text":"a"},{"type":"tool_use","id":"c","name":"f","input":{"x":0.10}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"one"},{"type":"text","text":"v"}]}],
    "tools":[{"name":"f","description":"F","input_schema":{"z":1e400,"a":0.10},"strict":true}],
    "tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true},
    "output_config":{"format":{"type":"json_schema","schema":{"b":1,"a":2}}},
    "stream":true,"temperature":0.10,"top_p":1e-1,"metadata":{"user_id":"u"}}"#;

#[test]
fn what_both_can_say_is_the_same_there_and_back() {
    assert_eq!(there_and_back(Chat, Responses, CHAT), compact(CHAT));
    for abroad in [Chat, Responses] {
        assert_eq!(there_and_back(Messages, abroad, MESSAGES), compact(MESSAGES), "{abroad}");
    }
    let chat = r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}],
        "tools":[{"type":"function","function":{"name":"f","parameters":{"a":0.10}}}],"tool_choice":"required",
        "max_completion_tokens":90000,"stop":["x","y"],"reasoning_effort":"medium","temperature":1.0,"user":"u"}"#;
    assert_eq!(there_and_back(Chat, Messages, chat), compact(chat));
}

#[test]
fn sealed_thoughts_come_back_to_who_sealed_them() {
    let question = r#"{"model":"m","input":"q","reasoning":{"effort":"low"},"max_output_tokens":9000}"#;
    let client = translated(Responses, Messages, question).unwrap();
    let answer = r#"{"id":"msg_1","content":[{"type":"thinking","thinking":"t","signature":"SIG"},{"type":"redacted_thinking","data":"RED"},
        {"type":"tool_use","id":"c","name":"f","input":{}}],"stop_reason":"tool_use"}"#;
    let answer = client.response(answer.as_bytes(), 1).unwrap().0;
    let output = parse(answer.as_bytes()).unwrap().get("output").unwrap().to_string();
    let items = &output[1..output.len() - 1];
    let next = format!(
        r#"{{"model":"m","input":[{{"role":"user","content":"q"}},{items},
        {{"type":"function_call_output","call_id":"c","output":"r"}}]}}"#
    );
    let sent = translated(Responses, Messages, &next).unwrap().body;
    let thoughts = r#"[{"type":"thinking","thinking":"t","signature":"SIG"},{"type":"redacted_thinking","data":"RED"},{"type":"tool_use""#;
    assert!(sent.contains(thoughts), "{sent}");
    let error = translated(Responses, Chat, &next).unwrap_err();
    assert_eq!(error.to_api_error().parameter.as_deref(), Some("input[1]"));
}

/// A chat request with these fields, and the same for the other dialects.
fn with(dialect: Dialect, fields: &str) -> String {
    match dialect {
        Chat => format!(r#"{{"messages":[{{"role":"user","content":"canary"}}],{fields}}}"#),
        Responses => format!(r#"{{"input":"canary",{fields}}}"#),
        Messages => format!(r#"{{"max_tokens":9,"messages":[{{"role":"user","content":"canary"}}],{fields}}}"#),
    }
}

fn message(dialect: Dialect, last: &str) -> String {
    let name = if dialect == Responses { "input" } else { "messages" };
    format!(r#"{{"max_tokens":9,"{name}":[{{"role":"user","content":"canary"}},{last}]}}"#)
        .replace(if dialect == Responses { r#""max_tokens":9,"# } else { "\0" }, "")
}

/// What is sent to whom, and the field that the error names.
type Case = (Dialect, Dialect, String, &'static str);

fn refused_of_chat() -> Vec<Case> {
    vec![
        (Chat, Messages, with(Chat, r#""seed":7"#), "seed"),
        (Chat, Responses, with(Chat, r#""seed":7"#), "seed"),
        (Chat, Responses, with(Chat, r#""stop":"x""#), "stop"),
        (Chat, Responses, with(Chat, r#""frequency_penalty":0.5"#), "frequency_penalty"),
        (Chat, Responses, with(Chat, r#""logit_bias":{"1":2}"#), "logit_bias"),
        (Chat, Messages, with(Chat, r#""n":2"#), "n"),
        (Chat, Messages, with(Chat, r#""temperature":1.5"#), "temperature"),
        (Chat, Messages, with(Chat, r#""response_format":{"type":"json_object"}"#), "response_format"),
        (Chat, Messages, with(Chat, r#""reasoning_effort":"high","max_tokens":500"#), "reasoning_effort"),
        (Chat, Messages, with(Chat, r#""reasoning_effort":"canary""#), "reasoning_effort"),
        (Chat, Messages, with(Chat, r#""service_tier":"priority""#), "service_tier"),
        (Chat, Messages, with(Chat, r#""store":true"#), "store"),
        (Chat, Messages, with(Chat, r#""verbosity":"low""#), "verbosity"),
        (Chat, Messages, with(Chat, r#""tool_choice":"required""#), "tool_choice"),
        (Chat, Messages, with(Chat, r#""unheard_of":{"canary":1}"#), "unheard_of"),
        (Chat, Messages, with(Chat, r#""web_search_options":{}"#), "web_search_options"),
        (Chat, Messages, with(Chat, r#""modalities":["text","audio"]"#), "modalities"),
        (Chat, Messages, with(Chat, r#""tools":[{"type":"custom","custom":{}}]"#), "tools[0].type"),
        (
            Chat,
            Messages,
            with(Chat, r#""tools":[{"type":"function","function":{"name":"f","x":1}}]"#),
            "tools[0].function.x",
        ),
        (Chat, Messages, message(Chat, r#"{"role":"system","content":"canary"}"#), "messages[1]"),
        (Chat, Messages, message(Chat, r#"{"role":"user","content":"canary","name":"n"}"#), "messages[1].name"),
        (Chat, Responses, message(Chat, r#"{"role":"user","content":"canary","name":"n"}"#), "messages[1].name"),
        (Chat, Messages, message(Chat, r#"{"role":"canary","content":"canary"}"#), "messages[1].role"),
        (Chat, Messages, message(Chat, r#"{"role":"user","content":7}"#), "messages[1].content"),
        (
            Chat,
            Messages,
            message(Chat, r#"{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}"#),
            "messages[1].content[0].type",
        ),
        (
            Chat,
            Messages,
            message(Chat, r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"canary"}}]}"#),
            "messages[1]",
        ),
        (
            Chat,
            Messages,
            message(
                Chat,
                r#"{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"canary"}}]}"#,
            ),
            "messages[1].tool_calls[0].arguments",
        ),
    ]
}

fn refused_of_responses() -> Vec<Case> {
    vec![
        (Responses, Chat, with(Responses, r#""previous_response_id":"r""#), "previous_response_id"),
        (Responses, Chat, with(Responses, r#""conversation":"c""#), "conversation"),
        (Responses, Chat, with(Responses, r#""background":true"#), "background"),
        (Responses, Chat, with(Responses, r#""truncation":"auto""#), "truncation"),
        (Responses, Chat, with(Responses, r#""max_tool_calls":3"#), "max_tool_calls"),
        (Responses, Chat, with(Responses, r#""include":["file_search_call.results"]"#), "include[0]"),
        (Responses, Chat, with(Responses, r#""tools":[{"type":"web_search"}]"#), "tools[0].type"),
        (Responses, Messages, with(Responses, r#""text":{"verbosity":"high"}"#), "text.verbosity"),
        (Responses, Messages, with(Responses, r#""text":{"format":{"type":"json_object"}}"#), "text.format"),
        (Responses, Chat, message(Responses, r#"{"type":"item_reference","id":"i"}"#), "input[1].type"),
        (
            Responses,
            Chat,
            message(
                Responses,
                r#"{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"u"}]}"#,
            ),
            "input[1].output[0]",
        ),
        (
            Responses,
            Chat,
            message(Responses, r#"{"role":"user","content":[{"type":"input_image","file_id":"f"}]}"#),
            "input[1].content[0].file_id",
        ),
    ]
}

fn refused_of_messages() -> Vec<Case> {
    vec![
        (Messages, Chat, with(Messages, r#""top_k":5"#), "top_k"),
        (Messages, Responses, with(Messages, r#""top_k":5"#), "top_k"),
        (Messages, Responses, with(Messages, r#""stop_sequences":["x"]"#), "stop_sequences"),
        (Messages, Chat, with(Messages, r#""container":"c""#), "container"),
        (Messages, Chat, with(Messages, r#""tools":[{"type":"web_search_20250305","name":"w"}]"#), "tools[0].type"),
        (Messages, Chat, with(Messages, r#""thinking":{"type":"enabled"}"#), "thinking.budget_tokens"),
        (
            Messages,
            Chat,
            with(Messages, r#""context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}"#),
            "context_management.edits[0]",
        ),
        (Messages, Chat, message(Messages, r#"{"role":"assistant","content":"canary"}"#), "messages[1]"),
        (
            Messages,
            Chat,
            message(Messages, r#"{"role":"user","content":[{"type":"document","source":{}}]}"#),
            "messages[1].content[0].type",
        ),
        (
            Messages,
            Chat,
            message(
                Messages,
                r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":[{"type":"image","source":{"type":"url","url":"u"}}]}]}"#,
            ),
            "messages[1].content[0].content[0]",
        ),
        (
            Messages,
            Chat,
            message(
                Messages,
                r#"{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}},{"type":"text","text":"canary"}]},{"role":"user","content":"v"}"#,
            ),
            "messages[1]",
        ),
    ]
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let cases = [refused_of_chat(), refused_of_responses(), refused_of_messages()].concat();
    assert!(cases.len() > 49);
    for (from, to, body, path) in cases {
        let Err(error) = translated(from, to, &body) else { panic!("{from} to {to}, not refused: {path}") };
        let sent = error.to_api_error();
        assert_eq!(sent.parameter.as_deref(), Some(path), "{from} to {to}: {error}");
        assert_eq!((sent.status, sent.code.as_deref()), (400, Some("cannot_be_translated")));
        assert!(!format!("{error} {error:?} {sent:?}").contains("canary"), "{path}");
    }
    let answerless = request(Chat, with(Chat, r#""model":"x""#).as_bytes(), &Provider::new(Messages, "m")).unwrap_err();
    assert_eq!(answerless.to_api_error().parameter.as_deref(), Some("max_completion_tokens"));
}

#[test]
fn bodies_that_are_no_json_are_refused_on_each_side() {
    let broken = translated(Chat, Messages, r#"{"messages":"canary"#).unwrap_err();
    assert_eq!((broken.to_api_error().status, format!("{broken:?}").contains("canary")), (400, false));
    let twice = translated(Chat, Messages, r#"{"messages":[],"messages":[]}"#).unwrap_err();
    assert!(twice.to_string().contains("twice"));
    let translation = translated(Chat, Messages, &with(Chat, r#""model":"x""#)).unwrap();
    let answer = translation.response(b"<html>canary</html>", 1).unwrap_err();
    assert_eq!((answer.to_api_error().status, answer.to_string().contains("canary")), (502, false));
    assert!(!format!("{translation:?} {:?}", translation.stream(1)).contains("canary"));
    let failed = translation.response(br#"{"type":"error","error":{"type":"overloaded_error","message":"canary"}}"#, 1);
    let failed = failed.unwrap_err();
    assert!(!format!("{failed} {failed:?}").contains("canary"));
    assert_eq!(failed.to_api_error().message, "canary", "the client is told what its provider said");
}

#[test]
fn a_provider_with_the_older_name_gets_it() {
    let provider = Provider { legacy_max_tokens: true, ..Provider::new(Chat, "m") };
    let sent = request(Messages, with(Messages, r#""stream":false"#).as_bytes(), &provider).unwrap().body;
    assert_eq!(sent, r#"{"model":"m","messages":[{"role":"user","content":"canary"}],"max_tokens":9}"#);
}

fn events(stream: &str) -> Vec<Event> {
    let (mut parser, mut events) = (Parser::default(), Vec::new());
    parser.push(stream.as_bytes(), &mut events).unwrap();
    events.extend(parser.finish().unwrap());
    events
}

fn streamed(caller: Dialect, provider: Dialect, stream: &str) -> String {
    let options = if caller == Chat { r#""stream_options":{"include_usage":true}"# } else { r#""stream":true"# };
    let mut translation = translated(caller, provider, &with(caller, options)).unwrap().stream(1);
    let sent: String = events(stream).iter().map(|event| translation.event(event)).collect();
    sent + &translation.end()
}

fn golden(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/streams").join(path)).unwrap()
}

#[test]
fn streams_are_the_same_there_and_back() {
    for name in ["text", "calls", "refusal", "length"] {
        // Once through the translation, so that what is compared is written by it on both sides.
        let home = streamed(Responses, Chat, &golden(&format!("{name}.chat.sse")));
        let chat = streamed(Chat, Responses, &home);
        let again = streamed(Chat, Responses, &streamed(Responses, Chat, &chat));
        assert_eq!(again, chat, "{name}");
        assert!(chat.ends_with("data: [DONE]\n\n"));
    }
    for name in ["text", "calls"] {
        let there = streamed(Responses, Messages, &golden(&format!("{name}.messages.sse")));
        assert!(there.contains("event: response.completed\n"));
    }
}

#[test]
fn sequence_numbers_have_no_gap_and_one_event_ends_a_responses_stream() {
    for name in ["text", "calls", "interleaved", "refusal", "cut", "error", "length", "false_done"] {
        let stream = streamed(Responses, Chat, &golden(&format!("{name}.chat.sse")));
        let mut last = String::new();
        for (expected, event) in events(&stream).iter().enumerate() {
            let data = parse(event.data.as_deref().unwrap().as_bytes()).unwrap().into_owned();
            assert_eq!(data.get("sequence_number").and_then(|number| number.as_u64()), Some(expected as u64), "{name}");
            assert_eq!(data.str_at("type"), Some(event.name.as_str()));
            let ends = |kind: &str| ["response.completed", "response.incomplete", "response.failed"].contains(&kind);
            assert!(!ends(&last), "{name}: an event after the end");
            last.clone_from(&event.name);
        }
        let expected = match name {
            "cut" | "error" | "false_done" => "response.failed",
            "length" => "response.incomplete",
            _ => "response.completed",
        };
        assert_eq!(last, expected, "{name}");
    }
}

proptest! {
    /// Damaged input ends in a translation or an error, and no error repeats what stood in it.
    #[test]
    fn damaged_input_never_panics(
        at in 0.0..1.0_f64, length in 0..30_usize, new in prop::sample::select(vec!["", "null", "\"canary\"", "{", "[]", "7", ","]),
        which in 0..4_usize,
    ) {
        let damage = |text: &str| {
            let start = (at * text.len() as f64) as usize;
            let end = (start + length).min(text.len());
            [&text.as_bytes()[..start], new.as_bytes(), &text.as_bytes()[end..]].concat()
        };
        let provider = Provider::new(Messages, "m");
        for (from, body) in [(Chat, CHAT), (Messages, MESSAGES)] {
            for to in Dialect::ALL {
                if let Err(error) = request(from, &damage(body), &Provider { dialect: to, ..provider.clone() }) {
                    prop_assert!(!error.to_string().contains("canary\""));
                }
            }
        }
        let file = ["text.chat.sse", "calls.chat.sse", "calls.messages.sse", "text.responses.sse"][which];
        let (mut parser, mut found) = (Parser::default(), Vec::new());
        if parser.push(&damage(&golden(file)), &mut found).is_ok() {
            for provider in Dialect::ALL {
                for caller in Dialect::ALL {
                    let body = with(caller, r#""stream":true"#);
                    let options = Provider { max_output_tokens: Some(9), ..Provider::new(provider, "m") };
                    let mut translation = request(caller, body.as_bytes(), &options).unwrap().stream(1);
                    let sent: String = found.iter().map(|event| translation.event(event)).collect();
                    let sent = sent + &translation.end();
                    // Whatever came in, what goes out can be read.
                    for event in events(&sent) {
                        let data = event.data.unwrap();
                        prop_assert!(data == "[DONE]" || parse(data.as_bytes()).is_ok());
                    }
                }
            }
        }
    }
}
