//! How well an encoder's embeddings show which texts mean the same: Spearman's correlation of their cosines with people's
//! judgement, as on STS-B. It measures the encoder alone, without a router.

use crate::Stop;
use crate::data::DataError;
use crate::data::lines::{Lines, MAX_FILE_BYTES};
use crate::data::text::not_json;
use crate::data::vector::{dot, unit};
use crate::encoders::{ClearEmbedder, EmbedError, EmbedEvent, embed_all};
use blindroute_routing::bundle::{Bundle, BundleError};
use serde::Deserialize;
use std::path::Path;

/// Two texts and how similar people find them, on any scale. `Debug` shows no text.
#[derive(Clone, Deserialize)]
pub struct Pair {
    #[serde(rename = "text")]
    first: String,
    #[serde(rename = "text2")]
    second: String,
    label: f64,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Pair({})", self.label)
    }
}

/// What can go wrong when similarities are measured. No variant holds a text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimilarityError {
    /// A file could not be read, or one of its lines.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There are too few pairs or labels.
    #[error("{found} pairs with {labels} different labels: expected at least 3 pairs and 2 different labels")]
    TooFew {
        /// The number of pairs.
        found: usize,
        /// The number of different labels.
        labels: usize,
    },
    /// The bundle cannot be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A text could not be embedded.
    #[error(transparent)]
    Embed(#[from] EmbedError),
}

/// Reads pairs from JSON lines with the fields `text`, `text2` and `label`.
pub fn read_pairs(path: &Path) -> Result<Vec<Pair>, SimilarityError> {
    let mut lines = Lines::open(path, MAX_FILE_BYTES, "give JSON lines with text, text2 and label")?;
    let mut pairs: Vec<Pair> = Vec::new();
    while let Some((line, text)) = lines.next()? {
        let wrong = |problem: String| DataError::Line { path: path.to_owned(), line, problem };
        let pair: Pair = serde_json::from_slice(text).map_err(|_| {
            let otherwise =
                "is not a JSON object with the texts text and text2 and the number label; correct it or remove it";
            wrong(format!("it {}", not_json(text, otherwise)))
        })?;
        for (field, text) in [("text", &pair.first), ("text2", &pair.second)] {
            if text.trim().is_empty() {
                return Err(wrong(format!("its {field} is blank; remove the line")).into());
            }
        }
        pairs.push(pair);
    }
    let mut labels: Vec<f64> = pairs.iter().map(|pair| pair.label).collect();
    labels.sort_by(f64::total_cmp);
    labels.dedup();
    if pairs.len() < 3 || labels.len() < 2 {
        return Err(SimilarityError::TooFew { found: pairs.len(), labels: labels.len() });
    }
    Ok(pairs)
}

/// Spearman's correlation of the labels with the cosines of the bundle's embeddings.
pub fn correlation(
    bundle: &Bundle,
    pairs: &[Pair],
    on_event: &mut dyn FnMut(EmbedEvent),
    stop: &Stop,
) -> Result<f64, SimilarityError> {
    let tokenizer = bundle.tokenizer()?;
    let embedder = ClearEmbedder::new(bundle).map_err(EmbedError::Encoder)?;
    let texts = pairs.iter().flat_map(|pair| [pair.first.as_str(), pair.second.as_str()]);
    let embedded = embed_all(texts, &tokenizer, &embedder, on_event, stop)?;
    let units: Vec<Vec<f32>> = embedded.embeddings().iter_rows().map(unit).collect();
    let cosines: Vec<f64> =
        units.as_chunks::<2>().0.iter().map(|[first, second]| f64::from(dot(first, second))).collect();
    let labels: Vec<f64> = pairs.iter().map(|pair| pair.label).collect();
    Ok(spearman(&cosines, &labels))
}

/// The correlation of the ranks of two lists of one length. Equal values share their mean rank. 0 if one list has only equal
/// values.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let covariance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    let scale = (covariance(&a, &a) * covariance(&b, &b)).sqrt();
    if scale > 0.0 { covariance(&a, &b) / scale } else { 0.0 }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for group in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let mean = start as f64 + (group.len() as f64 - 1.0) / 2.0;
        group.iter().for_each(|place| ranks[*place] = mean);
        start += group.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::small_encoder;
    use blindroute_routing::bundle::{Activation, Attention};

    #[test]
    fn spearman_by_hand() {
        assert!((spearman(&[1.0, 2.0, 3.0], &[10.0, 100.0, 1000.0]) - 1.0).abs() < 1e-12);
        assert!((spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
        // Ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3: covariance 4.5, variances 4.5 and 5.
        assert!((spearman(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]) - (4.5f64 / 5.0).sqrt()).abs() < 1e-12);
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), 0.0);
    }

    #[test]
    fn pairs_are_read_embedded_and_ranked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.jsonl");
        let lines = "{\"text\": \"a b\", \"text2\": \"a b\", \"label\": 5}\n{\"text\": \"a b\", \"text2\": \"c t t\", \"label\": 0.5}\n\n{\"text\": \"d\", \"text2\": \"d\", \"label\": 5.0}\n";
        std::fs::write(&path, lines).unwrap();
        let pairs = read_pairs(&path).unwrap();
        let mut different = 0;
        let bundle = small_encoder(Attention::TwoRelu, Activation::Relu);
        let mut on_event = |event| match event {
            EmbedEvent::Progress(at) => different = at.all,
            other => panic!("{other:?}"),
        };
        let found = correlation(&bundle, &pairs, &mut on_event, &Stop::never()).unwrap();
        // The two equal pairs have cosine 1, up to rounding that may order them either way.
        assert!(found > 0.85, "{found}");
        assert_eq!(different, 3);
        std::fs::write(&path, "{\"text\": \"secret\"}\n").unwrap();
        let error = read_pairs(&path).unwrap_err().to_string();
        assert!(error.contains("line 1") && !error.contains("secret"), "{error}");
        std::fs::write(&path, format!("\u{feff}{}", lines.replace("\"c t t\"", "\" \""))).unwrap();
        assert!(read_pairs(&path).unwrap_err().to_string().contains("line 2: its text2 is blank"));
        std::fs::write(&path, format!("\u{feff}{lines}")).unwrap();
        assert_eq!(read_pairs(&path).unwrap().len(), 3);
        std::fs::write(&path, lines.replace("0.5", "5")).unwrap();
        assert!(read_pairs(&path).unwrap_err().to_string().contains("3 pairs with 1 different labels"));
    }
}
