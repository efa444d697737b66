//! The model that is built in: without any provider, it says which model was chosen and repeats the last message of the user.
//!
//! It keeps to the form of each dialect, by rules that need no model:
//!
//! - **It calls a tool** if `tool_choice` demands one; or if `tool_choice` allows it, the last message is a user's and not the
//!   result of a tool, and a word of at least four letters of a tool's name stands in the text of that message. Names are split at
//!   what is neither letter nor digit and before capitals (`get_weather`, `getWeather`: "weather"); large and small letters are the
//!   same. The first such tool of the request is called, and the first tool of all if one is demanded and none is meant.
//! - **Arguments and JSON answers** (`response_format`, `text.format`, `output_config.format`) are the smallest instance of the
//!   schema, see `schema.rs`.
//! - **It thinks** one sentence if the request asks for thoughts.
//! - **It stops** before a stop sequence, and where `max_tokens` ends; a token has [`BYTES_PER_TOKEN`] bytes. Calls are not cut.
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

mod compaction;
mod schema;
mod thought;
mod wish;

pub use compaction::compact;

use super::answer::{Answer, AnswerBody};
use super::exchange::{now, replayed};
use super::failure::{Failure, Reason};
use super::passage::Passage;
use super::replay;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use blindroute_dialects::Dialect;
use blindroute_dialects::errors::{ApiError, ErrorKind};
use blindroute_dialects::json::{Json, parse};
use blindroute_dialects::raw::Object;
use blindroute_dialects::reading::{BYTES_PER_TOKEN, Reading};
use blindroute_dialects::translate::{Provider, Translation, request};
use blindroute_dialects::usage::Usage;
use thought::{Finish, Said, Thought};
use wish::Wish;

/// Answers a request, and says what it used. `model` is the name of the model that was chosen.
///
/// # Errors
/// If the request demands a tool that it does not have, or is no JSON object.
pub fn answer(dialect: Dialect, body: &[u8], reading: &Reading, model: &str) -> Result<(Answer, Usage), Failure> {
    let object = Object::read(body).map_err(|error| refused(dialect, None, &error.to_string()))?;
    let wish = Wish::of(dialect, &object);
    let thought = Thought::of(&wish, reading, model).map_err(|why| refused(dialect, Some("tool_choice"), why))?;
    let output = thought.tokens();
    let usage = Usage { input: reading.input_tokens, output, reasoning: thought.pondered(), ..Usage::default() };
    let chat = chat(dialect, &thought, model, usage);
    let own = if dialect == Dialect::Chat { chat } else { translated(dialect, body, model, (&chat, &thought))? };
    let (body, kind) = if reading.stream {
        let failed = || Failure::own(Reason::Body, dialect);
        let mut passage = Passage::new(dialect, reading.include_usage, None, now());
        let events = replay::events(dialect, &own).ok_or_else(failed)?;
        (replayed(&mut passage, &events), "text/event-stream")
    } else {
        (own.to_string().into_bytes(), "application/json")
    };
    Ok((answered(body, kind), usage))
}

fn answered(body: Vec<u8>, kind: &'static str) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Answer { status: StatusCode::OK, headers, body: AnswerBody::Whole(body.into()), attempts: 1 }
}

fn refused(dialect: Dialect, parameter: Option<&str>, why: &str) -> Failure {
    let error = ApiError::new(ErrorKind::InvalidRequest, why);
    let error = parameter.into_iter().fold(error, ApiError::with_parameter);
    Failure { fallback: false, ..Failure::of_error(&error, Reason::Request(why.to_owned()), dialect) }
}

/// A number for an identifier. Without random bytes it is not unique, which nobody depends on.
fn number() -> String {
    format!("echo{:016x}", getrandom::u64().unwrap_or_default())
}

/// The tokens that a text is taken for.
fn tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(BYTES_PER_TOKEN)
}

/// The answer in Chat.
fn chat(dialect: Dialect, thought: &Thought, model: &str, usage: Usage) -> Json<'static> {
    let (text, calls) = match &thought.said {
        Said::Text(text) => (Json::text(text.clone()), None),
        Said::Call { name, arguments } => {
            let prefix = if dialect == Dialect::Messages { "toolu_" } else { "call_" };
            let function =
                Json::object([("name", Json::text(name.clone())), ("arguments", Json::text(arguments.clone()))]);
            let call = Json::object([
                ("id", Json::text(format!("{prefix}{}", number()))),
                ("type", Json::text("function")),
                ("function", function),
            ]);
            (Json::Null, Some(Json::Array(vec![call])))
        }
    };
    let message = Json::present([
        ("role", Some(Json::text("assistant"))),
        ("content", Some(text)),
        ("refusal", Some(Json::Null)),
        ("annotations", Some(Json::Array(Vec::new()))),
        ("reasoning_content", thought.pondering.map(Json::text)),
        ("tool_calls", calls),
    ]);
    let reason = match &thought.finish {
        Finish::End | Finish::Sequence(_) => "stop",
        Finish::Length => "length",
        Finish::Call => "tool_calls",
    };
    let choice = Json::object([
        ("index", Json::number(0)),
        ("message", message),
        ("logprobs", Json::Null),
        ("finish_reason", Json::text(reason)),
    ]);
    Json::object([
        ("id", Json::text(format!("chatcmpl-{}", number()))),
        ("object", Json::text("chat.completion")),
        ("created", Json::number(now())),
        ("model", Json::text(model.to_owned())),
        ("choices", Json::Array(vec![choice])),
        ("usage", usage.to_json(Dialect::Chat)),
    ])
}

/// The answer in the caller's dialect.
fn translated(
    dialect: Dialect,
    body: &[u8],
    model: &str,
    (chat, thought): (&Json<'_>, &Thought),
) -> Result<Json<'static>, Failure> {
    let translation = translation(dialect, body, model)?;
    let written = translation.response(chat.to_string().as_bytes(), now());
    let (written, _) = written.map_err(|error| Failure::of_error(&error.to_api_error(), Reason::Body, dialect))?;
    let own = parse(written.as_bytes()).map_err(|_| Failure::own(Reason::Body, dialect))?;
    let mut own = own.into_owned();
    if let (Finish::Sequence(sequence), Dialect::Messages) = (&thought.finish, dialect) {
        // Chat does not say which sequence it was.
        own.set("stop_reason", Json::text("stop_sequence"));
        own.set("stop_sequence", Json::text(sequence.clone()));
    }
    Ok(own)
}

/// A translation of answers for this caller. A request that Chat cannot say is answered too: nothing of it is needed, but what
/// Responses repeats of it.
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
