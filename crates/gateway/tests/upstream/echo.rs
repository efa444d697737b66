//! The model that is built in.

use crate::bench::{items, reading, request, text};
use blindroute_dialects::Dialect;
use blindroute_dialects::json::parse;
use blindroute_dialects::sse::Parser;
use blindroute_dialects::stream::{Progress, Watch};
use blindroute_dialects::usage::Usage;
use blindroute_gateway::upstream::{Failure, echo};
use serde_json::{Value, json};

const SAID: &str = "gpt-x was chosen. No provider is configured, so this is your message: canary";

/// A request with room for all that is said.
fn roomy(dialect: Dialect, stream: bool) -> String {
    request(dialect, stream).replace("\"max_tokens\":9", "\"max_tokens\":999")
}

async fn said(dialect: Dialect, body: &str) -> Result<(String, Usage), Failure> {
    let (answer, used) = echo::answer(dialect, body.as_bytes(), &reading(dialect, body), "gpt-x")?;
    Ok((text(answer).await, used))
}

/// The answer to a request of this dialect.
async fn whole(dialect: Dialect, request: &Value) -> Value {
    serde_json::from_str(&said(dialect, &request.to_string()).await.unwrap().0).unwrap()
}

/// A stream, which has to be a proper one.
async fn streamed(dialect: Dialect, request: &Value) -> String {
    let mut request = request.clone();
    request["stream"] = true.into();
    let (text, _) = said(dialect, &request.to_string()).await.unwrap();
    let (mut watch, mut events) = (Watch::new(dialect, false), Vec::new());
    Parser::default().push(text.as_bytes(), &mut events).unwrap();
    events.iter().for_each(|event| drop(watch.look(event)));
    assert_eq!(watch.progress(), Progress::Ended, "{text}");
    text
}

#[tokio::test]
async fn it_answers_each_dialect_with_the_model_and_the_message() {
    for dialect in Dialect::ALL {
        let body = roomy(dialect, false);
        let (answer, used) = echo::answer(dialect, body.as_bytes(), &reading(dialect, &body), "gpt-x").unwrap();
        assert_eq!(answer.headers["content-type"], "application/json");
        let text = items(answer).await.concat();
        assert!(text.contains(SAID), "{text}");
        assert_eq!(Usage::of_response(dialect, &parse(text.as_bytes()).unwrap()), Some(used));
        assert!(used.input >= 2 && used.output == 26, "{used:?}");
    }
}

#[tokio::test]
async fn its_streams_end_properly() {
    for dialect in Dialect::ALL {
        let body = roomy(dialect, true);
        let (answer, used) = echo::answer(dialect, body.as_bytes(), &reading(dialect, &body), "gpt-x").unwrap();
        assert_eq!(answer.headers["content-type"], "text/event-stream");
        let text = items(answer).await.concat();
        let (mut watch, mut events) = (Watch::new(dialect, false), Vec::new());
        Parser::default().push(text.as_bytes(), &mut events).unwrap();
        events.iter().for_each(|event| drop(watch.look(event)));
        assert_eq!(watch.progress(), Progress::Ended, "{text}");
        assert!(text.contains(SAID), "{text}");
        // Callers of Chat see the usage if they ask for it.
        assert_eq!(watch.usage(), Some(used).filter(|_| dialect != Dialect::Chat));
    }
}

#[tokio::test]
async fn what_chat_cannot_say_is_answered_too() {
    let body =
        r#"{"model":"auto","max_tokens":99,"top_k":4,"unknown":1,"messages":[{"role":"user","content":"canary"}]}"#;
    assert!(said(Dialect::Messages, body).await.unwrap().0.contains(SAID));
}

