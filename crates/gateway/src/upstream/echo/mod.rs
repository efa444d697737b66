//! The model that is built in: without any provider, it says which model was chosen and repeats the last message of the user.
//!
//! The prompt goes to nobody but the caller. The usage is an estimate from the sizes of the texts.
//!
//! ```
//! use blindroute_dialects::{Dialect, raw::Object, reading};
//! use blindroute_gateway::upstream::{AnswerBody, echo};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let body = br#"{"model":"auto","messages":[{"role":"user","content":"Hi"}]}"#;
//! let reading = reading::read(Dialect::Chat, &Object::read(body)?)?;
//! let (answer, usage) = echo::answer(Dialect::Chat, body, &reading, "gpt-5")?;
//! let AnswerBody::Whole(bytes) = answer.body else { return Err("echo answers whole".into()) };
//! assert!(String::from_utf8(bytes.to_vec())?.contains("this is your message: Hi"));
//! assert!(usage.output > 0);
//! # Ok(())
//! # }
//! ```

use super::answer::{Answer, AnswerBody};
use super::exchange::{now, replayed};
use super::failure::{Failure, Reason};
use super::passage::Passage;
use super::replay;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use blindroute_dialects::Dialect;
use blindroute_dialects::json::Json;
use blindroute_dialects::reading::{BYTES_PER_TOKEN, Reading};
use blindroute_dialects::translate::{Provider, Translation, request};
use blindroute_dialects::usage::Usage;

/// Answers a request, and says what it used. `model` is the name of the model that was chosen.
///
/// # Errors
/// Only if the answer cannot be written in the dialect, which does not happen for the answers that are made here.
pub fn answer(dialect: Dialect, body: &[u8], reading: &Reading, model: &str) -> Result<(Answer, Usage), Failure> {
    let said = reading.last_user.as_ref().map_or("", |text| text.as_str());
    let text = format!("{model} was chosen. No provider is configured, so this is your message: {said}");
    let output = (text.len() as u64).div_ceil(BYTES_PER_TOKEN);
    let usage = Usage { input: reading.input_tokens, output, ..Usage::default() };
    let whole = chat(&text, model, usage);
    let translation = if dialect == Dialect::Chat { None } else { Some(translation(dialect, body, model)?) };
    let (body, kind) = if reading.stream {
        let failed = || Failure::own(Reason::Body, dialect);
        let mut passage = Passage::new(dialect, reading.include_usage, translation.as_ref(), now());
        let events = replay::events(Dialect::Chat, &whole).ok_or_else(failed)?;
        (replayed(&mut passage, &events), "text/event-stream")
    } else {
        let whole = whole.to_string();
        let written = match &translation {
            None => whole,
            Some(translation) => {
                let written = translation.response(whole.as_bytes(), now());
                written.map_err(|error| Failure::of_error(&error.to_api_error(), Reason::Body, dialect))?.0
            }
        };
        (written.into_bytes(), "application/json")
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok((Answer { status: StatusCode::OK, headers, body: AnswerBody::Whole(body.into()), attempts: 1 }, usage))
}

/// The answer in Chat.
fn chat(text: &str, model: &str, usage: Usage) -> Json<'static> {
    // Without random bytes, the number is not unique, which nobody depends on.
    let id = format!("chatcmpl-echo{:016x}", getrandom::u64().unwrap_or_default());
    let message = Json::object([
        ("role", Json::text("assistant")),
        ("content", Json::text(text.to_owned())),
        ("refusal", Json::Null),
    ]);
    let choice = Json::object([
        ("index", Json::number(0)),
        ("message", message),
        ("logprobs", Json::Null),
        ("finish_reason", Json::text("stop")),
    ]);
    Json::object([
        ("id", Json::text(id)),
        ("object", Json::text("chat.completion")),
        ("created", Json::number(now())),
        ("model", Json::text(model.to_owned())),
        ("choices", Json::Array(vec![choice])),
        ("usage", usage.to_json(Dialect::Chat)),
    ])
}

/// A translation of answers for this caller. A request that Chat cannot say is answered too: nothing of it is needed.
fn translation(dialect: Dialect, body: &[u8], model: &str) -> Result<Translation, Failure> {
    let provider = Provider::new(Dialect::Chat, model);
    let bare: &[u8] = match dialect {
        Dialect::Responses => br#"{"model":"","input":"-"}"#,
        Dialect::Messages => br#"{"model":"","max_tokens":1,"messages":[{"role":"user","content":"-"}]}"#,
        Dialect::Chat => br#"{"model":"","messages":[{"role":"user","content":"-"}]}"#,
    };
    request(dialect, body, &provider)
        .or_else(|_| request(dialect, bare, &provider))
        .map_err(|error| Failure::of_error(&error.to_api_error(), Reason::Request(error.to_string()), dialect))
}
