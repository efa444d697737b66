//! Requests of Messages.

use super::{Seen, Turn, kind, messages, note_content, text_of};
use crate::json::{FieldError, Json};
use crate::raw::Object;

pub(super) fn read(request: &Object<'_>) -> Result<Seen, FieldError> {
    let mut seen = Seen::new();
    match request.get("system") {
        Some(blocks @ Json::Array(_)) => {
            note_content(Some(blocks), || "system".to_owned(), &mut seen)?;
            let blocks = blocks.elements();
            seen.system.extend(blocks.iter().filter_map(|block| block.str_at("text")).map(str::to_owned));
        }
        Some(Json::String(text)) => seen.system.push(text.to_string()),
        Some(other) => return Err(kind("system", other, "a string or an array of blocks")),
        None => {}
    }
    for (at, message) in messages(request, "messages")?.iter().enumerate() {
        let content = message.get("content");
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
        let path = || format!("messages[{at}].content");
        if content.is_none_or(|content| *content == Json::Null) {
            return Err(FieldError::Missing { path: path() });
        }
        note_content(content, path, &mut seen)?;
    }
    seen.needs.json = request.get("output_config").is_some_and(|config| config.get("format").is_some());
    Ok(seen)
}
