//! What a gateway has to know of a request before it routes it.
//!
//! Only parts that are text are read; images, files and results of tools are not. Nothing is taken out of the request: what
//! is sent on are its own bytes ([`crate::raw`]) or a translation ([`crate::translate`]).

mod chat;
mod messages;
mod responses;

use crate::dialect::Dialect;
use crate::json::{FieldError, Json};
use crate::raw::Object;
use sha2::{Digest, Sha256};
use std::fmt;

/// Tokens that an image or a file is taken for: what the providers count for a large image.
pub const TOKENS_PER_MEDIUM: u64 = 1600;

/// Bytes of text that are taken for a token. English has about four; the estimate must not be too low for other languages and
/// for code, since the context of a model and a budget depend on it.
pub const BYTES_PER_TOKEN: u64 = 3;

/// A text of a user. `Debug` prints its size only.
#[derive(Clone, PartialEq, Eq)]
pub struct Prompt(String);

impl Prompt {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a text of {} bytes", self.0.len())
    }
}

/// Where the conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The last message is a user's: another model can take over.
    NewUser,
    /// The last message is the result of a tool: the model that called it goes on.
    ToolLoop,
    /// The last message is the model's own: it goes on.
    Continuation,
}

/// What ties a conversation to the model or the provider that it is with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pins {
    /// Encrypted reasoning (Responses).
    pub encrypted_reasoning: bool,
    /// Signatures of thoughts (Messages, and some providers of Chat).
    pub signatures: bool,
    /// What the provider stores: `previous_response_id`, `conversation`, a stored prompt or item.
    pub stored: bool,
}

impl Pins {
    /// Whether anything does.
    pub fn any(self) -> bool {
        self.encrypted_reasoning || self.signatures || self.stored
    }
}

/// What the chosen model must be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Call tools.
    pub tools: bool,
    /// See images.
    pub images: bool,
    /// Read files other than images.
    pub files: bool,
    /// Answer in JSON, by a schema or not.
    pub json: bool,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The model that is asked for; empty if none is named.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether a Chat client asked for the usage in the stream.
    pub include_usage: bool,
    /// The text of the last user message.
    pub last_user: Option<Prompt>,
    /// The first part of the system prompt.
    pub system_head: Option<Prompt>,
    /// Where the conversation stands.
    pub turn: Turn,
    /// What ties it.
    pub pins: Pins,
    /// What the model must be able to do.
    pub needs: Needs,
    /// The largest answer that is asked for.
    pub max_output_tokens: Option<u64>,
    /// The tokens of the input, estimated from its bytes; rather too many than too few.
    pub input_tokens: u64,
    /// SHA-256 of the texts of the system prompt and of the first user message: the same in all turns of a conversation.
    pub affinity: [u8; 32],
}

/// Reads a request of this dialect.
pub fn read(dialect: Dialect, request: &Object<'_>) -> Result<Reading, FieldError> {
    let mut seen = match dialect {
        Dialect::Chat => chat::read(request)?,
        Dialect::Responses => responses::read(request)?,
        Dialect::Messages => messages::read(request)?,
    };
    seen.needs.tools |= request.get("tools").is_some_and(|tools| !tools.elements().is_empty());
    let affinity = seen.affinity();
    let max_output_tokens = match dialect {
        Dialect::Chat => count(request, "max_completion_tokens")?.or(count(request, "max_tokens")?),
        Dialect::Responses => count(request, "max_output_tokens")?,
        Dialect::Messages => count(request, "max_tokens")?,
    };
    let model = match request.get("model") {
        None => String::new(),
        Some(Json::String(model)) => model.to_string(),
        Some(other) => return Err(kind("model", other, "a string")),
    };
    let include_usage = match request.get("stream_options") {
        None => false,
        Some(options @ Json::Object(_)) => match options.get("include_usage") {
            None | Some(Json::Null) => false,
            Some(wish) => wish.as_bool().ok_or_else(|| kind("stream_options.include_usage", wish, "true or false"))?,
        },
        Some(other) => return Err(kind("stream_options", other, "an object")),
    };
    Ok(Reading {
        model,
        stream: flag(request, "stream")?.unwrap_or(false),
        include_usage,
        last_user: seen.last_user.map(Prompt),
        system_head: seen.system.into_iter().next().map(Prompt),
        turn: seen.turn,
        pins: seen.pins,
        needs: seen.needs,
        max_output_tokens,
        input_tokens: estimate(request),
        affinity,
    })
}

/// What the reader of a dialect finds.
struct Seen {
    system: Vec<String>,
    first_user: Option<String>,
    last_user: Option<String>,
    turn: Turn,
    pins: Pins,
    needs: Needs,
}

impl Seen {
    fn new() -> Self {
        let (system, pins, needs) = (Vec::new(), Pins::default(), Needs::default());
        Self { system, first_user: None, last_user: None, turn: Turn::NewUser, pins, needs }
    }

    /// A message of a user.
    fn user(&mut self, text: String) {
        self.first_user.get_or_insert_with(|| text.clone());
        self.last_user = Some(text).filter(|text| !text.is_empty()).or(self.last_user.take());
        self.turn = Turn::NewUser;
    }

