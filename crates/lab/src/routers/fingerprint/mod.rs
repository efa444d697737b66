//! Descriptors of models from what they answer: CSCR's fingerprints (arXiv 2508.12491, section 4), through any endpoint
//! that speaks OpenAI's protocol and tells log-probabilities.
//!
//! - **Footprint**: which tokens a model thinks of. Over the first tokens of its answers to the probes, the mean probability of
//!   each token. The paper takes the pool's common vocabulary; pools mix tokenizers, and a model that joins must not change
//!   the others' descriptors, so tokens fall into buckets by a hash of their text. Square roots at unit length: the
//!   product of two footprints is the overlap of two distributions (Bhattacharyya).
//! - **Perplexity**: how surprising a model's answers are, probe by probe, to one scorer (or, without one, to the model itself):
//!   the mean negative log-likelihood of each answer's tokens, less its mean over the probes, at unit length.
//!
//! Neither looks at other models: one can be measured alone, later, against the same probes.

use crate::data::DataError;
use crate::data::lines::texts;
use crate::data::vector::unit;
use blindroute_routing::bundle::Matrix;
use sha2::{Digest, Sha256};
use std::path::Path;

mod endpoint;
mod file;

pub use endpoint::{Endpoint, EndpointError};
pub use file::{Fingerprints, FingerprintsError};

/// Which fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Of the tokens that a model thinks of.
    Footprint,
    /// Of how surprising its answers are.
    Perplexity,
}

/// How to measure. Two descriptors can be compared if these, the probes and the scorer are the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Which fingerprint.
    pub kind: Kind,
    /// The most tokens of an answer.
    pub tokens: usize,
    /// The width of a footprint; a perplexity fingerprint has one number a probe.
    pub width: usize,
    /// How many of the likeliest tokens at each place are asked for.
    pub top_logprobs: u32,
}

/// The most that OpenAI's endpoint tells of the likeliest tokens at a place.
pub const MOST_TOP_LOGPROBS: u32 = 20;

/// Prompts whose answers are compared. `Debug` shows their number only.
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
    /// The endpoint did not answer as it must.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The answers tell nothing.
    #[error("{model} {problem}")]
    Answers {
        /// Which model.
        model: String,
        /// What is wrong and what to do.
        problem: &'static str,
    },
}

impl FingerprintError {
    /// Whether the endpoint would answer if it were asked for fewer of the likeliest tokens.
    pub fn is_of_top_logprobs(&self) -> bool {
        matches!(self, Self::Endpoint(EndpointError::TopLogprobs { .. }))
    }
}

/// The fewest probes that tell models apart at all.
const LEAST: usize = 2;
const HINT: &str = "give a file of JSON lines with the field text or prompt";

impl Probes {
    /// The first `most` texts of a file of JSON lines, as [`crate::encoders::student::Corpus::read`] reads them.
    pub fn read(path: &Path, most: usize) -> Result<Self, DataError> {
        let mut texts = texts(path, HINT)?;
        texts.truncate(most);
        if texts.len() < LEAST {
            let problem = format!("it has {} prompts to learn from, at least {LEAST} are needed", texts.len());
            return Err(DataError::File { path: path.to_owned(), problem });
        }
        Ok(Self { texts })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are none; there always are.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Names these very texts.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for text in &self.texts {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// One token of an answer: its own log-probability, and the likeliest tokens at its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Natural logarithm.
    pub logprob: f64,
    /// Tokens and their log-probabilities.
    pub likeliest: Vec<(String, f64)>,
}

/// A model's fingerprint. `scorer` (an endpoint and its model) judges perplexity; without one the model judges itself. Told
/// after every probe.
pub fn fingerprint(
    endpoint: &Endpoint,
    model: &str,
    scorer: Option<(&Endpoint, &str)>,
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
        Kind::Footprint => "told no token's probability in any answer; use an endpoint that supports top_logprobs",
        Kind::Perplexity => "gave answers that are all as likely, or none at all; give other probes, or more --tokens",
    };
    found.ok_or_else(|| FingerprintError::Answers { model: model.to_owned(), problem })
}

/// An empty answer surprises nobody.
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

/// Rows of descriptors, one a model.
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
    fn a_footprint_is_the_overlap_of_what_is_thought_of() {
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
