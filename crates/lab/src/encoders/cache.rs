//! Embeddings of data sets, kept in a file, because embedding takes most of the time of a training.

use super::embedder::Distinct;
use super::embedding_file::{EmbeddingFile, EmbeddingFileError};
use crate::Stop;
use crate::data::Dataset;
use crate::encoders::{ClearEmbedder, EmbedError, EmbedEvent, Embedded};
use blindroute_routing::bundle::{Bundle, BundleError, Digest};
use blindroute_routing::tokenizer::Window;
use std::path::Path;

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
    /// The file of embeddings cannot be used.
    #[error(transparent)]
    File(#[from] EmbeddingFileError),
}

/// Embeds every prompt of a data set with the bundle's own encoder, in file order. Prompts with the same tokens
/// are embedded once. With a `file`, embeddings of this encoder are taken from it, and others are added as soon as they are
/// made, so that an interrupted run is continued. Several encoders and data sets can share a file.
pub fn embed_dataset(
    bundle: &Bundle,
    dataset: &Dataset,
    file: Option<&Path>,
    on_event: &mut dyn FnMut(EmbedEvent),
    stop: &Stop,
) -> Result<Embedded, DatasetEmbedError> {
    let tokenizer = bundle.tokenizer()?;
    let mut prompts = Distinct::new(dataset.prompts().iter().map(|prompt| prompt.text.as_str()), &tokenizer)?;
    let encoder = encoder_digest(bundle)?;
    let mut wait = || on_event(EmbedEvent::Waiting);
    let mut file = file.map(|path| EmbeddingFile::open(path, &mut wait, stop)).transpose()?;
    if let Some(file) = &mut file {
        let removed = file.read(&encoder, bundle.parts().encoder.hidden, |tokens, values| {
            let numbers = || values.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            prompts.take(tokens, numbers);
        })?;
        if removed > 0 {
            on_event(EmbedEvent::Removed { bytes: removed });
        }
    }
    if !prompts.is_complete() {
        let embedder = ClearEmbedder::new(bundle).map_err(EmbedError::Encoder)?;
        let mut keep = |entries: &[(Digest, &[f32])]| match &mut file {
            Some(file) => file.append(&encoder, entries).map_err(DatasetEmbedError::from),
            None => Ok(()),
        };
        prompts.embed(&embedder, &mut keep, on_event, stop)?;
    }
    Ok(prompts.into_embedded()?)
}

/// The digest of what turns token ids into embeddings: routers, models and origin do not matter.
fn encoder_digest(bundle: &Bundle) -> Result<Digest, BundleError> {
    let mut parts = bundle.parts().clone();
    parts.models.clear();
    parts.routers.clear();
    parts.origin.clear();
    // A window decides which tokens a prompt has, and tokens are a part of every entry's key.
    parts.encoder.window = Window::Head;
    Ok(Digest::from(*Bundle::new(parts)?.digest().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::{small_encoder, synthetic_pool};
    use crate::encoders::EmbedProgress;
    use blindroute_routing::bundle::{Activation, Attention};
    use std::sync::Mutex;

    /// The embeddings, and how many prompts were found and embedded.
    fn embed(bundle: &Bundle, dataset: &Dataset, file: Option<&Path>) -> (Embedded, usize, usize) {
        let last = Mutex::new(EmbedProgress::default());
        let mut on_event = |event| match event {
            EmbedEvent::Progress(progress) => *last.lock().unwrap() = progress,
            other => panic!("{other:?}"),
        };
        let found = embed_dataset(bundle, dataset, file, &mut on_event, &Stop::never()).unwrap();
        let last = *last.lock().unwrap();
        assert_eq!((last.done, last.tokens), (last.all, last.all_tokens));
        (found, last.found, last.done)
    }

    fn with_prompts(dataset: &Dataset, texts: &[&str]) -> Dataset {
        let mut dataset = dataset.clone();
        dataset.prompts.truncate(texts.len());
        for (prompt, text) in dataset.prompts.iter_mut().zip(texts) {
            prompt.text = (*text).to_owned();
        }
        dataset
    }

    #[test]
    fn data_sets_and_encoders_share_a_file() {
        let (bundle, dataset, _) = synthetic_pool(8, 2);
        let other = small_encoder(Attention::TwoRelu, Activation::Relu);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("embeddings");
        let (first, second) = (with_prompts(&dataset, &["a", "b", "a"]), with_prompts(&dataset, &["c", "a", "b b"]));
        let (embeddings, found, embedded) = embed(&bundle, &first, Some(&file));
        assert_eq!((embeddings.embeddings().rows(), found, embedded), (3, 0, 2));
        assert_eq!(embeddings, embed(&bundle, &first, None).0);
        assert_eq!(embeddings.embeddings().row(0), embeddings.embeddings().row(2));
        // Nothing is left to do.
        assert_eq!(embed(&bundle, &first, Some(&file)), (embeddings.clone(), 0, 0));
        // Another data set needs only the prompts that are new to the file.
        let (of_second, found, embedded) = embed(&bundle, &second, Some(&file));
        assert_eq!((found, embedded), (1, 2));
        assert_eq!(of_second, embed(&bundle, &second, None).0);
        // Another encoder finds nothing, and takes nothing from the first.
        let (of_other, found, embedded) = embed(&other, &first, Some(&file));
        assert_eq!((found, embedded), (0, 2));
        assert_ne!(of_other, embeddings);
        assert_eq!(embed(&bundle, &first, Some(&file)), (embeddings, 0, 0));
    }

    #[test]
    fn an_interrupted_run_is_continued() {
        let (bundle, dataset, _) = synthetic_pool(8, 2);
        let dataset = with_prompts(&dataset, &["a", "b", "c d"]);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("embeddings");
        let expected = embed(&bundle, &dataset, Some(&file)).0;
        let length = std::fs::metadata(&file).unwrap().len();
        std::fs::File::options().write(true).open(&file).unwrap().set_len(length - 1).unwrap();
        let mut events = Vec::new();
        let found =
            embed_dataset(&bundle, &dataset, Some(&file), &mut |event| events.push(event), &Stop::never()).unwrap();
        assert_eq!(found, expected);
        assert!(matches!(events[0], EmbedEvent::Removed { bytes: 100.. }), "{events:?}");
        assert!(
            matches!(events[1], EmbedEvent::Progress(EmbedProgress { done: 0, all: 1, found: 2, .. })),
            "{events:?}"
        );
        assert_eq!(std::fs::metadata(&file).unwrap().len(), length);
    }
}
