//! Turning a prompt into the encoder's tokens, which is the client's first step.
//!
//! The tokenizer is BERT's, as published with the encoder (`tokenizer.json`): text is normalised, split into words at
//! blanks and punctuation, and each word is split into WordPieces. `[CLS]` is put before and `[SEP]` after them.
//! Prompts are truncated to [`MAX_TOKENS`] tokens, and [`Tokens::truncated`] says so.
//!
//! # Long prompts
//!
//! No fixed number of characters is certain to hold the first 256 tokens: a megabyte of blanks holds none. So a prefix
//! is tokenised, and its length is doubled until it determines the result. Text after a prefix can change the last word
//! of the prefix. If the prefix ends inside a special token such as `[MASK]`, it can also change as many words before
//! that as the token has characters. All words before these are final, because the later steps treat each word alone,
//! and the earlier steps look only at neighbouring characters. So the result is exactly that of the whole prompt, and
//! the work is at most twice that for the shortest prefix that determines it.

use std::fmt;

mod minimise;
mod published;
#[cfg(test)]
pub(crate) mod tests;
mod unknown;

pub(crate) use minimise::minimised;
pub use unknown::Unknown;

/// The most tokens of a prompt, with `[CLS]` and `[SEP]`.
pub const MAX_TOKENS: usize = 256;
/// The sizes to which prompts are padded. A server learns only this about the length of a prompt.
pub const BUCKETS: [usize; 4] = [32, 64, 128, MAX_TOKENS];
/// The largest prompt that is accepted, 4 MiB. Larger ones are refused before any work.
pub const MAX_PROMPT_BYTES: usize = 4 << 20;

/// Long enough that nearly every prompt is tokenised only once and its tokens are counted exactly.
const FIRST_PREFIX_BYTES: usize = 1 << 15;

/// Why a prompt cannot be tokenised. No variant holds any part of the prompt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The prompt has no tokens.
    #[error("the prompt is empty or blank: write the text that should be routed")]
    Blank,
    /// The prompt is larger than [`MAX_PROMPT_BYTES`].
    #[error(
        "the prompt has {bytes} bytes, more than {MAX_PROMPT_BYTES}: give only its first part (only {MAX_TOKENS} tokens are read)"
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
}

impl fmt::Display for Truncated {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.exact { "" } else { "more than " };
        write!(out, "only the first {MAX_TOKENS} of {more}{} tokens were read", self.tokens)
    }
}

/// BERT's tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    cls: u32,
    sep: u32,
    /// The token for words that cannot be built from the vocabulary.
    unknown: Option<u32>,
    /// How many words before the end of a prefix may change with the text that follows it.
    open_words: u32,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Tokenizer({} tokens)", self.vocabulary())
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json`. Its own truncation and padding are ignored.
    pub fn from_json(json: &[u8]) -> Result<Self, TokenizerError> {
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
        let longest = inner.get_added_tokens_decoder().values().map(|token| token.content.chars().count()).max();
        let open_words = 1 + u32::try_from(longest.unwrap_or(0)).unwrap_or(u32::MAX - 1);
        Ok(Self { inner, cls, sep, unknown, open_words })
    }

    /// The number of token ids. Every id that [`Self::encode`] returns is below it.
    pub fn vocabulary(&self) -> usize {
        self.inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1)
    }

    /// The token with the largest id, if that is not below `rows`.
    pub(crate) fn beyond(&self, rows: usize) -> Option<(String, u32)> {
        let last = self.inner.get_vocab(true).into_iter().max_by_key(|(_, id)| *id);
        last.filter(|(_, id)| *id as usize >= rows)
    }

    /// The tokens of a prompt.
    pub fn encode(&self, prompt: &str) -> Result<Tokens, TokenizerError> {
        self.encode_from(prompt, FIRST_PREFIX_BYTES)
    }

    fn encode_from(&self, prompt: &str, first_prefix: usize) -> Result<Tokens, TokenizerError> {
        if prompt.len() > MAX_PROMPT_BYTES {
            return Err(TokenizerError::TooLarge { bytes: prompt.len() });
        }
        let mut bytes = first_prefix.max(1);
        loop {
            let end = (0..=bytes.min(prompt.len())).rev().find(|end| prompt.is_char_boundary(*end)).unwrap_or(0);
            let prefix = &prompt[..end];
            let whole = prefix.len() == prompt.len();
            let encoding =
                self.inner.encode(prefix, false).map_err(|error| TokenizerError::Failed(error.to_string()))?;
            let last = encoding.get_word_ids().last().copied().flatten();
            let decided = match (whole, last) {
                (true, _) => encoding.len(),
                (false, None) => 0,
                (false, Some(last)) => {
                    let open = |word: &Option<u32>| word.is_none_or(|word| word + self.open_words > last);
                    encoding.get_word_ids().iter().position(open).unwrap_or(encoding.len())
                }
            };
            let room = MAX_TOKENS - 2;
            if whole && decided == 0 {
                return Err(TokenizerError::Blank);
            }
            if whole || decided > room {
                let read = decided.min(room);
                let mut ids = Vec::with_capacity(2 + read);
                ids.push(self.cls);
                ids.extend(encoding.get_ids().iter().take(read));
                ids.push(self.sep);
                let is_unknown = encoding.get_ids().iter().map(|id| Some(*id) == self.unknown);
                let unknown = Unknown::of(prefix, is_unknown.zip(encoding.get_offsets()).take(read));
                let truncated = (decided > room).then_some(Truncated { tokens: decided + 2, exact: whole });
                return Ok(Tokens { ids, truncated, unknown });
            }
            bytes = bytes.saturating_mul(2);
        }
    }
}
