//! From prompts to embeddings.

use super::Embedded;
use crate::{Stop, Stopped};
use blindroute_routing::bundle::{Digest, Matrix};
use blindroute_routing::tokenizer::{Tokenizer, TokenizerError};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::error::Error;

/// Takes the digests of prompts' tokens and their embeddings.
pub(super) type Keep<'a, E> = dyn FnMut(&[(Digest, &[f32])]) -> Result<(), E> + 'a;

/// Turns token ids into embeddings.
///
/// Closures `Fn(&[Vec<u32>]) -> Result<Vec<Vec<f32>>, _>` implement it.
pub trait Embedder {
    /// One embedding per prompt, in the same order, all of one width.
    ///
    /// # Errors
    /// If the encoder fails, or `stop` asked it to end.
    fn embed(&self, prompts: &[Vec<u32>], stop: &Stop) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>>;
}

impl<F> Embedder for F
where
    F: Fn(&[Vec<u32>]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>>,
{
    fn embed(&self, prompts: &[Vec<u32>], _: &Stop) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
        self(prompts)
    }
}

/// What can go wrong when prompts are embedded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// A prompt could not be tokenised.
    #[error("prompt {index} (counted from 0): {source}")]
    Tokens {
        /// Which prompt.
        index: usize,
        /// Why.
        source: TokenizerError,
    },
    /// The caller stopped the work.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The encoder failed.
    #[error("the encoder failed: {0}")]
    Encoder(Box<dyn Error + Send + Sync>),
    /// The encoder returned another number of embeddings, or embeddings of different widths.
    #[error("the encoder returned {found} {what}, expected {expected}; please report this")]
    Count {
        /// What was counted.
        what: &'static str,
        /// The number found.
        found: usize,
        /// The number expected.
        expected: usize,
    },
}

/// What happens while prompts are embedded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbedEvent {
    /// Another process uses the file of embeddings, and this one waits for it.
    Waiting,
    /// The file of embeddings ended with an entry that was not written completely. So many bytes were removed.
    Removed {
        /// How many.
        bytes: u64,
    },
    /// How much is done. The first such event is before the first prompt.
    Progress(EmbedProgress),
}

/// How much is done. Prompts with the same tokens count once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmbedProgress {
    /// The prompts that had to be embedded and are.
    pub done: usize,
    /// All prompts that have to be embedded.
    pub all: usize,
    /// The tokens of the prompts that are done.
    pub tokens: usize,
    /// The tokens of all prompts that have to be embedded.
    pub all_tokens: usize,
    /// The prompts whose embeddings were in the file.
    pub found: usize,
}

/// Embeds prompts, in their order. Prompts with the same tokens are embedded once.
pub fn embed_all<'a>(
    prompts: impl IntoIterator<Item = &'a str>,
    tokenizer: &Tokenizer,
    embedder: &dyn Embedder,
    on_event: &mut dyn FnMut(EmbedEvent),
    stop: &Stop,
) -> Result<Embedded, EmbedError> {
    let mut prompts = Distinct::new(prompts, tokenizer)?;
    prompts.embed(embedder, &mut |_| Ok::<(), EmbedError>(()), on_event, stop)?;
    prompts.into_embedded()
}

/// The tokens of each different prompt, and its embedding as soon as it is known.
pub(super) struct Distinct {
    tokens: Vec<Vec<u32>>,
    keys: HashMap<Digest, usize>,
    rows: Vec<Option<Vec<f32>>>,
    /// Of each prompt, its place among the different ones.
    places: Vec<usize>,
}

