//! Requests of Responses.

use super::{Seen, Turn, kind, messages, note_content, text_of};
use crate::json::{FieldError, Json};
use crate::raw::Object;

pub(super) fn read(request: &Object<'_>) -> Result<Seen, FieldError> {
    let mut seen = Seen::new();
    seen.pins.stored =
        ["previous_response_id", "conversation", "prompt"].iter().any(|name| request.get(name).is_some());
    match request.get("instructions") {
        Some(Json::String(text)) => seen.system.push(text.to_string()),
        Some(other) => return Err(kind("instructions", other, "a string")),
        None => {}
    }
    match request.get("input") {
        Some(Json::String(text)) => seen.user(text.to_string()),
        // With a stored conversation or prompt, there need be nothing new.
        None if seen.pins.stored => seen.turn = Turn::Continuation,
        _ => {
            for (at, item) in messages(request, "input")?.iter().enumerate() {
                read_item(item, at, &mut seen)?;
            }
        }
    }
    let format = request.get("text").and_then(|text| text.get("format")).and_then(|format| format.str_at("type"));
    seen.needs.json = matches!(format, Some("json_schema" | "json_object"));
    Ok(seen)
}

fn read_item(item: &Json<'_>, at: usize, seen: &mut Seen) -> Result<(), FieldError> {
    let content = item.get("content");
    seen.pins.encrypted_reasoning |= item.str_at("encrypted_content").is_some_and(|seal| !seal.is_empty());
    let role = item.str_at("role");
    match item.str_at("type").unwrap_or("message") {
        "message" => {
            note_content(content, || format!("input[{at}].content"), seen)?;
            match role {
                Some("user") => seen.user(text_of(content)),
                Some("system" | "developer") => seen.system.push(text_of(content)),
                _ => seen.turn = Turn::Continuation,
            }
        }
        "item_reference" => {
            seen.pins.stored = true;
            seen.turn = Turn::Continuation;
        }
        result if result.ends_with("_output") => {
            note_content(item.get("output"), || format!("input[{at}].output"), seen)?;
            seen.turn = Turn::ToolLoop;
        }
        _ => seen.turn = Turn::Continuation,
    }
    Ok(())
}