/// A request of this dialect with two tools, one of which needs a city.
fn with_tools(dialect: Dialect, choice: &Value, user: &str, after_result: bool) -> Value {
    let schema =
        json!({"type": "object", "properties": {"city": {"type": "string"}, "unit": {}}, "required": ["city"]});
    let named = |name: &str, schema: &Value| match dialect {
        Dialect::Chat => json!({"type": "function", "function": {"name": name, "parameters": schema}}),
        Dialect::Responses => json!({"type": "function", "name": name, "parameters": schema}),
        Dialect::Messages => json!({"name": name, "input_schema": schema}),
    };
    let tools = json!([named("now", &json!({"type": "object"})), named("get_weatherReport", &schema)]);
    let mut conversation = vec![json!({"role": "user", "content": user})];
    if after_result {
        conversation.extend(match dialect {
            Dialect::Chat => vec![
                json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "now", "arguments": "{}"}}]}),
                json!({"role": "tool", "tool_call_id": "c", "content": "noon"}),
            ],
            Dialect::Responses => vec![
                json!({"type": "function_call", "call_id": "c", "name": "now", "arguments": "{}"}),
                json!({"type": "function_call_output", "call_id": "c", "output": "noon"}),
            ],
            Dialect::Messages => vec![
                json!({"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "now", "input": {}}]}),
                json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "noon"}]}),
            ],
        });
    }
    let mut request = match dialect {
        Dialect::Responses => json!({"model": "auto", "input": conversation, "tools": tools}),
        _ => json!({"model": "auto", "max_tokens": 999, "messages": conversation, "tools": tools}),
    };
    if !choice.is_null() {
        request["tool_choice"] = choice.clone();
    }
    request
}

/// The names of choices in this dialect: none, required, and one tool.
fn choices(dialect: Dialect) -> [Value; 3] {
    match dialect {
        Dialect::Chat => [json!("none"), json!("required"), json!({"type": "function", "function": {"name": "now"}})],
        Dialect::Responses => [json!("none"), json!("required"), json!({"type": "function", "name": "now"})],
        Dialect::Messages => [json!({"type": "none"}), json!({"type": "any"}), json!({"type": "tool", "name": "now"})],
    }
}

/// The name and the arguments of the call of an answer, if there is one, whose end has to fit.
fn call(dialect: Dialect, answer: &Value) -> Option<(String, Value)> {
    let parsed = |text: &Value| serde_json::from_str(text.as_str().unwrap()).unwrap();
    let (called, name, arguments) = match dialect {
        Dialect::Chat => {
            let choice = &answer["choices"][0];
            let function = &choice["message"]["tool_calls"][0]["function"];
            (choice["finish_reason"] == "tool_calls", function["name"].as_str()?, parsed(&function["arguments"]))
        }
        Dialect::Responses => {
            let item = &answer["output"][0];
            (item["type"] == "function_call", item["name"].as_str()?, parsed(&item["arguments"]))
        }
        Dialect::Messages => {
            let block = &answer["content"][0];
            (answer["stop_reason"] == "tool_use", block["name"].as_str()?, block["input"].clone())
        }
    };
    assert!(called, "{answer}");
    Some((name.to_owned(), arguments))
}

#[tokio::test]
async fn tools_are_called_if_they_are_demanded_or_meant() {
    for dialect in Dialect::ALL {
        let [none, required, named] = choices(dialect);
        let auto = Value::Null;
        let report = Some("get_weatherReport");
        for (choice, user, after_result, expected) in [
            (&auto, "How is the Weather?", false, report),
            (&auto, "a report, please", false, report),
            // Not the whole word, too short a word, and a word that is none of the user's.
            (&auto, "weathered reporters get it now", false, None),
            (&auto, "hello", false, None),
            (&auto, "How is the weather?", true, None),
            (&none, "How is the weather?", false, None),
            (&required, "How is the weather?", false, report),
            (&required, "hello", false, Some("now")),
            (&required, "hello", true, Some("now")),
            (&named, "How is the weather?", false, Some("now")),
        ] {
            let request = with_tools(dialect, choice, user, after_result);
            let called = call(dialect, &whole(dialect, &request).await);
            assert_eq!(called.as_ref().map(|(name, _)| name.as_str()), expected, "{dialect}: {choice} {user}");
            let arguments = if expected == report { json!({"city": "echo"}) } else { json!({}) };
            assert!(called.is_none_or(|(_, found)| found == arguments), "{dialect}: {user}");
            let events = streamed(dialect, &request).await;
            assert_eq!(expected.is_some_and(|name| events.contains(&format!("\"{name}\""))), expected.is_some());
            assert!(expected.is_some() || events.contains("this is your message"), "{events}");
        }
    }
}

