//! Reads a stream of Messages.

use super::reply::finish;
use crate::conversation::{Block, Citation, Finish, Outcome, Piece, Seal, SealKind, StreamReader, characters};
use crate::json::{FieldError, Json};
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Reader {
    blocks: usize,
    open: BTreeMap<u64, Open>,
    finish: Option<Finish>,
}

/// An open block; for a call, the arguments to give if none come.
struct Open {
    block: usize,
    otherwise: Option<String>,
    /// The characters so far, and the sources: they are of the whole block, whose end is not known before it comes.
    said: u64,
    sources: Vec<Citation>,
}

impl StreamReader for Reader {
    fn event(&mut self, data: &Json<'_>, pieces: &mut Vec<Piece>) -> Outcome<()> {
        let index = data.get("index").and_then(Json::as_u64).unwrap_or(0);
        match data.str_at("type").unwrap_or_default() {
            "message_start" => {
                let message = data.get("message").unwrap_or(&Json::Null);
                let text = |name: &str| message.str_at(name).unwrap_or_default().to_owned();
                pieces.push(Piece::Start { id: text("id"), model: text("model"), created: None });
            }
            "content_block_start" => self.begin(index, data.get("content_block").unwrap_or(&Json::Null), pieces)?,
            "content_block_delta" => self.more(index, data.get("delta").unwrap_or(&Json::Null), pieces)?,
            "content_block_stop" => {
                if let Some(open) = self.open.remove(&index) {
                    open.close(pieces);
                }
            }
            "message_delta" => {
                let delta = data.get("delta").unwrap_or(&Json::Null);
                if let Some(reason) = delta.str_at("stop_reason") {
                    self.finish = Some(finish(reason, delta.str_at("stop_sequence"))?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, pieces: &mut Vec<Piece>) -> Finish {
        std::mem::take(&mut self.open).into_values().for_each(|open| open.close(pieces));
        self.finish.take().unwrap_or(Finish::Stop)
    }
}

impl Open {
    fn cite(&mut self, source: &Json<'_>, index: u64) -> Outcome<()> {
        let at = format!("content[{index}].citations[{}]", self.sources.len());
        self.sources.push(Citation::read_result(source, 0, &at)?);
        Ok(())
    }

    fn close(self, pieces: &mut Vec<Piece>) {
        if let Some(text) = self.otherwise {
            pieces.push(Piece::More { block: self.block, text, logprobs: None });
        }
        let cite = |citation| Piece::Cite { block: self.block, citation: Citation { end: self.said, ..citation } };
        pieces.extend(self.sources.into_iter().map(cite));
        pieces.push(Piece::Close { block: self.block });
    }
}

impl Reader {
    fn begin(&mut self, index: u64, content: &Json<'_>, pieces: &mut Vec<Piece>) -> Outcome<()> {
        let need = |name: &str| {
            let missing = || FieldError::Missing { path: format!("content[{index}].{name}") };
            content.str_at(name).map(str::to_owned).ok_or_else(missing)
        };
        let (kind, text, otherwise) = match content.str_at("type") {
            Some("text") => (Block::Text, content.str_at("text"), None),
            Some("thinking") => (Block::Thought, content.str_at("thinking"), None),
            Some("redacted_thinking") => (Block::Thought, None, None),
            Some("tool_use") => {
                let input = content.get("input").map_or_else(|| "{}".to_owned(), Json::to_string);
                (Block::Call { id: need("id")?, name: need("name")? }, None, Some(input))
            }
            _ => {
                let why = "the provider answered with a block that has no counterpart in the client's dialect";
                return Err(FieldError::Refused { path: format!("content[{index}]"), why });
            }
        };
        let block = self.blocks;
        self.blocks += 1;
        let text = text.unwrap_or_default();
        let mut open = Open { block, otherwise, said: characters(text), sources: Vec::new() };
        for source in content.get("citations").map(Json::elements).unwrap_or_default() {
            open.cite(source, index)?;
        }
        self.open.insert(index, open);
        pieces.push(Piece::Open { block, kind });
        if !text.is_empty() {
            pieces.push(Piece::More { block, text: text.to_owned(), logprobs: None });
        }
        if let Some(value) = content.str_at("data").map(str::to_owned) {
            pieces.push(Piece::Seal { block, seal: Seal { kind: SealKind::Redacted, value } });
        }
        Ok(())
    }

    fn more(&mut self, index: u64, delta: &Json<'_>, pieces: &mut Vec<Piece>) -> Outcome<()> {
        let Some(open) = self.open.get_mut(&index) else { return Ok(()) };
        let name = match delta.str_at("type") {
            Some("text_delta") => "text",
            Some("thinking_delta") => "thinking",
            Some("input_json_delta") => "partial_json",
            Some("signature_delta") => {
                let seal = delta.str_at("signature").and_then(|seal| Seal::read(SealKind::Signature, seal));
                pieces.extend(seal.map(|seal| Piece::Seal { block: open.block, seal }));
                return Ok(());
            }
            Some("citations_delta") => return open.cite(delta.get("citation").unwrap_or(&Json::Null), index),
            _ => return Ok(()),
        };
        if let Some(text) = delta.str_at(name).filter(|text| !text.is_empty()) {
            open.otherwise = None;
            open.said += characters(text);
            pieces.push(Piece::More { block: open.block, text: text.to_owned(), logprobs: None });
        }
        Ok(())
    }
}
