//! Writes a stream of Messages.

use super::blocks::signature;
use crate::conversation::{Block, Finish, Piece, Seal, SealKind, StreamWriter, renamed};
use crate::dialect::Dialect;
use crate::errors::ApiError;
use crate::json::Json;
use crate::sse;
use crate::usage::Usage;
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Writer {
    open: BTreeMap<usize, Open>,
    /// The index of the next block.
    next: u64,
    refused: bool,
}

enum Open {
    /// A thought whose block begins with its first text or its seal: a thought that is not shown is a block of its own.
    Pending,
    Block {
        index: u64,
        delta: &'static str,
        field: &'static str,
    },
}

fn event<const N: usize>(kind: &'static str, fields: [(&'static str, Json<'static>); N]) -> String {
    let mut data = Json::object([("type", Json::text(kind))]);
    for (name, value) in fields {
        data.set(name, value);
    }
    sse::write(kind, &data.to_string())
}

impl Writer {
    fn begin(&mut self, content: Json<'static>, written: &mut String) -> u64 {
        let index = self.next;
        self.next += 1;
        let fields = [("index", Json::number(index)), ("content_block", content)];
        written.push_str(&event("content_block_start", fields));
        index
    }

    /// Begins a thought that was waiting for its first text.
    fn begin_thought(&mut self, block: usize, written: &mut String) {
        if matches!(self.open.get(&block), Some(Open::Pending)) {
            let content = Json::object([
                ("type", Json::text("thinking")),
                ("thinking", Json::text("")),
                ("signature", Json::text("")),
            ]);
            let index = self.begin(content, written);
            self.open.insert(block, Open::Block { index, delta: "thinking_delta", field: "thinking" });
        }
    }

    fn seal(&mut self, block: usize, seal: &Seal, written: &mut String) {
        if let (SealKind::Redacted, Some(Open::Pending)) = (seal.kind, self.open.get(&block)) {
            let data = Json::text(seal.value.clone());
            let index = self.begin(Json::object([("type", Json::text("redacted_thinking")), ("data", data)]), written);
            self.open.insert(block, Open::Block { index, delta: "", field: "" });
            return;
        }
        self.begin_thought(block, written);
        if let Some(Open::Block { index, delta: "thinking_delta", .. }) = self.open.get(&block) {
            let signature = Json::text(signature(Some(seal)));
            let delta = Json::object([("type", Json::text("signature_delta")), ("signature", signature)]);
            written.push_str(&event("content_block_delta", [("index", Json::number(*index)), ("delta", delta)]));
        }
    }
}

impl StreamWriter for Writer {
    fn piece(&mut self, piece: Piece, written: &mut String) {
        match piece {
            Piece::Start { id, model, .. } => {
                let message = Json::object([
                    ("id", Json::text(renamed(&id, "msg_"))),
                    ("type", Json::text("message")),
                    ("role", Json::text("assistant")),
                    ("model", Json::text(model)),
                    ("content", Json::Array(Vec::new())),
                    ("stop_reason", Json::Null),
                    ("stop_sequence", Json::Null),
                    ("stop_details", Json::Null),
                    ("container", Json::Null),
                    // Other dialects say at the end what was used; so does `message_delta`.
                    ("usage", Usage::default().to_json(Dialect::Messages)),
                ]);
                written.push_str(&event("message_start", [("message", message)]));
            }
            Piece::Open { block, kind } => {
                let (content, delta, field) = match kind {
                    Block::Thought => {
                        self.open.insert(block, Open::Pending);
                        return;
                    }
                    Block::Text | Block::Refusal => {
                        self.refused |= kind == Block::Refusal;
                        (super::blocks::said("", &[]), "text_delta", "text")
                    }
                    Block::Call { id, name } => {
                        let content = Json::object([
                            ("type", Json::text("tool_use")),
                            ("id", Json::text(id)),
                            ("name", Json::text(name)),
                            ("input", Json::Object(Vec::new())),
                            ("caller", super::blocks::direct()),
                        ]);
                        (content, "input_json_delta", "partial_json")
                    }
                };
                let index = self.begin(content, written);
                self.open.insert(block, Open::Block { index, delta, field });
            }
            Piece::More { block, text, .. } => {
                self.begin_thought(block, written);
                if let Some(Open::Block { index, delta, field }) = self.open.get(&block) {
                    let delta = Json::object([("type", Json::text(*delta)), (*field, Json::text(text))]);
                    let fields = [("index", Json::number(*index)), ("delta", delta)];
                    written.push_str(&event("content_block_delta", fields));
                }
            }
            // A citation is of its whole block here.
            Piece::Cite { block, citation } => {
                if let Some(Open::Block { index, delta: "text_delta", .. }) = self.open.get(&block) {
                    let delta = [("type", Json::text("citations_delta")), ("citation", citation.messages())];
                    let fields = [("index", Json::number(*index)), ("delta", Json::object(delta))];
                    written.push_str(&event("content_block_delta", fields));
                }
            }
            Piece::Seal { block, seal } => self.seal(block, &seal, written),
            Piece::Close { block } => {
                if let Some(Open::Block { index, .. }) = self.open.remove(&block) {
                    written.push_str(&event("content_block_stop", [("index", Json::number(index))]));
                }
            }
        }
    }

    fn finish(&mut self, finish: Finish, usage: Option<Usage>, written: &mut String) {
        let finish = if self.refused { Finish::Filter } else { finish };
        let (reason, sequence) = finish.messages();
        let delta = Json::object([
            ("stop_reason", Json::text(reason)),
            ("stop_sequence", sequence),
            ("stop_details", Json::Null),
            ("container", Json::Null),
        ]);
        let usage = usage.unwrap_or_default().to_delta();
        written.push_str(&event("message_delta", [("delta", delta), ("usage", usage)]));
        written.push_str(&event("message_stop", []));
    }

    fn fail(&mut self, error: &ApiError, written: &mut String) {
        written.push_str(&error.event(Dialect::Messages, 0));
    }
}
