//! Splitting a bundle into three files: the public part for all parties, and a share of the secret weights for each
//! server.
//!
//! Party 0's share is a seed. Party 1's share is the folded fixed-point weights minus the expansion of the seed. Either
//! one alone is uniformly random. The public part holds a commitment to each share: a digest of the share's bytes and
//! of 32 random bytes, the salt, which is stored only in that share's file. The *deployment digest* is the digest of
//! the public part's file, so it covers both commitments. Parties that agree on it agree on both shares, and so on the
//! weights, and a [`ShareFile`] can be read only against the commitment of its deployment.
//!
//! Nobody can test a guess of the weights with these digests. A party that guesses all weights can compute the other
//! party's share from its own, but not the other party's salt. Its own commitment covers only its own share, which is
//! uniformly random. The salts come from the operating system, and the split keeps no copy of them.

use super::codec;
use super::config::{EncoderConfig, Model};
use super::container::{self, Section};
use super::digest::{BundleDigest, Digest};
use super::encoder::EmbeddingTables;
use super::error::BundleError;
use super::{Bundle, tensor};
use crate::program::{BundlePlan, weight_tensors};
use blindroute_protocol::{Party, Seed, WeightShares, WeightSpec};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use zeroize::Zeroizing;

const PUBLIC_KIND: &str = "router-public";
const SHARE_KIND: &str = "router-share";
const TOKENIZER: &str = "tokenizer.json";
const SHARE: &str = "share";
const SALT: &str = "salt";
/// The format of the three files. Format 1 had a digest with which either server could test guesses of the weights.
const FORMAT: u32 = 2;
const SALT_BYTES: usize = 32;
const SEED_BYTES: usize = 16;

/// The public part of a split bundle: client, servers and dealer all hold it.
#[derive(Clone, Debug)]
pub struct PublicPart {
    /// The shapes of the programs.
    pub plan: BundlePlan,
    /// The encoder's program.
    pub encoder: EncoderConfig,
    /// The tokenizer.
    pub tokenizer: Vec<u8>,
    /// The embedding tables.
    pub embedding: EmbeddingTables,
    /// The pool of models.
    pub models: Vec<Model>,
    /// Each router's default λ.
    pub lambdas: Vec<f32>,
    /// The deployment digest: the digest of this part's file, which includes the commitments to both shares.
    pub digest: BundleDigest,
    /// The commitments to the shares, by party. None if the bundle was not split.
    commitments: Option<[Digest; 2]>,
}

#[derive(Serialize, Deserialize)]
struct PublicHeader {
    plan: BundlePlan,
    encoder: EncoderConfig,
    models: Vec<Model>,
    lambdas: Vec<f32>,
    shares: [[u8; 32]; 2],
}

#[derive(Serialize, Deserialize)]
struct ShareHeader {
    party: usize,
    digest: [u8; 32],
}

/// A header with the number of its format. Files in format 1 have no number.
#[derive(Serialize, Deserialize)]
struct Versioned<H> {
    format: u32,
    #[serde(flatten)]
    header: H,
}

/// The format alone, which is read before the rest of the header.
#[derive(Deserialize)]
struct StatedFormat {
    #[serde(default = "first_format")]
    format: u32,
}

fn first_format() -> u32 {
    1
}

/// The bytes of the three files.
#[derive(Debug)]
pub struct SplitFiles {
    /// The public part.
    pub public: Vec<u8>,
    /// The shares, by party.
    pub shares: [Zeroizing<Vec<u8>>; 2],
}

/// The random values of a split: the seed of party 0's share and the salts of both commitments.
pub struct SplitRandomness {
    seed: Seed,
    salts: [Zeroizing<[u8; SALT_BYTES]>; 2],
}

impl std::fmt::Debug for SplitRandomness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SplitRandomness(redacted)")
    }
}

impl SplitRandomness {
    /// How many random bytes a split needs.
    pub const BYTES: usize = SEED_BYTES + 2 * SALT_BYTES;

