//! Requests of Chat Completions.

use super::{Seen, Turn, kind, messages, note_content, text_of};
use crate::json::{FieldError, Json};
use crate::raw::Object;

pub(super) fn read(request: &Object<'_>) -> Result<Seen, FieldError> {
    let mut seen = Seen::new();
    for (at, message) in messages(request, "messages")?.iter().enumerate() {
        let content = message.get("content");
        note_content(content, || format!("messages[{at}].content"), &mut seen)?;
        match message.str_at("role") {
            Some("system" | "developer") => seen.system.push(text_of(content)),
            Some("user") => seen.user(text_of(content)),
            Some("tool" | "function") => seen.turn = Turn::ToolLoop,
            Some("assistant") => {
                seen.turn = Turn::Continuation;
                // Gemini signs its calls there, OpenRouter keeps the signatures of all providers there.
                let calls = message.get("tool_calls").map(Json::elements).unwrap_or_default();
                let signed = calls.iter().any(|call| call.get("extra_content").is_some());
                seen.pins.signatures |= signed || message.get("reasoning_details").is_some();
            }
            _ => {
                let role = message.get("role").unwrap_or(&Json::Null);
                return Err(kind(
                    &format!("messages[{at}].role"),
                    role,
                    "one of system, developer, user, assistant, tool",
                ));
            }
        }
    }
    seen.needs.tools |= request.get("functions").is_some();
    let format = request.get("response_format").and_then(|format| format.str_at("type"));
    seen.needs.json = matches!(format, Some("json_schema" | "json_object"));
    Ok(seen)
}
