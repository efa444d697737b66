//! Requests of Messages.

use super::{Seen, Turn, kind, messages, note_parts, text_of};
use crate::json::{FieldError, Json};
use crate::raw::Object;

pub(super) fn read(request: &Object<'_>) -> Result<Seen, FieldError> {
    let mut seen = Seen::new();
    match request.get("system") {
        Some(Json::Array(blocks)) => {
            seen.system.extend(blocks.iter().filter_map(|block| block.str_at("text")).map(str::to_owned));
        }
        Some(other) => seen.system.push(text_of(Some(other))),
        None => {}
    }
    for (at, message) in messages(request, "messages")?.iter().enumerate() {
        let content = message.get("content");
        note_parts(content, &mut seen);
        let blocks = content.map(Json::elements).unwrap_or_default();
        let is_result = |block: &Json<'_>| block.str_at("type").is_some_and(|kind| kind.ends_with("tool_result"));
        match message.str_at("role") {
            Some("user") if blocks.iter().any(is_result) => seen.turn = Turn::ToolLoop,
            Some("user") => seen.user(text_of(content)),
            Some("assistant") => seen.turn = Turn::Continuation,
            Some("system") => seen.system.push(text_of(content)),
            _ => {
                let role = message.get("role").unwrap_or(&Json::Null);
                return Err(kind(&format!("messages[{at}].role"), role, "one of user, assistant, system"));
            }
        }
    }
    seen.needs.json = request.get("output_config").is_some_and(|config| config.get("format").is_some());
    Ok(seen)
}