    /// Takes these bytes, which must be fresh from the operating system. Each split needs its own.
    pub fn new(bytes: &[u8; Self::BYTES]) -> Self {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        seed.copy_from_slice(&bytes[..SEED_BYTES]);
        let salt = |party: usize| {
            let mut salt = Zeroizing::new([0; SALT_BYTES]);
            let start = SEED_BYTES + party * SALT_BYTES;
            salt.copy_from_slice(&bytes[start..start + SALT_BYTES]);
            salt
        };
        Self { seed: Seed::new(*seed), salts: [salt(0), salt(1)] }
    }
}

/// Splits a bundle into its three files.
///
/// # Errors
/// If the bundle's weights do not fit its program.
pub fn split(bundle: &Bundle, randomness: &SplitRandomness) -> Result<SplitFiles, BundleError> {
    let plan = BundlePlan::of(bundle);
    let specs = plan.weights();
    let unfit = |error: blindroute_protocol::Error| BundleError::Weights(error.to_string());
    let weights = weight_tensors(bundle, &plan).map_err(unfit)?;
    let SplitRandomness { seed, salts } = randomness;
    let words = Zeroizing::new(WeightShares::complement(&specs, &weights, seed).map_err(unfit)?.to_bytes(&specs));
    let payloads: [&[u8]; 2] = [seed.expose(), &words];
    let commitment = |party: Party| commitment(party, &*salts[party.index()], payloads[party.index()]);
    let parts = bundle.parts();
    let header = PublicHeader {
        plan,
        encoder: parts.encoder.clone(),
        models: parts.models.clone(),
        lambdas: parts.routers.iter().map(|router| router.lambda).collect(),
        shares: [commitment(Party::Zero), commitment(Party::One)].map(|commitment| *commitment.as_bytes()),
    };
    let mut list = Vec::new();
    parts.embedding.list(&mut list);
    let tables: Vec<Vec<u8>> = list.iter().map(|(_, matrix)| tensor::encode(matrix)).collect();
    let mut sections = vec![Section { name: TOKENIZER, payload: &parts.tokenizer }];
    sections.extend(list.iter().zip(&tables).map(|((name, _), payload)| Section { name, payload }));
    let public = container::write(PUBLIC_KIND, &json(header)?, &sections)?;
    let digest = *container::read(&public, PUBLIC_KIND)?.digest().as_bytes();
    let share = |party: usize| {
        let sections =
            [Section { name: SALT, payload: &*salts[party] }, Section { name: SHARE, payload: payloads[party] }];
        let bytes = container::write(SHARE_KIND, &json(ShareHeader { party, digest })?, &sections)?;
        Ok::<_, BundleError>(Zeroizing::new(bytes))
    };
    Ok(SplitFiles { public, shares: [share(0)?, share(1)?] })
}

/// A commitment to a share's bytes. It reveals nothing about them to anyone who does not have the salt.
fn commitment(party: Party, salt: &[u8], payload: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"blindroute share of weights 2\0");
    hash.update([party.index() as u8]);
    hash.update(salt);
    hash.update(payload);
    let digest: [u8; 32] = hash.finalize().into();
    digest.into()
}

fn json(header: impl Serialize) -> Result<Vec<u8>, BundleError> {
    let versioned = Versioned { format: FORMAT, header };
    serde_json::to_vec(&versioned).map_err(|error| BundleError::Header(error.to_string()))
}

fn header<'a, H: Deserialize<'a>>(bytes: &'a [u8]) -> Result<H, BundleError> {
    let unreadable = |error: serde_json::Error| BundleError::Header(error.to_string());
    let StatedFormat { format } = serde_json::from_slice(bytes).map_err(unreadable)?;
    if format != FORMAT {
        return Err(BundleError::SplitFormat { found: format, expected: FORMAT });
    }
    serde_json::from_slice(bytes).map_err(unreadable)
}

impl PublicPart {
    /// The kind of its file's container.
    pub const KIND: &str = PUBLIC_KIND;

