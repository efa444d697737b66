//! Turning a prompt into the encoder's tokens, which is the client's first step.
//!
//! The tokenizer is BERT's, as published with the encoder (`tokenizer.json`): text is normalised, split into words at
//! blanks and punctuation, and each word is split into WordPieces. `[CLS]` is put before and `[SEP]` after them.
//! Prompts are truncated to [`MAX_TOKENS`] tokens, and [`Tokens::truncated`] says so. The [`Window`] says which tokens
//! are kept.
//!
//! # Long prompts
//!
//! No fixed number of characters is certain to hold the first 256 tokens: a megabyte of blanks holds none. So a prefix
//! is tokenised, and its length is doubled until it determines the result. Text after a prefix can change the last word
//! of the prefix. If the prefix ends inside a special token such as `[MASK]`, it can also change as many words before
//! that as the token has characters. All words before these are final, because the later steps treat each word alone,
//! and the earlier steps look only at neighbouring characters. So the result is exactly that of the whole prompt, and
//! the work is at most twice that for the shortest prefix that determines it.
//!
//! The last tokens of a prompt are found in the same way, from a suffix that begins at a blank. Every blank ends a word,
//! and no special token reaches across it (the published ones are ASCII without blanks; with others the whole prompt is
//! tokenised). So the tokens from a blank on do not depend on the text before it.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use crate::lexical::{Lexical, TokenKinds};

mod minimise;
mod pair;
mod published;
#[cfg(test)]
pub(crate) mod tests;
mod unknown;
mod window;

pub(crate) use minimise::minimised;
pub use unknown::Unknown;
pub use window::Window;

/// The most tokens of a prompt, with `[CLS]` and `[SEP]`.
pub const MAX_TOKENS: usize = 256;
/// The sizes to which prompts are padded. A server learns only this about the length of a prompt.
pub const BUCKETS: [usize; 4] = [32, 64, 128, MAX_TOKENS];
/// The largest prompt that is accepted, 4 MiB. Larger ones are refused before any work.
pub const MAX_PROMPT_BYTES: usize = 4 << 20;

/// Long enough that nearly every prompt is tokenised only once and its tokens are counted exactly.
const FIRST_BYTES: usize = 1 << 15;

/// Why a prompt cannot be tokenised. No variant holds any part of the prompt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The prompt has no tokens.
    #[error("the prompt is empty or blank: write the text that should be routed")]
    Blank,
    /// The prompt is larger than [`MAX_PROMPT_BYTES`].
    #[error(
        "the prompt has {bytes} bytes, more than {MAX_PROMPT_BYTES}: give a shorter text (only {MAX_TOKENS} tokens are read)"
    )]
    TooLarge {
        /// The length of the prompt.
        bytes: usize,
    },
    /// The tokenizer's file cannot be used.
    #[error("the tokenizer cannot be used: {0}; give the tokenizer.json that was published with a BERT encoder")]
    Unusable(String),
    /// The tokenizer failed.
    #[error("the prompt could not be tokenised: {0}; please report this")]
    Failed(String),
}

/// The bucket of a prompt with this many tokens, or `None` if there are more than [`MAX_TOKENS`].
///
/// ```
/// use blindroute_routing::tokenizer::bucket;
///
/// assert_eq!(bucket(33), Some(64));
/// assert_eq!(bucket(257), None);
/// ```
pub fn bucket(tokens: usize) -> Option<usize> {
    BUCKETS.into_iter().find(|bucket| tokens <= *bucket)
}

/// The tokens of a prompt. `Debug` shows only their number.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    /// `[CLS]`, at most 254 tokens of the prompt, `[SEP]`.
    pub ids: Vec<u32>,
    /// Set if the prompt had more tokens and was truncated.
    pub truncated: Option<Truncated>,
    /// How much of the text that was read is not in the vocabulary.
    pub unknown: Unknown,
}

impl Tokens {
    /// The size to which they are padded.
    pub fn bucket(&self) -> usize {
        bucket(self.ids.len()).unwrap_or(MAX_TOKENS)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Tokens({}, truncated: {:?})", self.ids.len(), self.truncated)
    }
}

