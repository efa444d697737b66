//! Streams that are passed through in their own dialect: whether they ended properly, what they used, and what has to be
//! taken out again.
//!
//! An end is proper once the dialect said why the model stopped. A stream that breaks off before that becomes an error of
//! the dialect, never a success.

use crate::dialect::Dialect;
use crate::errors::{ApiError, ErrorKind};
use crate::json::{Json, parse};
use crate::raw::{Edit, Object};
use crate::sse::{self, Event};
use crate::usage::{Meter, Usage};
use std::collections::BTreeMap;

/// What to send to the client in place of an event.
#[derive(Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The event's own bytes.
    Pass,
    /// Nothing.
    Drop,
    /// These bytes.
    Replace(String),
}

impl std::fmt::Debug for Verdict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pass => formatter.write_str("pass"),
            Self::Drop => formatter.write_str("drop"),
            Self::Replace(bytes) => write!(formatter, "replace by {} bytes", bytes.len()),
        }
    }
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing of the answer was sent: another model can still be asked.
    Waiting,
    /// The answer has begun.
    Answering,
    /// The reason why the model stopped was sent, the last event was not.
    Stopped,
    /// The stream ended properly.
    Ended,
    /// The stream holds an error, or broke off.
    Failed,
}

/// Looks at the events of one stream.
#[derive(Debug)]
pub struct Watch {
    dialect: Dialect,
    usage_was_injected: bool,
    meter: Meter,
    progress: Progress,
    failure: Option<ApiError>,
    /// Of Chat: for each choice, whether it has a finish reason.
    choices: BTreeMap<u64, bool>,
    /// Of Responses: the sequence number that comes next.
    number: u64,
}

impl Watch {
    /// Watches a stream of this dialect. `usage_was_injected` says that the client of a Chat stream did not ask for the
    /// usage, and must not see it.
    pub fn new(dialect: Dialect, usage_was_injected: bool) -> Self {
        let meter = Meter::new(dialect);
        let choices = BTreeMap::new();
        let usage_was_injected = usage_was_injected && dialect == Dialect::Chat;
        Self { dialect, usage_was_injected, meter, progress: Progress::Waiting, failure: None, choices, number: 0 }
    }

    /// How far the stream has come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// What was used so far.
    pub fn usage(&self) -> Option<Usage> {
        self.meter.usage()
    }

    /// The error that the stream holds, or that was put in its place.
    pub fn failure(&self) -> Option<&ApiError> {
        self.failure.as_ref()
    }

    /// Looks at an event, and says what to send.
    pub fn look(&mut self, event: &Event) -> Verdict {
        let Some(data) = event.data.as_deref() else { return Verdict::Pass };
        if matches!(self.progress, Progress::Ended | Progress::Failed) {
            return Verdict::Drop;
        }
        if data.trim() == "[DONE]" {
            return self.done();
        }
        let Ok(value) = parse(data.as_bytes()) else {
            return self.fail("the provider sent an event that is no JSON");
        };
        self.meter.event(&value);
        self.number = value.get("sequence_number").and_then(Json::as_u64).map_or(self.number, |number| number + 1);
        let failure = ApiError::of_json(&value);
        let is_response = value.str_at("type").is_some_and(|kind| kind.starts_with("response."));
        if let Some(failure) = failure.filter(|_| !is_response || value.str_at("type") == Some("response.failed")) {
            self.failure = Some(failure);
            self.progress = Progress::Failed;
            return Verdict::Pass;
        }
        match self.dialect {
            Dialect::Chat => self.chat(event, data, &value),
            Dialect::Responses => self.responses(&value),
            Dialect::Messages => self.messages(&value),
        }
    }

