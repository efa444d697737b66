//! Reads a stream of Chat Completions.

use super::reply::finish;
use crate::conversation::{Block, Citation, Finish, Outcome, Piece, StreamReader, characters};
use crate::json::{FieldError, Json, parse};

/// Text, refusals and thoughts are blocks as long as nothing else comes. A call is a block of its own; it is closed when
/// another begins and its arguments are complete, so that calls that providers interleave stay whole.
#[derive(Default)]
pub(crate) struct Reader {
    started: bool,
    blocks: usize,
    /// The block that is open and is no call.
    open: Option<(usize, Block)>,
    /// The characters of the text so far, and those before the open block.
    said: u64,
    before: u64,
    calls: Vec<Call>,
    finish: Option<Finish>,
}

struct Call {
    index: u64,
    block: usize,
    arguments: String,
    closed: bool,
}

impl StreamReader for Reader {
    fn event(&mut self, data: &Json<'_>, pieces: &mut Vec<Piece>) -> Outcome<()> {
        if !self.started {
            self.started = true;
            let text = |name: &str| data.str_at(name).unwrap_or_default().to_owned();
            let created = data.get("created").and_then(Json::as_u64);
            pieces.push(Piece::Start { id: text("id"), model: text("model"), created });
        }
        let choices = data.get("choices").map(Json::elements).unwrap_or_default();
        let first = |choice: &&Json<'_>| choice.get("index").and_then(Json::as_u64).unwrap_or(0) == 0;
        for choice in choices.iter().filter(first) {
            if let Some(delta) = choice.get("delta") {
                self.delta(delta, choice, pieces)?;
            }
            if let Some(reason) = choice.str_at("finish_reason") {
                self.finish = Some(finish(reason));
            }
        }
        Ok(())
    }

    fn finish(&mut self, pieces: &mut Vec<Piece>) -> Finish {
        self.close_text(pieces);
        for call in self.calls.iter_mut().filter(|call| !call.closed) {
            if call.arguments.is_empty() {
                pieces.push(Piece::More { block: call.block, text: "{}".to_owned(), logprobs: None });
            }
            pieces.push(Piece::Close { block: call.block });
            call.closed = true;
        }
        self.finish.take().unwrap_or(Finish::Stop)
    }
}

impl Reader {
    fn delta(&mut self, delta: &Json<'_>, choice: &Json<'_>, pieces: &mut Vec<Piece>) -> Outcome<()> {
        let more = |name: &str| delta.str_at(name).filter(|text| !text.is_empty());
        if let Some(text) = more("reasoning_content").or_else(|| more("reasoning")) {
            self.text(Block::Thought, text, None, pieces);
        }
        if let Some(text) = more("content") {
            let logprobs = choice.get("logprobs").and_then(|all| all.get("content")).cloned().map(Json::into_owned);
            self.text(Block::Text, text, logprobs, pieces);
        }
        if let Some(text) = more("refusal") {
            self.text(Block::Refusal, text, None, pieces);
        }
        for citation in Citation::read_all(delta.get("annotations"), "choices[0].delta.annotations")? {
            let block = self.block(Block::Text, pieces);
            pieces.push(Piece::Cite { block, citation: citation.from(self.before) });
        }
        for (at, call) in delta.get("tool_calls").map(Json::elements).unwrap_or_default().iter().enumerate() {
            self.call(at, call, pieces)?;
        }
        Ok(())
    }

    fn next(&mut self) -> usize {
        self.blocks += 1;
        self.blocks - 1
    }

    fn close_text(&mut self, pieces: &mut Vec<Piece>) {
        if let Some((block, _)) = self.open.take() {
            pieces.push(Piece::Close { block });
        }
    }

    /// The open block of this kind.
    fn block(&mut self, kind: Block, pieces: &mut Vec<Piece>) -> usize {
        match &self.open {
            Some((block, open)) if *open == kind => *block,
            _ => {
                self.close_text(pieces);
                let block = self.next();
                self.before = self.said;
                pieces.push(Piece::Open { block, kind: kind.clone() });
                self.open = Some((block, kind));
                block
            }
        }
    }

    fn text(&mut self, kind: Block, text: &str, logprobs: Option<Json<'static>>, pieces: &mut Vec<Piece>) {
        let counted = if kind == Block::Text { characters(text) } else { 0 };
        let block = self.block(kind, pieces);
        self.said += counted;
        pieces.push(Piece::More { block, text: text.to_owned(), logprobs });
    }

    fn call(&mut self, at: usize, call: &Json<'_>, pieces: &mut Vec<Piece>) -> Outcome<()> {
        // Some providers leave the index out, and send each call whole.
        let identifier = call.str_at("id").filter(|id| !id.is_empty());
        let index = call.get("index").and_then(Json::as_u64).unwrap_or_else(|| match identifier {
            Some(_) => self.calls.len() as u64,
            None => self.calls.last().map_or(0, |call| call.index),
        });
        let function = call.get("function");
        let text_at = |name: &str| function.and_then(|function| function.str_at(name)).unwrap_or_default();
        if !self.calls.iter().any(|known| known.index == index) {
            let path = |name: &str| format!("choices[0].delta.tool_calls[{at}].{name}");
            let id = identifier.ok_or_else(|| FieldError::Missing { path: path("id") })?.to_owned();
            if text_at("name").is_empty() {
                return Err(FieldError::Missing { path: path("function.name") });
            }
            self.close_text(pieces);
            for known in self.calls.iter_mut().filter(|call| !call.closed && parse(call.arguments.as_bytes()).is_ok()) {
                known.closed = true;
                pieces.push(Piece::Close { block: known.block });
            }
            let block = self.next();
            pieces.push(Piece::Open { block, kind: Block::Call { id, name: text_at("name").to_owned() } });
            self.calls.push(Call { index, block, arguments: String::new(), closed: false });
        }
        let arguments = text_at("arguments");
        let known = self.calls.iter_mut().find(|known| known.index == index && !arguments.is_empty());
        if let Some(known) = known {
            if known.closed {
                let path = format!("choices[0].delta.tool_calls[{at}].function.arguments");
                return Err(FieldError::Refused { path, why: "the call was complete before" });
            }
            known.arguments.push_str(arguments);
            pieces.push(Piece::More { block: known.block, text: arguments.to_owned(), logprobs: None });
        }
        Ok(())
    }
}
