//! Blocks of content that requests and responses share.

use crate::conversation::{Seal, SealKind};
use crate::json::{FieldError, Json, parse};

pub(super) fn text(text: &str) -> Json<'static> {
    Json::object([("type", Json::text("text")), ("text", Json::text(text.to_owned()))])
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
