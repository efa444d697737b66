//! Blocks of content that requests and responses share.

use crate::conversation::{Citation, Seal, SealKind, characters};
use crate::json::{FieldError, Json, parse};

pub(super) fn text(text: &str) -> Json<'static> {
    Json::object([("type", Json::text("text")), ("text", Json::text(text.to_owned()))])
}

/// A text of an answer, which says its sources even if there are none: some clients want the field, and some take no null.
pub(super) fn said(text: &str, sources: &[Citation]) -> Json<'static> {
    let mut block = self::text(text);
    block.set("citations", Json::Array(sources.iter().map(Citation::messages).collect()));
    block
}

/// A text of an answer in as many blocks as its sources need: the dialect's citations are of whole blocks.
pub(super) fn cited(text: &str, citations: &[Citation]) -> Vec<Json<'static>> {
    let length = characters(text);
    let citations: Vec<Citation> = citations.iter().map(|citation| citation.within(length)).collect();
    // A citation of no character is one of the last.
    let (empty, placed): (Vec<_>, Vec<_>) = citations.into_iter().partition(|citation| citation.start == citation.end);
    let mut borders: Vec<u64> = placed.iter().flat_map(|citation| [citation.start, citation.end]).collect();
    borders.extend([0, length]);
    borders.sort_unstable();
    borders.dedup();
    let mut characters = text.chars();
    let mut blocks = Vec::new();
    for pair in borders.windows(2) {
        let [start, end] = [pair[0], pair[1]];
        let part: String = characters.by_ref().take((end - start) as usize).collect();
        let mut sources: Vec<Citation> =
            placed.iter().filter(|citation| citation.start <= start && end <= citation.end).cloned().collect();
        if end == length {
            sources.extend(empty.iter().cloned());
        }
        blocks.push(said(&part, &sources));
    }
    if blocks.is_empty() {
        blocks.push(said(text, &empty));
    }
    blocks
}

/// Who calls a tool: the model itself.
pub(super) fn direct() -> Json<'static> {
    Json::object([("type", Json::text("direct"))])
}

/// A call of a tool. Its arguments have to be an object; `at` is the path to name if they are not.
pub(super) fn call(id: &str, name: &str, arguments: &str, at: &str) -> Result<Json<'static>, FieldError> {
    let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
    let input = match parse(arguments.as_bytes()) {
        Ok(input @ Json::Object(_)) => input.into_owned(),
        _ => {
            let why = "the arguments of a call have to be a JSON object in the other dialect";
            return Err(FieldError::Refused { path: format!("{at}.arguments"), why });
        }
    };
    Ok(Json::object([
        ("type", Json::text("tool_use")),
        ("id", Json::text(id.to_owned())),
        ("name", Json::text(name.to_owned())),
        ("input", input),
    ]))
}

/// A thought with its seal. A seal of another dialect is carried in the signature.
pub(super) fn thought(text: &str, seal: Option<&Seal>) -> Json<'static> {
    match seal {
        Some(Seal { kind: SealKind::Redacted, value }) => {
            Json::object([("type", Json::text("redacted_thinking")), ("data", Json::text(value.clone()))])
        }
        seal => Json::object([
            ("type", Json::text("thinking")),
            ("thinking", Json::text(text.to_owned())),
            ("signature", Json::text(signature(seal))),
        ]),
    }
}

/// The signature that carries a seal.
pub(super) fn signature(seal: Option<&Seal>) -> String {
    match seal {
        Some(Seal { kind: SealKind::Signature, value }) => value.clone(),
        Some(other) => other.carried(),
        None => String::new(),
    }
}
