//! A bundle in three: the public part for everybody, and a share of the secret weights for each server.
//!
//! Party 0's share is a seed; party 1's is the folded fixed-point weights less what the seed makes. Either alone is
//! uniformly random. The three carry one *deployment digest*, of the bundle and of this very split: shares of two
//! splits do not fit together, and parties whose deployment digests differ refuse to run.

use super::codec;
use super::config::{EncoderConfig, Model};
use super::container::{self, Section};
use super::digest::ModelDigest;
use super::encoder::EmbeddingTables;
use super::error::BundleError;
use super::{Bundle, tensor};
use crate::program::{ModelPlan, weight_tensors};
use blindroute_protocol::{Party, Seed, WeightShares, WeightSpec};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use zeroize::Zeroizing;

const PUBLIC_KIND: &str = "router-public";
const SHARE_KIND: &str = "router-share";
const TOKENIZER: &str = "tokenizer.json";
const SHARE: &str = "share";

/// What client, servers and dealer all hold.
#[derive(Clone, Debug)]
pub struct PublicPart {
    /// The programs' shapes.
    pub plan: ModelPlan,
    /// The encoder's program.
    pub encoder: EncoderConfig,
    /// The tokenizer.
    pub tokenizer: Vec<u8>,
    /// The embedding tables.
    pub embedding: EmbeddingTables,
    /// The pool.
    pub models: Vec<Model>,
    /// Each router's default λ.
    pub lambdas: Vec<f32>,
    /// The digest of bundle and split.
    pub digest: ModelDigest,
}

#[derive(Serialize, Deserialize)]
struct PublicHeader {
    plan: ModelPlan,
    encoder: EncoderConfig,
    models: Vec<Model>,
    lambdas: Vec<f32>,
    digest: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct ShareHeader {
    party: usize,
    digest: [u8; 32],
}

/// The bytes of the three files.
#[derive(Debug)]
pub struct Split {
    /// The public part.
    pub public: Vec<u8>,
    /// The shares, by party.
    pub shares: [Zeroizing<Vec<u8>>; 2],
}

/// Splits a bundle with a fresh seed of the weights' shares, from the operating system.
///
/// # Errors
/// If the bundle's weights do not fit its program.
pub fn split(bundle: &Bundle, seed: &Seed) -> Result<Split, BundleError> {
    let plan = ModelPlan::of(bundle);
    let specs = plan.weights();
    let unfit = |error: blindroute_protocol::Error| BundleError::Weights(error.to_string());
    let weights = weight_tensors(bundle, &plan).map_err(unfit)?;
    let words = Zeroizing::new(WeightShares::complement(&specs, &weights, seed).map_err(unfit)?.to_bytes(&specs));
    // The words commit to the seed without telling it.
    let mut hash = Sha256::new();
    hash.update(bundle.digest().as_bytes());
    hash.update(words.as_slice());
    let digest: [u8; 32] = hash.finalize().into();
    let parts = bundle.parts();
    let header = PublicHeader {
        plan,
        encoder: parts.encoder.clone(),
        models: parts.models.clone(),
        lambdas: parts.routers.iter().map(|router| router.lambda).collect(),
        digest,
    };
    let mut list = Vec::new();
    parts.embedding.list(&mut list);
    let payloads: Vec<Vec<u8>> = list.iter().map(|(_, matrix)| tensor::encode(matrix)).collect();
    let mut sections = vec![Section { name: TOKENIZER, payload: &parts.tokenizer }];
    sections.extend(list.iter().zip(&payloads).map(|((name, _), payload)| Section { name, payload }));
    let public = container::write(PUBLIC_KIND, &json(&header)?, &sections)?;
    let share = |party: usize, payload: &[u8]| {
        let header = json(&ShareHeader { party, digest })?;
        let bytes = container::write(SHARE_KIND, &header, &[Section { name: SHARE, payload }])?;
        Ok::<_, BundleError>(Zeroizing::new(bytes))
    };
    Ok(Split { public, shares: [share(0, seed.expose())?, share(1, &words)?] })
}

fn json(header: &impl Serialize) -> Result<Vec<u8>, BundleError> {
    serde_json::to_vec(header).map_err(|error| BundleError::Header(error.to_string()))
}

fn header<'a, H: Deserialize<'a>>(bytes: &'a [u8]) -> Result<H, BundleError> {
    serde_json::from_slice(bytes).map_err(|error| BundleError::Header(error.to_string()))
}

impl PublicPart {
    /// Reads the public part from the bytes of its file.
    ///
    /// # Errors
    /// If they are no public part, cut, altered, or of another version.
    pub fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        let container = container::read(bytes, PUBLIC_KIND)?;
        let header: PublicHeader = header(container.header())?;
        codec::check_shapes(&header.encoder, &header.models)?;
        header.plan.check(&header.encoder, header.models.len(), header.lambdas.len())?;
        let embedding = EmbeddingTables::build(
            &mut |name, shape| tensor::decode(container.section(name)?, name, shape),
            &header.encoder,
        )?;
        Ok(Self {
            plan: header.plan,
            encoder: header.encoder,
            tokenizer: container.section(TOKENIZER)?.to_vec(),
            embedding,
            models: header.models,
            lambdas: header.lambdas,
            digest: header.digest.into(),
        })
    }

