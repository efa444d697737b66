//! The router bundle: one versioned file with everything that a provider has.
//!
//! A bundle holds the encoder's program and weights, its tokenizer, the pool of models with their prices, and any
//! number of named routers over that pool. [`container`] is the format of the file; this module defines the meaning of
//! its sections. The same contents always give the same bytes, and [`Bundle::digest`] identifies them.
//!
//! The tokenizer and the [`EmbeddingTables`] are public: every client has them. All other tensors are the provider's
//! secret. [`Bundle::public_tensors`] and [`Bundle::secret_tensors`] list the two kinds.
//!
//! Matrices may be stored in steps of a few bits ([`Matrix::quantised`]). In memory they are f32.

use crate::tokenizer::Tokenizer;
use std::path::Path;

pub mod container;

mod codec;
mod config;
mod digest;
mod encoder;
mod error;
mod import;
mod limits;
mod matrix;
mod pool;
mod router;
mod shape;
mod split;
mod tensor;
#[cfg(test)]
mod tests;
mod widths;

pub use config::{Activation, Attention, EncoderConfig, Model, Norms, Pooling, is_unprintable};
pub use digest::{BundleDigest, Digest};
pub use encoder::{EmbeddingTables, Layer, LayerNorm, LinearLayer};
pub use error::BundleError;
pub use import::{ImportError, ImportOptions, ImportedEncoder, Precision, ProgramChoices, PublishedFiles};
pub use limits::{LARGEST_HIDDEN, LARGEST_KEY, LARGEST_OUTCOME, LARGEST_SPREAD, LARGEST_WEIGHT};
pub use matrix::{Axis, Matrix};
pub use pool::{ALL_GO, Classifier, ClassifierPool, ClassifierTask, Gain, MOST_EXITS, PoolShape, TaskShape, going};
pub use router::{Cscr, Direct, HiddenLayer, Mlp, Neighbours, Router, Rule, ScoreLines, UniRoute};
pub use shape::{MOST_STORED, RuleShape};
pub use split::{ExpectedShare, PublicPart, ShareFile, SplitFiles, SplitRandomness, split};
pub use widths::Widths;

/// The contents of a bundle, not yet checked: [`Bundle::new`] checks them.
#[derive(Clone, Debug, PartialEq)]
pub struct BundleParts {
    /// The encoder's program.
    pub encoder: EncoderConfig,
    /// The tokenizer, as JSON text that [`crate::tokenizer::Tokenizer`] reads.
    pub tokenizer: Vec<u8>,
    /// The embedding tables (public).
    pub embedding: EmbeddingTables,
    /// The layers (secret).
    pub layers: Vec<Layer>,
    /// The pool of models, in the order of every router's columns. Empty in a bundle without routers.
    pub models: Vec<Model>,
    /// The routers; the first is the default.
    pub routers: Vec<Router>,
    /// The nested pool of classifiers on this encoder, if there is one.
    pub pool: Option<ClassifierPool>,
    /// A text for people: where the contents come from, and under which licence.
    pub origin: String,
}

/// A router bundle: checked [`BundleParts`] and their digest.
#[derive(Clone, Debug)]
pub struct Bundle {
    parts: BundleParts,
    digest: BundleDigest,
}

/// A bundle that was read, and the names of what this program does not know in its file.
#[derive(Debug)]
pub struct ReadBundle {
    /// The bundle.
    pub bundle: Bundle,
    /// Names, never values, of header fields and sections that were ignored. The caller should warn about them.
    pub unknown: Vec<String>,
}

impl Bundle {
    /// Makes a bundle of parts that fit together.
    pub fn new(parts: BundleParts) -> Result<Self, BundleError> {
        codec::check(&parts)?;
        let digest = codec::digest(&parts)?;
        Ok(Self { parts, digest })
    }

    /// Reads a bundle from the bytes of its file.
    pub fn read(bytes: &[u8]) -> Result<ReadBundle, BundleError> {
        let (parts, digest, unknown) = codec::read(bytes)?;
        Ok(ReadBundle { bundle: Self { parts, digest: digest.into() }, unknown })
    }

    /// Reads a bundle from its file.
    pub fn open(path: &Path) -> Result<ReadBundle, BundleError> {
        Self::read(&container::read_file(path)?)
    }

    /// The bytes of its file.
    pub fn write(&self) -> Result<Vec<u8>, BundleError> {
        codec::write(&self.parts)
    }

    /// The digest of its program and weights.
    pub fn digest(&self) -> BundleDigest {
        self.digest
    }

    /// Its contents.
    pub fn parts(&self) -> &BundleParts {
        &self.parts
    }

    /// Its contents, to be changed and given to [`Bundle::new`] again.
    pub fn into_parts(self) -> BundleParts {
        self.parts
    }

    /// Its tokenizer, with the encoder's window.
    pub fn tokenizer(&self) -> Result<Tokenizer, BundleError> {
        let BundleParts { tokenizer, encoder, .. } = &self.parts;
        Tokenizer::from_json(tokenizer, encoder.window).map_err(|error| BundleError::Tokenizer(error.to_string()))
    }

    /// The router of this name, or the first one if no name is given.
    pub fn router(&self, name: Option<&str>) -> Result<&Router, BundleError> {
        let routers = &self.parts.routers;
        let found = match name {
            Some(name) => routers.iter().find(|router| router.name == name),
            None => routers.first(),
        };
        found.ok_or_else(|| BundleError::UnknownRouter {
            name: name.unwrap_or("(default)").to_owned(),
            known: routers.iter().map(|router| router.name.clone()).collect(),
        })
    }

    /// The public tensors with their names, in file order.
    pub fn public_tensors(&self) -> Vec<(String, &Matrix)> {
        let mut list = Vec::new();
        self.parts.embedding.list(&mut list);
        list
    }

    /// The secret tensors with their names, in file order: layers, then routers, then the pool of classifiers.
    pub fn secret_tensors(&self) -> Vec<(String, &Matrix)> {
        let mut list = Vec::new();
        self.parts.layers.iter().enumerate().for_each(|(index, layer)| layer.list(index, &mut list));
        self.parts.routers.iter().for_each(|router| router.list(&mut list));
        self.parts.pool.iter().for_each(|pool| pool.list(&mut list));
        list
    }
}