/// The length of a prompt that was truncated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated {
    /// The number of its tokens, with `[CLS]` and `[SEP]`, as far as they were counted.
    pub tokens: usize,
    /// Whether all tokens were counted.
    pub exact: bool,
    /// Which tokens were read.
    pub window: Window,
}

impl fmt::Display for Truncated {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.exact { "" } else { "more than " };
        write!(out, "only the {} of {more}{} tokens were read", self.window.kept(), self.tokens)
    }
}

/// BERT's tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    window: Window,
    cls: u32,
    sep: u32,
    /// The token for words that cannot be built from the vocabulary.
    unknown: Option<u32>,
    /// How many words before the end of a prefix may change with the text that follows it.
    open_words: u32,
    /// Whether no special token reaches across a blank.
    splits_at_blanks: bool,
    /// Made when lexical features are first asked for.
    kinds: OnceLock<TokenKinds>,
}

/// Text, and its tokens without `[CLS]` and `[SEP]`.
struct Piece<'a> {
    text: &'a str,
    encoding: tokenizers::Encoding,
    /// How many of the tokens are certain to be those of the whole prompt.
    decided: usize,
    whole: bool,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Tokenizer({} tokens, {:?})", self.vocabulary(), self.window)
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json`. Its own truncation and padding are ignored; `window` is that of the bundle's
    /// [`EncoderConfig`](crate::bundle::EncoderConfig).
    pub fn from_json(json: &[u8], window: Window) -> Result<Self, TokenizerError> {
        let unusable = |reason: String| TokenizerError::Unusable(reason);
        // Truncation is exact only for these kinds of parts.
        let value = published::understood(json)?;
        let json = serde_json::to_vec(&value).map_err(|error| unusable(error.to_string()))?;
        let mut inner = tokenizers::Tokenizer::from_bytes(json).map_err(|error| unusable(error.to_string()))?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| unusable(error.to_string()))?;
        let id = |token| inner.token_to_id(token).ok_or_else(|| unusable(format!("it has no token {token}")));
        let (cls, sep) = (id("[CLS]")?, id("[SEP]")?);
        let unknown = inner.token_to_id(value["model"]["unk_token"].as_str().unwrap_or("[UNK]"));
        let added = inner.get_added_tokens_decoder();
        let longest = added.values().map(|token| token.content.chars().count()).max();
        let open_words = 1 + u32::try_from(longest.unwrap_or(0)).unwrap_or(u32::MAX - 1);
        let splits_at_blanks = added.values().all(|token| token.content.bytes().all(|byte| byte.is_ascii_graphic()));
        Ok(Self { inner, window, cls, sep, unknown, open_words, splits_at_blanks, kinds: OnceLock::new() })
    }

    /// The number of token ids. Every id that [`Self::encode`] returns is below it.
    pub fn vocabulary(&self) -> usize {
        self.inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1)
    }

    /// Which tokens of a long prompt are kept.
    pub fn window(&self) -> Window {
        self.window
    }

    /// The lexical features of a prompt's token ids, [`Lexical::width`] numbers. `[CLS]` and `[SEP]` do not count.
    pub fn lexical(&self, ids: &[u32], settings: Lexical) -> Vec<f32> {
        let kinds = self.kinds.get_or_init(|| TokenKinds::of(self.inner.get_vocab(true).iter()));
        let ids: Vec<u32> = ids.iter().copied().filter(|id| ![self.cls, self.sep].contains(id)).collect();
        kinds.features(&ids, settings)
    }

    /// The token with the largest id, if that is not below `rows`.
    pub(crate) fn beyond(&self, rows: usize) -> Option<(String, u32)> {
        let last = self.inner.get_vocab(true).into_iter().max_by_key(|(_, id)| *id);
        last.filter(|(_, id)| *id as usize >= rows)
    }

    /// The tokens of a prompt.
    pub fn encode(&self, prompt: &str) -> Result<Tokens, TokenizerError> {
        self.encode_from(prompt, FIRST_BYTES)
    }

    fn encode_from(&self, prompt: &str, first_bytes: usize) -> Result<Tokens, TokenizerError> {
        if prompt.len() > MAX_PROMPT_BYTES {
            return Err(TokenizerError::TooLarge { bytes: prompt.len() });
        }
        let room = MAX_TOKENS - 2;
        let start = self.start(prompt, first_bytes, room)?;
        if start.decided == 0 {
            return Err(TokenizerError::Blank);
        }
        let truncated = (start.decided > room).then_some(Truncated {
            tokens: start.decided + 2,
            exact: start.whole,
            window: self.window,
        });
        let (first, last) = if truncated.is_some() { self.window.split(room) } else { (start.decided, 0) };
        let mut ids = Vec::with_capacity(2 + first + last);
        ids.push(self.cls);
        let mut unknown = self.take(&start, 0..first, &mut ids);
        if last > 0 {
            let end = if start.whole { start } else { self.end(prompt, first_bytes, last)? };
            let tokens = end.encoding.len();
            unknown = unknown.and(self.take(&end, tokens - last..tokens, &mut ids));
        }
        ids.push(self.sep);
        Ok(Tokens { ids, truncated, unknown })
    }

    /// Adds tokens of a piece to `ids`, and counts the unknown ones.
    fn take(&self, piece: &Piece<'_>, range: Range<usize>, ids: &mut Vec<u32>) -> Unknown {
        let taken = &piece.encoding.get_ids()[range.clone()];
        ids.extend(taken);
        let is_unknown = taken.iter().map(|id| Some(*id) == self.unknown);
        Unknown::of(piece.text, is_unknown.zip(&piece.encoding.get_offsets()[range]))
    }

    /// The beginning of a prompt: all of it, or so much that more than `room` tokens are certain.
    fn start<'a>(&self, prompt: &'a str, first_bytes: usize, room: usize) -> Result<Piece<'a>, TokenizerError> {
        let mut bytes = first_bytes.max(1);
        loop {
            let end = (0..=bytes.min(prompt.len())).rev().find(|end| prompt.is_char_boundary(*end)).unwrap_or(0);
            let text = &prompt[..end];
            let whole = text.len() == prompt.len();
            let encoding = self.tokens(text)?;
            let last = encoding.get_word_ids().last().copied().flatten();
            let decided = match (whole, last) {
                (true, _) => encoding.len(),
                (false, None) => 0,
                (false, Some(last)) => {
                    let open = |word: &Option<u32>| word.is_none_or(|word| word + self.open_words > last);
                    encoding.get_word_ids().iter().position(open).unwrap_or(encoding.len())
                }
            };
            if whole || decided > room {
                return Ok(Piece { text, encoding, decided, whole });
            }
            bytes = bytes.saturating_mul(2);
        }
    }

    /// The end of a prompt: all of it, or from a blank on so much that there are at least `needed` tokens.
    fn end<'a>(&self, prompt: &'a str, first_bytes: usize, needed: usize) -> Result<Piece<'a>, TokenizerError> {
        let mut bytes = if self.splits_at_blanks { first_bytes.max(1) } else { prompt.len() };
        loop {
            let from = prompt.len().saturating_sub(bytes);
            let blank = prompt.as_bytes()[from..].iter().position(u8::is_ascii_whitespace);
            let begin = if from == 0 { Some(0) } else { blank.map(|blank| from + blank) };
            if let Some(begin) = begin {
                let text = &prompt[begin..];
                let encoding = self.tokens(text)?;
                if begin == 0 || encoding.len() >= needed {
                    return Ok(Piece { text, decided: encoding.len(), encoding, whole: begin == 0 });
                }
            }
            bytes = bytes.saturating_mul(2);
        }
    }

    fn tokens(&self, text: &str) -> Result<tokenizers::Encoding, TokenizerError> {
        self.inner.encode(text, false).map_err(|error| TokenizerError::Failed(error.to_string()))
    }
}