    /// The stream is over: what is still to be sent.
    pub fn end(&mut self) -> Option<String> {
        match self.progress {
            Progress::Ended | Progress::Failed => None,
            Progress::Stopped => {
                self.progress = Progress::Ended;
                match self.dialect {
                    Dialect::Chat => Some(sse::write("", "[DONE]")),
                    Dialect::Messages => Some(sse::write("message_stop", r#"{"type":"message_stop"}"#)),
                    // Its last event is the one with the reason.
                    Dialect::Responses => None,
                }
            }
            Progress::Waiting | Progress::Answering => match self.fail(CUT) {
                Verdict::Replace(bytes) => Some(bytes),
                Verdict::Pass | Verdict::Drop => None,
            },
        }
    }

    /// Nothing more of the stream comes, for a reason that is not in it, such as a timeout: the event that ends it. Nothing
    /// is to be sent if the stream is over.
    pub fn break_off(&mut self, error: ApiError) -> String {
        if matches!(self.progress, Progress::Ended | Progress::Failed) {
            return String::new();
        }
        let event = error.event(self.dialect, self.number);
        self.failure = Some(error);
        self.progress = Progress::Failed;
        event
    }

    fn fail(&mut self, message: &str) -> Verdict {
        let error = ApiError::new(ErrorKind::Server, message).with_status(502).with_code("upstream_stream");
        Verdict::Replace(self.break_off(error))
    }

    fn done(&mut self) -> Verdict {
        if self.progress != Progress::Stopped {
            return self.fail(CUT);
        }
        if self.dialect != Dialect::Chat {
            return Verdict::Drop;
        }
        self.progress = Progress::Ended;
        Verdict::Pass
    }

    fn chat(&mut self, event: &Event, data: &str, value: &Json<'_>) -> Verdict {
        let choices = value.get("choices").map(Json::elements).unwrap_or_default();
        for choice in choices {
            let finished = choice.get("finish_reason").is_some();
            let known = self.choices.entry(choice.get("index").and_then(Json::as_u64).unwrap_or(0)).or_default();
            *known |= finished;
            let says = |name: &&str| choice.get("delta").and_then(|delta| delta.get(name)).is_some_and(is_something);
            let begun =
                ["content", "tool_calls", "refusal", "reasoning_content", "reasoning", "audio", "function_call"];
            if self.progress == Progress::Waiting && begun.iter().any(says) {
                self.progress = Progress::Answering;
            }
        }
        if !self.choices.is_empty() && self.choices.values().all(|finished| *finished) {
            self.progress = Progress::Stopped;
        } else if self.progress == Progress::Stopped {
            self.progress = Progress::Answering;
        }
        if !self.usage_was_injected {
            return Verdict::Pass;
        }
        let Ok(object) = Object::read(data.as_bytes()) else { return Verdict::Pass };
        match object.raw("usage") {
            None => Verdict::Pass,
            Some(usage) if choices.is_empty() && usage != "null" => Verdict::Drop,
            Some(_) => Verdict::Replace(sse::write(&event.name, &object.edited(&[Edit::remove("usage")]))),
        }
    }

    fn responses(&mut self, value: &Json<'_>) -> Verdict {
        self.progress = match value.str_at("type") {
            Some("response.completed" | "response.incomplete") => Progress::Ended,
            Some("response.failed") => return self.fail("the provider reported a failure without an error"),
            Some("response.created" | "response.queued" | "response.in_progress" | "ping" | "keepalive") => {
                self.progress
            }
            _ => Progress::Answering,
        };
        Verdict::Pass
    }

    fn messages(&mut self, value: &Json<'_>) -> Verdict {
        let stopped = || value.get("delta").is_some_and(|delta| delta.get("stop_reason").is_some());
        match value.str_at("type") {
            Some("message_delta") if stopped() => self.progress = Progress::Stopped,
            Some("message_stop") if self.progress == Progress::Stopped => self.progress = Progress::Ended,
            Some("message_stop") => return self.fail(CUT),
            Some("content_block_start") => self.progress = Progress::Answering,
            _ => {}
        }
        Verdict::Pass
    }
}

/// What a stream that breaks off becomes.
pub(crate) const CUT: &str =
    "the provider's stream ended before the model said why it stopped; the answer is incomplete, ask again";

/// Neither an empty text nor an empty list.
fn is_something(value: &Json<'_>) -> bool {
    value.as_str() != Some("") && *value != Json::Array(Vec::new())
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
