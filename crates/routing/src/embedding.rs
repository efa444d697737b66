//! From tokens to the encoder's input, computed by the client.
//!
//! The embedding tables are public, and looking up a row by a secret index is costly under MPC. So the client computes
//! x = LayerNorm(token\[id\] + position\[place\] + segment\[0\]) and shares x with the servers.

use crate::bundle::{EmbeddingTables, EncoderConfig, Matrix};

/// Why tokens cannot be embedded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddingError {
    /// There are no tokens, or more than the position table has rows.
    #[error("the prompt has {found} tokens, expected 1 to {most}: truncate it with the tokenizer of this bundle")]
    Length {
        /// The number of tokens.
        found: usize,
        /// The largest number allowed.
        most: usize,
    },
    /// An id is not a row of the token table.
    #[error(
        "the prompt has a token that is not among the encoder's {vocabulary} tokens: use the tokenizer of this bundle"
    )]
    UnknownToken {
        /// The number of rows of the table.
        vocabulary: usize,
    },
}

/// The encoder's input for these token ids, `[tokens, hidden]`. Sums are in f64, so that the result does not depend on
/// the order in which the compiler adds.
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

/// The cosine of two embeddings of the same width; NaN if one of them is zero.
pub fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
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