#[tokio::test]
async fn a_tool_that_is_not_there_is_refused() {
    for dialect in Dialect::ALL {
        let [_, required, named] = choices(dialect);
        let mut other = with_tools(dialect, &named, "canary", false);
        other["tools"].as_array_mut().unwrap().remove(0);
        let mut bare = with_tools(dialect, &required, "canary", false);
        bare["tools"] = json!([]);
        for request in [other, bare] {
            let failure = said(dialect, &request.to_string()).await.unwrap_err();
            assert_eq!((failure.status.as_u16(), failure.fallback), (400, false));
            let body = String::from_utf8(failure.body.to_vec()).unwrap();
            assert!(body.contains("tool_choice") && !body.contains("canary"), "{body}");
        }
    }
}

/// An answer of JSON by a schema.
async fn instance(schema: Value) -> Value {
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let request =
        json!({"model": "auto", "messages": [{"role": "user", "content": "canary"}], "response_format": format});
    let answer = whole(Dialect::Chat, &request).await;
    serde_json::from_str(answer["choices"][0]["message"]["content"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn instances_of_schemas_are_the_smallest() {
    // One level of the request each, of which it may have 128.
    let deep = (0..90).fold(json!({"type": "string"}), |inner, _| json!({"items": inner, "minItems": 1}));
    for (schema, expected) in [
        (json!({}), json!("echo")),
        (json!({"enum": ["b", "a"], "type": "string"}), json!("b")),
        (json!({"const": null}), json!(null)),
        (json!({"type": "string", "minLength": 6}), json!("echoec")),
        (json!({"type": "string", "maxLength": 2}), json!("ec")),
        (json!({"type": "string", "format": "date"}), json!("2000-01-01")),
        (json!({"type": ["boolean", "null"]}), json!(false)),
        (json!({"type": "integer"}), json!(0)),
        (json!({"type": "integer", "minimum": 2.5}), json!(3)),
        (json!({"type": "integer", "exclusiveMinimum": 2, "maximum": 9}), json!(3)),
        (json!({"type": "integer", "maximum": -2}), json!(-2)),
        (json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}), json!(0.5)),
        (json!({"type": "integer", "minimum": 7, "multipleOf": 5}), json!(10)),
        (json!({"type": "array", "items": {"type": "null"}}), json!([])),
        (json!({"type": "array", "items": {"type": "null"}, "minItems": 2}), json!([null, null])),
        (json!({"type": "object", "properties": {"a": {"type": "null"}}}), json!({})),
        (
            json!({"properties": {"a": {"type": "null"}, "b": {}}, "required": ["b", "a"]}),
            json!({"b": "echo", "a": null}),
        ),
        (json!({"anyOf": [{"type": "integer"}, {"type": "null"}]}), json!(0)),
        (
            json!({"allOf": [{"$ref": "#/$defs/a"}, {"properties": {"y": {"type": "null"}}, "required": ["y"]}],
                "$defs": {"a": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}}}),
            json!({"x": 0, "y": null}),
        ),
        // A list that holds itself, and one that cannot end.
        (
            json!({"$ref": "#/$defs/l", "$defs": {"l": {"type": "object", "required": ["next"],
                "properties": {"next": {"anyOf": [{"$ref": "#/$defs/l"}, {"type": "null"}]}}}}}),
            json!({"next": null}),
        ),
        (json!({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}), json!(null)),
        (json!({"type": "array", "items": {}, "minItems": 5000}), json!(null)),
        (deep, json!(null)),
    ] {
        assert_eq!(instance(schema.clone()).await, expected, "{schema}");
    }
}

