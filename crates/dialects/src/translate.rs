//! Translation of requests, responses and streams between the dialects.
//!
//! A gateway translates the request, keeps the [`Translation`], and translates the answer with it:
//!
//! ```
//! use blindroute_dialects::Dialect;
//! use blindroute_dialects::translate::{Provider, request};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let body = br#"{"model":"auto","messages":[{"role":"user","content":"Hi"}],"max_tokens":50}"#;
//! let provider = Provider::new(Dialect::Messages, "claude-sonnet-4-5");
//! let translation = request(Dialect::Chat, body, &provider)?;
//! assert_eq!(translation.body, r#"{"model":"claude-sonnet-4-5","max_tokens":50,"messages":[{"role":"user","content":"Hi"}]}"#);
//!
//! let answer = br#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5",
//!     "content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","usage":{"input_tokens":8,"output_tokens":2}}"#;
//! let (answer, usage) = translation.response(answer, 1_700_000_000)?;
//! assert!(answer.contains(r#""message":{"role":"assistant","content":"Hello","refusal":null,"annotations":[]}"#));
//! assert_eq!(usage.map(|usage| usage.output), Some(2));
//! # Ok(())
//! # }
//! ```
//!
//! What has no counterpart is an error that names the field; nothing is dropped silently, but for these fields, which do not
//! change the answer or ask for what happens anyway:
//!
//! - null, and values that are the default: `n: 1`, penalties of 0, an empty `logit_bias`, `modalities: ["text"]`,
//!   `truncation: "disabled"`, `background: false`, `store: false`, `service_tier: "auto"`, `"default"` or `"standard_only"`,
//!   `speed: "standard"`, `verbosity: "medium"`, `thinking: {type: "disabled"}` or `{type: "adaptive"}`;
//! - hints for caches (`cache_control`, and for Messages `prompt_cache_key` and `prompt_cache_retention`), and labels that no
//!   model reads (for Messages `metadata` and `safety_identifier`; the name of a JSON schema);
//! - how something is shown or sent: `stream_options`, `reasoning.summary`, `thinking.display`, `eager_input_streaming`, and
//!   for Messages `detail` of an image;
//! - of an earlier answer: its sources, probabilities and `status`, and thoughts that no provider sealed. Sealed thoughts are
//!   an error, unless the provider's own dialect sealed them;
//! - `is_error` of a tool's result, whose text says that it failed;
//! - of a citation of Messages: what the page says (`cited_text`), and `encrypted_index`, which only its own provider reads;
//! - `include: ["reasoning.encrypted_content"]`: thoughts come sealed where the provider seals them;
//! - the budget for thoughts, where an effort is given beside it, and a `context_management` that only clears thoughts.
//!
//! Citations of pages on the web are said in each dialect: address, title and place, in characters of the text. In Messages they are
//! of whole blocks, so a text becomes as many blocks as it needs; in a stream, where it is too late for that, a citation is of the
//! block that is open. Citations of files and documents have no counterpart, so an answer that holds one is an error.
//!
//! Efforts become budgets of tokens for Messages: minimal 1024, low 4096, medium 16384, high 32768, xhigh 49152, max 65536,
//! and always less than the largest answer. A budget is read as the first effort that covers it.
//!
//! Clients of Responses and Messages get seals of the other dialect in their own field for seals (`encrypted_content`,
//! `signature`), with a prefix, and send them back; clients of Chat have no such field.

use crate::conversation::{Piece, StreamReader, StreamWriter, Target};
use crate::dialect::Dialect;
use crate::errors::{ApiError, ErrorKind};
use crate::json::{FieldError, Json, JsonError, parse};
use crate::sse::Event;
use crate::stream::{CUT, Progress, Watch};
use crate::usage::Usage;
use crate::{chat, messages, responses};
use std::fmt;

/// Why something cannot be translated. Holds paths and positions, nothing of a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TranslateError {
    /// The client's body is no JSON.
    #[error("the body is no JSON that can be read: {0}")]
    RequestJson(JsonError),
    /// A field of the client's request cannot be translated.
    #[error(transparent)]
    Request(FieldError),
    /// The provider's body is no JSON.
    #[error("the provider's answer is no JSON that can be read: {0}")]
    ResponseJson(JsonError),
    /// A field of the provider's answer cannot be translated.
    #[error("the provider's answer cannot be translated: {0}")]
    Response(FieldError),
    /// The provider's answer is an error, though its status was a success.
    #[error("the provider answered with an error in place of a response; ask again, or another model")]
    Failed(Box<ApiError>),
}

