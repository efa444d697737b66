//! Texts to distil on, and their order.
//!
//! A text file has one JSON object per line with the field `text` or `prompt`. A line whose `split` is not `train` is skipped,
//! so that the `prompts.jsonl` of a routing data set can be used unchanged and training never sees its test split.
//!
//! All batches have about the same number of tokens, and the texts of a batch have similar lengths, so that there is little
//! padding and every step takes about the same time. The order follows from the seed and the number of the step, which is all
//! that a resumed training needs.

use crate::data::{DataError, lines};
use crate::routers::draws::shuffle;
use blindroute_routing::tokenizer::{Tokenizer, TokenizerError};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// What can be wrong with a file of texts. No variant holds a text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// A file could not be read, or one of its lines.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A text has no tokens.
    #[error("text {number} cannot be used: {source}")]
    Text {
        /// The number of the text, counted from 1.
        number: usize,
        /// Why.
        source: TokenizerError,
    },
    /// There are too few texts.
    #[error("{found} different texts to learn from, expected at least {least}; give more files with --text")]
    TooFew {
        /// The number of texts.
        found: usize,
        /// The smallest allowed number.
        least: usize,
    },
}

const HINT: &str = "give a file of JSON lines with the field text or prompt";
/// The smallest number of texts in a corpus.
const LEAST: usize = 16;
/// How many texts are sorted by length together: enough to avoid padding in batches, few enough to stay mixed.
const WINDOW: usize = 1024;

/// Tokenised texts. `Debug` shows only their number.
pub struct Corpus {
    texts: Vec<Vec<u32>>,
}

impl std::fmt::Debug for Corpus {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Corpus({} texts)", self.texts.len())
    }
}

impl Corpus {
    /// Reads and tokenises files. Texts are truncated to `most_tokens`; repeated texts are kept once; texts without a token are
    /// dropped.
    pub fn read(paths: &[PathBuf], tokenizer: &Tokenizer, most_tokens: usize) -> Result<Self, CorpusError> {
        let mut texts = Vec::new();
        for path in paths {
            texts.extend(lines::texts(path, HINT)?);
        }
        texts.sort_unstable();
        texts.dedup();
        Self::new(texts.par_iter().filter_map(|text| ids(text, tokenizer, most_tokens).ok()).collect())
    }

    /// Tokenises texts in their order, including repeated ones.
    pub fn tokenised(texts: &[&str], tokenizer: &Tokenizer, most_tokens: usize) -> Result<Self, CorpusError> {
        let ids = texts.par_iter().enumerate().map(|(index, text)| {
            ids(text, tokenizer, most_tokens).map_err(|source| CorpusError::Text { number: index + 1, source })
        });
        Self::new(ids.collect::<Result<_, _>>()?)
    }

    /// A corpus of these texts, each a list of token ids.
    pub fn new(texts: Vec<Vec<u32>>) -> Result<Self, CorpusError> {
        if texts.len() < LEAST {
            return Err(CorpusError::TooFew { found: texts.len(), least: LEAST });
        }
        Ok(Self { texts })
    }

    /// The number of texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are no texts; always false.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Some of the texts, from the shortest to the longest at even distances.
    pub fn of_all_lengths(&self, most: usize) -> Vec<Vec<u32>> {
        let mut order: Vec<usize> = (0..self.texts.len()).collect();
        order.sort_by_key(|place| self.texts[*place].len());
        let (count, last) = (most.clamp(1, order.len()), order.len() - 1);
        let place = |index: usize| order[index * last / (count - 1).max(1)];
        (0..count).map(|index| self.texts[place(index)].clone()).collect()
    }

    /// The digest of the tokenised texts.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for text in &self.texts {
            hash.update((text.len() as u64).to_le_bytes());
            text.iter().for_each(|id| hash.update(id.to_le_bytes()));
        }
        hash.finalize().into()
    }

    /// The text at a place.
    pub(crate) fn text(&self, place: usize) -> &[u32] {
        &self.texts[place]
    }

    /// The batches of one pass over all texts, as indices: at most `tokens` tokens with padding and `most` texts each.
    fn batches(&self, size: BatchSize, pass: u64) -> Vec<Vec<usize>> {
        let BatchSize { seed, tokens, most } = size;
        let mut draws = ChaCha8Rng::seed_from_u64(seed);
        draws.set_stream(pass);
        let mut order: Vec<usize> = (0..self.texts.len()).collect();
        shuffle(&mut order, &mut draws);
        let mut batches = Vec::new();
        for window in order.chunks_mut(WINDOW) {
            window.sort_by_key(|place| self.texts[*place].len());
            let mut batch = Vec::new();
            for place in window.iter() {
                // The texts are sorted, so this one is the longest of its batch.
                let length = self.texts[*place].len();
                if !batch.is_empty() && ((batch.len() + 1) * length > tokens || batch.len() == most) {
                    batches.push(std::mem::take(&mut batch));
                }
                batch.push(*place);
            }
            // A single text has no other to be compared with.
            if batch.len() > 1 {
                batches.push(batch);
            }
        }
        shuffle(&mut batches, &mut draws);
        batches
    }
}

