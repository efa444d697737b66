//! Prompts as routers read them.

use blindroute_routing::bundle::Matrix;
use blindroute_routing::lexical::{Lexical, MAX_SCALE};
use blindroute_routing::tokenizer::Tokenizer;
use rayon::prelude::*;

/// The number of hashed features of a new router. In cross-validations of a prototype, 256 were better than 64 on both data sets that
/// were tried, and 1,024 no better than 256 on the one where they were.
const HASHED: usize = 256;

/// The embeddings and tokens of prompts. `Debug` shows neither.
#[derive(Clone, PartialEq)]
pub struct Embedded {
    embeddings: Matrix,
    /// Of each different prompt.
    tokens: Vec<Vec<u32>>,
    /// Of each prompt, its place among the different ones.
    places: Vec<usize>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Embedded({} prompts, {} different)", self.places.len(), self.tokens.len())
    }
}

impl Embedded {
    /// Prompts with these `embeddings`, `[prompts, hidden]`; prompt i has the tokens at `places[i]`.
    pub(crate) fn new(embeddings: Matrix, tokens: Vec<Vec<u32>>, places: Vec<usize>) -> Self {
        debug_assert_eq!(embeddings.rows(), places.len());
        Self { embeddings, tokens, places }
    }

    /// The embeddings, `[prompts, hidden]`.
    pub fn embeddings(&self) -> &Matrix {
        &self.embeddings
    }

    /// What a router's rule reads, `[prompts, inputs]`: the embedding and, after it, the lexical features if the router has them.
    /// `tokenizer` is the one that made the tokens.
    pub fn inputs(&self, tokenizer: &Tokenizer, lexical: Option<Lexical>) -> Matrix {
        let Some(settings) = lexical else { return self.embeddings.clone() };
        let features: Vec<Vec<f32>> = self.tokens.par_iter().map(|ids| tokenizer.lexical(ids, settings)).collect();
        let hidden = self.embeddings.columns();
        Matrix::from_fn(self.places.len(), hidden + settings.width(), |row, column| match column.checked_sub(hidden) {
            None => self.embeddings.row(row)[column],
            Some(feature) => features[self.places[row]][feature],
        })
    }

    /// The lexical features of a new router that weigh this much beside the embedding: 1 makes the hashed ones as long as a typical
    /// embedding. None for a weight of 0.
    pub fn lexical(&self, weight: f32) -> Option<Lexical> {
        let squares: f64 = self.embeddings.data().iter().map(|x| f64::from(*x).powi(2)).sum();
        let typical = (squares / self.embeddings.rows().max(1) as f64).sqrt() as f32;
        let scale = (weight * typical).min(MAX_SCALE);
        (scale > 0.0).then_some(Lexical { hashed: HASHED, scale })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::small_encoder;
    use blindroute_routing::bundle::{Activation, Attention};

    #[test]
    fn features_stand_behind_the_embedding() {
        let bundle = small_encoder(Attention::TwoRelu, Activation::Relu);
        let tokenizer = bundle.tokenizer().unwrap();
        let tokens: Vec<Vec<u32>> = ["a", "b c"].map(|text| tokenizer.encode(text).unwrap().ids).into();
        let embeddings = Matrix::from_fn(3, 2, |row, column| (3 * row + 4 * column) as f32);
        let embedded = Embedded::new(embeddings.clone(), tokens.clone(), vec![1, 0, 1]);
        assert_eq!(embedded.inputs(&tokenizer, None), embeddings);
        // (0, 4), (3, 7) and (6, 10): mean square length (16 + 58 + 136) / 3 = 70.
        let settings = embedded.lexical(0.5).unwrap();
        assert_eq!(settings.hashed, HASHED);
        assert!((settings.scale - 0.5 * 70f32.sqrt()).abs() < 1e-5, "{settings:?}");
        let inputs = embedded.inputs(&tokenizer, Some(settings));
        assert_eq!(inputs.shape(), (3, 2 + settings.width()));
        for (row, place) in [(0, 1), (1, 0), (2, 1)] {
            assert_eq!(inputs.row(row)[..2], *embeddings.row(row));
            assert_eq!(inputs.row(row)[2..], tokenizer.lexical(&tokens[place], settings));
        }
        assert_eq!((embedded.lexical(0.0), embedded.lexical(100.0).unwrap().scale), (None, MAX_SCALE));
    }
}
