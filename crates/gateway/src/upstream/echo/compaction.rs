//! `/v1/responses/compact`, as the built-in model answers it.

use super::super::answer::Answer;
use super::super::exchange::now;
use super::super::failure::Failure;
use super::{answered, number, refused, tokens};
use blindroute_dialects::Dialect;
use blindroute_dialects::json::Json;
use blindroute_dialects::raw::Object;
use blindroute_dialects::reading::Reading;
use blindroute_dialects::usage::Usage;

/// What is sealed: this model remembers nothing, so it has nothing to seal.
const SEALED: &str = "ZWNobw==";

/// Answers with the messages of the user and a compaction item, and says what it used.
///
/// # Errors
/// If the request is no JSON object.
pub fn compact(body: &[u8], reading: &Reading) -> Result<(Answer, Usage), Failure> {
    let dialect = Dialect::Responses;
    let object = Object::read(body).map_err(|error| refused(dialect, None, &error.to_string()))?;
    let number = number();
    let mut output = Vec::new();
    for content in kept(object.get("input")) {
        output.push(Json::object([
            ("type", Json::text("message")),
            ("id", Json::text(format!("msg_{number}_{}", output.len()))),
            ("status", Json::text("completed")),
            ("role", Json::text("user")),
            ("content", content),
        ]));
    }
    output.push(Json::object([
        ("type", Json::text("compaction")),
        ("id", Json::text(format!("cmp_{number}"))),
        ("encrypted_content", Json::text(SEALED)),
    ]));
    let usage = Usage { input: reading.input_tokens, output: tokens(SEALED), ..Usage::default() };
    let compacted = Json::object([
        ("id", Json::text(format!("resp_{number}"))),
        ("object", Json::text("response.compaction")),
        ("created_at", Json::number(now())),
        ("output", Json::Array(output)),
        ("usage", usage.to_json(dialect)),
    ]);
    Ok((answered(compacted.to_string().into_bytes(), "application/json"), usage))
}

/// The contents of the messages of the user, as parts.
fn kept(input: Option<&Json<'_>>) -> Vec<Json<'static>> {
    let parts = |content: &Json<'_>| match content {
        Json::String(text) => {
            let text = Json::text(text.to_string());
            Json::Array(vec![Json::object([("type", Json::text("input_text")), ("text", text)])])
        }
        other => other.clone().into_owned(),
    };
    match input {
        Some(text @ Json::String(_)) => vec![parts(text)],
        Some(Json::Array(items)) => {
            let users = items.iter().filter(|item| item.str_at("role") == Some("user"));
            users.filter_map(|item| item.get("content")).map(parts).collect()
        }
        _ => Vec::new(),
    }
}