fn ids(text: &str, tokenizer: &Tokenizer, most_tokens: usize) -> Result<Vec<u32>, TokenizerError> {
    let mut ids = tokenizer.encode(text)?.ids;
    tokenizer.window().shorten(&mut ids, most_tokens);
    Ok(ids)
}

/// The size of batches, and the seed of their order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchSize {
    /// The seed of the order.
    pub(crate) seed: u64,
    /// Tokens per batch, with padding.
    pub(crate) tokens: usize,
    /// The maximum number of texts per batch.
    pub(crate) most: usize,
}

/// Which texts each step sees, pass after pass. Passes have different numbers of batches.
#[derive(Debug)]
pub(crate) struct Schedule<'a> {
    corpus: &'a Corpus,
    size: BatchSize,
    pass: u64,
    /// The step of the first batch of the pass.
    first: usize,
    batches: Vec<Vec<usize>>,
}

impl<'a> Schedule<'a> {
    pub(crate) fn new(corpus: &'a Corpus, size: BatchSize) -> Self {
        Self { corpus, size, pass: 0, first: 0, batches: corpus.batches(size, 0) }
    }

    /// The indices of a step's texts, and the texts. Steps must be requested in increasing order, from any first step.
    pub(crate) fn batch(&mut self, step: usize) -> (&[usize], Vec<&'a [u32]>) {
        while step >= self.first + self.batches.len() {
            self.first += self.batches.len();
            self.pass += 1;
            self.batches = self.corpus.batches(self.size, self.pass);
        }
        let places = &self.batches[step - self.first];
        (places, places.iter().map(|place| self.corpus.text(*place)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: BatchSize = BatchSize { seed: 1, tokens: 512, most: 32 };

    fn corpus() -> Corpus {
        Corpus::new((0..3000u32).map(|text| vec![text; 3 + (text as usize * 7) % 60]).collect()).unwrap()
    }

    #[test]
    fn a_pass_sees_every_text_once_within_the_limits() {
        let corpus = corpus();
        let batches: Vec<Vec<&[u32]>> = corpus
            .batches(SIZE, 0)
            .iter()
            .map(|batch| batch.iter().map(|place| corpus.text(*place)).collect())
            .collect();
        let mut seen: Vec<u32> = batches.iter().flatten().map(|text| text[0]).collect();
        seen.sort_unstable();
        seen.dedup();
        // The last text of a window may be left out.
        assert!(seen.len() >= 2997 && seen.len() == batches.iter().map(Vec::len).sum::<usize>());
        for batch in &batches {
            let longest = batch.iter().map(|text| text.len()).max().unwrap();
            assert!(batch.len() * longest <= 512 && (2..=32).contains(&batch.len()));
        }
        let padded: usize = batches.iter().map(|batch| batch.len() * batch.last().unwrap().len()).sum();
        let tokens: usize = batches.iter().flatten().map(|text| text.len()).sum();
        assert!(padded < tokens + tokens / 20, "{padded} for {tokens}");
    }

    #[test]
    fn the_order_follows_from_seed_and_pass() {
        let corpus = corpus();
        assert_eq!(corpus.batches(SIZE, 0), corpus.batches(SIZE, 0));
        assert_ne!(corpus.batches(SIZE, 0), corpus.batches(SIZE, 1));
        assert_ne!(corpus.batches(SIZE, 0), corpus.batches(BatchSize { seed: 2, ..SIZE }, 0));
        let count = corpus.batches(SIZE, 0).len();
        let mut schedule = Schedule::new(&corpus, SIZE);
        for step in [0, count - 1, count, count + 1] {
            let places = schedule.batch(step).0.to_vec();
            // A schedule that begins at this step sees the same texts.
            assert_eq!(Schedule::new(&corpus, SIZE).batch(step).0, places, "step {step} of {count} a pass");
        }
    }

    #[test]
    fn some_texts_are_of_all_lengths() {
        let corpus = corpus();
        let lengths: Vec<usize> = corpus.of_all_lengths(5).iter().map(Vec::len).collect();
        assert_eq!((lengths.first(), lengths.last()), (Some(&3), Some(&62)));
        assert!(lengths.windows(2).all(|pair| pair[0] < pair[1]), "{lengths:?}");
        assert_eq!(corpus.of_all_lengths(1).len(), 1);
        assert_eq!(corpus.of_all_lengths(9999).len(), 3000);
    }

    #[test]
    fn too_few_texts_are_refused() {
        assert!(matches!(Corpus::new(vec![vec![1]; 3]), Err(CorpusError::TooFew { found: 3, .. })));
    }
}
