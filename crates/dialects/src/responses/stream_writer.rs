//! Writes a stream of Responses.

use super::items::{CallItem, call, item, item_id, message, prefix, refusal_part, text_part, thought};
use super::reply::Head;
use crate::conversation::{Block, Citation, Finish, Output, Piece, StreamWriter, characters, renamed};
use crate::errors::ApiError;
use crate::json::Json;
use crate::sse;
use crate::usage::Usage;
use std::collections::BTreeMap;

pub(crate) struct Writer {
    echo: Json<'static>,
    now: u64,
    number: u64,
    id: String,
    model: String,
    created: u64,
    open: BTreeMap<usize, Item>,
    /// Finished items, at their places.
    done: BTreeMap<usize, Json<'static>>,
    items: usize,
}

/// An item that is being written.
struct Item {
    id: String,
    place: usize,
    output: Output,
}

impl Writer {
    /// `echo` is what the response repeats of the request.
    pub(crate) fn new(echo: Json<'static>, now: u64) -> Self {
        let (id, model) = ("resp_0".to_owned(), String::new());
        Self { echo, now, number: 0, id, model, created: now, open: BTreeMap::new(), done: BTreeMap::new(), items: 0 }
    }

    fn head(&self) -> Head<'_> {
        Head { id: &self.id, model: &self.model, created: self.created, echo: &self.echo }
    }

    fn event<const N: usize>(&mut self, kind: &'static str, fields: [(&'static str, Json<'static>); N]) -> String {
        let mut data = Json::object([("type", Json::text(kind)), ("sequence_number", Json::number(self.number))]);
        for (name, value) in fields {
            data.set(name, value);
        }
        self.number += 1;
        sse::write(kind, &data.to_string())
    }

    fn begin(&mut self, block: usize, kind: Block, written: &mut String) {
        let output = match kind {
            Block::Text => Output::Text { text: String::new(), logprobs: None, citations: Vec::new() },
            Block::Refusal => Output::Refusal(String::new()),
            Block::Thought => Output::Thought { text: String::new(), seal: None },
            Block::Call { id, name } => Output::Call { id, name, arguments: String::new() },
        };
        let place = self.items;
        self.items += 1;
        let id = item_id(prefix(&output), &self.id, place);
        let (index, item_id) = (Json::number(place as u64), Json::text(id.clone()));
        let empty = match &output {
            Output::Text { .. } | Output::Refusal(_) => message(&id, Vec::new(), "in_progress"),
            Output::Thought { .. } => thought(&id, "", None),
            Output::Call { id: call_id, name, .. } => {
                call(&CallItem { id: &id, call_id, name, arguments: "", status: "in_progress" })
            }
        };
        written.push_str(&self.event("response.output_item.added", [("output_index", index.clone()), ("item", empty)]));
        let (kind, name, part) = match &output {
            Output::Text { .. } => ("response.content_part.added", "content_index", text_part("", None, &[])),
            Output::Refusal(_) => ("response.content_part.added", "content_index", refusal_part("")),
            Output::Thought { .. } => ("response.reasoning_summary_part.added", "summary_index", summary("")),
            Output::Call { .. } => {
                self.open.insert(block, Item { id, place, output });
                return;
            }
        };
        let fields = [("item_id", item_id), ("output_index", index), (name, Json::number(0)), ("part", part)];
        written.push_str(&self.event(kind, fields));
        self.open.insert(block, Item { id, place, output });
    }

    fn more(&mut self, block: usize, more: String, found: Option<Json<'static>>, written: &mut String) {
        let Some(item) = self.open.get_mut(&block) else { return };
        let place = [("item_id", Json::text(item.id.clone())), ("output_index", Json::number(item.place as u64))];
        let [id, index] = place;
        match &mut item.output {
            Output::Text { text, logprobs, .. } => {
                text.push_str(&more);
                let found = found.unwrap_or(Json::Array(Vec::new()));
                if !found.elements().is_empty() {
                    let mut all = logprobs.take().map(|all| all.elements().to_vec()).unwrap_or_default();
                    all.extend(found.elements().iter().cloned());
                    *logprobs = Some(Json::Array(all));
                }
                let part = ("content_index", Json::number(0));
                let fields = [id, index, part, ("delta", Json::text(more)), ("logprobs", found)];
                written.push_str(&self.event("response.output_text.delta", fields));
            }
            Output::Refusal(text) => {
                text.push_str(&more);
                let fields = [id, index, ("content_index", Json::number(0)), ("delta", Json::text(more))];
                written.push_str(&self.event("response.refusal.delta", fields));
            }
            Output::Thought { text, .. } => {
                text.push_str(&more);
                let fields = [id, index, ("summary_index", Json::number(0)), ("delta", Json::text(more))];
                written.push_str(&self.event("response.reasoning_summary_text.delta", fields));
            }
            Output::Call { arguments, .. } => {
                arguments.push_str(&more);
                let fields = [id, index, ("delta", Json::text(more))];
                written.push_str(&self.event("response.function_call_arguments.delta", fields));
            }
        }
    }

    fn cite(&mut self, block: usize, citation: Citation, written: &mut String) {
        let Some(Item { id, place, output }) = self.open.get_mut(&block) else { return };
        let Output::Text { text, citations, .. } = output else { return };
        let citation = citation.within(characters(text));
        let annotation = citation.responses();
        let fields = [
            ("item_id", Json::text(id.clone())),
            ("output_index", Json::number(*place as u64)),
            ("content_index", Json::number(0)),
            ("annotation_index", Json::number(citations.len() as u64)),
            ("annotation", annotation),
        ];
        citations.push(citation);
        written.push_str(&self.event("response.output_text.annotation.added", fields));
    }

    fn close(&mut self, block: usize, status: &'static str, written: &mut String) {
        let Some(Item { id, place, output }) = self.open.remove(&block) else { return };
        let at = || [("item_id", Json::text(id.clone())), ("output_index", Json::number(place as u64))];
        let [item_at, index] = at();
        let part_at = |name: &'static str| (name, Json::number(0));
        let (kind, name, part) = match &output {
            Output::Text { text, logprobs, citations } => {
                let all = logprobs.clone().unwrap_or(Json::Array(Vec::new()));
                let said = ("text", Json::text(text.clone()));
                let fields = [item_at, index, part_at("content_index"), said, ("logprobs", all)];
                written.push_str(&self.event("response.output_text.done", fields));
                ("response.content_part.done", "content_index", text_part(text, logprobs.clone(), citations))
            }
            Output::Refusal(text) => {
                let fields = [item_at, index, part_at("content_index"), ("refusal", Json::text(text.clone()))];
                written.push_str(&self.event("response.refusal.done", fields));
                ("response.content_part.done", "content_index", refusal_part(text))
            }
            Output::Thought { text, .. } => {
                let fields = [item_at, index, part_at("summary_index"), ("text", Json::text(text.clone()))];
                written.push_str(&self.event("response.reasoning_summary_text.done", fields));
                ("response.reasoning_summary_part.done", "summary_index", summary(text))
            }
            Output::Call { name, arguments, .. } => {
                let said = [("name", Json::text(name.clone())), ("arguments", Json::text(arguments.clone()))];
                let [name, arguments] = said;
                let fields = [item_at, index, name, arguments];
                written.push_str(&self.event("response.function_call_arguments.done", fields));
                ("", "", Json::Null)
            }
        };
        if !kind.is_empty() {
            let [item_at, index] = at();
            written.push_str(&self.event(kind, [item_at, index, part_at(name), ("part", part)]));
        }
        let finished = item(&output, &id, status);
        let fields = [("output_index", Json::number(place as u64)), ("item", finished.clone())];
        written.push_str(&self.event("response.output_item.done", fields));
        self.done.insert(place, finished);
    }
}

