//! Reads a stream of Responses.

use super::reply::{finish, seal};
use crate::conversation::{Block, Citation, Finish, Outcome, Piece, Seal, StreamReader};
use crate::json::{FieldError, Json};

#[derive(Default)]
pub(crate) struct Reader {
    blocks: usize,
    open: Vec<Open>,
    calls: bool,
    finish: Option<Finish>,
}

/// An open block: its item, the part of the item, and whether any text of it came, and how many of its sources.
struct Open {
    item: u64,
    part: u64,
    block: usize,
    kind: Block,
    any: bool,
    cited: usize,
}

impl StreamReader for Reader {
    fn event(&mut self, data: &Json<'_>, pieces: &mut Vec<Piece>) -> Outcome<()> {
        let number = |name: &str| data.get(name).and_then(Json::as_u64).unwrap_or(0);
        let (item, part) = (number("output_index"), number("content_index"));
        let delta = data.str_at("delta").unwrap_or_default();
        match data.str_at("type").unwrap_or_default() {
            "response.created" => {
                let response = data.get("response").unwrap_or(&Json::Null);
                let text = |name: &str| response.str_at(name).unwrap_or_default().to_owned();
                let created = response.get("created_at").and_then(Json::as_f64).map(|seconds| seconds as u64);
                pieces.push(Piece::Start { id: text("id"), model: text("model"), created });
            }
            "response.output_item.added" => self.added(item, data.get("item").unwrap_or(&Json::Null), pieces)?,
            "response.output_text.delta" => {
                let logprobs = data.get("logprobs").filter(|all| !all.elements().is_empty());
                self.more((item, part), Block::Text, delta, logprobs.cloned().map(Json::into_owned), pieces);
            }
            "response.refusal.delta" => self.more((item, part), Block::Refusal, delta, None, pieces),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.more((item, 0), Block::Thought, delta, None, pieces);
            }
            "response.reasoning_summary_part.added" if number("summary_index") > 0 => {
                self.more((item, 0), Block::Thought, "\n\n", None, pieces);
            }
            "response.function_call_arguments.delta" => self.arguments(item, delta, pieces),
            "response.output_text.annotation.added" => {
                let annotation = data.get("annotation").unwrap_or(&Json::Null);
                self.cite((item, part), std::slice::from_ref(annotation), pieces)?;
            }
            "response.content_part.done" => {
                // A provider can send all sources as a whole.
                let all = data.get("part").and_then(|part| part.get("annotations")).map(Json::elements);
                let place = |open: &&Open| (open.item, open.part) == (item, part) && open.kind == Block::Text;
                let known = self.open.iter().find(place).map_or(0, |open| open.cited);
                self.cite((item, part), all.unwrap_or_default().get(known..).unwrap_or_default(), pieces)?;
            }
            "response.output_item.done" => self.done(item, data.get("item").unwrap_or(&Json::Null), pieces)?,
            "response.completed" | "response.incomplete" => {
                self.finish = Some(finish(data.get("response").unwrap_or(&Json::Null), self.calls)?);
            }
            // The other events repeat what these say.
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, pieces: &mut Vec<Piece>) -> Finish {
        pieces.extend(self.open.drain(..).map(|open| Piece::Close { block: open.block }));
        self.finish.take().unwrap_or(Finish::Stop)
    }
}

impl Reader {
    fn added(&mut self, index: u64, item: &Json<'_>, pieces: &mut Vec<Piece>) -> Outcome<()> {
        match item.str_at("type") {
            Some("message" | "reasoning") => Ok(()),
            Some("function_call") => {
                let need = |name: &str| {
                    let missing = || FieldError::Missing { path: format!("output[{index}].{name}") };
                    item.str_at(name).map(str::to_owned).ok_or_else(missing)
                };
                let kind = Block::Call { id: need("call_id")?, name: need("name")? };
                self.calls = true;
                self.begin(index, 0, kind, pieces);
                Ok(())
            }
            _ => {
                let why = "the provider answered with an item that has no counterpart in the client's dialect";
                Err(FieldError::Refused { path: format!("output[{index}]"), why })
            }
        }
    }

    fn begin(&mut self, item: u64, part: u64, kind: Block, pieces: &mut Vec<Piece>) -> usize {
        let block = self.blocks;
        self.blocks += 1;
        pieces.push(Piece::Open { block, kind: kind.clone() });
        self.open.push(Open { item, part, block, kind, any: false, cited: 0 });
        self.open.len() - 1
    }

    /// The place of the open block of a part.
    fn at(&mut self, (item, part): (u64, u64), kind: Block, pieces: &mut Vec<Piece>) -> usize {
        let known = self.open.iter().position(|open| (open.item, open.part) == (item, part) && open.kind == kind);
        known.unwrap_or_else(|| {
            // A new part of an item ends the one before it.
            self.close(item, pieces);
            self.begin(item, part, kind, pieces)
        })
    }

    fn more(
        &mut self,
        (item, part): (u64, u64),
        kind: Block,
        text: &str,
        logprobs: Option<Json<'static>>,
        pieces: &mut Vec<Piece>,
    ) {
        let at = self.at((item, part), kind, pieces);
        self.open[at].any = true;
        pieces.push(Piece::More { block: self.open[at].block, text: text.to_owned(), logprobs });
    }

    fn cite(&mut self, (item, part): (u64, u64), found: &[Json<'_>], pieces: &mut Vec<Piece>) -> Outcome<()> {
        for annotation in found {
            let at = self.at((item, part), Block::Text, pieces);
            let open = &mut self.open[at];
            let path = format!("output[{item}].content[{part}].annotations[{}]", open.cited);
            open.cited += 1;
            pieces.push(Piece::Cite { block: open.block, citation: Citation::read(annotation, &path)? });
        }
        Ok(())
    }

    fn arguments(&mut self, item: u64, text: &str, pieces: &mut Vec<Piece>) {
        let is_call = |open: &&mut Open| open.item == item && matches!(open.kind, Block::Call { .. });
        if let Some(open) = self.open.iter_mut().find(is_call).filter(|_| !text.is_empty()) {
            open.any = true;
            pieces.push(Piece::More { block: open.block, text: text.to_owned(), logprobs: None });
        }
    }

    fn close(&mut self, item: u64, pieces: &mut Vec<Piece>) {
        self.open.retain(|open| {
            if open.item == item {
                pieces.push(Piece::Close { block: open.block });
            }
            open.item != item
        });
    }

    fn done(&mut self, index: u64, item: &Json<'_>, pieces: &mut Vec<Piece>) -> Outcome<()> {
        let kind = item.str_at("type");
        let known = self.open.iter().any(|open| open.item == index);
        if kind == Some("function_call") {
            if !known {
                self.added(index, item, pieces)?;
            }
            // A provider can send the arguments as a whole.
            if self.open.iter().any(|open| open.item == index && !open.any) {
                let arguments = item.str_at("arguments").filter(|text| !text.is_empty()).unwrap_or("{}").to_owned();
                self.arguments(index, &arguments, pieces);
            }
        }
        if let Some(seal) = seal(item).filter(|_| kind == Some("reasoning")) {
            self.sealed(index, seal, pieces);
        }
        self.close(index, pieces);
        Ok(())
    }

    fn sealed(&mut self, index: u64, seal: Seal, pieces: &mut Vec<Piece>) {
        let known = self.open.iter().position(|open| open.item == index);
        let at = known.unwrap_or_else(|| self.begin(index, 0, Block::Thought, pieces));
        pieces.push(Piece::Seal { block: self.open[at].block, seal });
    }
}