    /// Reads the public part from its file.
    ///
    /// # Errors
    /// As [`PublicPart::read`], or if the file cannot be read.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        Self::read(&container::read_file(path)?)
    }
}

/// A server's share of a bundle's weights, as its file holds it.
pub struct ShareFile {
    party: Party,
    digest: ModelDigest,
    payload: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for ShareFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ShareFile({:?}, {}, redacted)", self.party, self.digest)
    }
}

impl ShareFile {
    /// Reads a share from the bytes of its file.
    ///
    /// # Errors
    /// If they are no share, cut, altered, or of another version.
    pub fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        let container = container::read(bytes, SHARE_KIND)?;
        let header: ShareHeader = header(container.header())?;
        let party = Party::from_index(header.party)
            .ok_or_else(|| BundleError::Header(format!("party {} is neither 0 nor 1", header.party)))?;
        let payload = Zeroizing::new(container.section(SHARE)?.to_vec());
        Ok(Self { party, digest: header.digest.into(), payload })
    }

    /// Reads a share from its file.
    ///
    /// # Errors
    /// As [`ShareFile::read`], or if the file cannot be read.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        Self::read(&Zeroizing::new(container::read_file(path)?))
    }

    /// As [`ShareFile::open`], with the file, to read it again by [`ShareFile::read_from`] whatever its name stands for by
    /// then.
    ///
    /// # Errors
    /// As [`ShareFile::open`].
    pub fn hold(path: &Path) -> Result<(Self, std::fs::File), BundleError> {
        let file = std::fs::File::open(path).map_err(container::ContainerError::from)?;
        Ok((Self::read_from(&file)?, file))
    }

    /// Reads a share from an open file, from its beginning.
    ///
    /// # Errors
    /// As [`ShareFile::open`].
    pub fn read_from(mut file: &std::fs::File) -> Result<Self, BundleError> {
        std::io::Seek::rewind(&mut file).map_err(container::ContainerError::from)?;
        Self::read(&Zeroizing::new(container::read_bytes(file)?))
    }

    /// Whose share it is.
    pub fn party(&self) -> Party {
        self.party
    }

    /// The digest of bundle and split.
    pub fn digest(&self) -> ModelDigest {
        self.digest
    }

    /// The weights' shares.
    ///
    /// # Errors
    /// If they are not of these weights.
    pub fn weights(&self, specs: &[WeightSpec]) -> Result<WeightShares, blindroute_protocol::Error> {
        match self.party {
            Party::One => WeightShares::from_bytes(specs, &self.payload),
            Party::Zero => {
                let seed: [u8; 16] =
                    self.payload.as_slice().try_into().map_err(|_| blindroute_protocol::Error::Weight {
                        name: "(all)".to_owned(),
                        problem: format!("expected a seed of 16 bytes, found {}", self.payload.len()),
                    })?;
                Ok(WeightShares::from_seed(specs, &Seed::new(seed)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::tests::small_bundle;

    #[test]
    fn the_three_parts_read_back_and_fit_together() {
        let bundle = small_bundle();
        let split = split(&bundle, &Seed::new([3; 16])).unwrap();
        let public = PublicPart::read(&split.public).unwrap();
        assert_eq!(public.plan, ModelPlan::of(&bundle));
        assert_eq!(public.embedding, bundle.parts().embedding);
        let specs = public.plan.weights();
        for (index, bytes) in split.shares.iter().enumerate() {
            let share = ShareFile::read(bytes).unwrap();
            assert_eq!(share.party().index(), index);
            assert_eq!(share.digest(), public.digest);
            assert_eq!(share.weights(&specs).unwrap().party(), share.party());
            assert!(format!("{share:?}").contains("redacted"));
        }
    }

    #[test]
    fn another_split_has_another_digest() {
        let bundle = small_bundle();
        let digest = |seed| PublicPart::read(&split(&bundle, &Seed::new(seed)).unwrap().public).unwrap().digest;
        assert_ne!(digest([1; 16]), digest([2; 16]));
    }

    #[test]
    fn a_flipped_or_missing_byte_is_an_error() {
        let split = split(&small_bundle(), &Seed::new([3; 16])).unwrap();
        for file in [&split.public, &*split.shares[0], &*split.shares[1]] {
            for at in (0..file.len()).step_by(file.len() / 61 + 1) {
                let mut flipped = file.clone();
                flipped[at] ^= 0x10;
                assert!(PublicPart::read(&flipped).is_err() && ShareFile::read(&flipped).is_err());
                assert!(PublicPart::read(&file[..at]).is_err() && ShareFile::read(&file[..at]).is_err());
            }
        }
    }
}
