//! Descriptors of models from their answers: CSCR's fingerprints (arXiv 2508.12491, section 4), through any endpoint that speaks
//! OpenAI's protocol and returns log-probabilities.
//!
//! - **Footprint**: the mean probability of each token over the first tokens of a model's answers to the probes. The paper uses
//!   the pool's common vocabulary. But pools mix tokenizers, and a model that joins must not change the descriptors of the
//!   others, so tokens are put into buckets by a hash of their text. The descriptor is the square roots at unit length, so that
//!   the product of two footprints is the overlap of two distributions (Bhattacharyya).
//! - **Perplexity**: how likely a model's answer to each probe is according to one scorer, or according to the model itself: the
//!   mean negative log-likelihood of the answer's tokens, minus its mean over the probes, at unit length.
//!
//! A fingerprint does not depend on other models, so a model can be measured later with the same probes.

use crate::data::DataError;
use crate::data::lines::texts;
use crate::data::vector::unit;
use blindroute_routing::bundle::Matrix;
use sha2::{Digest, Sha256};
use std::path::Path;

mod chat_endpoint;
mod file;

pub use chat_endpoint::{ChatEndpoint, ChatEndpointError};
pub use file::{Fingerprints, FingerprintsError};

/// The kind of a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Mean token probabilities.
    Footprint,
    /// How likely the answers are.
    Perplexity,
}

/// How to measure. Two descriptors can be compared if these options, the probes and the scorer are the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The kind of a fingerprint.
    pub kind: Kind,
    /// The maximum number of tokens per answer.
    pub tokens: usize,
    /// The width of a footprint. A perplexity fingerprint has one number per probe.
    pub width: usize,
    /// How many of the most likely tokens are requested at each position.
    pub top_logprobs: u32,
}

/// The largest number of most likely tokens that OpenAI's endpoint returns per position.
pub const MOST_TOP_LOGPROBS: u32 = 20;

/// Prompts whose answers are compared. `Debug` shows only their number.
pub struct Probes {
    texts: Vec<String>,
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Probes({})", self.texts.len())
    }
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// A request to the endpoint failed.
    #[error(transparent)]
    Endpoint(#[from] ChatEndpointError),
    /// The answers give no fingerprint.
    #[error("{model} {problem}")]
    Answers {
        /// Which model.
        model: String,
        /// What is wrong and what to do.
        problem: &'static str,
    },
}

impl FingerprintError {
    /// Whether the endpoint refused because too many of the most likely tokens were requested.
    pub fn is_of_top_logprobs(&self) -> bool {
        matches!(self, Self::Endpoint(ChatEndpointError::TopLogprobs { .. }))
    }
}

/// The smallest number of probes.
const LEAST: usize = 2;
const HINT: &str = "give a file of JSON lines with the field text or prompt";

impl Probes {
    /// Reads the first `most` texts of a file of JSON lines with the field `text` or `prompt`.
    pub fn read(path: &Path, most: usize) -> Result<Self, DataError> {
        let mut texts = texts(path, HINT)?;
        texts.truncate(most);
        if texts.len() < LEAST {
            let problem = format!("it has {} prompts of the train split, expected at least {LEAST}", texts.len());
            return Err(DataError::File { path: path.to_owned(), problem });
        }
        Ok(Self { texts })
    }

    /// The number of probes.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are no probes; always false.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The digest of the texts.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for text in &self.texts {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        base16ct::lower::encode_string(&hash.finalize())
    }
}

/// One token of an answer: its own log-probability, and the most likely tokens at its position.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The natural logarithm of the token's probability.
    pub logprob: f64,
    /// The most likely tokens and their log-probabilities.
    pub likeliest: Vec<(String, f64)>,
}

