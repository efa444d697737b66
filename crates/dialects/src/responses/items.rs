//! The items of an output, as responses and streams write them.

use crate::conversation::{Citation, Output, Seal, SealKind, characters, renamed};
use crate::json::Json;

/// The identifier of an item of a response.
pub(super) fn item_id(prefix: &str, response: &str, index: usize) -> String {
    format!("{}_{index}", renamed(response, prefix))
}

/// A part of a message.
pub(super) fn text_part(text: &str, logprobs: Option<Json<'static>>, citations: &[Citation]) -> Json<'static> {
    let placed = |citation: &Citation| citation.within(characters(text)).responses();
    Json::object([
        ("type", Json::text("output_text")),
        ("text", Json::text(text.to_owned())),
        ("annotations", Json::Array(citations.iter().map(placed).collect())),
        ("logprobs", logprobs.unwrap_or(Json::Array(Vec::new()))),
    ])
}

pub(super) fn refusal_part(text: &str) -> Json<'static> {
    Json::object([("type", Json::text("refusal")), ("refusal", Json::text(text.to_owned()))])
}

/// A message with these parts.
pub(super) fn message(id: &str, parts: Vec<Json<'static>>, status: &'static str) -> Json<'static> {
    Json::object([
        ("type", Json::text("message")),
        ("id", Json::text(id.to_owned())),
        ("status", Json::text(status)),
        ("role", Json::text("assistant")),
        ("content", Json::Array(parts)),
    ])
}

pub(super) struct CallItem<'c> {
    pub(super) id: &'c str,
    pub(super) call_id: &'c str,
    pub(super) name: &'c str,
    pub(super) arguments: &'c str,
    pub(super) status: &'static str,
}

pub(super) fn call(call: &CallItem<'_>) -> Json<'static> {
    Json::object([
        ("type", Json::text("function_call")),
        ("id", Json::text(call.id.to_owned())),
        ("call_id", Json::text(call.call_id.to_owned())),
        ("name", Json::text(call.name.to_owned())),
        ("arguments", Json::text(call.arguments.to_owned())),
        ("status", Json::text(call.status)),
    ])
}

/// A thought. A seal of another dialect is carried in the encrypted content.
pub(super) fn thought(id: &str, text: &str, seal: Option<&Seal>) -> Json<'static> {
    let summary = Json::object([("type", Json::text("summary_text")), ("text", Json::text(text.to_owned()))]);
    let parts = if text.is_empty() { Vec::new() } else { vec![summary] };
    Json::present([
        ("type", Some(Json::text("reasoning"))),
        ("id", Some(Json::text(id.to_owned()))),
        ("summary", Some(Json::Array(parts))),
        ("encrypted_content", seal.map(|seal| Json::text(seal.carried()))),
    ])
}

/// A thought that a provider of this dialect sealed, with the identifier that it had.
pub(super) fn sealed_thought(text: &str, seal: &Seal, index: usize) -> Json<'static> {
    match seal.value.split_once(':') {
        Some((id, content)) if seal.kind == SealKind::Encrypted => {
            let id = if id.is_empty() { format!("rs_{index}") } else { id.to_owned() };
            let mut item = thought(&id, text, None);
            item.set("encrypted_content", Json::text(content.to_owned()));
            item
        }
        _ => thought(&format!("rs_{index}"), text, Some(seal)),
    }
}

/// The item that an output is.
pub(super) fn item(output: &Output, id: &str, status: &'static str) -> Json<'static> {
    match output {
        Output::Text { text, logprobs, citations } => {
            message(id, vec![text_part(text, logprobs.clone(), citations)], status)
        }
        Output::Refusal(text) => message(id, vec![refusal_part(text)], status),
        Output::Thought { text, seal } => thought(id, text, seal.as_ref()),
        Output::Call { id: call_id, name, arguments } => call(&CallItem { id, call_id, name, arguments, status }),
    }
}

/// The prefix of the identifiers of such items.
pub(super) fn prefix(output: &Output) -> &'static str {
    match output {
        Output::Text { .. } | Output::Refusal(_) => "msg_",
        Output::Thought { .. } => "rs_",
        Output::Call { .. } => "fc_",
    }
}
