//! A whole answer as the events of a stream, in its own dialect.

use blindroute_dialects::Dialect;
use blindroute_dialects::json::Json;
use blindroute_dialects::sse;
use std::borrow::Cow;

/// The events that a provider would have sent for this answer, with the usage; nothing if this is no answer of the dialect.
pub(super) fn events(dialect: Dialect, answer: &Json<'_>) -> Option<String> {
    match dialect {
        Dialect::Chat => chat(answer),
        Dialect::Responses => responses(answer),
        Dialect::Messages => messages(answer),
    }
}

/// The value with another field, in its place or at the end.
fn with<'a>(value: &Json<'a>, name: &'static str, field: Json<'a>) -> Json<'a> {
    let mut value = value.clone();
    value.set(name, field);
    value
}

fn without<'a>(value: &Json<'a>, names: &[&str]) -> Json<'a> {
    match value {
        Json::Object(fields) => {
            Json::Object(fields.iter().filter(|(name, _)| !names.contains(&name.as_ref())).cloned().collect())
        }
        other => other.clone(),
    }
}

fn chat(answer: &Json<'_>) -> Option<String> {
    let head = without(answer, &["choices", "usage", "object"]);
    let head = with(&head, "object", Json::text("chat.completion.chunk"));
    let chunk = |choices: Vec<Json<'_>>| sse::write("", &with(&head, "choices", Json::Array(choices)).to_string());
    let Json::Array(choices) = answer.get("choices")? else { return None };
    let mut written = String::new();
    for (at, choice) in choices.iter().enumerate() {
        let index = choice.get("index").cloned().unwrap_or_else(|| Json::number(at as u64));
        let mut delta = without(choice.get("message")?, &["tool_calls"]);
        if let Some(Json::Array(calls)) = choice.get("message")?.get("tool_calls") {
            let numbered = calls.iter().enumerate().map(|(at, call)| with(call, "index", Json::number(at as u64)));
            delta.set("tool_calls", Json::Array(numbered.collect()));
        }
        let mut begun = without(choice, &["message", "finish_reason", "index"]);
        begun.set("index", index.clone());
        begun.set("delta", delta);
        begun.set("finish_reason", Json::Null);
        written.push_str(&chunk(vec![begun]));
        let reason = choice.get("finish_reason").cloned().unwrap_or(Json::Null);
        let empty = Json::Object(Vec::new());
        written.push_str(&chunk(vec![Json::object([("index", index), ("delta", empty), ("finish_reason", reason)])]));
    }
    if let Some(usage) = answer.get("usage") {
        let last = with(&with(&head, "choices", Json::Array(Vec::new())), "usage", usage.clone());
        written.push_str(&sse::write("", &last.to_string()));
    }
    written.push_str(&sse::write("", "[DONE]"));
    Some(written)
}

fn event(written: &mut String, data: &Json<'_>) {
    written.push_str(&sse::write(data.str_at("type").unwrap_or_default(), &data.to_string()));
}

fn messages(answer: &Json<'_>) -> Option<String> {
    let Json::Array(blocks) = answer.get("content")? else { return None };
    let mut written = String::new();
    let mut head = with(answer, "content", Json::Array(Vec::new()));
    head.set("stop_reason", Json::Null);
    head.set("stop_sequence", Json::Null);
    event(&mut written, &Json::object([("type", Json::text("message_start")), ("message", head)]));
    for (at, block) in blocks.iter().enumerate() {
        let (begun, deltas) = block_in_parts(block);
        let start = [("type", Json::text("content_block_start")), ("index", Json::number(at as u64))];
        event(&mut written, &with(&Json::object(start), "content_block", begun));
        for delta in deltas {
            let step = [("type", Json::text("content_block_delta")), ("index", Json::number(at as u64))];
            event(&mut written, &with(&Json::object(step), "delta", delta));
        }
        let stop = [("type", Json::text("content_block_stop")), ("index", Json::number(at as u64))];
        event(&mut written, &Json::object(stop));
    }
    let field = |name: &str| answer.get(name).cloned().unwrap_or(Json::Null);
    let mut delta = Json::object([("stop_reason", field("stop_reason")), ("stop_sequence", field("stop_sequence"))]);
    if let Json::Object(fields) = answer {
        let known = fields.iter().map(|(name, _)| name.as_ref());
        for name in ["stop_details", "container"].into_iter().filter(|name| known.clone().any(|known| known == *name)) {
            delta.set(name, field(name));
        }
    }
    let stopped = Json::present([
        ("type", Some(Json::text("message_delta"))),
        ("delta", Some(delta)),
        ("usage", answer.get("usage").cloned()),
    ]);
    event(&mut written, &stopped);
    event(&mut written, &Json::object([("type", Json::text("message_stop"))]));
    Some(written)
}

