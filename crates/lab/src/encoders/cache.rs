//! Embeddings kept in a file, because embedding takes most of the time of a training.
//!
//! The file is a [`container`] of kind `embeddings`. Its key is a digest of the encoder (not of the routers) and of all prompts.
//! A file with another key is not used.

use crate::data::Dataset;
use crate::encoders::{ClearEmbedder, EmbedError, embed_all};
use blindroute_routing::bundle::container::{self, Section};
use blindroute_routing::bundle::{Bundle, BundleError, Matrix};
use blindroute_routing::tokenizer::Tokenizer;
use std::fs;
use std::path::Path;

const KIND: &str = "embeddings";
const NAME: &str = "embeddings";
/// Prompts per batch: enough that no thread waits long for the slowest prompt.
const BATCH: usize = 32;

/// What can go wrong when a data set is embedded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetEmbedError {
    /// The bundle cannot be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A prompt could not be tokenised, or the encoder failed.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The file of embeddings could not be written.
    #[error("could not write the embeddings to {}: {problem}; name a file in a folder where you can write", .path.display())]
    Cache {
        /// Which file.
        path: std::path::PathBuf,
        /// Why.
        problem: String,
    },
}

/// Embeds every prompt of a data set with the bundle's own encoder: `[prompts, hidden]`, in file order. With a `cache`, embeddings
/// of the same encoder and prompts are read from that file, or written to it. Calls `on_progress` with the number of prompts
/// that are done.
pub fn embed_dataset(
    bundle: &Bundle,
    dataset: &Dataset,
    cache: Option<&Path>,
    on_progress: &mut dyn FnMut(usize),
) -> Result<Matrix, DatasetEmbedError> {
    let key = key(bundle, dataset)?;
    let shape = (dataset.prompts().len(), bundle.parts().encoder.hidden);
    if let Some(found) = cache.and_then(|path| read(path, &key, shape)) {
        on_progress(found.rows());
        return Ok(found);
    }
    let tokenizer = Tokenizer::from_json(&bundle.parts().tokenizer, bundle.parts().encoder.window)
        .map_err(|error| BundleError::Tokenizer(error.to_string()))?;
    let embedder = ClearEmbedder::new(bundle).map_err(EmbedError::Encoder)?;
    let prompts = dataset.prompts().iter().map(|prompt| prompt.text.as_str());
    let embeddings = embed_all(prompts, &tokenizer, &embedder, BATCH, on_progress)?;
    if let Some(path) = cache {
        write(path, &key, &embeddings)
            .map_err(|problem| DatasetEmbedError::Cache { path: path.to_owned(), problem })?;
    }
    Ok(embeddings)
}

/// The key of the embeddings: encoder, tokenizer and prompts.
fn key(bundle: &Bundle, dataset: &Dataset) -> Result<Vec<u8>, BundleError> {
    let mut parts = bundle.parts().clone();
    parts.models.clear();
    parts.routers.clear();
    parts.origin.clear();
    let encoder = Bundle::new(parts)?.digest();
    Ok(format!("{encoder} {}", dataset.prompts_digest()).into_bytes())
}

/// The embeddings in the file, if it has this key.
fn read(path: &Path, key: &[u8], shape: (usize, usize)) -> Option<Matrix> {
    let bytes = container::read_file(path).ok()?;
    let container = container::read(&bytes, KIND).ok()?;
    if container.header() != key {
        return None;
    }
    let payload = container.section(NAME).ok()?;
    let data = payload.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Matrix::new(shape.0, shape.1, data)
}

fn write(path: &Path, key: &[u8], embeddings: &Matrix) -> Result<(), String> {
    let payload: Vec<u8> = embeddings.data().iter().flat_map(|value| value.to_le_bytes()).collect();
    let bytes =
        container::write(KIND, key, &[Section { name: NAME, payload: &payload }]).map_err(|error| error.to_string())?;
    fs::write(path, bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::synthetic_pool;

    #[test]
    fn kept_embeddings_are_used_for_the_same_prompts_only() {
        let (bundle, mut dataset, _) = synthetic_pool(8, 2);
        dataset.prompts.truncate(3);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("embeddings");
        let embed = |dataset: &Dataset| {
            let mut calls = Vec::new();
            let found = embed_dataset(&bundle, dataset, Some(&file), &mut |done| calls.push(done)).unwrap();
            (found, std::fs::metadata(&file).unwrap().modified().unwrap(), calls)
        };
        let (first, written, calls) = embed(&dataset);
        assert_eq!((first.shape(), calls), ((3, 32), vec![3]));
        let (second, still, _) = embed(&dataset);
        assert_eq!((second, still), (first.clone(), written));
        dataset.prompts[0].text = "b".to_owned();
        let (third, _, _) = embed(&dataset);
        assert_ne!(third.row(0), first.row(0));
        assert_eq!(third.row(1), first.row(1));
        std::fs::write(&file, b"nonsense").unwrap();
        assert_eq!(embed(&dataset).0, third);
    }
}