impl TranslateError {
    /// The error for the client: 400 where the request is at fault, 502 where the provider is.
    pub fn to_api_error(&self) -> ApiError {
        match self {
            Self::RequestJson(_) => ApiError::new(ErrorKind::InvalidRequest, self.to_string()),
            Self::Request(field) => ApiError::new(ErrorKind::InvalidRequest, self.to_string())
                .with_parameter(field.path())
                .with_code("cannot_be_translated"),
            Self::ResponseJson(_) | Self::Response(_) => {
                ApiError::new(ErrorKind::Server, self.to_string()).with_status(502).with_code("upstream_answer")
            }
            Self::Failed(error) => error.as_ref().clone().with_status(502),
        }
    }
}

/// Whom the request goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its dialect.
    pub dialect: Dialect,
    /// The model's name there.
    pub model: String,
    /// The largest answer to ask for where the dialect needs one and the client gave none (Messages).
    pub max_output_tokens: Option<u64>,
    /// Whether it knows `max_tokens`, and not `max_completion_tokens` (Chat).
    pub legacy_max_tokens: bool,
}

impl Provider {
    /// A provider with the usual settings.
    pub fn new(dialect: Dialect, model: impl Into<String>) -> Self {
        Self { dialect, model: model.into(), max_output_tokens: None, legacy_max_tokens: false }
    }
}

/// A translated request, and what the translation of its answer needs. `Debug` prints no text.
#[derive(Clone, PartialEq, Eq)]
pub struct Translation {
    /// The body for the provider.
    pub body: String,
    caller: Dialect,
    provider: Dialect,
    /// The model that was asked for, for answers that do not name theirs.
    model: String,
    include_usage: bool,
    echo: Json<'static>,
}

impl fmt::Debug for Translation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a translation from {} to {} of {} bytes", self.caller, self.provider, self.body.len())
    }
}

/// Translates a request of this dialect for a provider.
pub fn request(from: Dialect, body: &[u8], provider: &Provider) -> Result<Translation, TranslateError> {
    let body = parse(body).map_err(TranslateError::RequestJson)?;
    let include_usage = body.get("stream_options").and_then(|options| options.get("include_usage"));
    let include_usage = include_usage.and_then(Json::as_bool).unwrap_or(false);
    let echo = if from == Dialect::Responses { responses::echo(&body) } else { Json::Null };
    let target = Target {
        model: &provider.model,
        max_output_tokens: provider.max_output_tokens,
        legacy_max_tokens: provider.legacy_max_tokens,
    };
    let conversation = match from {
        Dialect::Chat => chat::read_request(body),
        Dialect::Responses => responses::read_request(body),
        Dialect::Messages => messages::read_request(body),
    };
    let conversation = conversation.map_err(TranslateError::Request)?;
    let written = match provider.dialect {
        Dialect::Chat => chat::write_request(&conversation, &target),
        Dialect::Responses => responses::write_request(&conversation, &target),
        Dialect::Messages => messages::write_request(&conversation, &target),
    };
    let body = written.map_err(TranslateError::Request)?.to_string();
    let model = provider.model.clone();
    Ok(Translation { body, caller: from, provider: provider.dialect, model, include_usage, echo })
}

impl Translation {
    /// Translates a whole response of the provider, and says what it used. `now` are the seconds since 1970.
    pub fn response(&self, body: &[u8], now: u64) -> Result<(String, Option<Usage>), TranslateError> {
        let body = parse(body).map_err(TranslateError::ResponseJson)?;
        if let Some(error) = ApiError::of_json(&body) {
            return Err(TranslateError::Failed(Box::new(error)));
        }
        let reply = match self.provider {
            Dialect::Chat => chat::read_reply(&body),
            Dialect::Responses => responses::read_reply(&body),
            Dialect::Messages => messages::read_reply(&body),
        };
        let mut reply = reply.map_err(TranslateError::Response)?;
        name(&mut reply.id, &mut reply.model, &self.model, now);
        let written = match self.caller {
            Dialect::Chat => chat::write_reply(&reply, now),
            Dialect::Responses => responses::write_reply(&reply, &self.echo, now),
            Dialect::Messages => messages::write_reply(&reply).map_err(TranslateError::Response)?,
        };
        Ok((written.to_string(), reply.usage))
    }

