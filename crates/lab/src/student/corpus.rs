//! Texts to distil on, and the order in which they are seen.
//!
//! A text file has one JSON object a line with the field `text` or `prompt`; a line whose `split` is not `train` is passed
//! over, so that a routing data set's `prompts.jsonl` can be given as it is and nothing of its test split is seen.
//!
//! Batches hold about as many tokens each, of texts of similar length, so that little is padding and every step takes
//! about as long. Everything follows from the seed and the number of the step: a resumed training needs no more.

use std::path::PathBuf;

use blindroute_routing::tokenizer::Tokenizer;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{
    data::{DataError, lines},
    draws::shuffle,
};

/// What can be wrong with a file of texts. No variant holds a text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// A file could not be read, or one of its lines.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There are too few texts to compare with each other.
    #[error(
        "there are {found} different texts to learn from, at least {least} are needed; give more files with --text"
    )]
    TooFew {
        /// How many there are.
        found: usize,
        /// How many there must be.
        least: usize,
    },
}

const HINT: &str = "give a file of JSON lines with the field text or prompt";
/// The fewest texts that make a corpus.
const LEAST: usize = 16;
/// Texts that are sorted by length together: enough for batches without padding, few enough to stay mixed.
const WINDOW: usize = 1024;

/// Tokenised texts. `Debug` shows their number only.
pub struct Corpus {
    texts: Vec<Vec<u32>>,
}

impl std::fmt::Debug for Corpus {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Corpus({} texts)", self.texts.len())
    }
}

impl Corpus {
    /// Reads and tokenises files; texts are cut at `most_tokens`, repeated ones are kept once, those without a token not.
    pub fn read(paths: &[PathBuf], tokenizer: &Tokenizer, most_tokens: usize) -> Result<Self, CorpusError> {
        let mut texts = Vec::new();
        for path in paths {
            texts.extend(lines::texts(path, HINT)?);
        }
        texts.sort_unstable();
        texts.dedup();
        let tokens = texts.par_iter().filter_map(|text| {
            let mut ids = tokenizer.encode(text).ok()?.ids;
            if ids.len() > most_tokens
                && let Some(last) = ids.last().copied()
            {
                // The last token closes a text wherever it is cut.
                ids.truncate(most_tokens.max(2) - 1);
                ids.push(last);
            }
            Some(ids)
        });
        Self::new(tokens.collect())
    }

    /// A corpus of these texts, each a list of token ids.
    pub fn new(texts: Vec<Vec<u32>>) -> Result<Self, CorpusError> {
        if texts.len() < LEAST {
            return Err(CorpusError::TooFew { found: texts.len(), least: LEAST });
        }
        Ok(Self { texts })
    }

    /// How many texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are none; a corpus is never empty.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Names these very texts.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for text in &self.texts {
            hash.update((text.len() as u64).to_le_bytes());
            text.iter().for_each(|id| hash.update(id.to_le_bytes()));
        }
        hash.finalize().into()
    }

    /// The batches of one pass over all texts: at most `tokens` tokens with padding and `most` texts each.
    pub(crate) fn batches(&self, seed: u64, epoch: u64, tokens: usize, most: usize) -> Vec<Vec<&[u32]>> {
        let mut draws = ChaCha8Rng::seed_from_u64(seed);
        draws.set_stream(epoch);
        let mut order: Vec<usize> = (0..self.texts.len()).collect();
        shuffle(&mut order, &mut draws);
        let mut batches = Vec::new();
        for window in order.chunks_mut(WINDOW) {
            window.sort_by_key(|place| self.texts[*place].len());
            let mut batch: Vec<&[u32]> = Vec::new();
            for place in window.iter() {
                let text = self.texts[*place].as_slice();
                // Sorted: this text is the longest of its batch.
                if !batch.is_empty() && ((batch.len() + 1) * text.len() > tokens || batch.len() == most) {
                    batches.push(std::mem::take(&mut batch));
                }
                batch.push(text);
            }
            // One text has no neighbour to be compared with.
            if batch.len() > 1 {
                batches.push(batch);
            }
        }
        shuffle(&mut batches, &mut draws);
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> Corpus {
        Corpus::new((0..3000u32).map(|text| vec![text; 3 + (text as usize * 7) % 60]).collect()).unwrap()
    }

    #[test]
    fn a_pass_sees_every_text_once_within_the_limits() {
        let corpus = corpus();
        let batches = corpus.batches(1, 0, 512, 32);
        let mut seen: Vec<u32> = batches.iter().flatten().map(|text| text[0]).collect();
        seen.sort_unstable();
        seen.dedup();
        // A last text of a window may be left over.
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
        assert_eq!(corpus.batches(1, 0, 512, 32), corpus.batches(1, 0, 512, 32));
        assert_ne!(corpus.batches(1, 0, 512, 32), corpus.batches(1, 1, 512, 32));
        assert_ne!(corpus.batches(1, 0, 512, 32), corpus.batches(2, 0, 512, 32));
    }

    #[test]
    fn a_few_texts_are_no_corpus() {
        assert!(matches!(Corpus::new(vec![vec![1]; 3]), Err(CorpusError::TooFew { found: 3, .. })));
    }
}
