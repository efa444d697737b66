use super::*;

fn reading(dialect: Dialect, body: &str) -> Reading {
    read(dialect, &Object::read(body.as_bytes()).unwrap()).unwrap()
}

fn failure(dialect: Dialect, body: &str) -> String {
    read(dialect, &Object::read(body.as_bytes()).unwrap()).unwrap_err().to_string()
}

fn text(prompt: &Option<Prompt>) -> Option<&str> {
    prompt.as_ref().map(Prompt::as_str)
}

const CHAT: &str = r#"{"model":"auto","stream":true,"stream_options":{"include_usage":true},"max_tokens":5,"max_completion_tokens":7,
    "tools":[{"type":"function"}],"response_format":{"type":"json_schema"},"messages":[
    {"role":"system","content":"be brief"},{"role":"user","content":"first"},{"role":"assistant","content":"yes"},
    {"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"text","text":"b"}]}]}"#;

const RESPONSES: &str = r#"{"model":"auto","stream":true,"max_output_tokens":7,"instructions":"be brief",
    "tools":[{"type":"function"}],"text":{"format":{"type":"json_schema"}},"input":[
    {"role":"user","content":"first"},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"yes"}]},
    {"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"data:image/png;base64,AAAA"},{"type":"input_text","text":"b"}]}]}"#;

const MESSAGES: &str = r#"{"model":"auto","stream":true,"max_tokens":7,"system":[{"type":"text","text":"be brief"}],
    "tools":[{"name":"t"}],"output_config":{"format":{"type":"json_schema"}},"messages":[
    {"role":"user","content":"first"},{"role":"assistant","content":[{"type":"text","text":"yes"}]},
    {"role":"user","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"base64","data":"AAAA"}},{"type":"text","text":"b"}]}]}"#;

#[test]
fn the_same_request_reads_alike_in_each_dialect() {
    let all = [(Dialect::Chat, CHAT), (Dialect::Responses, RESPONSES), (Dialect::Messages, MESSAGES)];
    let readings = all.map(|(dialect, body)| reading(dialect, body));
    for found in &readings {
        assert_eq!((found.model.as_str(), found.stream, found.max_output_tokens), ("auto", true, Some(7)));
        assert_eq!((text(&found.last_user), text(&found.system_head)), (Some("a\nb"), Some("be brief")));
        assert_eq!((found.turn, found.pins.any()), (Turn::NewUser, false));
        assert_eq!(found.needs, Needs { tools: true, images: true, files: false, json: true });
        assert_eq!(found.affinity, readings[0].affinity);
        assert!((TOKENS_PER_MEDIUM..TOKENS_PER_MEDIUM + 200).contains(&found.input_tokens), "{}", found.input_tokens);
        assert!(!format!("{found:?}").contains("brief"));
    }
    assert_eq!(readings.map(|found| found.include_usage), [true, false, false]);
}

#[test]
fn affinity_stays_while_a_conversation_grows_and_differs_between_conversations() {
    let of = |messages: &str| reading(Dialect::Chat, &format!(r#"{{"messages":[{messages}]}}"#)).affinity;
    let first = r#"{"role":"system","content":"s"},{"role":"user","content":"u"}"#;
    let later = format!(r#"{first},{{"role":"assistant","content":"x"}},{{"role":"user","content":"y"}}"#);
    assert_eq!(of(first), of(&later));
    let marked = r#"{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"u","cache_control":{"type":"ephemeral"}}]}"#;
    assert_eq!(of(first), of(marked));
    assert_ne!(of(first), of(r#"{"role":"system","content":"su"},{"role":"user","content":""}"#));
    assert_ne!(of(first), of(r#"{"role":"user","content":"u"}"#));
}

#[test]
fn tool_loops_are_no_new_turns() {
    let chat = |last: &str| {
        let body = format!(
            r#"{{"messages":[{{"role":"user","content":"u"}},{{"role":"assistant","tool_calls":[]}},{last}]}}"#
        );
        reading(Dialect::Chat, &body)
    };
    let result = chat(r#"{"role":"tool","tool_call_id":"c","content":"canary"}"#);
    assert_eq!((result.turn, text(&result.last_user)), (Turn::ToolLoop, Some("u")));
    assert_eq!(chat(r#"{"role":"assistant","content":"so"}"#).turn, Turn::Continuation);
    assert_eq!(chat(r#"{"role":"user","content":"v"}"#).turn, Turn::NewUser);

    let responses =
        |last: &str| reading(Dialect::Responses, &format!(r#"{{"input":[{{"role":"user","content":"u"}},{last}]}}"#));
    assert_eq!(responses(r#"{"type":"function_call_output","call_id":"c","output":"o"}"#).turn, Turn::ToolLoop);
    assert_eq!(responses(r#"{"type":"custom_tool_call_output","call_id":"c","output":"o"}"#).turn, Turn::ToolLoop);
    assert_eq!(responses(r#"{"type":"function_call","call_id":"c"}"#).turn, Turn::Continuation);
    assert_eq!(reading(Dialect::Responses, r#"{"input":"u"}"#).turn, Turn::NewUser);

    let messages =
        |last: &str| reading(Dialect::Messages, &format!(r#"{{"messages":[{{"role":"user","content":"u"}},{last}]}}"#));
    let block =
        r#"{"type":"tool_result","tool_use_id":"c","content":[{"type":"image"}]},{"type":"text","text":"canary"}"#;
    let result = messages(&format!(r#"{{"role":"user","content":[{block}]}}"#));
    assert_eq!((result.turn, text(&result.last_user), result.needs.images), (Turn::ToolLoop, Some("u"), true));
}

#[test]
fn what_pins_a_conversation_is_seen() {
    let responses = |fields: &str| reading(Dialect::Responses, &format!("{{{fields}}}")).pins;
    let reasoning = r#""input":[{"type":"reasoning","encrypted_content":"x"},{"role":"user","content":"u"}]"#;
    assert_eq!(responses(reasoning), Pins { encrypted_reasoning: true, ..Pins::default() });
    for stored in [
        r#""input":"u","previous_response_id":"r""#,
        r#""conversation":"c""#,
        r#""prompt":{"id":"p"}"#,
        r#""input":[{"type":"item_reference","id":"i"}]"#,
    ] {
        assert_eq!(responses(stored), Pins { stored: true, ..Pins::default() }, "{stored}");
    }
    assert!(!responses(r#""input":"u","previous_response_id":null"#).any());
    let messages = |block: &str| {
        let body =
            format!(r#"{{"messages":[{{"role":"assistant","content":[{block}]}},{{"role":"user","content":"u"}}]}}"#);
        reading(Dialect::Messages, &body).pins.signatures
    };
    assert!(messages(r#"{"type":"thinking","thinking":"t","signature":"s"}"#));
    assert!(messages(r#"{"type":"redacted_thinking","data":"d"}"#));
    assert!(!messages(r#"{"type":"thinking","thinking":"t","signature":""}"#));
    let signed = r#"{"messages":[{"role":"assistant","tool_calls":[{"extra_content":{"google":{}}}]},{"role":"user","content":"u"}]}"#;
    assert!(reading(Dialect::Chat, signed).pins.signatures);
}

#[test]
fn what_cannot_be_read_is_named() {
    for (dialect, body, said) in [
        (Dialect::Chat, r#"{}"#, "messages is missing; it is needed"),
        (Dialect::Chat, r#"{"messages":[]}"#, "messages is an array; expected an array with at least one message"),
        (Dialect::Chat, r#"{"messages":"x"}"#, "messages is a string; expected an array of messages"),
        (Dialect::Messages, r#"{"messages":[1]}"#, "messages[0] is a number; expected an object"),
        (
            Dialect::Messages,
            r#"{"messages":[{}]}"#,
            "messages[0].role is null; expected one of user, assistant, system",
        ),
        (Dialect::Responses, r#"{"input":"u","model":1}"#, "model is a number; expected a string"),
        (Dialect::Responses, r#"{"input":"u","stream":1}"#, "stream is a number; expected true or false"),
        (Dialect::Responses, r#"{}"#, "input is missing; it is needed"),
        (
            Dialect::Messages,
            r#"{"messages":[{"role":"user","content":"u"}],"max_tokens":-1}"#,
            "max_tokens is a number; expected a whole number that is not negative",
        ),
    ] {
        assert_eq!(failure(dialect, body), said);
    }
}

#[test]
fn estimates_grow_with_the_text_and_count_media_once() {
    let of = |content: &str| {
        let body = format!(r#"{{"metadata":"not counted","messages":[{{"role":"user","content":{content}}}]}}"#);
        reading(Dialect::Chat, &body).input_tokens
    };
    let long = format!("\"{}\"", "x".repeat(3000));
    assert_eq!(of(&long) - of("\"\""), 1000);
    let image =
        |data: &str| of(&format!(r#"[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}]"#));
    assert_eq!(image(&"A".repeat(9000)), image("A"));
}

#[test]
fn a_content_is_a_text_or_objects() {
    let wrong = [
        (Dialect::Chat, r#"{"messages":[{"role":"user","content":7}]}"#, "messages[0].content is a number"),
        (
            Dialect::Messages,
            r#"{"messages":[{"role":"user","content":[["a"]]}]}"#,
            "messages[0].content[0] is an array",
        ),
        (Dialect::Messages, r#"{"messages":[{"role":"user"}]}"#, "messages[0].content is missing"),
        (Dialect::Messages, r#"{"system":7,"messages":[{"role":"user","content":""}]}"#, "system is a number"),
        (Dialect::Responses, r#"{"instructions":{},"input":"u"}"#, "instructions is an object"),
        (Dialect::Chat, r#"{"stream_options":1,"messages":[{"role":"user"}]}"#, "stream_options is a number"),
        (
            Dialect::Chat,
            r#"{"stream_options":{"include_usage":1},"messages":[{"role":"user"}]}"#,
            "stream_options.include_usage",
        ),
        (Dialect::Responses, r#"{"input":[{"role":"user","content":{}}]}"#, "input[0].content is an object"),
        (
            Dialect::Responses,
            r#"{"input":[{"type":"function_call_output","output":["a"]}]}"#,
            "input[0].output[0] is a string",
        ),
    ];
    for (dialect, body, message) in wrong {
        assert!(failure(dialect, body).starts_with(message), "{}", failure(dialect, body));
    }
    assert_eq!(text(&reading(Dialect::Chat, r#"{"messages":[{"role":"user","content":null}]}"#).last_user), None);
}
