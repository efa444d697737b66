//! Writes a stream of Chat Completions.

use crate::conversation::{Block, Finish, Piece, StreamWriter, characters, renamed};
use crate::dialect::Dialect;
use crate::errors::ApiError;
use crate::json::Json;
use crate::sse;
use crate::usage::Usage;
use std::collections::BTreeMap;

pub(crate) struct Writer {
    include_usage: bool,
    now: u64,
    id: String,
    model: String,
    created: u64,
    blocks: BTreeMap<usize, Open>,
    calls: u64,
    /// The characters of the text so far.
    said: u64,
}

/// Where the text of a block goes.
enum Open {
    /// The text, and how many characters of it stand before the block.
    Text(u64),
    Field(&'static str),
    Call(u64),
}

impl Writer {
    /// `include_usage` says that the client asked for the usage.
    pub(crate) fn new(include_usage: bool, now: u64) -> Self {
        let (id, model) = (String::new(), String::new());
        Self { include_usage, now, id, model, created: now, blocks: BTreeMap::new(), calls: 0, said: 0 }
    }

    fn chunk(&self, choices: Vec<Json<'static>>, usage: Json<'static>) -> String {
        let chunk = Json::present([
            ("id", Some(Json::text(self.id.clone()))),
            ("object", Some(Json::text("chat.completion.chunk"))),
            ("created", Some(Json::number(self.created))),
            ("model", Some(Json::text(self.model.clone()))),
            ("choices", Some(Json::Array(choices))),
            ("usage", self.include_usage.then_some(usage)),
        ]);
        sse::write("", &chunk.to_string())
    }

    fn delta(&self, delta: Json<'static>, logprobs: Option<Json<'static>>, reason: Option<&'static str>) -> String {
        let logprobs = logprobs.map(|content| Json::object([("content", content), ("refusal", Json::Null)]));
        let choice = Json::object([
            ("index", Json::number(0)),
            ("delta", delta),
            ("logprobs", logprobs.unwrap_or(Json::Null)),
            ("finish_reason", reason.map_or(Json::Null, Json::text)),
        ]);
        self.chunk(vec![choice], Json::Null)
    }
}

impl StreamWriter for Writer {
    fn piece(&mut self, piece: Piece, written: &mut String) {
        match piece {
            Piece::Start { id, model, created } => {
                self.id = renamed(&id, "chatcmpl-");
                self.model = model;
                self.created = created.unwrap_or(self.now);
                let delta = Json::object([("role", Json::text("assistant")), ("content", Json::text(""))]);
                written.push_str(&self.delta(delta, None, None));
            }
            Piece::Open { block, kind } => {
                let open = match kind {
                    Block::Text => Open::Text(self.said),
                    Block::Refusal => Open::Field("refusal"),
                    Block::Thought => Open::Field("reasoning_content"),
                    Block::Call { id, name } => {
                        let index = self.calls;
                        self.calls += 1;
                        let function = Json::object([("name", Json::text(name)), ("arguments", Json::text(""))]);
                        let call = Json::object([
                            ("index", Json::number(index)),
                            ("id", Json::text(id)),
                            ("type", Json::text("function")),
                            ("function", function),
                        ]);
                        let delta = Json::object([("tool_calls", Json::Array(vec![call]))]);
                        written.push_str(&self.delta(delta, None, None));
                        Open::Call(index)
                    }
                };
                self.blocks.insert(block, open);
            }
            Piece::More { block, text, logprobs } => {
                let delta = match self.blocks.get(&block) {
                    Some(Open::Text(_)) => {
                        self.said += characters(&text);
                        Json::object([("content", Json::text(text))])
                    }
                    Some(Open::Field(name)) => Json::object([(name, Json::text(text))]),
                    Some(Open::Call(index)) => {
                        let function = Json::object([("arguments", Json::text(text))]);
                        let call = Json::object([("index", Json::number(*index)), ("function", function)]);
                        Json::object([("tool_calls", Json::Array(vec![call]))])
                    }
                    None => return,
                };
                written.push_str(&self.delta(delta, logprobs, None));
            }
            Piece::Cite { block, citation } => {
                if let Some(Open::Text(before)) = self.blocks.get(&block) {
                    let citation = citation.within(self.said - before).behind(*before).chat();
                    let delta = Json::object([("annotations", Json::Array(vec![citation]))]);
                    written.push_str(&self.delta(delta, None, None));
                }
            }
            Piece::Close { block } => {
                self.blocks.remove(&block);
            }
            // The dialect has no place for it.
            Piece::Seal { .. } => {}
        }
    }

    fn finish(&mut self, finish: Finish, usage: Option<Usage>, written: &mut String) {
        written.push_str(&self.delta(Json::Object(Vec::new()), None, Some(finish.chat())));
        if let Some(usage) = usage.filter(|_| self.include_usage) {
            written.push_str(&self.chunk(Vec::new(), usage.to_json(Dialect::Chat)));
        }
        written.push_str(&sse::write("", "[DONE]"));
    }

    fn fail(&mut self, error: &ApiError, written: &mut String) {
        written.push_str(&error.event(Dialect::Chat, 0));
    }
}