impl Distinct {
    pub(super) fn new<'a>(
        prompts: impl IntoIterator<Item = &'a str>,
        tokenizer: &Tokenizer,
    ) -> Result<Self, EmbedError> {
        let texts: Vec<&str> = prompts.into_iter().collect();
        let encoded: Vec<_> = texts.par_iter().map(|text| tokenizer.encode(text)).collect();
        let (mut tokens, mut keys, mut places) = (Vec::new(), HashMap::new(), Vec::with_capacity(texts.len()));
        for (index, encoded) in encoded.into_iter().enumerate() {
            let ids = encoded.map_err(|source| EmbedError::Tokens { index, source })?.ids;
            places.push(*keys.entry(digest(&ids)).or_insert_with(|| {
                tokens.push(ids);
                tokens.len() - 1
            }));
        }
        let rows = vec![None; tokens.len()];
        Ok(Self { tokens, keys, rows, places })
    }

    /// Takes an embedding that is known, if one of the prompts has these tokens.
    pub(super) fn take(&mut self, tokens: &Digest, embedding: impl FnOnce() -> Vec<f32>) {
        if let Some(place) = self.keys.get(tokens) {
            self.rows[*place] = Some(embedding());
        }
    }

    /// The places of the prompts without an embedding, the longest first.
    fn missing(&self) -> Vec<usize> {
        let mut missing: Vec<usize> = (0..self.rows.len()).filter(|place| self.rows[*place].is_none()).collect();
        missing.sort_by_key(|place| std::cmp::Reverse(self.tokens[*place].len()));
        missing
    }

    /// Whether all embeddings are known.
    pub(super) fn is_complete(&self) -> bool {
        self.rows.iter().all(Option::is_some)
    }

    /// Embeds the prompts that have no embedding, some seconds of work at a time, and calls `keep` with the digests of the tokens
    /// and the embeddings of each such part.
    pub(super) fn embed<E: From<EmbedError>>(
        &mut self,
        embedder: &dyn Embedder,
        keep: &mut Keep<'_, E>,
        on_event: &mut dyn FnMut(EmbedEvent),
        stop: &Stop,
    ) -> Result<(), E> {
        let missing = self.missing();
        let length = |places: &[usize]| places.iter().map(|place| self.tokens[*place].len()).sum::<usize>();
        let mut progress = EmbedProgress {
            all: missing.len(),
            all_tokens: length(&missing),
            found: self.rows.len() - missing.len(),
            ..EmbedProgress::default()
        };
        on_event(EmbedEvent::Progress(progress));
        let most = TOKENS_EACH * rayon::current_num_threads();
        let mut rest = missing.as_slice();
        while !rest.is_empty() {
            stop.check().map_err(EmbedError::Stopped)?;
            let mut tokens = 0;
            let fits = rest.iter().take_while(|place| {
                tokens += self.tokens[**place].len();
                tokens <= most
            });
            let (part, others) = rest.split_at(fits.count().max(1));
            let ids: Vec<Vec<u32>> = part.iter().map(|place| self.tokens[*place].clone()).collect();
            let embedded = embedder.embed(&ids, stop).map_err(|fault| match fault.downcast() {
                Ok(stopped) => EmbedError::Stopped(*stopped),
                Err(fault) => EmbedError::Encoder(fault),
            })?;
            if embedded.len() != part.len() {
                let (found, expected) = (embedded.len(), part.len());
                return Err(EmbedError::Count { what: "embeddings", found, expected }.into());
            }
            let entries: Vec<_> = ids.iter().zip(&embedded).map(|(ids, row)| (digest(ids), row.as_slice())).collect();
            keep(&entries)?;
            progress.done += part.len();
            progress.tokens += ids.iter().map(Vec::len).sum::<usize>();
            for (place, row) in part.iter().zip(embedded) {
                self.rows[*place] = Some(row);
            }
            rest = others;
            on_event(EmbedEvent::Progress(progress));
        }
        Ok(())
    }

    /// All prompts, in their order.
    pub(super) fn into_embedded(self) -> Result<Embedded, EmbedError> {
        let rows: Vec<Vec<f32>> = self.rows.into_iter().flatten().collect();
        let hidden = rows.first().map_or(0, Vec::len);
        if let Some(other) = rows.iter().find(|row| row.len() != hidden) {
            return Err(EmbedError::Count { what: "numbers in an embedding", found: other.len(), expected: hidden });
        }
        let embeddings = Matrix::from_fn(self.places.len(), hidden, |row, column| rows[self.places[row]][column]);
        Ok(Embedded::new(embeddings, self.tokens, self.places))
    }
}