fn summary(text: &str) -> Json<'static> {
    Json::object([("type", Json::text("summary_text")), ("text", Json::text(text.to_owned()))])
}

impl StreamWriter for Writer {
    fn piece(&mut self, piece: Piece, written: &mut String) {
        match piece {
            Piece::Start { id, model, created } => {
                self.id = renamed(&id, "resp_");
                self.model = model;
                self.created = created.unwrap_or(self.now);
                for kind in ["response.created", "response.in_progress"] {
                    let response = self.head().open("in_progress");
                    written.push_str(&self.event(kind, [("response", response)]));
                }
            }
            Piece::Open { block, kind } => self.begin(block, kind, written),
            Piece::More { block, text, logprobs } => self.more(block, text, logprobs, written),
            Piece::Cite { block, citation } => self.cite(block, citation, written),
            Piece::Seal { block, seal: new } => {
                if let Some(Item { output: Output::Thought { seal, .. }, .. }) = self.open.get_mut(&block) {
                    *seal = Some(new);
                }
            }
            Piece::Close { block } => self.close(block, "completed", written),
        }
    }

    fn finish(&mut self, finish: Finish, usage: Option<Usage>, written: &mut String) {
        let items = std::mem::take(&mut self.done).into_values().collect();
        let response = self.head().finished(&finish, items, usage, self.now);
        let complete = !matches!(finish, Finish::Length | Finish::Filter);
        let kind = if complete { "response.completed" } else { "response.incomplete" };
        written.push_str(&self.event(kind, [("response", response)]));
    }

    fn fail(&mut self, error: &ApiError, written: &mut String) {
        let mut response = self.head().open("failed");
        let code = error.response_code();
        let said = [("code", Json::text(code)), ("message", Json::text(error.message.clone()))];
        response.set("error", Json::object(said));
        response.set("output", Json::Array(std::mem::take(&mut self.done).into_values().collect()));
        written.push_str(&self.event("response.failed", [("response", response)]));
    }
}
