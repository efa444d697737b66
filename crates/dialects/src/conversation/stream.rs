//! The pieces of a streamed response.

use super::{Citation, Finish, Outcome, Seal};
use crate::errors::ApiError;
use crate::json::Json;
use crate::usage::Usage;

/// A piece of a stream. Blocks are numbered as they open; several can be open at a time.
pub(crate) enum Piece {
    Start {
        id: String,
        model: String,
        created: Option<u64>,
    },
    Open {
        block: usize,
        kind: Block,
    },
    /// More of a text, a refusal, a thought, or a call's arguments.
    More {
        block: usize,
        text: String,
        logprobs: Option<Json<'static>>,
    },
    Seal {
        block: usize,
        seal: Seal,
    },
    /// A source of the block's text, whose places are in that text.
    Cite {
        block: usize,
        citation: Citation,
    },
    Close {
        block: usize,
    },
}

/// What a block holds.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Block {
    Text,
    Refusal,
    Thought,
    Call { id: String, name: String },
}

/// Reads the events of a stream.
pub(crate) trait StreamReader {
    /// Reads an event's data.
    fn event(&mut self, data: &Json<'_>, pieces: &mut Vec<Piece>) -> Outcome<()>;

    /// The stream ended properly: what was open is closed, and why the model stopped.
    fn finish(&mut self, pieces: &mut Vec<Piece>) -> Finish;
}

/// Writes the events of a stream.
pub(crate) trait StreamWriter {
    /// Writes a piece.
    fn piece(&mut self, piece: Piece, written: &mut String);

    /// Writes the proper end.
    fn finish(&mut self, finish: Finish, usage: Option<Usage>, written: &mut String);

    /// Writes that the stream failed.
    fn fail(&mut self, error: &ApiError, written: &mut String);
}
