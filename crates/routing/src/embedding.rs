//! From tokens to the encoder's input, on the client.
//!
//! The embedding tables are public, and looking a row up by a secret index is costly under MPC, so the client does it:
//! x = LayerNorm(token\[id\] + position\[place\] + segment\[0\]), and what it shares with the servers is x.

use crate::bundle::{EmbeddingTables, EncoderConfig, Matrix};

/// What can be wrong with tokens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddingError {
    /// There are none, or more than the position table has.
    #[error("the prompt has {found} tokens, the encoder takes 1 to {most}: cut it with the tokenizer of this bundle")]
    Length {
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// An id is beyond the token table.
    #[error("the prompt has a token beyond the encoder's {vocabulary}: use the tokenizer of this bundle")]
    UnknownToken {
        /// How many ids the table has.
        vocabulary: usize,
    },
}

/// The encoder's input for these token ids, `[tokens, hidden]`. Sums are in f64, so that the result does not depend on
/// how the compiler orders them.
pub fn embed(tables: &EmbeddingTables, config: &EncoderConfig, ids: &[u32]) -> Result<Matrix, EmbeddingError> {
    let most = config.max_tokens.min(tables.position.rows());
    if ids.is_empty() || ids.len() > most {
        return Err(EmbeddingError::Length { found: ids.len(), most });
    }
    let vocabulary = tables.token.rows();
    let hidden = tables.token.columns();
    let mut data = Vec::with_capacity(ids.len() * hidden);
    for (place, id) in ids.iter().enumerate() {
        let id = *id as usize;
        if id >= vocabulary {
            return Err(EmbeddingError::UnknownToken { vocabulary });
        }
        let parts = tables.token.row(id).iter().zip(tables.position.row(place)).zip(tables.segment.row(0));
        let sums: Vec<f64> = parts.map(|((t, p), s)| f64::from(*t) + f64::from(*p) + f64::from(*s)).collect();
        let mean = sums.iter().sum::<f64>() / hidden as f64;
        let variance = sums.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / hidden as f64;
        let scale = 1.0 / (variance + f64::from(config.layer_norm_epsilon)).sqrt();
        let affine = tables.norm.gain.data().iter().zip(tables.norm.bias.data());
        data.extend(
            (sums.iter().zip(affine))
                .map(|(x, (gain, bias))| ((x - mean) * scale * f64::from(*gain) + f64::from(*bias)) as f32),
        );
    }
    Ok(Matrix::from_fn(ids.len(), hidden, |row, column| data[row * hidden + column]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::LayerNorm;

    fn tables() -> (EmbeddingTables, EncoderConfig) {
        let row = |values: [f32; 2]| Matrix::new(1, 2, values.to_vec()).unwrap();
        let tables = EmbeddingTables {
            token: Matrix::new(3, 2, vec![0.0, 0.0, 1.0, 3.0, -1.0, 1.0]).unwrap(),
            position: Matrix::new(2, 2, vec![0.0, 0.0, 0.5, 0.0]).unwrap(),
            segment: row([1.0, 1.0]),
            norm: LayerNorm { gain: row([1.0, 2.0]), bias: row([0.0, 0.5]) },
        };
        let config = EncoderConfig {
            layers: 1,
            hidden: 2,
            heads: 1,
            ffn: 2,
            vocabulary: 3,
            segments: 1,
            max_tokens: 2,
            ..EncoderConfig::minilm()
        };
        (tables, config)
    }

    #[test]
    fn a_hand_computed_case() {
        let (tables, config) = tables();
        // Sums (2, 4) and (0.5, 2): each normalises to (−1, 1).
        let x = embed(&tables, &config, &[1, 2]).unwrap();
        let expected = [-1.0, 2.5, -1.0, 2.5];
        assert!(x.data().iter().zip(expected).all(|(x, e)| (x - e).abs() < 1e-6), "{:?}", x.data());
    }

    #[test]
    fn wrong_tokens_are_errors() {
        let (tables, config) = tables();
        assert!(matches!(embed(&tables, &config, &[]), Err(EmbeddingError::Length { found: 0, most: 2 })));
        assert!(matches!(embed(&tables, &config, &[0, 0, 0]), Err(EmbeddingError::Length { .. })));
        assert!(matches!(embed(&tables, &config, &[3]), Err(EmbeddingError::UnknownToken { vocabulary: 3 })));
    }
}
