//! From prompts to embeddings.

use blindroute_routing::bundle::Matrix;
use blindroute_routing::tokenizer::{Tokenizer, TokenizerError};
use std::error::Error;

/// Turns token ids into embeddings.
///
/// Closures `Fn(&[Vec<u32>]) -> Result<Vec<Vec<f32>>, _>` implement it.
pub trait Embedder {
    /// One embedding per prompt, in the same order, all of one width.
    fn embed(&self, prompts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>>;
}

impl<F> Embedder for F
where
    F: Fn(&[Vec<u32>]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>>,
{
    fn embed(&self, prompts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
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

/// Embeds many prompts, `batch` at a time: `[prompts, hidden]`. After each batch, calls `on_progress` with the number of prompts
/// that are done.
pub fn embed_all<'a>(
    prompts: impl IntoIterator<Item = &'a str>,
    tokenizer: &Tokenizer,
    embedder: &dyn Embedder,
    batch: usize,
    on_progress: &mut dyn FnMut(usize),
) -> Result<Matrix, EmbedError> {
    let mut tokens = Vec::new();
    for (index, prompt) in prompts.into_iter().enumerate() {
        tokens.push(tokenizer.encode(prompt).map_err(|source| EmbedError::Tokens { index, source })?.ids);
    }
    let mut rows: Vec<Vec<f32>> = Vec::with_capacity(tokens.len());
    for chunk in tokens.chunks(batch.max(1)) {
        let embedded = embedder.embed(chunk).map_err(EmbedError::Encoder)?;
        if embedded.len() != chunk.len() {
            return Err(EmbedError::Count { what: "embeddings", found: embedded.len(), expected: chunk.len() });
        }
        rows.extend(embedded);
        on_progress(rows.len());
    }
    let hidden = rows.first().map_or(0, Vec::len);
    if let Some(other) = rows.iter().find(|row| row.len() != hidden) {
        return Err(EmbedError::Count { what: "numbers in an embedding", found: other.len(), expected: hidden });
    }
    Ok(Matrix::from_fn(rows.len(), hidden, |row, column| rows[row][column]))
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
    fn prompts_are_embedded_in_order_and_batches() {
        let lengths = |prompts: &[Vec<u32>]| -> Answer {
            Ok(prompts.iter().map(|prompt| vec![prompt.len() as f32; 2]).collect())
        };
        let mut progress = Vec::new();
        let found =
            embed_all(["a", "a a", "a a a"], &tokenizer(), &lengths, 2, &mut |done| progress.push(done)).unwrap();
        assert_eq!(found.data(), [3.0, 3.0, 4.0, 4.0, 5.0, 5.0]);
        assert_eq!(progress, [2, 3]);
    }

    #[test]
    fn each_fault_has_its_own_error() {
        let fault = |prompts: [&'static str; 2], embedder: fn(&[Vec<u32>]) -> Answer| {
            embed_all(prompts, &tokenizer(), &embedder, 2, &mut |_| ()).unwrap_err().to_string()
        };
        assert!(fault(["a", " "], |_| Ok(vec![])).contains("prompt 1 (counted from 0): the prompt is empty"));
        assert!(fault(["a", "a"], |_| Ok(vec![])).contains("0 embeddings, expected 2"));
        assert!(fault(["a", "a"], |_| Ok(vec![vec![0.0], vec![]])).contains("0 numbers in an embedding"));
        assert!(fault(["a", "a"], |_| Err("no power".into())).contains("no power"));
    }
}