    /// Begins to translate a stream of the provider.
    pub fn stream(&self, now: u64) -> StreamTranslation {
        let reader: Box<dyn StreamReader + Send> = match self.provider {
            Dialect::Chat => Box::<chat::Reader>::default(),
            Dialect::Responses => Box::<responses::Reader>::default(),
            Dialect::Messages => Box::<messages::Reader>::default(),
        };
        let writer: Box<dyn StreamWriter + Send> = match self.caller {
            Dialect::Chat => Box::new(chat::Writer::new(self.include_usage, now)),
            Dialect::Responses => Box::new(responses::Writer::new(self.echo.clone(), now)),
            Dialect::Messages => Box::<messages::Writer>::default(),
        };
        let (watch, model) = (Watch::new(self.provider, false), self.model.clone());
        StreamTranslation { watch, reader, writer, model, now, failure: None, over: false }
    }
}

/// Translates a stream, event by event.
pub struct StreamTranslation {
    watch: Watch,
    reader: Box<dyn StreamReader + Send>,
    writer: Box<dyn StreamWriter + Send>,
    model: String,
    now: u64,
    failure: Option<ApiError>,
    over: bool,
}

impl StreamTranslation {
    /// Translates an event of the provider: what is to be sent to the client, which can be nothing.
    pub fn event(&mut self, event: &Event) -> String {
        let mut written = String::new();
        if self.over {
            return written;
        }
        let _verdict = self.watch.look(event);
        if self.watch.progress() == Progress::Failed {
            self.fail_with_watch(&mut written);
            return written;
        }
        let data = event.data.as_deref().filter(|data| data.trim() != "[DONE]");
        if let Some(Ok(data)) = data.map(|data| parse(data.as_bytes())) {
            let mut pieces = Vec::new();
            let read = self.reader.event(&data, &mut pieces);
            self.write(pieces, &mut written);
            if let Err(error) = read {
                self.fail(TranslateError::Response(error).to_api_error(), &mut written);
                return written;
            }
        }
        if self.watch.progress() == Progress::Ended {
            self.finish(&mut written);
        }
        written
    }

    /// The provider's stream is over: what is still to be sent. A stream that broke off becomes an error.
    pub fn end(&mut self) -> String {
        let mut written = String::new();
        if !self.over {
            let _event = self.watch.end();
            match self.watch.progress() {
                Progress::Failed => self.fail_with_watch(&mut written),
                _ => self.finish(&mut written),
            }
        }
        written
    }

    /// Nothing more of the stream comes, for a reason that is not in it, such as a timeout: what ends it for the client.
    pub fn break_off(&mut self, error: ApiError) -> String {
        let mut written = String::new();
        if !self.over {
            self.fail(error, &mut written);
        }
        written
    }

    /// How far the stream has come.
    pub fn progress(&self) -> Progress {
        if self.failure.is_some() { Progress::Failed } else { self.watch.progress() }
    }

    /// What was used so far.
    pub fn usage(&self) -> Option<Usage> {
        self.watch.usage()
    }

    /// The error that the stream holds, or that it ended with.
    pub fn failure(&self) -> Option<&ApiError> {
        self.failure.as_ref()
    }

    fn write(&mut self, pieces: Vec<Piece>, written: &mut String) {
        for mut piece in pieces {
            if let Piece::Start { id, model, .. } = &mut piece {
                name(id, model, &self.model, self.now);
            }
            self.writer.piece(piece, written);
        }
    }

    fn finish(&mut self, written: &mut String) {
        let mut pieces = Vec::new();
        let finish = self.reader.finish(&mut pieces);
        self.write(pieces, written);
        self.writer.finish(finish, self.watch.usage(), written);
        self.over = true;
    }

    fn fail_with_watch(&mut self, written: &mut String) {
        let error = self.watch.failure().cloned();
        self.fail(error.unwrap_or_else(|| ApiError::new(ErrorKind::Server, CUT).with_status(502)), written);
    }

    fn fail(&mut self, error: ApiError, written: &mut String) {
        self.writer.fail(&error, written);
        self.failure = Some(error);
        self.over = true;
    }
}

/// Names an answer and its model where the provider did not.
fn name(id: &mut String, model: &mut String, asked_for: &str, now: u64) {
    if id.is_empty() {
        *id = now.to_string();
    }
    if model.is_empty() {
        asked_for.clone_into(model);
    }
}

impl fmt::Debug for StreamTranslation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a translation of a stream, {:?}", self.progress())
    }
}