/// Tokens that each thread embeds before the results are kept: about a second of work.
const TOKENS_EACH: usize = 8192;

fn digest(ids: &[u32]) -> Digest {
    let mut hash = Sha256::new();
    ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
    <[u8; 32]>::from(hash.finalize()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_routing::tokenizer::Window;
    use blindroute_testkit::tokenizer_json;

    fn tokenizer() -> Tokenizer {
        let json = tokenizer_json(["[UNK]", "[CLS]", "[SEP]", "a"]);
        Tokenizer::from_json(json.as_bytes(), Window::Head).unwrap()
    }

    type Answer = Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>>;

    #[test]
    fn equal_prompts_are_embedded_once_and_the_order_is_kept() {
        let calls = std::sync::Mutex::new(Vec::new());
        let lengths = |prompts: &[Vec<u32>]| -> Answer {
            calls.lock().unwrap().push(prompts.len());
            Ok(prompts.iter().map(|prompt| vec![prompt.len() as f32; 2]).collect())
        };
        let mut progress = Vec::new();
        let found = embed_all(
            ["a", "a a", "a a a", "a  a"],
            &tokenizer(),
            &lengths,
            &mut |event| match event {
                EmbedEvent::Progress(at) => progress.push((at.done, at.all, at.tokens, at.all_tokens)),
                other => panic!("{other:?}"),
            },
            &Stop::never(),
        );
        assert_eq!(found.unwrap().embeddings().data(), [3.0, 3.0, 4.0, 4.0, 5.0, 5.0, 4.0, 4.0]);
        assert_eq!(*calls.lock().unwrap(), [3]);
        assert_eq!(progress, [(0, 3, 0, 12), (3, 3, 12, 12)]);
    }

    #[test]
    fn many_prompts_are_embedded_in_parts_the_longest_first() {
        let lengths =
            |prompts: &[Vec<u32>]| -> Answer { Ok(prompts.iter().map(|ids| vec![ids.len() as f32]).collect()) };
        let mut prompts = Distinct::new([], &tokenizer()).unwrap();
        let most = TOKENS_EACH * rayon::current_num_threads();
        let ids = |last: u32, length: usize| std::iter::repeat_n(last, length).collect::<Vec<u32>>();
        // The second and the third fit one part, but not the first as well.
        prompts.tokens = vec![ids(1, most / 3), ids(2, most / 2), ids(3, most / 2)];
        prompts.rows = vec![None; 3];
        let mut parts = Vec::new();
        let mut keep = |entries: &[(Digest, &[f32])]| -> Result<(), EmbedError> {
            parts.push(entries.iter().map(|(_, row)| row[0] as usize).collect::<Vec<_>>());
            Ok(())
        };
        prompts.embed(&lengths, &mut keep, &mut |_| (), &Stop::never()).unwrap();
        assert_eq!(parts, [vec![most / 2, most / 2], vec![most / 3]]);
    }

    #[test]
    fn each_fault_has_its_own_error() {
        let fault = |prompts: [&'static str; 2], embedder: fn(&[Vec<u32>]) -> Answer| {
            embed_all(prompts, &tokenizer(), &embedder, &mut |_| (), &Stop::never()).unwrap_err().to_string()
        };
        assert!(fault(["a", " "], |_| Ok(vec![])).contains("prompt 1 (counted from 0): the prompt is empty"));
        assert!(fault(["a", "a a"], |_| Ok(vec![])).contains("0 embeddings, expected 2"));
        assert!(fault(["a", "a a"], |_| Ok(vec![vec![], vec![0.0]])).contains("0 numbers in an embedding"));
        assert!(fault(["a", "a"], |_| Err("no power".into())).contains("no power"));
    }
}