    fn affinity(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        // With lengths, so that no two lists of texts are hashed alike.
        for text in self.system.iter().chain(&self.first_user) {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        hash.finalize().into()
    }
}

/// The text of a content: a string, or those of its parts that are text.
fn text_of(content: Option<&Json<'_>>) -> String {
    match content {
        Some(Json::String(text)) => text.to_string(),
        Some(Json::Array(parts)) => {
            let is_text = |part: &&Json<'_>| matches!(part.str_at("type"), Some("text" | "input_text" | "output_text"));
            let texts: Vec<&str> = parts.iter().filter(is_text).filter_map(|part| part.str_at("text")).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// Notes what the parts of a content are. A content is a string, or an array of objects.
fn note_content(content: Option<&Json<'_>>, path: impl Fn() -> String, seen: &mut Seen) -> Result<(), FieldError> {
    match content {
        None | Some(Json::Null | Json::String(_)) => {}
        Some(Json::Array(parts)) => {
            if let Some(at) = parts.iter().position(|part| !matches!(part, Json::Object(_))) {
                return Err(kind(&format!("{}[{at}]", path()), &parts[at], "an object"));
            }
        }
        Some(other) => return Err(kind(&path(), other, "a string or an array of objects")),
    }
    note_parts(content, seen);
    Ok(())
}

/// Notes what parts are, and those in the results of tools.
fn note_parts(content: Option<&Json<'_>>, seen: &mut Seen) {
    for part in content.map(Json::elements).unwrap_or_default() {
        let sealed = |name: &str| part.str_at(name).is_some_and(|seal| !seal.is_empty());
        match part.str_at("type") {
            Some("image" | "image_url" | "input_image") => seen.needs.images = true,
            Some("file" | "input_file" | "document" | "input_audio") => seen.needs.files = true,
            Some("thinking") => seen.pins.signatures |= sealed("signature"),
            Some("redacted_thinking") => seen.pins.signatures = true,
            Some("tool_result") => note_parts(part.get("content"), seen),
            _ => {}
        }
    }
}

/// The messages of a request: an array with something in it, of objects.
fn messages<'o, 'a>(request: &'o Object<'a>, name: &'static str) -> Result<&'o [Json<'a>], FieldError> {
    let found = request.get(name).ok_or_else(|| FieldError::Missing { path: name.to_owned() })?;
    match found {
        Json::Array(messages) if messages.is_empty() => Err(kind(name, found, "an array with at least one message")),
        Json::Array(messages) => match messages.iter().position(|message| !matches!(message, Json::Object(_))) {
            Some(at) => Err(kind(&format!("{name}[{at}]"), &messages[at], "an object")),
            None => Ok(messages),
        },
        other => Err(kind(name, other, "an array of messages")),
    }
}

fn kind(path: &str, found: &Json<'_>, expected: &'static str) -> FieldError {
    FieldError::Kind { path: path.to_owned(), found: found.kind(), expected }
}

fn count(request: &Object<'_>, name: &str) -> Result<Option<u64>, FieldError> {
    let whole =
        |value: &Json<'_>| value.as_u64().ok_or_else(|| kind(name, value, "a whole number that is not negative"));
    request.get(name).map(whole).transpose()
}

fn flag(request: &Object<'_>, name: &str) -> Result<Option<bool>, FieldError> {
    request.get(name).map(|value| value.as_bool().ok_or_else(|| kind(name, value, "true or false"))).transpose()
}

fn estimate(request: &Object<'_>) -> u64 {
    let counted = ["messages", "input", "system", "instructions", "tools", "functions", "response_format", "text"];
    let (mut bytes, mut media) = (0, 0);
    for (_, value) in request.fields().filter(|(name, _)| counted.contains(name)) {
        measure(value, &mut bytes, &mut media);
    }
    bytes.div_ceil(BYTES_PER_TOKEN) + media * TOKENS_PER_MEDIUM
}

/// Counts the bytes that a model reads as text, and the media.
fn measure(value: &Json<'_>, bytes: &mut u64, media: &mut u64) {
    match value {
        Json::Null | Json::Bool(_) => *bytes += 4,
        Json::Number(text) => *bytes += text.len() as u64,
        Json::String(text) if text.starts_with("data:") && text.contains(";base64,") => *media += 1,
        Json::String(text) => *bytes += text.len() as u64,
        Json::Array(elements) => elements.iter().for_each(|element| measure(element, bytes, media)),
        Json::Object(fields) => {
            let kind = value.str_at("type");
            let medium = matches!(kind, Some("base64")) && value.get("data").is_some();
            // A remote image or file: its address says nothing of its size.
            let remote = matches!(kind, Some("url" | "file")) || value.str_at("image_url").is_some_and(is_remote);
            *media += u64::from(medium || remote);
            for (name, value) in fields {
                if !(medium && name == "data") {
                    *bytes += name.len() as u64;
                    measure(value, bytes, media);
                }
            }
        }
    }
}

fn is_remote(address: &str) -> bool {
    !address.starts_with("data:")
}

#[cfg(test)]
mod tests;
