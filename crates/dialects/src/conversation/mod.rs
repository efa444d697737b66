//! What all three dialects say, in no dialect: requests, replies and the pieces of streams.
//!
//! Each dialect has a reader and a writer for each of the three. A translation reads with one dialect and writes with
//! another.

mod citation;
mod reply;
mod request;
mod settings;
mod stream;

pub(crate) use citation::{Citation, characters};
pub(crate) use reply::{Finish, Output, Reply, Seal, SealKind, renamed};
pub(crate) use request::{
    Choice, Conversation, Feature, Format, Image, Item, Part, Role, Thinking, Tool, empty_schema,
};
pub(crate) use settings::{Setting, Settings};
pub(crate) use stream::{Block, Piece, StreamReader, StreamWriter};

use crate::json::FieldError;

/// What a reader or a writer returns.
pub(crate) type Outcome<T> = Result<T, FieldError>;

/// How a writer writes a request.
pub(crate) struct Target<'t> {
    /// The model's name at the provider.
    pub(crate) model: &'t str,
    /// The largest answer where the dialect needs one and the client gave none.
    pub(crate) max_output_tokens: Option<u64>,
    /// Whether the provider knows `max_tokens` only (Chat).
    pub(crate) legacy_max_tokens: bool,
}