/// A block without its text, and the deltas that add it.
fn block_in_parts<'a>(block: &Json<'a>) -> (Json<'a>, Vec<Json<'a>>) {
    let delta = |kind: &'static str, name: &'static str, value: Json<'a>| {
        Json::Object(vec![(Cow::Borrowed("type"), Json::text(kind)), (Cow::Borrowed(name), value)])
    };
    let field = |name: &str| block.get(name).cloned().unwrap_or_else(|| Json::text(""));
    match block.str_at("type") {
        Some("text") => {
            let sources = block.get("citations").map(Json::elements).unwrap_or_default();
            let begun = with(block, "text", Json::text(""));
            let begun = if sources.is_empty() { begun } else { with(&begun, "citations", Json::Array(Vec::new())) };
            let cited = sources.iter().map(|source| delta("citations_delta", "citation", source.clone()));
            (begun, [delta("text_delta", "text", field("text"))].into_iter().chain(cited).collect())
        }
        Some("thinking") => {
            let begun = with(&with(block, "thinking", Json::text("")), "signature", Json::text(""));
            let thought = delta("thinking_delta", "thinking", field("thinking"));
            (begun, vec![thought, delta("signature_delta", "signature", field("signature"))])
        }
        Some("tool_use" | "server_tool_use") => {
            let input = block.get("input").map_or_else(|| "{}".to_owned(), Json::to_string);
            let begun = with(block, "input", Json::Object(Vec::new()));
            (begun, vec![delta("input_json_delta", "partial_json", Json::text(input))])
        }
        _ => (block.clone(), Vec::new()),
    }
}

/// Events of Responses with their numbers.
struct Numbered {
    written: String,
    number: u64,
}

impl Numbered {
    /// An event of this kind, with these fields behind its number.
    fn event(&mut self, kind: &'static str, fields: Vec<(&'static str, Json<'_>)>) {
        let own = [("type", Json::text(kind)), ("sequence_number", Json::number(self.number))];
        let fields = own.into_iter().chain(fields).map(|(name, value)| (Cow::Borrowed(name), value));
        event(&mut self.written, &Json::Object(fields.collect()));
        self.number += 1;
    }
}

fn responses(answer: &Json<'_>) -> Option<String> {
    let Json::Array(items) = answer.get("output")? else { return None };
    let mut events = Numbered { written: String::new(), number: 0 };
    let mut head = with(answer, "output", Json::Array(Vec::new()));
    head.set("status", Json::text("in_progress"));
    head.set("usage", Json::Null);
    events.event("response.created", vec![("response", head.clone())]);
    events.event("response.in_progress", vec![("response", head)]);
    for (at, item) in items.iter().enumerate() {
        output_item(&mut events, at as u64, item);
    }
    let kind = match answer.str_at("status") {
        Some("incomplete") => "response.incomplete",
        Some("completed") => "response.completed",
        _ => return None,
    };
    events.event(kind, vec![("response", answer.clone())]);
    Some(events.written)
}