/// Measures a model's fingerprint. `scorer` (an endpoint and a model there) rates answers for perplexity; without one the model
/// rates its own. Calls `on_probe` after every probe.
pub fn fingerprint(
    endpoint: &ChatEndpoint,
    model: &str,
    scorer: Option<(&ChatEndpoint, &str)>,
    probes: &Probes,
    options: &Options,
    on_probe: &mut dyn FnMut(usize),
) -> Result<Vec<f32>, FingerprintError> {
    let top = (options.kind == Kind::Footprint).then_some(options.top_logprobs);
    let mut steps = Vec::new();
    let mut surprise = Vec::with_capacity(probes.len());
    for (index, probe) in probes.texts.iter().enumerate() {
        let answer = endpoint.answer(model, probe, options.tokens, top)?;
        match (options.kind, scorer) {
            (Kind::Perplexity, Some((scorer, judge))) => {
                surprise.push(mean_surprise(&scorer.score(judge, &answer.text)?))
            }
            (Kind::Perplexity, None) => {
                let own: Vec<f64> = answer.steps.iter().map(|step| step.logprob).collect();
                surprise.push(mean_surprise(&own));
            }
            (Kind::Footprint, _) => steps.extend(answer.steps),
        }
        on_probe(index + 1);
    }
    let found = match options.kind {
        Kind::Footprint => footprint(&steps, options.width),
        Kind::Perplexity => centred(&surprise),
    };
    let problem = match options.kind {
        Kind::Footprint => "returned no token's probability in any answer; use an endpoint that supports top_logprobs",
        Kind::Perplexity => {
            "gave answers that are all equally likely, or no answers; use other probes, or more --tokens"
        }
    };
    found.ok_or_else(|| FingerprintError::Answers { model: model.to_owned(), problem })
}

/// The mean negative log-likelihood; 0 for an empty answer.
fn mean_surprise(logprobs: &[f64]) -> f64 {
    -logprobs.iter().sum::<f64>() / (logprobs.len().max(1)) as f64
}

fn footprint(steps: &[Step], width: usize) -> Option<Vec<f32>> {
    let mut mass = vec![0.0f64; width];
    for (token, logprob) in steps.iter().flat_map(|step| &step.likeliest) {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let (first, _) = digest.split_first_chunk::<8>()?;
        mass[(u64::from_le_bytes(*first) % width as u64) as usize] += logprob.exp();
    }
    let total: f64 = mass.iter().sum();
    (total > 0.0).then(|| unit(&mass.iter().map(|mass| (mass / total).sqrt() as f32).collect::<Vec<_>>()))
}

fn centred(values: &[f64]) -> Option<Vec<f32>> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let centred: Vec<f32> = values.iter().map(|value| (value - mean) as f32).collect();
    let tells = centred.iter().any(|value| value.abs() > 1e-6) && centred.iter().all(|value| value.is_finite());
    tells.then(|| unit(&centred))
}

/// Descriptors as rows, one per model.
fn rows(descriptors: &[&[f32]]) -> Option<Matrix> {
    let width = descriptors.first()?.len();
    Matrix::new(descriptors.len(), width, descriptors.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::vector::dot;

    fn step(tokens: &[(&str, f64)]) -> Step {
        let likeliest = tokens.iter().map(|(token, p)| ((*token).to_owned(), p.ln())).collect();
        Step { logprob: tokens[0].1.ln(), likeliest }
    }

    #[test]
    fn products_of_footprints_are_overlaps_of_distributions() {
        let of = |steps: &[Step]| footprint(steps, 512).unwrap();
        let same = of(&[step(&[("yes", 0.9), ("no", 0.1)])]);
        let twice = of(&[step(&[("yes", 0.9), ("no", 0.1)]), step(&[("yes", 0.9), ("no", 0.1)])]);
        let half = of(&[step(&[("yes", 0.5), ("no", 0.5)])]);
        let other = of(&[step(&[("maybe", 1.0)])]);
        assert!((dot(&same, &twice) - 1.0).abs() < 1e-6);
        // Σ √(p·q).
        let overlap = (0.9f64 * 0.5).sqrt() + (0.1f64 * 0.5).sqrt();
        assert!((f64::from(dot(&same, &half)) - overlap).abs() < 1e-6);
        assert!(dot(&same, &other).abs() < 1e-6);
        assert_eq!(footprint(&[], 512), None);
    }

    #[test]
    fn perplexity_is_centred_and_at_unit_length() {
        let found = centred(&[1.0, 2.0, 6.0]).unwrap();
        assert!((found.iter().sum::<f32>()).abs() < 1e-6 && (dot(&found, &found) - 1.0).abs() < 1e-6);
        assert!(found[2] > 0.0 && found[0] < found[1]);
        assert_eq!(centred(&[1.5, 1.5]), None);
        assert!((mean_surprise(&[-1.0, -3.0]) - 2.0).abs() < 1e-12);
        assert_eq!(mean_surprise(&[]), 0.0);
    }
}
