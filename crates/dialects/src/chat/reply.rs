//! Reads and writes a whole response of Chat Completions.

use crate::conversation::{Citation, Finish, Outcome, Output, Reply, characters, renamed};
use crate::dialect::Dialect;
use crate::json::{FieldError, Json};
use crate::usage::Usage;

pub(crate) fn read_reply(body: &Json<'_>) -> Outcome<Reply> {
    let choices = body.get("choices").map(Json::elements).unwrap_or_default();
    let missing = |path: &str| FieldError::Missing { path: path.to_owned() };
    let choice = choices.first().ok_or_else(|| missing("choices[0]"))?;
    let message = choice.get("message").ok_or_else(|| missing("choices[0].message"))?;
    let mut outputs = Vec::new();
    let thought = message.str_at("reasoning_content").or_else(|| message.str_at("reasoning"));
    if let Some(text) = thought.filter(|text| !text.is_empty()) {
        outputs.push(Output::Thought { text: text.to_owned(), seal: None });
    }
    let citations = Citation::read_all(message.get("annotations"), "choices[0].message.annotations")?;
    let text = message.str_at("content").unwrap_or_default();
    if !text.is_empty() || !citations.is_empty() {
        let logprobs = choice.get("logprobs").and_then(|all| all.get("content")).cloned().map(Json::into_owned);
        outputs.push(Output::Text { text: text.to_owned(), logprobs, citations });
    }
    if let Some(text) = message.str_at("refusal").filter(|text| !text.is_empty()) {
        outputs.push(Output::Refusal(text.to_owned()));
    }
    for (at, call) in message.get("tool_calls").map(Json::elements).unwrap_or_default().iter().enumerate() {
        let path = |name: &str| missing(&format!("choices[0].message.tool_calls[{at}].{name}"));
        let function = call.get("function").ok_or_else(|| path("function"))?;
        outputs.push(Output::Call {
            id: call.str_at("id").ok_or_else(|| path("id"))?.to_owned(),
            name: function.str_at("name").ok_or_else(|| path("function.name"))?.to_owned(),
            arguments: function.str_at("arguments").filter(|text| !text.is_empty()).unwrap_or("{}").to_owned(),
        });
    }
    let reason = choice.str_at("finish_reason").ok_or_else(|| missing("choices[0].finish_reason"))?;
    Ok(Reply {
        id: body.str_at("id").unwrap_or_default().to_owned(),
        model: body.str_at("model").unwrap_or_default().to_owned(),
        created: body.get("created").and_then(Json::as_u64),
        outputs,
        finish: finish(reason),
        usage: Usage::of_response(Dialect::Chat, body),
    })
}

/// The reason why the model stopped. Names that are not in the documentation come from providers of their own; the answer is
/// there, so it counts as complete.
pub(super) fn finish(reason: &str) -> Finish {
    match reason {
        "length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::Calls,
        "content_filter" => Finish::Filter,
        _ => Finish::Stop,
    }
}

pub(crate) fn write_reply(reply: &Reply, now: u64) -> Json<'static> {
    let (mut texts, mut refusal, mut thought, mut calls, mut logprobs) = (None, None, None, Vec::new(), None);
    let mut annotations = Vec::new();
    let add = |old: &mut Option<String>, more: &str| old.get_or_insert_default().push_str(more);
    for output in &reply.outputs {
        match output {
            Output::Text { text, logprobs: found, citations } => {
                let before = texts.as_deref().map_or(0, characters);
                let placed = |citation: &Citation| citation.within(characters(text)).behind(before).chat();
                annotations.extend(citations.iter().map(placed));
                add(&mut texts, text);
                logprobs = logprobs.or(found.clone());
            }
            Output::Refusal(text) => add(&mut refusal, text),
            // The dialect has no place for a seal; without it the thought is still worth reading.
            Output::Thought { text, .. } => add(&mut thought, text),
            Output::Call { id, name, arguments } => calls.push(Json::object([
                ("id", Json::text(id.clone())),
                ("type", Json::text("function")),
                (
                    "function",
                    Json::object([("name", Json::text(name.clone())), ("arguments", Json::text(arguments.clone()))]),
                ),
            ])),
        }
    }
    let thought = thought.filter(|text| !text.is_empty());
    let message = Json::present([
        ("role", Some(Json::text("assistant"))),
        ("content", Some(texts.map_or(Json::Null, Json::text))),
        ("refusal", Some(refusal.map_or(Json::Null, Json::text))),
        ("annotations", Some(Json::Array(annotations))),
        ("reasoning_content", thought.map(Json::text)),
        ("tool_calls", (!calls.is_empty()).then_some(Json::Array(calls))),
    ]);
    let choice = Json::object([
        ("index", Json::number(0)),
        ("message", message),
        (
            "logprobs",
            logprobs.map_or(Json::Null, |content| Json::object([("content", content), ("refusal", Json::Null)])),
        ),
        ("finish_reason", Json::text(reply.finish.chat())),
    ]);
    Json::present([
        ("id", Some(Json::text(renamed(&reply.id, "chatcmpl-")))),
        ("object", Some(Json::text("chat.completion"))),
        ("created", Some(Json::number(reply.created.unwrap_or(now)))),
        ("model", Some(Json::text(reply.model.clone()))),
        ("choices", Some(Json::Array(vec![choice]))),
        ("usage", reply.usage.map(|usage| usage.to_json(Dialect::Chat))),
    ])
}