fn output_item(events: &mut Numbered, at: u64, item: &Json<'_>) {
    let index = || ("output_index", Json::number(at));
    let id = || ("item_id", item.get("id").cloned().unwrap_or_else(|| Json::text("")));
    let emptied = match item.str_at("type") {
        Some("message") => with(item, "content", Json::Array(Vec::new())),
        Some("function_call") => with(item, "arguments", Json::text("")),
        Some("reasoning") => with(item, "summary", Json::Array(Vec::new())),
        _ => item.clone(),
    };
    let begun =
        if item.get("status").is_some() { with(&emptied, "status", Json::text("in_progress")) } else { emptied };
    events.event("response.output_item.added", vec![index(), ("item", begun)]);
    match item.str_at("type") {
        Some("message") => {
            for (part_at, part) in item.get("content").map(Json::elements).unwrap_or_default().iter().enumerate() {
                let place = || vec![id(), index(), ("content_index", Json::number(part_at as u64))];
                content_part(events, &place, part);
            }
        }
        Some("function_call") => {
            let arguments = item.get("arguments").cloned().unwrap_or_else(|| Json::text(""));
            let delta = vec![id(), index(), ("delta", arguments.clone())];
            events.event("response.function_call_arguments.delta", delta);
            let done = vec![id(), index(), ("arguments", arguments)];
            events.event("response.function_call_arguments.done", done);
        }
        Some("reasoning") => {
            for (part_at, part) in item.get("summary").map(Json::elements).unwrap_or_default().iter().enumerate() {
                let place = || vec![id(), index(), ("summary_index", Json::number(part_at as u64))];
                summary_part(events, &place, part);
            }
        }
        _ => {}
    }
    events.event("response.output_item.done", vec![index(), ("item", item.clone())]);
}

type Fields<'a> = Vec<(&'static str, Json<'a>)>;

fn and<'a>(mut fields: Fields<'a>, name: &'static str, value: Json<'a>) -> Fields<'a> {
    fields.push((name, value));
    fields
}

fn content_part<'a>(events: &mut Numbered, place: &dyn Fn() -> Fields<'a>, part: &Json<'a>) {
    let (name, delta, done) = match part.str_at("type") {
        Some("refusal") => ("refusal", "response.refusal.delta", "response.refusal.done"),
        _ => ("text", "response.output_text.delta", "response.output_text.done"),
    };
    let text = part.get(name).cloned().unwrap_or_else(|| Json::text(""));
    let mut empty = with(part, name, Json::text(""));
    if part.get("annotations").is_some() {
        empty.set("annotations", Json::Array(Vec::new()));
    }
    events.event("response.content_part.added", and(place(), "part", empty));
    let probabilities = part.get("logprobs").cloned();
    let step = and(place(), "delta", text.clone());
    let step = match probabilities.clone() {
        Some(found) => and(step, "logprobs", found),
        None => step,
    };
    events.event(delta, step);
    let last = and(place(), name, text);
    let last = match probabilities {
        Some(found) => and(last, "logprobs", found),
        None => last,
    };
    events.event(done, last);
    for (index, annotation) in part.get("annotations").map(Json::elements).unwrap_or_default().iter().enumerate() {
        let added = and(place(), "annotation_index", Json::number(index as u64));
        events.event("response.output_text.annotation.added", and(added, "annotation", annotation.clone()));
    }
    events.event("response.content_part.done", and(place(), "part", part.clone()));
}

fn summary_part<'a>(events: &mut Numbered, place: &dyn Fn() -> Fields<'a>, part: &Json<'a>) {
    let text = part.get("text").cloned().unwrap_or_else(|| Json::text(""));
    let empty = with(part, "text", Json::text(""));
    events.event("response.reasoning_summary_part.added", and(place(), "part", empty));
    events.event("response.reasoning_summary_text.delta", and(place(), "delta", text.clone()));
    events.event("response.reasoning_summary_text.done", and(place(), "text", text));
    events.event("response.reasoning_summary_part.done", and(place(), "part", part.clone()));
}