    /// Reads the public part from the bytes of its file.
    ///
    /// # Errors
    /// If they are not a public part, are truncated or altered, or are of another version.
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
            digest: container.digest().into(),
            commitments: Some(header.shares.map(Digest::from)),
        })
    }

    /// The public part of a bundle that was not split, for programs that run in the clear in this process. Its digest
    /// is that of the bundle, and no share belongs to it.
    pub fn unsplit(bundle: &Bundle) -> Self {
        let parts = bundle.parts();
        Self {
            plan: BundlePlan::of(bundle),
            encoder: parts.encoder.clone(),
            tokenizer: parts.tokenizer.clone(),
            embedding: parts.embedding.clone(),
            models: parts.models.clone(),
            lambdas: parts.routers.iter().map(|router| router.lambda).collect(),
            digest: bundle.digest(),
            commitments: None,
        }
    }

    /// The share of a party that belongs to this part, for [`ShareFile::read`].
    pub fn expected_share(&self, party: Party) -> ExpectedShare {
        let commitment = self.commitments.map(|commitments| commitments[party.index()]);
        ExpectedShare { party, digest: self.digest, commitment }
    }

    /// Reads the public part from its file.
    ///
    /// # Errors
    /// As for [`PublicPart::read`], or if the file cannot be read.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        Self::read(&container::read_file(path)?)
    }
}

/// Identifies the share of a party that belongs to a deployment. It holds nothing secret: keep it, and compare with it
/// each time the share is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedShare {
    party: Party,
    digest: BundleDigest,
    commitment: Option<Digest>,
}

impl ExpectedShare {
    /// The deployment digest of the split to which it belongs.
    pub fn deployment(&self) -> BundleDigest {
        self.digest
    }
}

/// A server's share of a bundle's weights, in the form in which its file holds it.
pub struct ShareFile {
    party: Party,
    payload: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for ShareFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ShareFile({:?}, redacted)", self.party)
    }
}

impl ShareFile {
    /// The kind of its file's container.
    pub const KIND: &str = SHARE_KIND;

    /// Reads a share from the bytes of its file. A share cannot be read without stating which one is expected, because
    /// the file may have been replaced since it was last read.
    ///
    /// # Errors
    /// If they are not a share, are truncated or altered, of another version, or not the expected share.
    pub fn read(bytes: &[u8], expected: &ExpectedShare) -> Result<Self, BundleError> {
        let container = container::read(bytes, SHARE_KIND)?;
        let header: ShareHeader = header(container.header())?;
        let party = Party::from_index(header.party)
            .ok_or_else(|| BundleError::Header(format!("party {}, expected 0 or 1", header.party)))?;
        if party != expected.party {
            return Err(BundleError::OtherParty { found: party.index(), expected: expected.party.index() });
        }
        let digest = BundleDigest::from(header.digest);
        if digest != expected.digest {
            return Err(BundleError::OtherSplit { found: digest, expected: expected.digest });
        }
        let salt = container.section(SALT)?;
        if salt.len() != SALT_BYTES {
            return Err(BundleError::Header(format!("a salt of {} bytes, expected {SALT_BYTES}", salt.len())));
        }
        let payload = Zeroizing::new(container.section(SHARE)?.to_vec());
        let found = commitment(party, salt, &payload);
        match expected.commitment {
            Some(commitment) if commitment == found => Ok(Self { party, payload }),
            Some(expected) => Err(BundleError::OtherShare { found, expected }),
            None => Err(BundleError::Header("the share belongs to a bundle that was not split".to_owned())),
        }
    }

    /// Reads a share from its file.
    ///
    /// # Errors
    /// As for [`ShareFile::read`], or if the file cannot be read.
    pub fn open(path: &Path, expected: &ExpectedShare) -> Result<Self, BundleError> {
        Self::read(&Zeroizing::new(container::read_file(path)?), expected)
    }

    /// The position of the server to which it belongs.
    pub fn party(&self) -> Party {
        self.party
    }

    /// The shares of the weights.
    ///
    /// # Errors
    /// If they do not have the shapes of these weights.
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
mod tests;