#[tokio::test]
async fn json_is_answered_in_each_dialect() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]});
    let format = json!({"type": "json_schema", "name": "n", "schema": schema});
    let responses = json!({"model": "auto", "input": "canary", "text": {"format": format}});
    let messages = json!({"model": "auto", "max_tokens": 99, "messages": [{"role": "user", "content": "canary"}],
        "output_config": {"format": {"type": "json_schema", "schema": schema}}});
    assert_eq!(whole(Dialect::Responses, &responses).await["output"][0]["content"][0]["text"], r#"{"a":0}"#);
    assert_eq!(whole(Dialect::Messages, &messages).await["content"][0]["text"], r#"{"a":0}"#);
    let any = json!({"model": "auto", "messages": [{"role": "user", "content": "canary"}], "response_format": {"type": "json_object"}});
    assert_eq!(whole(Dialect::Chat, &any).await["choices"][0]["message"]["content"], "{}");
}

#[tokio::test]
async fn it_stops_where_it_is_told_to() {
    let messages = json!([{"role": "user", "content": "canary"}]);
    let chat = |name: &str, value: Value| json!({"model": "auto", "messages": messages, name: value});
    let cut = whole(Dialect::Chat, &chat("max_completion_tokens", json!(3))).await;
    let choice = &cut["choices"][0];
    assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&json!("gpt-x was"), &json!("length")));
    assert_eq!(cut["usage"]["completion_tokens"], 3);
    let cut = whole(Dialect::Responses, &json!({"model": "auto", "input": "canary", "max_output_tokens": 3})).await;
    assert_eq!(
        (&cut["status"], &cut["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    let asked = json!({"model": "auto", "messages": messages, "max_tokens": 3});
    assert_eq!(whole(Dialect::Messages, &asked).await["stop_reason"], "max_tokens");
    assert!(streamed(Dialect::Messages, &asked).await.contains(r#""stop_reason":"max_tokens""#));
    let stopped = whole(Dialect::Chat, &chat("stop", json!(["provider", " was"]))).await;
    let choice = &stopped["choices"][0];
    assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&json!("gpt-x"), &json!("stop")));
    let asked = json!({"model": "auto", "messages": messages, "max_tokens": 99, "stop_sequences": [" was"]});
    let stopped = whole(Dialect::Messages, &asked).await;
    assert_eq!(
        [&stopped["content"][0]["text"], &stopped["stop_reason"], &stopped["stop_sequence"]],
        ["gpt-x", "stop_sequence", " was"]
    );
    assert!(streamed(Dialect::Messages, &asked).await.contains(r#""stop_sequence":" was""#));
}

#[tokio::test]
async fn it_thinks_if_it_is_asked_to() {
    let messages = json!([{"role": "user", "content": "canary"}]);
    let chat = json!({"model": "auto", "messages": messages, "reasoning_effort": "low"});
    let answer = whole(Dialect::Chat, &chat).await;
    assert!(answer["choices"][0]["message"]["reasoning_content"].is_string(), "{answer}");
    assert!(answer["usage"]["completion_tokens_details"]["reasoning_tokens"].as_u64() > Some(0));
    let responses = json!({"model": "auto", "input": "canary", "reasoning": {"effort": "low", "summary": "auto"}});
    let answer = whole(Dialect::Responses, &responses).await;
    assert_eq!([&answer["output"][0]["type"], &answer["output"][1]["type"]], ["reasoning", "message"]);
    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    let asked = json!({"model": "auto", "messages": messages, "max_tokens": 2000, "thinking": thinking});
    let answer = whole(Dialect::Messages, &asked).await;
    assert_eq!([&answer["content"][0]["type"], &answer["content"][1]["type"]], ["thinking", "text"]);
    assert!(streamed(Dialect::Messages, &asked).await.contains("thinking_delta"));
    let none = json!({"model": "auto", "messages": messages, "reasoning_effort": "none"});
    assert!(whole(Dialect::Chat, &none).await["choices"][0]["message"].get("reasoning_content").is_none());
}

#[tokio::test]
async fn it_compacts_a_conversation_to_what_the_user_said() {
    let body = r#"{"model":"auto","input":[{"role":"user","content":"canary"},{"role":"assistant","content":"secret"},
        {"role":"user","content":[{"type":"input_text","text":"more"}]}]}"#;
    let (answer, used) = echo::compact(body.as_bytes(), &reading(Dialect::Responses, body)).unwrap();
    let compacted: Value = serde_json::from_str(&text(answer).await).unwrap();
    let output = compacted["output"].as_array().unwrap();
    assert_eq!((&compacted["object"], output.len()), (&json!("response.compaction"), 3));
    assert_eq!(output[0]["content"][0], json!({"type": "input_text", "text": "canary"}));
    assert_eq!([&output[1]["content"][0]["text"], &output[2]["type"]], ["more", "compaction"]);
    assert!(!compacted.to_string().contains("secret"));
    assert_eq!(compacted["usage"]["input_tokens"], used.input);
    // What it gives is taken back.
    let items = output.iter().map(Value::to_string).collect::<Vec<_>>().join(",");
    let next = format!(r#"{{"model":"auto","input":[{items},{{"role":"user","content":"canary"}}]}}"#);
    assert!(said(Dialect::Responses, &next).await.unwrap().0.contains(SAID));
}
